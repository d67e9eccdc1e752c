"""Diagnose page: verdict, suggested fix, findings, checks, and the curves of related runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import streamlit as st

from cnnviz import datasets
from cnnviz.diagnosis import recorded
from cnnviz.diagnosis.outcome import MARKS, OUTCOMES, recorded_anything, status_text, sureness
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import OUTCOME_COLORS
from cnnviz.ui.pages.diagnose import state
from cnnviz.ui.pages.diagnose import state as cases
from cnnviz.ui.pages.diagnose.comparison import (
    clones,
    diagnosed_side,
    draw_comparison,
    improvement_text,
    related_runs,
)
from cnnviz.ui.pages.diagnose.findings import (
    checked,
    compared,
    findings,
    probe_results,
    suggested_fix,
    title,
)
from cnnviz.ui.pages.diagnose.state import LoadedDiagnosis, PageState
from cnnviz.ui.pages.diagnose.story import FAILED, FIXED, story
from cnnviz.ui.shared import layout, notice, url_state
from cnnviz.ui.shared.layout import following
from cnnviz.ui.shared.model_picker import share_button
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.live_run import is_in_progress
from cnnviz.ui.shared.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

# Export: JSON, or one HTML file with figures.


def exports(case: LoadedDiagnosis) -> None:
    """Draw the menu. Files are written on demand."""
    with st.popover("Export", icon=":material/download:", key="diagnose-export", type="tertiary"):
        st.download_button(
            "Report (HTML)", partial(_html, case), f"diagnosis-{case.key}.html", "text/html",
            key="diagnose-html", help="One file with findings and images. Opens without a network.",
            on_click="ignore", type="tertiary", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "Diagnosis (JSON)", partial(_json, case), f"diagnosis-{case.key}.json", "application/json",
            key="diagnose-json", help="As `cnnviz diagnose --json` writes it.",
            on_click="ignore", type="tertiary", icon=":material/download:",
        )  # fmt: skip


def _json(case: LoadedDiagnosis) -> bytes:
    return orjson.dumps(case.diagnosis.as_json(), option=orjson.OPT_INDENT_2)


def _html(case: LoadedDiagnosis) -> str:
    from cnnviz.figures.report.diagnosis import html_report

    return html_report(case.evidence, case.diagnosis)


# The bar on top: run, probes, export; share.

KEY = "diagnose-run"
MAX_RUNS = 300
"""Maximum number of runs in the list; others are reached by their URL, or from Runs."""
ACCURACY = "test/accuracy"
HARDLY_LEARNED = 2.0
"""Multiple of chance level: a run with a lower final accuracy is marked in the list."""


def bar(case: LoadedDiagnosis | None, runs: Sequence[RunSummary]) -> None:
    """Draw the bar; without a diagnosis, only the list."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="diagnose-bar"):
        _choose(case, runs)
        if case is not None and case.run is not None and case.run.trained:
            state.probe_button(case.run)
        with st.container(horizontal=True, gap="xsmall", width="content", key="diagnose-actions"):
            if case is not None:
                exports(case)
            share_button(**_url_parameter(case))


def _url_parameter(case: LoadedDiagnosis | None) -> dict[str, str | None]:
    """Return the URL parameter of the shown run or recording."""
    if case is None:
        return {}
    return {"recorded": case.recorded} if case.run is None else {"run": str(case.run.id)}


def _choose(case: LoadedDiagnosis | None, runs: Sequence[RunSummary]) -> None:
    labels = {name: f"{recorded.recorded(name).title} · ships with cnnviz" for name in recorded.names()}
    labels |= {str(run.id): label(run) for run in runs[:MAX_RUNS]}
    selected = None
    if case is not None:
        selected = case.recorded or str(case.evidence.run)
        labels.setdefault(selected, f"{case.name} · {case.evidence.title}")
    show_value(KEY, selected)
    st.selectbox(
        "Run", list(labels), format_func=lambda run: labels.get(run, run), key=KEY,
        on_change=partial(url_state.pick, KEY, labels, selected, _choose_run),
        label_visibility="collapsed", placeholder="Choose a run", width=440,
    )  # fmt: skip


