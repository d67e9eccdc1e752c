"""A click on a figure, told once: its component keeps saying it until the next one."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui.components.plot import Pick

SEEN = "runs-picks"


def once(key: str, pick: Pick | None) -> Pick | None:
    """The click on the figure of that key if it was not told yet."""
    seen = st.session_state.setdefault(SEEN, {})
    if pick is None:
        seen.pop(key, None)
        return None
    known, seen[key] = seen.get(key), dict(pick)
    return None if known == dict(pick) else pick
