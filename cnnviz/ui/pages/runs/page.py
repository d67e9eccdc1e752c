"""Runs page: the list of runs with the comparison of the selected ones, or one run in detail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.figures import numbers
from cnnviz.formats import csv_text
from cnnviz.ui.components.lists import run_table
from cnnviz.ui.pages.runs import files, state
from cnnviz.ui.pages.runs.comparison import configuration_diff, results_table
from cnnviz.ui.pages.runs.details import details
from cnnviz.ui.pages.runs.figures import overlay, pareto_figure, published_figure
from cnnviz.ui.pages.runs.matrices import matrices
from cnnviz.ui.pages.runs.rows import filter_runs, on_page, payload, sort_runs, table_columns, titles_of
from cnnviz.ui.pages.runs.state import (
    COLUMNS,
    DEFAULT_METRIC,
    FILTERS,
    FIXED_COLUMNS,
    MAX_CHOSEN,
    PageState,
)
from cnnviz.ui.shared import layout, notice, url_state, visitors
from cnnviz.ui.shared.model_picker import share_button
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.run_data import SPEED, Listing
from cnnviz.ui.shared.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import Run, RunSummary

# The bar on top: filters, metric, columns; share.

CSS = Path(__file__).with_name("runs.css")


def bar(page_state: PageState, listing: Listing) -> None:
    """Draw the bar."""
    filters = page_state.filters
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="runs-bar"):
        if listing.runs or filters.any:
            _find(filters.find)
        chosen: dict[str, tuple[str, ...]] = {
            "status": tuple(status.value for status in filters.statuses),
            "of": filters.models,
            "on": filters.data,
            "tag": filters.tags,
        }
        for name, label, values, format_value in _parts(listing.runs):
            _several(name, label, values, chosen[name], format_value)
        if listing.runs:
            _metric(page_state.metric, listing.metrics)
        with st.container(
            horizontal=True, gap="small", width="content", vertical_alignment="center", key="runs-actions"
        ):
            if listing.runs:
                _columns(page_state)
            show_value("runs-deleted", page_state.deleted)
            st.toggle(
                "Deleted", key="runs-deleted", on_change=_deleted, help="Show the deleted runs instead."
            )
            share_button()


def _find(text: str) -> None:
    show_value("runs-find", text)
    st.text_input(
        "Find", key="runs-find", placeholder="Find in names, notes, tags …", width=215,
        label_visibility="collapsed", icon=":material/search:",
        on_change=lambda: state.change(find=str(st.session_state["runs-find"]).strip() or None),
    )  # fmt: skip


def _parts(
    runs: Sequence[RunSummary],
) -> list[tuple[str, str, list[str], Callable[[str], str]]]:
    """Return each filter with its values, most frequent first."""
    counts_by_filter: dict[str, Counter[str]] = {name: Counter() for name in ("status", "of", "on", "tag")}
    for run in runs:
        counts_by_filter["status"][run.status.value] += 1
        counts_by_filter["of"][run.model] += 1
        counts_by_filter["on"][run.data] += 1
        counts_by_filter["tag"].update(run.tags)
    labels = {"status": "state", "of": "model", "on": "data", "tag": "tag"}
    titles = titles_of(runs)
    return [
        (name, labels[name], [value for value, _ in counts.most_common()],
         partial(_titled, titles) if name in ("of", "on") else str)
        for name, counts in counts_by_filter.items()
    ]  # fmt: skip


def _titled(titles: Mapping[str, str], name: str) -> str:
    return titles.get(name, name)


def _several(
    name: str, label: str, values: list[str], chosen: tuple[str, ...], format_value: Callable[[str], str]
) -> None:
    key = f"runs-{name}"
    known = [*values, *(value for value in chosen if value not in values)]
    if not known:
        return
    show_value(key, list(chosen))
    st.multiselect(
        label.capitalize(), known, key=key, format_func=format_value, placeholder=f"Any {label}", width=130,
        label_visibility="collapsed", on_change=partial(_write, name, key),
    )  # fmt: skip


def _write(name: str, key: str) -> None:
    changes: dict[str, Any] = {name: state.listed(st.session_state[key])}
    state.change(**changes)


def _metric(metric: str, known: tuple[str, ...]) -> None:
    options = list(known) if metric in known else [metric, *known]
    show_value("runs-metric", metric)
    st.selectbox(
        "Measure", options, key="runs-metric", format_func=numbers.metric_title, width=180,
        label_visibility="collapsed", help="What the table, the curves and the figures measure.",
        on_change=_measured,
    )  # fmt: skip


def _measured() -> None:
    chosen = str(st.session_state["runs-metric"])
    state.change(metric=None if chosen == DEFAULT_METRIC else chosen)


def _columns(page_state: PageState) -> None:
    """Draw the choice of the table's columns."""
    titles = {column.key: column.title for column in table_columns(page_state.metric)}
    free = [name for name in COLUMNS if name not in FIXED_COLUMNS]
    # In every run: the browser makes what a popover holds when it is opened, from the newest run, and would
    # show none as chosen, and send that, if the value had come with an earlier one.
    st.session_state["runs-columns"] = [name for name in page_state.columns if name in free]
    with st.popover("Columns", type="tertiary", icon=":material/view_column:", key="runs-columns-menu"):
        st.pills(
            "Columns of the table", free, selection_mode="multi", key="runs-columns",
            format_func=titles.__getitem__, on_change=_column_chosen,
        )  # fmt: skip