def label(run: RunSummary) -> str:
    """Format a run for the list, marked if it failed or hardly learned. Changing values are omitted."""
    measured = run.metrics.get(ACCURACY)
    value = None if measured is None or run.active else measured.last
    parts = [f"Run {run.id}", run.name, *([] if value is None else [numbers.percent(value, 1)])]
    if run.status.value != "finished":
        parts.append(run.status.value)
    return f"{'▲ ' if is_suspicious(run) else ''}{' · '.join(parts)}"


def is_suspicious(run: RunSummary) -> bool:
    """Return whether a run failed, or ended close to chance level."""
    if run.status.value == "failed":
        return True
    measured, spec = run.metrics.get(ACCURACY), datasets.specs().get(run.dataset)
    if run.status.value != "finished" or measured is None or spec is None or not spec.classes:
        return False
    return measured.last is None or measured.last < HARDLY_LEARNED / len(spec.classes)


def _choose_run(chosen: str) -> None:
    if chosen in recorded.names():
        state.choose(name=chosen)
    else:
        state.choose(run=int(chosen))


# Verdict and notes.

NEXT = (
    "It ended before its first step was recorded. Probe tries its data and its first weights out; on Train "
    "stand its recipe and how it ended."
)


def verdict(case: LoadedDiagnosis, going: bool) -> None:
    """Draw outcome and verdict; `going` means that the run, and so the diagnosis, can still change."""
    evidence, diagnosis = case.evidence, case.diagnosis
    blank = not recorded_anything(evidence) and not diagnosis.findings
    text = escape(_waiting(case) or diagnosis.verdict)
    if diagnosis.findings:
        text = f"<b>{escape(title(diagnosis.findings[0]))}.</b> {text}"
    about = escape(" · ".join(_about(case)))
    hue = OUTCOME_COLORS[diagnosis.outcome].css
    st.html(
        f'<div class="verdict {diagnosis.outcome}" style="--outcome: {hue}"><div class="outcome">'
        f'<i aria-hidden="true">{MARKS[diagnosis.outcome]}</i>{escape(OUTCOMES[diagnosis.outcome])}</div>'
        f"<span>{about}</span><p>{text}</p></div>"
    )
    if evidence.error and not blank:
        st.caption(f"It ended with: {notice.escape(evidence.error)}")
    if blank and not going:
        st.caption(NEXT)
    if going:
        st.caption("It is still going: what is said here is looked at again every few seconds.")


def advice(case: LoadedDiagnosis) -> None:
    """Draw what is missing, and what to try next."""
    diagnosis = case.diagnosis
    _listed("What is missing", diagnosis.missing)
    _listed("What to try next, in this order", diagnosis.next_steps, ordered=True)


def notes(case: LoadedDiagnosis) -> None:
    """Draw observations that are not findings but may be mistaken for them."""
    for note in case.diagnosis.notes:
        st.markdown(f":material/info: {notice.escape(note.text)}")


def _listed(heading: str, sentences: Sequence[str], *, ordered: bool = False) -> None:
    if not sentences:
        return
    lines = [f"{f'{at}.' if ordered else '-'} {notice.escape(text)}" for at, text in enumerate(sentences, 1)]
    st.header(heading, anchor=False)
    st.markdown("\n".join(lines))


def _about(case: LoadedDiagnosis) -> list[str]:
    """Return the run, its progress, and the confidence of the first finding."""
    evidence, findings = case.evidence, case.diagnosis.findings
    parts = [
        evidence.title if case.run is None else f"Run {case.run.id}, {evidence.title}",
        status_text(evidence),
    ]
    if findings:
        parts.append(sureness(findings[0].confidence))
        parts += [f"{len(findings)} findings"] if len(findings) > 1 else []
    return parts


def _waiting(case: LoadedDiagnosis) -> str | None:
    """Return the verdict of a run that has not begun."""
    going = case.evidence.status in ("queued", "starting", "running")
    return "There is nothing to judge it by yet." if going and not recorded_anything(case.evidence) else None


