"""The report's sections, put together. Everything that anybody typed is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz import __version__
from cnnviz.figures import measures, numbers
from cnnviz.figures.curves import Part
from cnnviz.figures.measures import MISSING
from cnnviz.figures.report.chart import Series, chart
from cnnviz.figures.report.gather import Told, gather
from cnnviz.figures.report.matrix import matrix_html
from cnnviz.training.differing import WORDS, value_text
from cnnviz.training.recipe import Recipe

if TYPE_CHECKING:
    from cnnviz.tracking import Database

CSS = Path(__file__).with_name("report.css")
# Nothing is fetched, whatever a name or a note may hold.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PANELS: tuple[tuple[str, tuple[tuple[str, Part], ...]], ...] = (
    ("accuracy", (("train/accuracy", "train"), ("val/accuracy", "validation"), ("test/accuracy", "test"))),
    ("loss", (("train/loss", "train"), ("val/loss", "validation"), ("test/loss", "test"))),
    ("learning rate", (("lr", "train"),)),
    ("images per second", (("images_per_second", "train"),)),
    ("memory", (("memory_bytes", "train"),)),
)
PART_WORDS: dict[Part, str] = {"train": "training", "validation": "validation", "test": "test"}


def html_report(database: Database, run_id: int) -> str:
    """A whole HTML document on a run: curves, metrics, confusion, recipe, and what it ran on.

    Raises `NoSuchRunError`.
    """
    told = gather(database, run_id)
    title = f"Run {told.run.id}: {told.run.name}"
    body = "".join((_head(told), _notes(told), _curves(told), _matrix(told), _pictures(told), _facts(told)))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>{CSS.read_text(encoding='utf-8')}</style></head><body><main>{body}"
        f"<footer>Written by cnnviz {escape(__version__)}. Accuracies are those of the last epoch unless "
        "they are called best.</footer></main></body></html>\n"
    )


def _head(told: Told) -> str:
    run = told.run
    measured = run.metrics.get("test/accuracy")
    figures = [
        (
            measures.metric_text("test/accuracy", measured.last) if measured else MISSING,
            "test accuracy, last",
        ),
        (
            measures.metric_text("test/accuracy", measured.best) if measured else MISSING,
            "test accuracy, best",
        ),
        (measures.duration(run.seconds), "in training"),
        (MISSING if run.params is None else numbers.short(run.params), "parameters"),
        (f"{run.epoch:.4g}", f"epochs of {run.total_epochs:g}" if run.total_epochs else "epochs"),
    ]
    tags = "".join(f'<span class="tag">{escape(tag)}</span>' for tag in run.tags)
    error = f'<p class="error">{escape(run.error)}</p>' if run.error else ""
    shown = "".join(
        f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in figures
    )
    about = f"{run.model} on {run.data}, begun {measures.moment(run.began)}."
    return (
        f"<h1>{escape(run.name)} {tags}</h1><p>Run {run.id}, {run.status.value}: {escape(about)}</p>"
        f'{error}<div class="figures">{shown}</div>'
    )


def _notes(told: Told) -> str:
    return f'<h2>Notes</h2><p class="notes">{escape(told.run.notes)}</p>' if told.run.notes else ""


def _curves(told: Told) -> str:
    drawn = []
    for title, lines in PANELS:
        series = [
            Series(PART_WORDS[part] if len(lines) > 1 else title, part, curve.epochs, curve.values)
            for name, part in lines
            if (curve := told.curves.get(name)) is not None and len(curve)
        ]
        drawn.append(chart(title.capitalize(), lines[0][0], series))
    figures = "".join(drawn)
    return f'<h2>Curves</h2><div class="charts">{figures}</div>' if figures else ""


def _matrix(told: Told) -> str:
    if told.matrix is None:
        return ""
    return f"<h2>Test images: which class is taken for which</h2>{matrix_html(told.matrix, told.classes)}"


def _pictures(told: Told) -> str:
    """The few test images that every epoch looks at, with what is said of them now."""
    shown = "".join(_picture(told, picture) for picture in told.pictures)
    return f'<h2>A few test images</h2><div class="pictures">{shown}</div>' if shown else ""


def _picture(told: Told, picture: Mapping[str, Any]) -> str:
    label, top = int(picture["label"]), told.answers.get(picture["index"], ())
    said = ", ".join(f"{_name(told, int(k))} {numbers.percent(p, 0)}" for k, p in top)
    kind = "picture" if top and int(top[0][0]) == label else "picture wrong"
    name, png = escape(_name(told, label)), escape(str(picture["png"]))
    return (
        f'<figure class="{kind}"><img alt="A test image of {name}" src="data:image/png;base64,{png}">'
        f"<figcaption><b>{name}</b>{escape(said)}</figcaption></figure>"
    )


def _name(told: Told, place: int) -> str:
    return told.classes[place] if place < len(told.classes) else str(place)


def _facts(told: Told) -> str:
    return (
        f"<h2>Measures</h2>{_metrics(told)}<h2>Recipe</h2>{_recipe(told)}"
        f"<h2>What it ran on</h2>{_table(_ran_on(told))}<h2>What happened</h2>{_history(told)}"
    )


def _metrics(told: Told) -> str:
    rows = "".join(
        f"<tr><td>{escape(measures.metric_title(name))}</td>"
        f"<td>{_value(name, m.last)}</td><td>{m.last_step:,}</td><td>{_value(name, m.best)}</td>"
        f"<td>{MISSING if m.best_step is None else f'{m.best_step:,}'}</td></tr>"
        for name, m in told.run.metrics.items()
    )
    heads = "".join(f"<th>{head}</th>" for head in ("measure", "last", "at step", "best", "at step"))
    return (
        f'<div class="wide"><table class="right"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _value(name: str, value: float | None) -> str:
    return escape(measures.metric_text(name, float("nan") if value is None else value))


def _recipe(told: Told) -> str:
    """Every field; what is not a recipe's default is marked."""
    defaults = Recipe().model_dump(mode="json")
    rows = []
    for name, value in told.run.recipe.items():
        if name in WORDS:
            continue
        info = Recipe.model_fields.get(name)
        mark = "" if defaults.get(name) == value else ' class="own"'
        rows.append(
            f"<tr{mark}><td>{escape(name)}</td><td>{escape(value_text(value))}</td>"
            f"<td>{escape((info and info.description) or '')}</td></tr>"
        )
    whole = escape(json.dumps(told.run.recipe, indent=2, ensure_ascii=False))
    return (
        '<p>Marked: what is not a recipe’s default.</p><div class="wide"><table class="recipe">'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f"<details><summary>As a document that can be run again</summary><pre>{whole}</pre></details>"
    )


