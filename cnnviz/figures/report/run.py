"""HTML report of a run. Every string that a user supplied is escaped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnviz import __version__, datasets, models
from cnnviz.figures import numbers
from cnnviz.figures.confusion import Counts, confusion_alt, per_class
from cnnviz.figures.curves import Part
from cnnviz.figures.numbers import MISSING
from cnnviz.figures.report import CSS, POLICY, Series, chart
from cnnviz.training.recipe import WORDS, Recipe, value_text

if TYPE_CHECKING:
    from cnnviz.tracking import Checkpoint, Curve, Database, Restart, Run, StatusChange

# The report's data, read from the run database at once.

POINTS = 400
"""Maximum points per curve, which bounds a report to a few hundred kilobytes however long the run."""


@dataclass(frozen=True)
class RunRecord:
    """A run with its curves, status history, checkpoints and records."""

    run: Run
    curves: Mapping[str, Curve]
    history: Sequence[StatusChange]
    restarts: Sequence[Restart]
    checkpoints: Mapping[str, Checkpoint]
    disk: int
    """Bytes of its files on this machine."""
    matrix: Counts | None
    """The newest confusion matrix of the test images, `(K, K)`."""
    classes: Sequence[str]
    data: Mapping[str, Any]
    """The record `data`; empty if there is none."""
    pictures: Sequence[Mapping[str, Any]]
    """The record `fixed_images`."""
    answers: Mapping[int, Sequence[Sequence[float]]]
    """Newest top predictions by image index: `(class, probability)` pairs."""


def read_run(database: Database, run_id: int) -> RunRecord:
    """Read a run and its records.

    Raises:
        NoSuchRunError: The database has no such run.
    """
    import numpy as np

    from cnnviz import tracking

    run = tracking.get_run(database, run_id)

    def newest(kind: str, otherwise: Any) -> Any:
        record = tracking.latest_record(database, run_id, kind)
        return otherwise if record is None else record.body

    data = newest("data", {})
    body = newest("test/confusion", None)
    matrix = None if body is None else np.asarray(body, np.int64)
    return RunRecord(
        run=run,
        curves={name: tracking.sample_metric(database, run_id, name, POINTS) for name in run.metrics},
        history=tracking.history(database, run_id),
        restarts=tracking.read_metrics(database, run_id, limit=1).restarts,
        checkpoints=tracking.checkpoints(database, run_id),
        disk=tracking.disk_bytes(run.id, run.key),
        matrix=matrix,
        classes=class_names(data.get("classes"), run.dataset, 0 if matrix is None else len(matrix)),
        data=data,
        pictures=newest("fixed_images", []),
        answers={prediction["index"]: prediction["top"] for prediction in newest("fixed_predictions", [])},
    )


def class_names(recorded: Any, dataset: str, count: int) -> tuple[str, ...]:
    """Return `count` class names, as the run recorded or the data set registered them, else numbers."""
    from cnnviz import datasets

    if isinstance(recorded, list) and len(recorded) == count:
        return tuple(map(str, recorded))
    spec = datasets.specs().get(dataset)
    if spec is not None and len(spec.classes) == count:
        return spec.classes
    return tuple(map(str, range(count)))


# Confusion matrix and per-class accuracies as HTML tables.

WHOLE = 30
"""Maximum number of classes for which the whole matrix is shown; of more, the most frequent confusions."""
MISTAKES = 25


def matrix_html(counts: Counts, classes: Sequence[str]) -> str:
    """Render the matrix with cells shaded by row share, or its most frequent confusions."""
    summary = f"<p>{escape(confusion_alt(counts, classes))}</p>"
    if len(classes) > WHOLE:
        return summary + _top_confusions(counts, classes)
    heads = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in classes)
    rows = "".join(_row(row, index, classes) for index, row in enumerate(counts.tolist()))
    return (
        f'{summary}<div class="wide"><table class="matrix"><thead><tr><td>true ↓ said →</td>{heads}'
        f'<th scope="col"><span>right</span></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(row: Sequence[int], index: int, classes: Sequence[str]) -> str:
    total = sum(row)
    cells = "".join(_cell(count, count / total if total else 0.0) for count in row)
    right = f"{100 * row[index] / total:.1f} %" if total else "—"
    return f'<tr><th scope="row">{escape(classes[index])}</th>{cells}<td class="sum">{right}</td></tr>'


def _cell(count: int, share: float) -> str:
    # The square root makes small shares visible.
    shade = round(90 * math.sqrt(share))
    kind = ' class="full"' if shade > 55 else ""
    return f'<td{kind} style="--share:{shade}%">{count or ""}</td>'


def _top_confusions(counts: Counts, classes: Sequence[str]) -> str:
    wrong = counts - np.diag(counts.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
    pairs = [divmod(int(index), len(classes)) for index in order]
    often = [
        (classes[true], classes[predicted], f"{int(wrong[true, predicted])}")
        for true, predicted in pairs
        if wrong[true, predicted]
    ]
    known = sorted((value, i) for i, value in enumerate(per_class(counts)) if value is not None)
    worst = [(classes[i], f"{100 * value:.1f} %") for value, i in known[:MISTAKES]]
    return (
        f'<div class="two">{_listed("Taken for another most often", ("true", "said", "times"), often)}'
        f"{_listed('Classes least often right', ('class', 'right'), worst)}</div>"
    )


def _listed(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )


# Nothing is fetched, whatever a name or a note may contain.
PANELS: tuple[tuple[str, tuple[tuple[str, Part], ...]], ...] = (
    ("accuracy", (("train/accuracy", "train"), ("val/accuracy", "validation"), ("test/accuracy", "test"))),
    ("loss", (("train/loss", "train"), ("val/loss", "validation"), ("test/loss", "test"))),
    ("learning rate", (("lr", "train"),)),
    ("images per second", (("images_per_second", "train"),)),
    ("memory", (("memory_bytes", "train"),)),
)
PART_WORDS: dict[Part, str] = {"train": "training", "validation": "validation", "test": "test"}


def html_report(database: Database, run_id: int) -> str:
    """Build an HTML document on a run: curves, metrics, confusion matrix, recipe and environment.

    Raises:
        NoSuchRunError: The database has no such run.
    """
    record = read_run(database, run_id)
    title = f"Run {record.run.id}: {record.run.name}"
    sections = (_head, _notes, _curves, _matrix, _pictures, _facts)
    body = "".join(section(record) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>{CSS.read_text(encoding='utf-8')}</style></head><body><main>{body}"
        f"<footer>Written by cnnviz {escape(__version__)}. Accuracies are those of the last epoch unless "
        "they are called best.</footer></main></body></html>\n"
    )


def _head(record: RunRecord) -> str:
    run = record.run
    part = "val" if "test/accuracy" not in run.metrics and "val/accuracy" in run.metrics else "test"
    name = f"{part}/accuracy"
    measured, title = run.metrics.get(name), numbers.metric_title(name)
    figures = [
        (numbers.metric_text(name, measured.last) if measured else MISSING, f"{title}, last"),
        (numbers.metric_text(name, measured.best) if measured else MISSING, f"{title}, best"),
    ]
    if run.timed:
        figures += [
            (numbers.duration(run.seconds), "in training"),
            (MISSING if run.params is None else numbers.short(run.params), "parameters"),
        ]
    if run.counts_epochs:
        of = f"epochs of {run.total_epochs:g}" if run.total_epochs else "epochs"
        figures.append((f"{run.epoch:.4g}", of))
    else:
        figures.append((f"{run.step:,}", "steps"))
    tags = "".join(f'<span class="tag">{escape(tag)}</span>' for tag in run.tags)
    error = f'<p class="error">{escape(run.error)}</p>' if run.error else ""
    shown = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>" for value, label in figures
    )
    subject = f"{models.title_of(run.model)} on {datasets.title_of(run.data)}"
    if run.timed:
        about = f"{subject}, begun {numbers.moment(run.began)}."
    else:
        about = f"a history, imported from a file {numbers.moment(run.began)}."
    return (
        f"<h1>{escape(run.name)} {tags}</h1><p>Run {run.id}, {run.status.value}: {escape(about)}</p>"
        f'{error}<div class="figures">{shown}</div>'
    )


def _notes(record: RunRecord) -> str:
    return f'<h2>Notes</h2><p class="notes">{escape(record.run.notes)}</p>' if record.run.notes else ""


def _curves(record: RunRecord) -> str:
    drawn = []
    in_epochs = record.run.counts_epochs
    for title, lines in PANELS:
        series = []
        for name, part in lines:
            # Of a history that counts epochs alone, the means of training are over epochs.
            curve = record.curves.get(name) or record.curves.get(name.replace("/", "/epoch_"))
            if curve is not None and len(curve):
                across = curve.epochs if in_epochs else curve.steps.astype(np.float64)
                series.append(
                    Series(PART_WORDS[part] if len(lines) > 1 else title, part, across, curve.values)
                )
        drawn.append(chart(title.capitalize(), lines[0][0], series, "epoch" if in_epochs else "step"))
    figures = "".join(drawn)
    return f'<h2>Curves</h2><div class="charts">{figures}</div>' if figures else ""


def _matrix(record: RunRecord) -> str:
    if record.matrix is None:
        return ""
    return f"<h2>Confusion matrix of the test images</h2>{matrix_html(record.matrix, record.classes)}"


def _pictures(record: RunRecord) -> str:
    """Render the test images tracked during training with their newest predictions."""
    shown = "".join(_picture(record, picture) for picture in record.pictures)
    return f'<h2>A few test images</h2><div class="pictures">{shown}</div>' if shown else ""


def _picture(record: RunRecord, picture: Mapping[str, Any]) -> str:
    label, top = int(picture["label"]), record.answers.get(picture["index"], ())
    text = ", ".join(f"{_name(record, int(k))} {numbers.percent(p, 0)}" for k, p in top)
    kind = "picture" if top and int(top[0][0]) == label else "picture wrong"
    name, png = escape(_name(record, label)), escape(str(picture["png"]))
    return (
        f'<figure class="{kind}"><img alt="A test image of {name}" src="data:image/png;base64,{png}">'
        f"<figcaption><b>{name}</b>{escape(text)}</figcaption></figure>"
    )


def _name(record: RunRecord, index: int) -> str:
    return record.classes[index] if index < len(record.classes) else str(index)


def _facts(record: RunRecord) -> str:
    return (
        f"<h2>Measures</h2>{_metrics(record)}<h2>Recipe</h2>{_recipe(record)}"
        f"<h2>What it ran on</h2>{_table(_ran_on(record))}<h2>Event log</h2>{_history(record)}"
    )


def _metrics(record: RunRecord) -> str:
    rows = "".join(
        f"<tr><td>{escape(numbers.metric_title(name))}</td>"
        f"<td>{_value(name, m.last)}</td><td>{m.last_step:,}</td><td>{_value(name, m.best)}</td>"
        f"<td>{MISSING if m.best_step is None else f'{m.best_step:,}'}</td></tr>"
        for name, m in record.run.metrics.items()
    )
    heads = "".join(f"<th>{head}</th>" for head in ("measure", "last", "at step", "best", "at step"))
    return (
        f'<div class="wide"><table class="right"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _value(name: str, value: float | None) -> str:
    return escape(numbers.metric_text(name, float("nan") if value is None else value))


def _recipe(record: RunRecord) -> str:
    """Render every field of the recipe; those that differ from the default are marked."""
    if not record.run.recipe:
        return "<p>Nothing is known of its settings.</p>"
    defaults = Recipe().model_dump(mode="json")
    rows = []
    for name, value in record.run.recipe.items():
        if name in WORDS:
            continue
        info = Recipe.model_fields.get(name)
        mark = "" if defaults.get(name) == value else ' class="own"'
        rows.append(
            f"<tr{mark}><td>{escape(name)}</td><td>{escape(value_text(value))}</td>"
            f"<td>{escape((info and info.description) or '')}</td></tr>"
        )
    whole = escape(json.dumps(record.run.recipe, indent=2, ensure_ascii=False))
    return (
        '<p>Marked: what is not a recipe’s default.</p><div class="wide"><table class="recipe">'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f"<details><summary>As a document that can be run again</summary><pre>{whole}</pre></details>"
    )


def _ran_on(record: RunRecord) -> list[tuple[str, str]]:
    run, data = record.run, record.data
    counts = [f"{data[part]:,} {label}" for part, label in _PARTS if isinstance(data.get(part), int)]
    versions = ", ".join(f"{name} {version}" for name, version in (run.versions or {}).items())
    checkpoints = ", ".join(
        f"{kind} at step {checkpoint.step:,}" for kind, checkpoint in record.checkpoints.items()
    )
    facts: list[tuple[str, Any]] = [
        ("data", f"{datasets.title_of(run.data)}{': ' if counts else ''}{', '.join(counts)}"),
        ("data fingerprint", run.fingerprint),
        ("done to the data", " ".join(map(str, data.get("notes", [])))),
        ("seed", run.seed if run.has_recipe else None),
        ("device", run.device_text if run.timed else None),
        ("hardware", run.hardware),
        ("machine" if run.timed else "imported on", run.host),
        ("versions", versions),
        ("steps", f"{run.step:,}" + (f" of {run.total_steps:,}" if run.total_steps else "")),
        ("checkpoints", checkpoints),
        ("disk", numbers.size(record.disk)),
        ("copy of run", run.parent_id),
    ]
    return [(title, str(value)) for title, value in facts if value not in (None, "")]


_PARTS = (
    ("train", "training images"),
    ("validation", "validation images"),
    ("test", "test images"),
)


def _history(record: RunRecord) -> str:
    rows = [
        (numbers.moment(change.time), f"{change.new.value}{f': {change.reason}' if change.reason else ''}")
        for change in record.history
    ]
    again = [
        f"attempt {restart.attempt} from step {max(0, restart.from_step):,}"
        for restart in record.restarts[1:]
    ]
    after = f"<p>Resumed: {escape(', '.join(again))}.</p>" if again else ""
    return _table(rows) + after


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tbody>{lines}</tbody></table></div>'
