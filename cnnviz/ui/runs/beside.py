"""The compared runs in figures: what their recipes differ in, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.figures import measures, numbers
from cnnviz.figures.measures import MISSING
from cnnviz.training.differing import differing, value_text
from cnnviz.ui.runs import store
from cnnviz.ui.runs.costs import macs_of
from cnnviz.ui.runs.tables import Line, best_of, run_columns

if TYPE_CHECKING:
    from cnnviz.tracking import Run, RunSummary

AFTER = ("test/", "val/", "train/")
"""Final metrics in this order of their parts; the others come after."""
JUDGED = ("loss", "accuracy", "top5")
"""What one value of can be better than another."""
FACTS: tuple[tuple[str, str, Callable[[Run], Any]], ...] = (
    ("data fingerprint", "A hash of the images and labels: where it differs, the data did.",
     lambda run: (run.fingerprint or "")[:12]),
    ("hardware", "What it was trained on.", lambda run: run.hardware),
    ("versions", "Of what it was trained with.",
     lambda run: ", ".join(f"{name} {version}" for name, version in (run.versions or {}).items())),
)  # fmt: skip
"""What a run knows beside its recipe: a title, what it is, and how it is told."""


def recipes_beside(runs: Sequence[RunSummary]) -> None:
    """Draw the fields in which the recipes differ, and what else does."""
    st.subheader("What differs", anchor=False)
    lines = difference_lines(full(runs))
    if not lines:
        st.caption("Nothing: same recipe, same data, same hardware, same versions.")
        return
    run_columns(lines, runs, "What differs between the runs")
    if any(line.title == FACTS[0][0] for line in lines):
        st.caption("These runs did not see the same data: their accuracies are not on one scale.")


def finals_beside(runs: Sequence[RunSummary]) -> None:
    """Draw the last value of everything that was measured."""
    st.subheader("What came of it", anchor=False)
    found = full(runs)
    run_columns([*metric_lines(found), *cost_lines(found)], runs, "Last values of every measure")
    st.caption("Last values, not best ones; the best of each row in bold. Point at a title for the best.")


def full(runs: Sequence[RunSummary]) -> list[Run]:
    """The runs with all that is known of them."""
    from cnnviz import tracking

    opened = store.database()
    return [tracking.get_run(opened, run.id) for run in runs]


def difference_lines(runs: Sequence[Run]) -> list[Line]:
    """A line for each field of the recipes, and each fact of the runs, that differs."""
    lines = [
        Line(field.replace("_", " "), description, [value_text(value) for value in values])
        for field, description, values in differing([run.recipe for run in runs])
    ]
    for title, about, tell in FACTS:
        told = [tell(run) or MISSING for run in runs]
        if len(set(told)) > 1:
            lines.append(Line(title, about, told))
    return lines


def metric_lines(runs: Sequence[Run]) -> list[Line]:
    """A line for each metric that any of the runs has."""
    from cnnviz.tracking import lower_is_better

    names = sorted({name for run in runs for name in run.metrics}, key=_place)
    return [_metric_line(name, runs, lower_is_better(name)) for name in names]


def _metric_line(name: str, runs: Sequence[Run], lower: bool) -> Line:
    found = [run.metrics.get(name) for run in runs]
    best = [
        f"run {run.id}: best {measures.metric_text(name, metric.best)} at step {metric.best_step:,}"
        for run, metric in zip(runs, found, strict=True)
        if metric is not None and metric.best_step is not None
    ]
    return Line(
        measures.metric_title(name),
        "; ".join(best),
        [MISSING if m is None else measures.metric_text(name, _or_nan(m.last)) for m in found],
        best_of([m.last if m else None for m in found], lower) if name.endswith(JUDGED) else (),
    )


def cost_lines(runs: Sequence[Run]) -> list[Line]:
    """What the runs took, and the size of their models."""
    macs = [macs_of(run.recipe, run.dataset) for run in runs]
    return [
        Line("time in training", "By all attempts.", [measures.duration(run.seconds) for run in runs],
             best_of([run.seconds for run in runs], lower=True)),
        Line("parameters", "Values that training changes.",
             [MISSING if run.params is None else numbers.exact(run.params) for run in runs]),
        Line("multiply-adds", "For one image.", [MISSING if n is None else numbers.exact(n) for n in macs]),
    ]  # fmt: skip


def _place(name: str) -> tuple[int, str]:
    part = next((place for place, part in enumerate(AFTER) if name.startswith(part)), len(AFTER))
    return part, name


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