def _ran_on(told: Told) -> list[tuple[str, str]]:
    run, data = told.run, told.data
    counts = [f"{data[part]:,} {words}" for part, words in _PARTS if isinstance(data.get(part), int)]
    versions = ", ".join(f"{name} {version}" for name, version in (run.versions or {}).items())
    kept = ", ".join(f"{kind} at step {one.step:,}" for kind, one in told.checkpoints.items())
    facts: list[tuple[str, Any]] = [
        ("data", f"{run.data}{': ' if counts else ''}{', '.join(counts)}"),
        ("data fingerprint", run.fingerprint),
        ("done to the data", " ".join(map(str, data.get("notes", [])))),
        ("seed", run.seed),
        ("device", run.device),
        ("hardware", run.hardware),
        ("machine", run.host),
        ("versions", versions),
        ("steps", f"{run.step:,}" + (f" of {run.total_steps:,}" if run.total_steps else "")),
        ("checkpoints", kept),
        ("disk", measures.size(told.disk)),
        ("copy of run", run.parent_id),
    ]
    return [(title, str(value)) for title, value in facts if value not in (None, "")]


_PARTS = (
    ("train", "training images"),
    ("validation", "validation images"),
    ("test", "test images"),
)


def _history(told: Told) -> str:
    rows = [
        (measures.moment(change.time), f"{change.new.value}{f': {change.reason}' if change.reason else ''}")
        for change in told.history
    ]
    again = [
        f"attempt {restart.attempt} from step {max(0, restart.from_step):,}" for restart in told.restarts[1:]
    ]
    after = f"<p>Resumed: {escape(', '.join(again))}.</p>" if again else ""
    return _table(rows) + after


def _table(rows: Iterable[Sequence[str]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tbody>{lines}</tbody></table></div>'
