"""What would mend a run: the settings that change, and the button that runs it so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz import tracking
from cnnviz.experiments import from_change
from cnnviz.training.queue import UNNAMED, enqueue
from cnnviz.training.recipe import Recipe
from cnnviz.ui import chrome, notice
from cnnviz.ui.components.follow import follow
from cnnviz.ui.diagnose.settings import in_rows, in_words
from cnnviz.ui.experiments.address import test_parameters
from cnnviz.ui.runs import reading, store
from cnnviz.ui.train.expected import fetched_first
from cnnviz.ui.train.follow import moving

if TYPE_CHECKING:
    from cnnviz.diagnosis import Change, Finding
    from cnnviz.tracking import RunSummary
    from cnnviz.ui.diagnose.case import Case

LONGEST = 300
"""Characters of an experiment's question."""


def changes(case: Case, finding: Finding, children: Sequence[RunSummary], primary: bool) -> None:
    """Draw each with its reason; `primary` gives the first the page's one coloured button."""
    if not finding.changes:
        return
    st.markdown("**What would mend it**")
    for place, change in enumerate(finding.changes):
        key = f"{case.key}-{finding.cause}-{place}"
        with st.container(border=True, gap="small", key=f"diagnose-change-{key}"):
            st.markdown(notice.plain(change.why))
            _one(case, change, children, key, primary=primary and place == 0)
            fetched = fetched_first(case.evidence.recipe) if place == 0 else ""
            if fetched:
                st.caption(notice.plain(fetched))


def _one(case: Case, change: Change, children: Sequence[RunSummary], key: str, *, primary: bool) -> None:
    old = case.evidence.recipe
    try:
        new = change.recipe(old)
    except ValueError as error:
        st.caption(f"It cannot be done as it stands: {notice.plain(str(error))}")
        return
    st.html(in_rows(old, new))
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"apply-row-{key}"):
        going = case.run is not None and moving(case.run)
        if st.button(
            "Stop it, apply and run" if going else "Apply and run",
            icon=":material/play_arrow:",
            key=f"apply-{key}",
            type="primary" if primary else "secondary",
            help="A new run with this change; this one stays as it is, with its checkpoint.",
        ):
            _apply(case, new)
        _test(case, change, new)
        _done(new, children)


def _apply(case: Case, new: Recipe) -> None:
    """Queue it and go to where it is watched; what stands in the way is said."""
    recipe = new.model_copy(update={"name": UNNAMED, "description": ""})
    database = store.database()
    try:
        run = enqueue(database, recipe, None if case.run is None else case.run.id)
        if case.run is not None and moving(case.run):
            tracking.request(database, case.run.id, tracking.Command.STOP)
    except (ValueError, OSError) as error:
        st.error(notice.plain(str(error)), icon=":material/error:")
        return
    follow("train", f"Watch run {run.id}", run=str(run.id))


def _test(case: Case, change: Change, new: Recipe) -> None:
    """The way to a paired experiment: the same seeds with and without the change."""
    settings = in_words(case.evidence.recipe, new)
    question = f"Is {case.name} mended by: {settings}?"
    try:
        experiment = from_change(case.evidence.recipe, change.values, question[:LONGEST])
        parameters = test_parameters(experiment, None if case.run is None else case.run.id)
    except ValueError:
        return  # a change that alters nothing, or a layer list too long for a link
    elsewhere: dict[str, str | None] = {"run": None, "model": None, "parent": None}
    chrome.link("experiments", "Test this", icon=":material/science:", **(elsewhere | parameters))


def _done(new: Recipe, children: Sequence[RunSummary]) -> None:
    """The newest run that was made so already."""
    for child in children:
        try:
            same = not new.difference(Recipe().changed(reading.recipe(child.id)))
        except ValueError:
            same = False
        if same:
            chrome.link("train", f"Run {child.id} does this", icon=":material/monitoring:", run=str(child.id))
            return