CSS = Path(__file__).with_name("diagnose.css")
TICK_SECONDS = 3.0
"""Rerun interval while a run is in progress; a diagnosis takes a fraction of a second."""


def diagnose_page() -> None:
    """Draw the page; if the database cannot be used, an error and the shipped recordings."""
    if following():
        return
    st.html(CSS)
    page_state, problems = state.current(), []
    runs: Sequence[RunSummary] = ()
    try:
        runs = run_data.listing(ACCURACY).runs
    except (ValueError, OSError) as error:
        problems.append(f"Runs cannot be used now. {error}")
    case = _case(page_state, runs, problems)
    bar(case, runs)
    notice.show([*page_state.problems, *problems, *notice.pending_notices()])
    if case is None:
        _nothing()
    elif page_state.story and case.recorded in (FAILED, FIXED):
        _link_story("Back to its diagnosis", ":material/arrow_back:", case, None)
        story()
    elif case.run is None:
        _draw(case, runs)
    else:
        state.draw_probes(case.run)
        _follow(case.run.id, _in_progress(case.run, runs))


def _case(page_state: PageState, runs: Sequence[RunSummary], problems: list[str]) -> LoadedDiagnosis | None:
    """Return the requested diagnosis.

    If there is none a shipped one, else that of the newest readable run.
    """
    if page_state.recorded is not None:
        return cases.of_recorded(page_state.recorded)
    if page_state.run is not None:
        try:
            return cases.of_run(page_state.run)
        except (ValueError, OSError) as error:
            problems.append(f"{error} Another is shown instead.")
    if recorded.names():
        return cases.of_recorded(recorded.names()[0])
    for run in runs:
        try:
            return cases.of_run(run.id)
        except (ValueError, OSError):
            continue
    return None


def _in_progress(run: RunSummary, runs: Sequence[RunSummary]) -> bool:
    """Return whether the run, or a clone of it drawn beside it, can still change."""
    return is_in_progress(run) or any(is_in_progress(other) for other in clones(run, runs))


def _follow(run_id: int, alive: bool) -> None:
    """Draw the run's diagnosis, repeatedly while it can change."""

    @st.fragment(run_every=TICK_SECONDS if alive else None)
    def live() -> None:
        url_state.restore()
        try:
            case = cases.of_run(run_id)
            runs = run_data.listing(ACCURACY).runs
        except (ValueError, OSError) as error:
            st.error(f"The run cannot be read just now. {notice.escape(str(error))}")
            return
        if case.run is not None and _in_progress(case.run, runs) != alive:
            st.rerun()  # the whole page, so that the ticking ends or begins
        _draw(case, runs)

    with st.container(key="diagnose-live"):
        live()


def _draw(case: LoadedDiagnosis, runs: Sequence[RunSummary]) -> None:
    diagnosed, sides = diagnosed_side(case), related_runs(case, runs)
    made = [] if case.run is None else clones(case.run, runs)
    verdict(case, going=case.run is not None and is_in_progress(case.run))
    suggested_fix(case, made)
    fixed = improvement_text(diagnosed, sides)
    if fixed:
        st.markdown(f":material/trending_up: {notice.escape(fixed)}")
    if case.recorded in (FAILED, FIXED):
        _link_story("The whole story, from the article to the proof", ":material/menu_book:", case, "story")
    left, right = st.columns([0.62, 0.38], gap="large")
    with left:
        advice(case)
        findings(case, made)
        notes(case)
        probe_results(case.evidence.probes, case.key)
        compared(case.diagnosis, case.key)
        checked(case.diagnosis, case.key)
    with right, st.container(key="diagnose-beside"):
        draw_comparison(diagnosed, sides)


def _link_story(label: str, icon: str, case: LoadedDiagnosis, view: str | None) -> None:
    with st.container(key="diagnose-story"):
        layout.link("diagnose", label, icon=icon, recorded=case.recorded, run=None, view=view)


def _nothing() -> None:
    with st.container(border=True, key="diagnose-empty"):
        st.markdown(
            "**There is no run to diagnose yet.** Train one; whatever becomes of it is explained here."
        )
        layout.link("train", "Train a first one", icon=":material/play_arrow:")
