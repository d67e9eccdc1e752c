"""Findings with evidence, explanation and suggested fixes; probe results, comparisons and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz import tracking
from cnnviz.diagnosis import Bars, Diagnosis, Fact, Finding, Images, rules
from cnnviz.diagnosis.finding import Picture
from cnnviz.diagnosis.outcome import COMPARISONS as NAMES
from cnnviz.diagnosis.outcome import SIGNS, sureness, where
from cnnviz.experiments import from_change
from cnnviz.figures.finding import alt, bars, images_html, lines
from cnnviz.training.queue import UNNAMED, enqueue
from cnnviz.training.recipe import Recipe
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.diagnose.state import in_rows, in_words
from cnnviz.ui.shared import layout, notice
from cnnviz.ui.shared.layout import follow
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.live_run import is_in_progress
from cnnviz.ui.shared.runs.recipe_plan import download_note, test_parameters

if TYPE_CHECKING:
    from cnnviz.diagnosis import Change
    from cnnviz.tracking import RunSummary
    from cnnviz.ui.pages.diagnose.state import LoadedDiagnosis

# Suggested fixes: changed settings, and the button that runs them.

LONGEST = 300
"""Maximum characters of an experiment's question."""


def suggested_fix(case: LoadedDiagnosis, children: Sequence[RunSummary]) -> None:
    """Draw the fix of the first finding, with the page's primary button."""
    reported = case.diagnosis.findings
    if reported:
        changes(case, reported[0], children, first=True)


def changes(case: LoadedDiagnosis, finding: Finding, children: Sequence[RunSummary], *, first: bool) -> None:
    """Draw each change with its reason.

    For the `first` finding the first change has the page's primary button, and the others are in an expander.
    """
    if finding.fix is not None:
        with st.container(border=True, gap="small", key=f"diagnose-fix-{case.key}-{finding.cause}"):
            st.markdown(f"**Fix, in your own loop.** {notice.escape(finding.fix.text)}")
            if finding.fix.code:
                st.code(finding.fix.code, language="python", wrap_lines=True)
    if not finding.changes:
        return
    if not first:
        st.markdown("**What would fix it**")
    _change(case, finding, children, 0, primary=first)
    if len(finding.changes) == 1:
        return
    if not first:
        for index in range(1, len(finding.changes)):
            _change(case, finding, children, index, primary=False)
        return
    with st.expander("Other ways to fix it", key=f"other-ways-{case.key}-{finding.cause}"):
        for index in range(1, len(finding.changes)):
            _change(case, finding, children, index, primary=False)


def _change(
    case: LoadedDiagnosis, finding: Finding, children: Sequence[RunSummary], index: int, *, primary: bool
) -> None:
    change, key = finding.changes[index], f"{case.key}-{finding.cause}-{index}"
    with st.container(border=True, gap="small", key=f"diagnose-change-{key}"):
        st.markdown(f"{'**Fix.** ' if primary else ''}{notice.escape(change.why)}")
        _one(case, change, children, key, primary=primary)
        fetched = download_note(case.evidence.recipe) if index == 0 else ""
        if fetched:
            st.caption(notice.escape(fetched))


def _one(
    case: LoadedDiagnosis, change: Change, children: Sequence[RunSummary], key: str, *, primary: bool
) -> None:
    old = case.evidence.recipe
    try:
        new = change.recipe(old)
    except ValueError as error:
        st.caption(f"It cannot be done as it stands: {notice.escape(str(error))}")
        return
    st.html(in_rows(old, new))
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"apply-row-{key}"):
        going = case.run is not None and is_in_progress(case.run)
        if st.button(
            "Stop it, apply and run" if going else "Apply and run",
            icon=":material/play_arrow:",
            key=f"apply-{key}",
            type="primary" if primary else "secondary",
            help="A new run with this change; this one stays as it is, with its checkpoint.",
        ):
            _apply(case, new)
        _experiment_link(case, change, new)
        _existing_run(new, children)


def _apply(case: LoadedDiagnosis, new: Recipe) -> None:
    """Enqueue the changed recipe and show its run; errors are reported."""
    recipe = new.model_copy(update={"name": UNNAMED, "description": ""})
    database = run_data.database()
    try:
        run = enqueue(database, recipe, None if case.run is None else case.run.id)
        if case.run is not None and is_in_progress(case.run):
            tracking.request(database, case.run.id, tracking.Command.STOP)
    except (ValueError, OSError) as error:
        st.error(notice.escape(str(error)), icon=":material/error:")
        return
    follow("train", f"Watch run {run.id}", run=str(run.id))


def _experiment_link(case: LoadedDiagnosis, change: Change, new: Recipe) -> None:
    """Draw the link to a paired experiment: the same seeds with and without the change."""
    settings = in_words(case.evidence.recipe, new)
    question = f"Is {case.name} fixed by: {settings}?"
    try:
        experiment = from_change(case.evidence.recipe, change.values, question[:LONGEST])
        parameters = test_parameters(experiment, None if case.run is None else case.run.id)
    except ValueError:
        return  # a change that alters nothing, or a layer list too long for a link
    elsewhere: dict[str, str | None] = {"run": None, "model": None, "parent": None}
    layout.link("experiments", "Run as experiment", icon=":material/science:", **(elsewhere | parameters))


def _existing_run(new: Recipe, children: Sequence[RunSummary]) -> None:
    """Draw a link to the newest run that has this change already."""
    for child in children:
        try:
            same = not new.difference(Recipe().changed(run_data.recipe(child.id)))
        except ValueError:
            same = False
        if same:
            layout.link("train", f"Run {child.id} does this", icon=":material/monitoring:", run=str(child.id))
            return


