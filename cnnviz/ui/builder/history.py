"""The steps of a design: every step is a URL, so undoing one goes back to where one was."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from cnnviz.ui import url_state

NOT_DESIGN = frozenset({"layer", "batch", "view"})
"""Parameters that change what is looked at, not what is built."""
DEPTH = 200
"""Steps that can be undone."""
PAST, FUTURE, TIP = "builder-past", "builder-future", "builder-tip"


def can_undo() -> bool:
    """Whether there is a step to go back."""
    return bool(st.session_state.get(PAST))


def can_redo() -> bool:
    """Whether a step back can be taken forward again."""
    return bool(st.session_state.get(FUTURE))


def undo() -> None:
    """Go one step back."""
    _travel(PAST, FUTURE)


def redo() -> None:
    """Take back a step back."""
    _travel(FUTURE, PAST)


def _travel(source: str, target: str) -> None:
    url_state.restore()  # what is left behind is the URL as it is, not one that the browser still brings
    if st.session_state.get(source):
        st.session_state[target] = [*st.session_state.get(target, []), st.query_params.to_dict()]
        url_state.go_to(st.session_state[source].pop())
        st.session_state[TIP] = _identity(st.query_params.to_dict())


def change(**changes: str | None) -> None:
    """Write to the URL; what changes the design becomes a step that can be undone."""
    before = st.query_params.to_dict()
    url_state.change(**changes)
    after = st.query_params.to_dict()
    if _identity(after) != _identity(before):
        st.session_state[PAST] = [*st.session_state.get(PAST, []), before][-DEPTH:]
        st.session_state[FUTURE] = []
        st.session_state[TIP] = _identity(after)


def forget_another_past() -> None:
    """Drop the steps of another design, after a link or the browser's own buttons led away from it."""
    here = _identity(st.query_params.to_dict())
    if st.session_state.get(TIP) not in (None, here):
        st.session_state[PAST], st.session_state[FUTURE] = [], []
    st.session_state[TIP] = here


def _identity(parameters: Mapping[str, str]) -> str:
    return repr(sorted(item for item in parameters.items() if item[0] not in NOT_DESIGN))