def _column_chosen() -> None:
    chosen = set(st.session_state["runs-columns"])
    names = [name for name in COLUMNS if name in chosen]
    whole = len(names) == len(COLUMNS) - len(FIXED_COLUMNS)
    state.change(columns=None if whole else ",".join(names) or FIXED_COLUMNS[0])


def _deleted() -> None:
    state.change(deleted="yes" if st.session_state["runs-deleted"] else None, runs=None, cell=None)


# Empty states.


def no_runs(page_state: PageState) -> None:
    """Draw the page of a user who has not trained anything yet."""
    with st.container(border=True, key="runs-empty"):
        st.markdown(
            "**Nothing was trained here yet.** Every run will be listed on this page, with its curves, its "
            "figures and its weights; two or more of them can be laid over one another."
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            layout.link("train", "Train a first one", icon=":material/play_arrow:")
            st.caption("or, in a terminal, some seconds long and without a network:", width="content")
        st.code("python -m cnnviz train --model lenet5 --dataset digits --epochs 5", language=None)
    files.offer(first=True)
    published_figure(page_state)


def no_match(count: int) -> None:
    """Draw that the filters match none of `count` runs."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="runs-no-match"):
        st.markdown(f"None of the {count:,} run{'' if count == 1 else 's'} is like that.", width="content")
        st.button("Show all", key="runs-show-all", on_click=_show_all)


def none_deleted() -> None:
    """Draw that no runs are deleted."""
    st.caption("No run is deleted. What is deleted is kept here until it is removed for good.")


def _show_all() -> None:
    state.change(**dict.fromkeys(FILTERS))


# Refresh while runs train or wait.

SECONDS = 2.0
"""Polling interval: a query of a millisecond or two, which draws nothing unless something changed."""


def follow(runs: Iterable[RunSummary]) -> None:
    """Rerun the page whenever a run has progressed, while any of these trains or waits."""
    from cnnviz import tracking

    if not any(run.active or run.status is tracking.Status.QUEUED for run in runs):
        return
    seen = tracking.stamp(run_data.database())
    st.fragment(_look, run_every=SECONDS)(seen)


def _look(seen: Any) -> None:
    from cnnviz import tracking

    url_state.restore()
    try:
        changed = tracking.stamp(run_data.database()) != seen
    except ValueError:
        return  # retried at the next tick; the drawn state remains valid for its time
    if changed:
        st.rerun()


# The list as CSV, with exact values.

HEAD = (
    *("run", "name", "status", "model", "data", "seed", "epochs", "metric", "last", "best", "best at step"),
    *("seconds", "images per second", "parameters", "checkpoint bytes", "begun (UTC)", "tags", "notes"),
)


def to_csv(runs: Sequence[RunSummary], metric: str, disk: Mapping[int, int]) -> str:
    """Return one CSV line per run; a value is empty if a run has none or it was NaN."""
    return csv_text(HEAD, (_row(run, metric, disk) for run in runs))


def _row(run: RunSummary, metric: str, disk: Mapping[int, int]) -> tuple[object, ...]:
    measured, speed = run.metrics.get(metric), run.metrics.get(SPEED)
    begun = "" if run.began is None else datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds")
    seconds = round(run.seconds, 3) if run.timed else None
    return (
        run.id, run.name, run.status.value, run.model, run.data, run.seed, run.epoch, metric,
        measured and measured.last, measured and measured.best, measured and measured.best_step,
        seconds, speed and speed.last, run.params, disk.get(run.id, 0), begun,
        " ".join(run.tags), run.notes,
    )  # fmt: skip


# The table of runs, and its actions.

# Columns that sort ascending at first; numbers sort descending.
FIRST_UP = frozenset(("name", "status", "model", "data"))


def table(runs: Sequence[RunSummary], page_state: PageState, disk: dict[int, int], total: int) -> None:
    """Draw one page of `runs`, which are sorted already."""

    def acted(act: dict[str, Any]) -> None:
        apply_table_action(act, page_state)

    from cnnviz import tracking

    recipes = tracking.recipes(run_data.database(), [run.id for run in on_page(runs, page_state)])
    run_table(payload(runs, page_state, disk, total, recipes), key="run-table", on_act=acted)


def apply_table_action(act: dict[str, Any], page_state: PageState) -> None:
    """Write an action of the table to the URL; an invalid one is ignored."""
    match act:
        case {"do": "choose", "runs": list(ids)} if all(isinstance(i, int) and i > 0 for i in ids):
            state.change(runs=state.listed(ids[:MAX_CHOSEN]), pair=None, cell=None)
        case {"do": "open", "run": int(run)} if run > 0:
            state.change(run=str(run))
        case {"do": "sort", "column": str(column)} if column in COLUMNS:
            down = not page_state.descending if column == page_state.sort else column not in FIRST_UP
            order = f"{'-' if down else ''}{column}"
            state.change(sort=None if order == state.DEFAULT_SORT else order)
        case {"do": "page", "page": int(page)} if page > 0:
            state.change(page=None if page == 1 else str(page))


def runs_page() -> None:
    """Draw the page; if the database cannot be used, an error."""
    st.html(CSS)
    page_state = state.current()
    try:
        listing = run_data.listing(page_state.metric, page_state.deleted)
        run, problem = _requested_run(page_state)
        if run is not None:
            details(run, page_state, _tags(listing))
            follow([run])
        else:
            _list(replace(page_state, problems=(*page_state.problems, *problem)), listing)
    except (OSError, ValueError) as error:
        _unusable(error)


def _requested_run(page_state: PageState) -> tuple[Run | None, tuple[str, ...]]:
    """Return the run whose details are requested, or why it cannot be shown."""
    from cnnviz import tracking

    if page_state.run is None:
        return None, ()
    try:
        return tracking.get_run(run_data.database(), page_state.run), ()
    except tracking.NoSuchRunError as error:
        return None, (f"{error} All runs are shown instead.",)


def _tags(listing: Listing) -> list[str]:
    return sorted({tag for run in listing.runs for tag in run.tags})


def _list(page_state: PageState, listing: Listing) -> None:
    notice.show([*page_state.problems, *notice.pending_notices()])
    bar(page_state, listing)
    files.undo_line()
    rows = sort_runs(filter_runs(listing, page_state.filters), page_state, listing.disk)
    rows = visitors.own_first(run_data.database(), rows)
    if rows:
        table(rows, page_state, listing.disk, len(listing.runs))
        st.download_button(
            "Table (CSV)", partial(to_csv, rows, page_state.metric, listing.disk), "runs.csv", "text/csv",
            key="runs-csv", on_click="ignore", type="tertiary", icon=":material/download:",
            help="Every run that is listed, on all pages, with exact figures.",
        )  # fmt: skip
    elif listing.runs:
        no_match(len(listing.runs))
    elif page_state.deleted:
        none_deleted()
    else:
        no_runs(page_state)
        return
    chosen = _chosen(page_state, listing)
    files.chosen_line(page_state, chosen, listing.disk)
    if not page_state.deleted:
        compared = chosen[: state.COMPARED_AT_ONCE]
        if compared:
            _compare(compared, page_state)
        pareto_figure(rows, page_state)
        files.offer()
        follow(listing.runs)


def _chosen(page_state: PageState, listing: Listing) -> list[RunSummary]:
    """Return the selected runs; missing ones are reported."""
    by_id = {run.id: run for run in listing.runs}
    missing = [run_id for run_id in page_state.chosen if run_id not in by_id]
    if missing and len(listing.runs) >= run_data.LISTED:  # older ones than are listed can be compared too
        older = run_data.runs_beyond(missing, page_state.metric, page_state.deleted)
        by_id |= {run.id: run for run in older}
        missing = [run_id for run_id in missing if run_id not in by_id]
    if missing:
        where = "not deleted" if page_state.deleted else "not there, or deleted"
        notice.show([f"{files.named(missing).capitalize()}: {where}."])
    return [by_id[run_id] for run_id in page_state.chosen if run_id in by_id]


def _compare(runs: list[RunSummary], page_state: PageState) -> None:
    overlay(runs, page_state)
    left, right = st.columns(2, gap="medium")
    with left:
        configuration_diff(runs)
    with right:
        results_table(runs)
    matrices(runs, page_state)


def _unusable(error: Exception) -> None:
    st.error(f"The runs cannot be shown. {notice.escape(str(error))}", icon=":material/database_off:")
