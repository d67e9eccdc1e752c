"""Rows of the runs table: filtering, sorting and formatting. Pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnviz import datasets, models
from cnnviz.figures import numbers
from cnnviz.figures.numbers import MISSING
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.sentences import key_words
from cnnviz.training.recipe import differing, value_text
from cnnviz.ui.pages.runs.state import Filters, PageState
from cnnviz.ui.shared.runs.run_data import LISTED, SPEED, Listing

if TYPE_CHECKING:
    from cnnviz.tracking import MetricSummary, RunSummary

PAGE = 100
"""Runs per page."""
GROUP = r"experiment \d+"
"""Pattern of tags that group consecutive rows into one that can be expanded."""


class Column(NamedTuple):
    """A column of the table: key, heading, help, and whether it is numeric."""

    key: str
    title: str
    help: str
    number: bool = True


def table_columns(metric: str) -> list[Column]:
    """Return the table's columns for the selected metric."""
    title = numbers.metric_title(metric)
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


def filter_runs(listing: Listing, filters: Filters) -> list[RunSummary]:
    """Return the runs that match the filters, in the order of the listing."""
    words = filters.find.lower().split()
    titles = titles_of(listing.runs) if words else {}
    return [run for run in listing.runs if _passes(run, filters) and _matches_words(run, words, titles)]


def titles_of(runs: Sequence[RunSummary]) -> dict[str, str]:
    """Return the titles of the runs' models and data sets by their names, each looked up once."""
    named = {model: models.title_of(model) for model in {run.model for run in runs}}
    return named | {data: datasets.title_of(data) for data in {run.data for run in runs}}


def sort_runs(runs: Sequence[RunSummary], page_state: PageState, disk: dict[int, int]) -> list[RunSummary]:
    """Return the sorted runs; those without a value come last in either direction."""
    value = _value(page_state, disk)
    known = [(measured, run) for run in runs if (measured := value(run)) is not None]
    known.sort(key=lambda pair: pair[0], reverse=page_state.descending)
    placed = {run.id for _, run in known}
    return [run for _, run in known] + [run for run in runs if run.id not in placed]


def page_count(count: int) -> int:
    """Return the number of pages for so many runs."""
    return max(1, math.ceil(count / PAGE))


def on_page(runs: Sequence[RunSummary], page_state: PageState) -> Sequence[RunSummary]:
    """Return the runs of the current page of the table."""
    page = min(page_state.page, page_count(len(runs)))
    return runs[(page - 1) * PAGE : page * PAGE]


MAX_NAMED = 3
"""Maximum number of fields in the table that distinguish runs of one name; a run's details have all."""
OWN_COLUMNS = frozenset(("model", "dataset", "device", "code"))
"""Fields that are not used to distinguish runs, since they have columns of their own."""


