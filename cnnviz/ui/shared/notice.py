"""Notices of a page: errors in the URL with what is shown instead, and messages of callbacks."""

from __future__ import annotations

import re
from collections.abc import Sequence

import streamlit as st

LATER = "notice-later"


def show(problems: Sequence[str]) -> None:
    """Draw one notice with all `problems`, if there are any."""
    if problems:
        st.warning("  \n".join(escape(problem) for problem in problems), icon=":material/info:")


def defer(sentence: str) -> None:
    """Store a sentence of a callback until the page is drawn."""
    st.session_state[LATER] = [*st.session_state.get(LATER, []), sentence]


def pending_notices() -> list[str]:
    """Return the sentences that callbacks stored, once."""
    notices: list[str] = st.session_state.pop(LATER, [])
    return notices


def escape(text: str) -> str:
    """Escape text for Markdown: text from a URL must not become a link or an image."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$:&])", r"\\\1", " ".join(text.split()))