HEIGHT = 270
ALMOST_CERTAIN = 0.9
"""Confidence in the first finding from which the others are collapsed."""


def findings(case: LoadedDiagnosis, children: Sequence[RunSummary]) -> None:
    """Draw the findings with collapsed evidence.

    A finding that another one explains is collapsed as a whole, and so are all others if the first one is
    almost certain.
    """
    reported = case.diagnosis.findings
    sure = bool(reported) and reported[0].confidence >= ALMOST_CERTAIN
    for number, finding in enumerate(reported, 1):
        root = case.diagnosis.explained_by(finding)
        head = f"{number} · {title(finding)}"
        if root is None and (number == 1 or not sure):
            with st.container(gap="small", key=f"finding-{case.key}-{finding.cause}"):
                with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
                    st.header(head, anchor=False, width="content")
                    _about(finding)
                _finding(case, finding, children, first=number == 1)
        else:
            behind = head if root is None else f"{head} · fix first: {title(root)}"
            with st.expander(behind, key=f"finding-{case.key}-{finding.cause}"):
                _about(finding)
                _finding(case, finding, children, first=False)


def title(finding: Finding) -> str:
    """Return the title of the finding's cause."""
    return rules()[finding.cause].title


def _finding(case: LoadedDiagnosis, finding: Finding, children: Sequence[RunSummary], first: bool) -> None:
    if not first:
        st.markdown(f"**{notice.escape(finding.verdict)}**")
    if finding.facts:
        st.html(_facts(finding.facts))
    if first:
        with st.expander("Evidence and explanation", key=f"evidence-of-{case.key}-{finding.cause}"):
            _evidence(case, finding)
        return
    _evidence(case, finding)
    changes(case, finding, children, first=False)


def _evidence(case: LoadedDiagnosis, finding: Finding) -> None:
    """Draw figures, explanation, and the alternatives that were ruled out."""
    _pictures(case, finding)
    for paragraph in finding.explanation.split("\n\n"):
        st.markdown(notice.escape(paragraph))
    if finding.ruled_out:
        st.markdown("**What else it could have been, and why not**")
        for out in finding.ruled_out:
            st.markdown(f"- {notice.escape(out)}")


def _about(finding: Finding) -> None:
    """Draw the confidence, and the layers and steps concerned."""
    location = where(finding)
    text = " · ".join([sureness(finding.confidence), *([location] if location else [])])
    st.caption(notice.escape(text), width="content")


def _facts(facts: Sequence[Fact]) -> str:
    text = "".join(
        f"<div><b>{escape(fact.text)}</b><span>{escape(fact.label)}</span></div>" for fact in facts
    )
    return f'<div class="finding-facts">{text}</div>'


def _pictures(case: LoadedDiagnosis, finding: Finding) -> None:
    """Draw figures, two side by side."""
    for start in range(0, len(finding.pictures), 2):
        row = finding.pictures[start : start + 2]
        columns = st.columns(len(row), gap="medium", vertical_alignment="bottom")
        for index, (column, picture) in enumerate(zip(columns, row, strict=True)):
            with column:
                _picture(picture, f"{case.key}-{finding.cause}-{start + index}")


def _picture(picture: Picture, key: str) -> None:
    st.html(f'<p class="evidence-title">{escape(picture.title)}</p>')
    if isinstance(picture, Images):
        st.html(images_html(picture))
        return
    figure = bars(picture) if isinstance(picture, Bars) else lines(picture)
    plot(figure, key=f"evidence-{key}", height=HEIGHT, alt=alt(picture), name=key, picks=False)


# Probe results, comparisons, and the causes that were ruled out.

OUTCOMES = (("clear", "Ruled out"), ("not checked", "Could not be checked"))


def probe_results(results: Mapping[str, Any], key: str) -> None:
    """Draw one line per probe, if the run was probed."""
    if not results:
        return
    from cnnviz.diagnosis.outcome import describe_probes

    rows = describe_probes(results)
    if rows:
        with st.expander(f"What {len(rows)} probes found", key=f"probed-{key}", expanded=True):
            st.html(_table(rows))


def compared(diagnosis: Diagnosis, key: str) -> None:
    """Draw the comparisons of the run; collapsed if a finding explains it."""
    rows = [
        (f"{SIGNS[comparison.passed]} {NAMES[comparison.name]}", comparison.text)
        for comparison in diagnosis.comparisons
    ]
    if rows:
        head = f"What it was compared with: {len(rows)} checks"
        with st.expander(head, key=f"compared-{key}", expanded=diagnosis.outcome != "cause-found"):
            st.html(_table(rows))


def checked(diagnosis: Diagnosis, key: str) -> None:
    """Draw the checked causes, collapsed: some thirty rows, which the verdict summarizes."""
    counts = {
        outcome: sum(check.outcome == outcome for check in diagnosis.checked) for outcome, _ in OUTCOMES
    }
    parts = [
        f"{counts['clear']} ruled out",
        *([f"{n} could not be checked"] if (n := counts["not checked"]) else []),
    ]
    with st.expander(f"What was looked for: {', '.join(parts)}", key=f"checked-{key}"):
        for outcome, title in OUTCOMES:
            rows = [(check.title, check.because) for check in diagnosis.checked if check.outcome == outcome]
            if rows:
                st.html(_table(rows, title))


def _table(rows: Sequence[tuple[str, str]], title: str = "") -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(words)}</td></tr>' for name, words in rows
    )
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    return f'<table class="checked">{caption}<tbody>{lines}</tbody></table>'
