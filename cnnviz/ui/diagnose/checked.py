"""What probes found, and what was looked for with what ruled it out: the clean bill of a healthy run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import streamlit as st

from cnnviz.diagnosis import Diagnosis
from cnnviz.diagnosis.words import COMPARISONS as NAMES
from cnnviz.diagnosis.words import SIGNS

OUTCOMES = (("clear", "Ruled out"), ("not checked", "Could not be checked"))


def what_probes_found(found: Mapping[str, Any], key: str) -> None:
    """Draw a line a probe; nothing where the run was not probed."""
    if not found:
        return
    from cnnviz.diagnosis.told import told

    rows = told(found)
    if rows:
        with st.expander(f"What {len(rows)} probes found", key=f"probed-{key}", expanded=True):
            st.html(_table(rows))


def compared(diagnosis: Diagnosis, key: str) -> None:
    """Draw what the run was compared with; folded where a finding explains it."""
    rows = [(f"{SIGNS[one.passed]} {NAMES[one.name]}", one.text) for one in diagnosis.comparisons]
    if rows:
        head = f"What it was compared with: {len(rows)} checks"
        with st.expander(head, key=f"compared-{key}", expanded=diagnosis.outcome != "cause-found"):
            st.html(_table(rows))


def checked(diagnosis: Diagnosis, key: str) -> None:
    """Draw it, folded: some thirty rows, of which the verdict gives the sum."""
    counts = {what: sum(one.outcome == what for one in diagnosis.checked) for what, _ in OUTCOMES}
    said = [
        f"{counts['clear']} ruled out",
        *([f"{n} could not be checked"] if (n := counts["not checked"]) else []),
    ]
    with st.expander(f"What was looked for: {', '.join(said)}", key=f"checked-{key}"):
        for what, title in OUTCOMES:
            rows = [(one.title, one.because) for one in diagnosis.checked if one.outcome == what]
            if rows:
                st.html(_table(rows, title))


def _table(rows: Sequence[tuple[str, str]], title: str = "") -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(words)}</td></tr>' for name, words in rows
    )
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f'<table class="checked">{caption}<tbody>{lines}</tbody></table>'
