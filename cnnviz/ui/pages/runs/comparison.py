"""Comparison of runs as tables: configuration diff and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.numbers import MISSING
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.sentences import key_words
from cnnviz.training.recipe import differing, value_text
from cnnviz.ui.pages.runs.rows import distinctions
from cnnviz.ui.shared.runs import run_data

if TYPE_CHECKING:
    from cnnviz.tracking import Run, RunSummary

# Multiply-adds of a recipe's model for one image.

KEPT = 500


def macs_of(recipe: Mapping[str, Any], dataset: str) -> int | None:
    """Return the multiply-adds of a recipe's model; None if the model no longer exists.

    The number of classes, which hardly matters to it, is that of the registered data, else the model's
    default.
    """
    if "model" not in recipe and not recipe.get("layers"):
        return None  # a user's own training loop
    layers = recipe.get("layers")
    size, options = recipe.get("size"), recipe.get("options") or {}
    chosen = orjson.dumps([layers, size, options], option=orjson.OPT_SORT_KEYS).decode()
    return _macs(str(recipe.get("model", "")), chosen, dataset)


@st.cache_data(max_entries=KEPT, show_spinner=False)
def _macs(model: str, chosen: str, dataset: str) -> int | None:
    from cnnviz import datasets
    from cnnviz.analysis import analyze
    from cnnviz.models.layers import LayerList

    layers, size, options = orjson.loads(chosen)
    spec = datasets.specs().get(dataset)
    classes = len(spec.classes) if spec is not None else None
    try:
        if layers:
            return analyze(LayerList.read(orjson.dumps(layers)), size).macs
        return analyze(model, size, classes, options).macs
    except ValueError:
        return None


def macs_of_runs(runs: Sequence[RunSummary]) -> list[float | None]:
    """Return the multiply-adds of each run's model; models that runs share are analyzed once."""
    from cnnviz import tracking

    recipes = tracking.recipes(run_data.database(), [run.id for run in runs])
    by_key: dict[str, float | None] = {}
    counts = []
    for run in runs:
        recipe = recipes.get(run.id, {})
        key = repr([recipe.get(name) for name in ("model", "options", "layers", "size")]) + run.dataset
        if key not in by_key:
            by_key[key] = macs_of(recipe, run.dataset)
        counts.append(by_key[key])
    return counts


# Small tables with one column per run, marked by its color.


class TableRow(NamedTuple):
    """A row: title, tooltip of the title, a value per run, and the indices of the best values."""

    title: str
    help: str
    values: Sequence[str]
    best: Sequence[int] = ()


def run_columns(lines: Sequence[TableRow], runs: Sequence[RunSummary], label: str) -> None:
    """Draw the table."""
    heads = "".join(
        f'<th scope="col"><i style="background:{hue.css}"></i>{escape(short_name(run))}</th>'
        for run, hue in zip(runs, COMPARED, strict=False)
    )
    st.html(
        f'<div class="run-columns" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(map(_row, lines))}</tbody></table></div>"
    )


def short_name(run: RunSummary) -> str:
    """Return a short label of a run: its number and its name, truncated."""
    name = run.name if len(run.name) <= 28 else f"{run.name[:27]}…"
    return f"{run.id} · {name}"


def labels(runs: Sequence[RunSummary]) -> list[str]:
    """Return the runs' short labels; of runs with the same name also what differs: `2 · LeNet-5, lr 0.02`."""
    from cnnviz import tracking

    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return [short_name(run) for run in runs]
    differs = distinctions(runs, tracking.recipes(run_data.database(), [run.id for run in runs]))
    return [", ".join(filter(None, (short_name(run), differs.get(run.id)))) for run in runs]


def best_of(values: Sequence[float | None], lower: bool) -> tuple[int, ...]:
    """Return the indices of the best of at least two values that are not all equal."""
    known = [value for value in values if value is not None]
    if len(known) < 2 or min(known) == max(known):
        return ()
    best = min(known) if lower else max(known)
    return tuple(index for index, value in enumerate(values) if value == best)


def _row(line: TableRow) -> str:
    title = f'<th scope="row" title="{escape(line.help)}">{escape(line.title)}</th>'
    cells = "".join(
        f"<td><b>{escape(value)}</b></td>" if index in line.best else f"<td>{escape(value)}</td>"
        for index, value in enumerate(line.values)
    )
    return f"<tr>{title}{cells}</tr>"


AFTER = ("test/", "val/", "train/")
"""Order of metrics in the table, by prefix; the others follow."""
JUDGED = ("loss", "accuracy", "top5")
"""Suffixes of metrics in which one value can be better than another."""
FACTS: tuple[tuple[str, str, Callable[[Run], Any]], ...] = (
    ("data fingerprint", "A hash of the images and labels: where it differs, the data did.",
     lambda run: (run.fingerprint or "")[:12]),
    ("hardware", "What it was trained on.", lambda run: run.hardware),
    ("versions", "Of what it was trained with.",
     lambda run: ", ".join(f"{name} {version}" for name, version in (run.versions or {}).items())),
)  # fmt: skip
"""Facts of a run besides its recipe: title, help, and the function that returns it."""


