"""What people write on a run: its name, tags and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.ui import notice
from cnnviz.ui.runs import store
from cnnviz.ui.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import Run

MOST_NOTES, MOST_NAME = 20_000, 200


def words(run: Run, known_tags: Sequence[str]) -> None:
    """Draw the fields; what is typed is kept at once."""
    for field, value in (("name", run.name), ("tags", list(run.tags)), ("notes", run.notes)):
        show_value(_key(run, field), value)
    st.text_input("Name", key=_key(run, "name"), max_chars=MOST_NAME, on_change=_write, args=(run, "name"))
    st.multiselect(
        "Tags", sorted({*known_tags, *run.tags}), key=_key(run, "tags"), accept_new_options=True,
        placeholder="Add a tag", on_change=_write, args=(run, "tags"),
    )  # fmt: skip
    st.text_area(
        "Notes", key=_key(run, "notes"), height=110, max_chars=MOST_NOTES, on_change=_write,
        placeholder="What you tried, what you saw, what to try next.", args=(run, "notes"),
    )  # fmt: skip


def _key(run: Run, field: str) -> str:
    return f"run-{field}-{run.id}"


def _write(run: Run, field: str) -> None:
    from cnnviz import tracking

    changes: dict[str, Any] = {field: st.session_state[_key(run, field)]}
    try:
        tracking.update_run(store.database(), run.id, **changes)
    except ValueError as error:
        notice.later(str(error))
    else:
        store.edited()
