"""The page as a whole: the list with what is compared below it, or one run in detail."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.ui import notice
from cnnviz.ui.runs import actions, rows, state, store
from cnnviz.ui.runs.bar import CSS, bar
from cnnviz.ui.runs.beside import finals_beside, recipes_beside
from cnnviz.ui.runs.details import details
from cnnviz.ui.runs.empty import no_match, no_runs, none_deleted
from cnnviz.ui.runs.live import follow
from cnnviz.ui.runs.matrices import matrices
from cnnviz.ui.runs.overlay import overlay
from cnnviz.ui.runs.sheet import to_csv
from cnnviz.ui.runs.state import Asked
from cnnviz.ui.runs.store import Listing
from cnnviz.ui.runs.table import table
from cnnviz.ui.runs.trade import trade

if TYPE_CHECKING:
    from cnnviz.tracking import Run, RunSummary


def runs_page() -> None:
    """Draw the page; a database that cannot be used is said in a sentence."""
    st.html(CSS)
    asked = state.current()
    try:
        listing = store.listing(asked.metric, asked.deleted)
        run, problem = _one(asked)
        if run is not None:
            details(run, asked, _tags(listing))
            follow([run])
        else:
            _list(replace(asked, problems=(*asked.problems, *problem)), listing)
    except (OSError, ValueError) as error:
        _unusable(error)


def _one(asked: Asked) -> tuple[Run | None, tuple[str, ...]]:
    """The run whose details are asked for, or why there are none."""
    from cnnviz import tracking

    if asked.run is None:
        return None, ()
    try:
        return tracking.get_run(store.database(), asked.run), ()
    except tracking.NoSuchRunError as error:
        return None, (f"{error} All runs are shown instead.",)


def _tags(listing: Listing) -> list[str]:
    return sorted({tag for run in listing.runs for tag in run.tags})


def _list(asked: Asked, listing: Listing) -> None:
    notice.say([*asked.problems, *notice.kept()])
    bar(asked, listing)
    actions.undo_line()
    found = rows.ordered(rows.chosen_runs(listing, asked.filters), asked, listing.disk)
    if found:
        table(found, asked, listing.disk, len(listing.runs))
        st.download_button(
            "Table (CSV)", partial(to_csv, found, asked.metric, listing.disk), "runs.csv", "text/csv",
            key="runs-csv", on_click="ignore", type="tertiary", icon=":material/download:",
            help="Every run that is listed, on all pages, with exact figures.",
        )  # fmt: skip
    elif listing.runs:
        no_match(len(listing.runs))
    elif asked.deleted:
        none_deleted()
    else:
        no_runs(asked)
        return
    chosen = _chosen(asked, listing)
    actions.chosen_line(asked, chosen, listing.disk)
    if not asked.deleted:
        compared = chosen[: state.COMPARED_AT_ONCE]
        if compared:
            _compare(compared, asked)
        trade(found, asked)
        follow(listing.runs)


def _chosen(asked: Asked, listing: Listing) -> list[RunSummary]:
    """The runs that are ticked; one that is not there is said."""
    by_id = {run.id: run for run in listing.runs}
    missing = [run_id for run_id in asked.chosen if run_id not in by_id]
    if missing:
        where = "not deleted" if asked.deleted else "not there, or deleted"
        notice.say([f"{actions.named(missing).capitalize()}: {where}."])
    return [by_id[run_id] for run_id in asked.chosen if run_id in by_id]


def _compare(runs: list[RunSummary], asked: Asked) -> None:
    overlay(runs, asked)
    left, right = st.columns(2, gap="medium")
    with left:
        recipes_beside(runs)
    with right:
        finals_beside(runs)
    matrices(runs, asked)


def _unusable(error: Exception) -> None:
    st.error(f"The runs cannot be shown. {notice.plain(str(error))}", icon=":material/database_off:")
