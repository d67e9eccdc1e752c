"""What is wrong, in one sentence, and what run it is said of."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.diagnosis.words import nothing_to_judge, state, sureness
from cnnviz.ui import notice
from cnnviz.ui.diagnose.findings import title

NEXT = (
    "It ended before its first step was recorded. Probe tries its data and its first weights out; on Train "
    "stand its recipe and how it ended."
)

if TYPE_CHECKING:
    from cnnviz.ui.diagnose.case import Case


def verdict(case: Case, going: bool) -> None:
    """Draw it; `going` is whether the run can still change."""
    evidence, found = case.evidence, case.diagnosis
    blank = nothing_to_judge(evidence, found)
    told = escape(_blank(case) if blank else found.verdict)
    if found.findings:
        told = f"<b>{escape(title(found.findings[0]))}.</b> {told}"
    kind = "unknown" if blank else "found" if found.findings else "clear"
    st.html(f'<div class="verdict {kind}"><p>{told}</p><span>{escape(" · ".join(_about(case)))}</span></div>')
    if evidence.error:
        st.caption(f"It ended with: {notice.plain(evidence.error)}")
    if blank and not going:
        st.caption(NEXT)
    if going:
        st.caption("It is still going: what is said here is looked at again every few seconds.")


def _about(case: Case) -> list[str]:
    """The run, how far it is, and how sure the verdict is."""
    evidence, findings = case.evidence, case.diagnosis.findings
    said = [evidence.title if case.run is None else f"Run {case.run.id}, {evidence.title}", state(evidence)]
    if findings:
        said.append(sureness(findings[0].confidence))
        said += [f"{len(findings)} findings"] if len(findings) > 1 else []
    return said


def _blank(case: Case) -> str:
    status = case.evidence.status
    if status in ("queued", "starting", "running"):
        return "There is nothing to judge it by yet."
    return f"{case.name} has recorded nothing that it could be judged by."
