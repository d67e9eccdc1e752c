"""Which runs are listed, in what order, and what the table says of each. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnviz.figures import measures, numbers
from cnnviz.figures.measures import MISSING
from cnnviz.figures.palette import COMPARED
from cnnviz.ui.runs.state import Asked, Filters
from cnnviz.ui.runs.store import SPEED, Listing

if TYPE_CHECKING:
    from cnnviz.tracking import MetricSummary, RunSummary

PAGE = 100
"""Runs shown at once."""


class Column(NamedTuple):
    """A column of the table: its key, its heading, what the heading explains, and how it stands."""

    key: str
    title: str
    help: str
    number: bool = True


def columns(metric: str) -> list[Column]:
    """The columns in their order, for the metric that is shown."""
    title = measures.metric_title(metric)
    best = "lowest" if _lower(metric) else "highest"
    return [
        Column("id", "Run", "The run's number."),
        Column("name", "Name", "Opens the run's details.", number=False),
        Column("status", "State", "What the run is doing, or how it ended.", number=False),
        Column("model", "Model", "The model that was trained.", number=False),
        Column("data", "Data", "The data it was trained on.", number=False),
        Column("last", title.capitalize(), f"The last value of {title}."),
        Column(
            "best", "… best", f"The {best} value of {title} in the run. An honest figure is the last one."
        ),
        Column("time", "Time", "Spent in training, by all attempts."),
        Column("speed", "Images/s", "Training images a second, at the last report."),
        Column("params", "Parameters", "Values that training changes."),
        Column("disk", "Disk", "What its checkpoints take."),
        Column("begun", "Begun", "When the last attempt began."),
    ]


def chosen_runs(listing: Listing, filters: Filters) -> list[RunSummary]:
    """The runs that the filters leave, in the order of the listing."""
    words = filters.find.lower().split()
    return [run for run in listing.runs if _passes(run, filters) and _holds(run, words)]


def ordered(runs: Sequence[RunSummary], asked: Asked, disk: dict[int, int]) -> list[RunSummary]:
    """The runs in the order asked for; those without a value come last either way."""
    value = _value(asked, disk)
    known = [(found, run) for run in runs if (found := value(run)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=asked.descending)
    placed = {run.id for _, run in known}
    return [run for _, run in known] + [run for run in runs if run.id not in placed]


def pages(count: int) -> int:
    """How many pages so many runs take."""
    return max(1, math.ceil(count / PAGE))


def payload(runs: Sequence[RunSummary], asked: Asked, disk: dict[int, int], total: int) -> dict[str, Any]:
    """The table as its component draws it: one page of rows, and what surrounds them."""
    last = pages(len(runs))
    page = min(asked.page, last)
    shown = runs[(page - 1) * PAGE : page * PAGE]
    return {
        "columns": [column._asdict() for column in columns(asked.metric)],
        "sort": asked.sort,
        "descending": asked.descending,
        "rows": [_row(run, asked.metric, disk) for run in shown],
        "chosen": list(asked.chosen),
        "hues": [hue.css for hue in COMPARED],
        "page": page,
        "pages": last,
        "said": _said(len(runs), total, page),
    }


def _said(count: int, total: int, page: int) -> str:
    first, last = (page - 1) * PAGE + 1, min(page * PAGE, count)
    shown = f"{first:,}–{last:,} of " if count > PAGE else ""
    return f"{shown}{count:,} run{'' if count == 1 else 's'}" + (f" of {total:,}" if count < total else "")


def _row(run: RunSummary, metric: str, disk: dict[int, int]) -> dict[str, Any]:
    measured, speed = run.metrics.get(metric), run.metrics.get(SPEED)
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status.value,
        "state": state_words(run),
        "error": run.error or "",
        "tags": run.tags,
        "notes": run.notes,
        "model": run.model,
        "data": run.data,
        "last": MISSING if measured is None else _metric(metric, measured.last),
        "best": MISSING if measured is None else _metric(metric, measured.best),
        "time": measures.duration(run.seconds) if run.began is not None else MISSING,
        "speed": MISSING if speed is None else measures.metric_text(SPEED, speed.last, 3),
        "params": MISSING if run.params is None else numbers.exact(run.params),
        "disk": measures.size(disk[run.id]) if disk.get(run.id) else MISSING,
        "begun": measures.moment(run.began),
    }


def state_words(run: RunSummary) -> str:
    """A run's state, with how far it is while that can change."""
    if run.total_epochs and run.status.value not in ("finished", "queued"):
        return f"{run.status.value}, epoch {run.epoch:.3g} of {run.total_epochs:g}"
    return run.status.value


def _metric(name: str, value: float | None) -> str:
    return measures.metric_text(name, math.nan if value is None else value)


def _passes(run: RunSummary, filters: Filters) -> bool:
    return (
        (not filters.statuses or run.status in filters.statuses)
        and (not filters.models or run.model in filters.models)
        and (not filters.data or not {run.data, run.dataset}.isdisjoint(filters.data))
        and (not filters.tags or not set(filters.tags).isdisjoint(run.tags))
    )


def _holds(run: RunSummary, words: Sequence[str]) -> bool:
    if not words:
        return True
    text = "\n".join((str(run.id), run.name, run.model, run.data, run.notes, run.error or "", *run.tags))
    lowered = text.lower()
    return all(word in lowered for word in words)


def _lower(metric: str) -> bool:
    from cnnviz.tracking import lower_is_better

    return lower_is_better(metric)


def _value(asked: Asked, disk: dict[int, int]) -> Callable[[RunSummary], Any]:
    """What a run is sorted by; None where it has no such value."""

    def measured(tell: Callable[[MetricSummary], float | None], name: str) -> Callable[[RunSummary], Any]:
        return lambda run: tell(run.metrics[name]) if name in run.metrics else None

    found: dict[str, Callable[[RunSummary], Any]] = {
        "id": lambda run: run.id,
        "name": lambda run: run.name.lower(),
        "status": lambda run: run.status.value,
        "model": lambda run: run.model,
        "data": lambda run: run.data.lower(),
        "last": measured(lambda m: m.last, asked.metric),
        "best": measured(lambda m: m.best, asked.metric),
        "time": lambda run: run.seconds if run.began is not None else None,
        "speed": measured(lambda m: m.last, SPEED),
        "params": lambda run: run.params,
        "disk": lambda run: disk.get(run.id),
        "begun": lambda run: run.began,
    }
    return found[asked.sort]