def configuration_diff(runs: Sequence[RunSummary]) -> None:
    """Draw the differing recipe fields and facts."""
    st.header("Configuration diff", anchor=False)
    if len(runs) == 1:
        st.caption("Tick a second run: what differs between the two is listed here.")
        return
    lines = difference_lines(full_records(runs))
    unknown = [run for run in runs if not run.timed]
    if unknown:
        names = ", ".join(f"run {run.id}" for run in unknown)
        st.caption(f"Not known of imported histories ({names}): recipe, data, hardware and versions.")
    if not lines:
        if not unknown:
            st.caption("Nothing: same recipe, same data, same hardware, same versions.")
        elif len(unknown) < len(runs) - 1:
            st.caption("Nothing between the others: same recipe, same data, same hardware, same versions.")
        return
    run_columns(lines, runs, "Configuration diff of the runs")
    if any(line.title == FACTS[0][0] for line in lines):
        st.caption("These runs did not see the same data: their accuracies are not on one scale.")


def results_table(runs: Sequence[RunSummary]) -> None:
    """Draw the last value of every metric."""
    st.header("Results", anchor=False)
    records = full_records(runs)
    run_columns([*metric_lines(records), *cost_lines(records)], runs, "Last values of every measure")
    bold = "; the best of each row in bold" if len(runs) > 1 else ""
    st.caption(f"Last values, not best ones{bold}. Point at a title for the best.")


def full_records(runs: Sequence[RunSummary]) -> list[Run]:
    """Return the complete records of the runs."""
    from cnnviz import tracking

    opened = run_data.database()
    return [tracking.get_run(opened, run.id) for run in runs]


def difference_lines(runs: Sequence[Run]) -> list[TableRow]:
    """Return a row for each recipe field and each fact that differs between the runs."""
    lines = []
    for field, description, values in differing([run.recipe for run in runs]):
        # What was not recorded of a loop of one's own, or of a history, is not the default of our recipes.
        known = [run.has_recipe or field in run.recipe for run in runs]
        distinct = {value_text(value) for value, is_known in zip(values, known, strict=True) if is_known}
        if len(distinct) > 1:
            shown = [
                value_text(v) if is_known else MISSING for v, is_known in zip(values, known, strict=True)
            ]
            lines.append(TableRow(key_words(field), description, shown))
    for title, about, format_value in FACTS:
        values_text = [format_value(run) or MISSING for run in runs]
        if len({text for text, run in zip(values_text, runs, strict=True) if run.timed}) > 1:
            lines.append(TableRow(title, about, values_text))
    return lines


def metric_lines(runs: Sequence[Run]) -> list[TableRow]:
    """Return a row for each metric that any of the runs has."""
    from cnnviz.tracking import lower_is_better

    names = sorted({name for run in runs for name in run.metrics}, key=_place)
    return [_metric_line(name, runs, lower_is_better(name)) for name in names]


def _metric_line(name: str, runs: Sequence[Run], lower: bool) -> TableRow:
    metrics = [run.metrics.get(name) for run in runs]
    best = [
        f"run {run.id}: best {numbers.metric_text(name, metric.best)} at step {metric.best_step:,}"
        for run, metric in zip(runs, metrics, strict=True)
        if metric is not None and metric.best_step is not None
    ]
    return TableRow(
        numbers.metric_title(name),
        "; ".join(best),
        [MISSING if m is None else numbers.metric_text(name, _or_nan(m.last)) for m in metrics],
        best_of([m.last if m else None for m in metrics], lower) if name.endswith(JUDGED) else (),
    )


def cost_lines(runs: Sequence[Run]) -> list[TableRow]:
    """Return rows of training time and model size."""
    macs = [macs_of(run.recipe, run.dataset) for run in runs]
    return [
        TableRow("time in training", "By all attempts.",
             [numbers.duration(run.seconds) if run.timed else MISSING for run in runs],
             best_of([run.seconds if run.timed else None for run in runs], lower=True)),
        TableRow("parameters", "Values that training changes.",
             [MISSING if run.params is None else numbers.exact(run.params) for run in runs]),
        TableRow("multiply-adds", "For one image.",
             [MISSING if n is None else numbers.exact(n) for n in macs]),
    ]  # fmt: skip


def _place(name: str) -> tuple[int, str]:
    part = next((index for index, part in enumerate(AFTER) if name.startswith(part)), len(AFTER))
    return part, name


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
