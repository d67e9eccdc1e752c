"""Quiet sentences of a page: what was wrong in the URL, and what is shown instead."""

from __future__ import annotations

import re
from collections.abc import Sequence

import streamlit as st

LATER = "notice-later"


def say(problems: Sequence[str]) -> None:
    """Draw one notice with all `problems`, or nothing where there are none."""
    if problems:
        st.warning("  \n".join(plain(problem) for problem in problems), icon=":material/info:")


def later(sentence: str) -> None:
    """Keep a sentence from a callback until the page is drawn."""
    st.session_state[LATER] = [*st.session_state.get(LATER, []), sentence]


def pending_notices() -> list[str]:
    """The sentences that callbacks left for this run; they are said once."""
    notices: list[str] = st.session_state.pop(LATER, [])
    return notices


def plain(text: str) -> str:
    r"""Text as Markdown that shows it as it is: what comes from a URL must not become a link or a picture."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$:&])", r"\\\1", " ".join(text.split()))
