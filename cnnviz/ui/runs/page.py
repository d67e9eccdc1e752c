"""The page as a whole: the list with what is compared below it, or one run in detail."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui import notice
from cnnviz.ui.runs import actions, rows, state, store
from cnnviz.ui.runs.bar import CSS, bar
from cnnviz.ui.runs.state import Asked
from cnnviz.ui.runs.store import Listing
from cnnviz.ui.runs.table import table


def runs_page() -> None:
    """Draw the page; a database that cannot be used is said in a sentence."""
    st.html(CSS)
    asked = state.current()
    try:
        listing = store.listing(asked.metric, asked.deleted)
        _list(asked, listing)
    except (OSError, ValueError) as error:
        _unusable(error)


def _list(asked: Asked, listing: Listing) -> None:
    notice.say([*asked.problems, *notice.kept()])
    bar(asked, listing)
    actions.undo_line()
    found = rows.ordered(rows.chosen_runs(listing, asked.filters), asked, listing.disk)
    if found:
        table(found, asked, listing.disk, len(listing.runs))
    by_id = {run.id: run for run in listing.runs}
    actions.chosen_line(asked, [by_id[i] for i in asked.chosen if i in by_id], listing.disk)


def _unusable(error: Exception) -> None:
    st.error(f"The runs cannot be shown. {notice.plain(str(error))}", icon=":material/database_off:")