def distinctions(runs: Sequence[RunSummary], recipes: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
    """Describe how the recipes of runs with the same name differ, by run: `lr 0.02, seed 1`."""
    names: dict[int, str] = {}
    for name in {run.name for run in runs}:
        same = [run.id for run in runs if run.name == name and run.id in recipes]
        lines = [line for line in differing([recipes[run] for run in same]) if line.field not in OWN_COLUMNS]
        for index, run in enumerate(same):
            parts = [_setting(line.field, line.values[index]) for line in lines]
            more = [f"{len(parts) - MAX_NAMED} more"] if len(parts) > MAX_NAMED else []
            names[run] = ", ".join([*parts[:MAX_NAMED], *more])
    return names


def _setting(field: str, value: Any) -> str:
    """Format one setting of a run's name: `lr 0.02`; a model's options by their own names."""
    words = key_words(field)
    if isinstance(value, dict):
        return value_text(value) if value else f"default {words}"
    return f"{words} {value_text(value)}"


def payload(
    runs: Sequence[RunSummary],
    page_state: PageState,
    disk: dict[int, int],
    total: int,
    recipes: Mapping[int, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the data of the table component: one page of rows, and what surrounds them.

    Args:
        runs: Sorted runs.
        page_state: URL state.
        disk: Bytes of each run's files.
        total: Number of runs without filters.
        recipes: Recipes of the shown runs, to distinguish those of one name.
    """
    last = page_count(len(runs))
    page = min(page_state.page, last)
    shown = on_page(runs, page_state)
    differs, titles = distinctions(shown, recipes or {}), titles_of(shown)
    return {
        "columns": [
            column._asdict()
            for column in table_columns(page_state.metric)
            if column.key in page_state.columns
        ],
        "sort": page_state.sort,
        "descending": page_state.descending,
        "rows": [
            _row(run, page_state.metric, disk, titles) | {"differs": differs.get(run.id, "")} for run in shown
        ],
        "chosen": list(page_state.chosen),
        "hues": [hue.css for hue in COMPARED],
        "page": page,
        "pages": last,
        "said": _count_text(len(runs), total, page),
    }


def _count_text(count: int, total: int, page: int) -> str:
    first, last = (page - 1) * PAGE + 1, min(page * PAGE, count)
    shown = f"{first:,}–{last:,} of " if count > PAGE else ""
    newest = "the newest " if total >= LISTED else ""  # older ones are not in the list
    of = f" of {newest}{total:,}" if count < total else ""
    return f"{shown}{newest if not of else ''}{count:,} run{'' if count == 1 else 's'}{of}"


def _row(run: RunSummary, metric: str, disk: dict[int, int], titles: Mapping[str, str]) -> dict[str, Any]:
    measured, speed = run.metrics.get(metric), run.metrics.get(SPEED)
    return {
        "id": run.id,
        "name": run.name,
        "status": run.status.value,
        "state": state_words(run),
        "error": run.error or "",
        "tags": run.tags,
        "group": next((tag for tag in run.tags if re.fullmatch(GROUP, tag)), ""),
        "notes": run.notes,
        "model": titles[run.model],
        "data": titles[run.data],
        "last": MISSING if measured is None else _metric(metric, measured.last),
        "best": MISSING if measured is None else _metric(metric, measured.best),
        "time": numbers.duration(run.seconds) if run.timed and run.began is not None else MISSING,
        "speed": MISSING if speed is None else numbers.metric_text(SPEED, speed.last, 3),
        "params": MISSING if run.params is None else numbers.exact(run.params),
        "disk": numbers.size(disk[run.id]) if disk.get(run.id) else MISSING,
        "begun": numbers.moment(run.began),
    }


def state_words(run: RunSummary) -> str:
    """Describe a run's state, with its progress while it can change, or its kind if not trained here."""
    if run.kind.value == "recorded":
        return "recorded"
    if not run.trained:
        return f"{run.kind.value}, {run.status.value}"
    if run.total_epochs and run.status.value not in ("finished", "queued"):
        return f"{run.status.value}, epoch {run.epoch:.3g} of {run.total_epochs:g}"
    return run.status.value


def _metric(name: str, value: float | None) -> str:
    return numbers.metric_text(name, math.nan if value is None else value)


def _passes(run: RunSummary, filters: Filters) -> bool:
    return (
        (not filters.statuses or run.status in filters.statuses)
        and (not filters.models or run.model in filters.models)
        and (not filters.data or not {run.data, run.dataset}.isdisjoint(filters.data))
        and (not filters.tags or not set(filters.tags).isdisjoint(run.tags))
    )


def _matches_words(run: RunSummary, words: Sequence[str], titles: Mapping[str, str]) -> bool:
    if not words:
        return True
    shown = (titles[run.model], titles[run.data])
    text = "\n".join(
        (str(run.id), run.name, run.model, run.data, *shown, run.notes, run.error or "", *run.tags)
    )
    lowered = text.lower()
    return all(word in lowered for word in words)


def _lower(metric: str) -> bool:
    from cnnviz.tracking import lower_is_better

    return lower_is_better(metric)


def _value(page_state: PageState, disk: dict[int, int]) -> Callable[[RunSummary], Any]:
    """Return the sort key function; it returns None for a run without a value."""

    def measured(getter: Callable[[MetricSummary], float | None], name: str) -> Callable[[RunSummary], Any]:
        return lambda run: getter(run.metrics[name]) if name in run.metrics else None

    getters: dict[str, Callable[[RunSummary], Any]] = {
        "id": lambda run: run.id,
        "name": lambda run: run.name.lower(),
        "status": lambda run: run.status.value,
        "model": lambda run: run.model,
        "data": lambda run: run.data.lower(),
        "last": measured(lambda m: m.last, page_state.metric),
        "best": measured(lambda m: m.best, page_state.metric),
        "time": lambda run: run.seconds if run.timed and run.began is not None else None,
        "speed": measured(lambda m: m.last, SPEED),
        "params": lambda run: run.params,
        "disk": lambda run: disk.get(run.id),
        "begun": lambda run: run.began,
    }
    return getters[page_state.sort]
