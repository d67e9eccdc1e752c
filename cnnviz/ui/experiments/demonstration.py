"""A demonstration: code that is run before one's eyes, what it did, and why."""

from __future__ import annotations

from html import escape

import streamlit as st

from cnnviz.experiments.demonstrating import Demonstration, Shown, every_demonstration


def demonstration(found: Demonstration) -> None:
    """Run it and draw what came of it."""
    shown = _run(found.name)
    st.html(
        f'<div class="experiment-verdict"><span>{escape(found.question)}</span>'
        f"<p>{escape(shown.conclusion)}</p></div>"
    )
    left, right = st.columns([0.52, 0.48], gap="large")
    with left:
        st.code(found.code, language="python", wrap_lines=True)
        if shown.message:
            st.markdown("What torch says:")
            st.code(shown.message, language=None, wrap_lines=True)
        if found.mended:
            st.markdown("Mended:")
            st.code(found.mended, language="python", wrap_lines=True)
        for paragraph in found.explanation.split("\n\n"):
            st.markdown(paragraph)
    with right:
        _table(shown)
        st.caption("Run just now, by this app, with the torch that is installed here.")


@st.cache_data(max_entries=8, show_spinner="Running it …")
def _run(name: str) -> Shown:
    return every_demonstration()[name].run()


def _table(shown: Shown) -> None:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in shown.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in shown.lines
    )  # fmt: skip
    st.html(
        '<div class="experiment-table" tabindex="0" role="region" aria-label="What was tried, what it did">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
