"""What is wrong, in one sentence, and what run it is said of."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.diagnosis.outcome import recorded_anything
from cnnviz.diagnosis.words import MARKS, OUTCOMES, state, sureness
from cnnviz.figures.palette import OUTCOME_COLORS
from cnnviz.ui import notice
from cnnviz.ui.diagnose.findings import title

NEXT = (
    "It ended before its first step was recorded. Probe tries its data and its first weights out; on Train "
    "stand its recipe and how it ended."
)

if TYPE_CHECKING:
    from cnnviz.ui.diagnose.case import Case


def verdict(case: Case, going: bool) -> None:
    """Draw the outcome, what it is said of, what is missing and what to try; `going`: it can still change."""
    evidence, found = case.evidence, case.diagnosis
    blank = not recorded_anything(evidence) and not found.findings
    told = escape(_waiting(case) or found.verdict)
    if found.findings:
        told = f"<b>{escape(title(found.findings[0]))}.</b> {told}"
    about = escape(" · ".join(_about(case)))
    hue = OUTCOME_COLORS[found.outcome].css
    st.html(
        f'<div class="verdict {found.outcome}" style="--outcome: {hue}"><div class="outcome">'
        f'<i aria-hidden="true">{MARKS[found.outcome]}</i>{escape(OUTCOMES[found.outcome])}</div>'
        f"<p>{told}</p><span>{about}</span></div>"
    )
    if evidence.error and not blank:
        st.caption(f"It ended with: {notice.plain(evidence.error)}")
    if blank and not going:
        st.caption(NEXT)
    if going:
        st.caption("It is still going: what is said here is looked at again every few seconds.")


def advice(case: Case) -> None:
    """Draw what is missing and what to try next."""
    found = case.diagnosis
    _listed("What is missing", found.missing)
    _listed("What to try next, in this order", found.next_steps, ordered=True)


def notes(case: Case) -> None:
    """Draw what is no finding and may be taken for one."""
    for note in case.diagnosis.notes:
        st.markdown(f":material/info: {notice.plain(note.text)}")


def _listed(heading: str, sentences: Sequence[str], *, ordered: bool = False) -> None:
    if not sentences:
        return
    lines = [f"{f'{at}.' if ordered else '-'} {notice.plain(text)}" for at, text in enumerate(sentences, 1)]
    st.subheader(heading, anchor=False)
    st.markdown("\n".join(lines))


def _about(case: Case) -> list[str]:
    """The run, how far it is, and how sure the verdict is."""
    evidence, findings = case.evidence, case.diagnosis.findings
    said = [evidence.title if case.run is None else f"Run {case.run.id}, {evidence.title}", state(evidence)]
    if findings:
        said.append(sureness(findings[0].confidence))
        said += [f"{len(findings)} findings"] if len(findings) > 1 else []
    return said


def _waiting(case: Case) -> str | None:
    """Said of a run that has not begun, in place of what it lacks."""
    going = case.evidence.status in ("queued", "starting", "running")
    return "There is nothing to judge it by yet." if going and not recorded_anything(case.evidence) else None
