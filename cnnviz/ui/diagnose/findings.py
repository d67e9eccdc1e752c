"""Findings in order: what speaks for each, where, why, what it is not, and what would mend it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.diagnosis import Bars, Fact, Finding, Images, rules
from cnnviz.diagnosis.finding import Picture
from cnnviz.diagnosis.words import sureness, where
from cnnviz.figures.evidence import alt, bars, lines, strip
from cnnviz.ui import notice
from cnnviz.ui.components.plot import plot
from cnnviz.ui.diagnose.changes import changes

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary
    from cnnviz.ui.diagnose.case import Case

HEIGHT = 270


def findings(case: Case, children: Sequence[RunSummary]) -> None:
    """Draw them; what another accounts for is folded, below that one."""
    found = case.diagnosis.findings
    for number, finding in enumerate(found, 1):
        root = next((one for one in found if finding.cause in one.explains), None)
        head = f"{number} · {title(finding)}"
        if root is None:
            with st.container(gap="small", key=f"finding-{case.key}-{finding.cause}"):
                with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
                    st.subheader(head, anchor=False, width="content")
                    _about(finding)
                _finding(case, finding, children, first=number == 1)
        else:
            behind = f"{head} · mend first: {title(root)}"
            with st.expander(behind, key=f"finding-{case.key}-{finding.cause}"):
                _about(finding)
                _finding(case, finding, children, first=False)


def title(finding: Finding) -> str:
    """What the cause is called."""
    return rules()[finding.cause].title


def _finding(case: Case, finding: Finding, children: Sequence[RunSummary], first: bool) -> None:
    if not first:
        st.markdown(f"**{notice.plain(finding.verdict)}**")
    if finding.facts:
        st.html(_facts(finding.facts))
    _pictures(case, finding)
    for paragraph in finding.explanation.split("\n\n"):
        st.markdown(notice.plain(paragraph))
    if finding.ruled_out:
        with st.expander("What else it could have been, and why not", key=f"not-{case.key}-{finding.cause}"):
            for out in finding.ruled_out:
                st.markdown(f"- {notice.plain(out)}")
    changes(case, finding, children, primary=first)


def _about(finding: Finding) -> None:
    """How sure it is, and which layers and steps it is about."""
    place = where(finding)
    said = " · ".join([sureness(finding.confidence), *([place] if place else [])])
    st.caption(notice.plain(said), width="content")


def _facts(facts: Sequence[Fact]) -> str:
    told = "".join(
        f"<div><b>{escape(fact.text)}</b><span>{escape(fact.label)}</span></div>" for fact in facts
    )
    return f'<div class="finding-facts">{told}</div>'


def _pictures(case: Case, finding: Finding) -> None:
    """Two beside one another where there are several."""
    for at in range(0, len(finding.pictures), 2):
        row = finding.pictures[at : at + 2]
        columns = st.columns(len(row), gap="medium", vertical_alignment="bottom")
        for place, (column, picture) in enumerate(zip(columns, row, strict=True)):
            with column:
                _picture(picture, f"{case.key}-{finding.cause}-{at + place}")


def _picture(picture: Picture, key: str) -> None:
    st.html(f'<p class="evidence-title">{escape(picture.title)}</p>')
    if isinstance(picture, Images):
        st.html(strip(picture))
        return
    figure = bars(picture) if isinstance(picture, Bars) else lines(picture)
    plot(figure, key=f"evidence-{key}", height=HEIGHT, alt=alt(picture), name=key, picks=False)
