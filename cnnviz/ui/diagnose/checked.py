"""Everything that was looked for, and what ruled it out: the clean bill of a healthy run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from cnnviz.diagnosis import Checked, Diagnosis

OUTCOMES = (("clear", "Ruled out"), ("not checked", "Could not be checked"))


def checked(diagnosis: Diagnosis, key: str) -> None:
    """Draw it, folded where something was found."""
    counts = {what: sum(one.outcome == what for one in diagnosis.checked) for what, _ in OUTCOMES}
    said = [
        f"{counts['clear']} ruled out",
        *([f"{n} could not be checked"] if (n := counts["not checked"]) else []),
    ]
    with st.expander(
        f"What was looked for: {', '.join(said)}", key=f"checked-{key}", expanded=not diagnosis.findings
    ):
        for what, title in OUTCOMES:
            rows = [one for one in diagnosis.checked if one.outcome == what]
            if rows:
                st.html(_table(title, rows))


def _table(title: str, rows: Sequence[Checked]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(one.title)}</th><td>{escape(one.because)}</td></tr>' for one in rows
    )
    return f'<table class="checked"><caption>{escape(title)}</caption><tbody>{lines}</tbody></table>'
