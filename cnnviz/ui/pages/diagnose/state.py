"""What the page's URL asks for: a run of the database (`run`), or one that ships (`recorded`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.diagnosis import Diagnosis, Evidence, diagnose, gather, recorded
from cnnviz.experiments.experiment import list_changes as changed
from cnnviz.training.recipe import Recipe
from cnnviz.ui.pages.diagnose import probes
from cnnviz.ui.shared import run_data, url_state
from cnnviz.ui.shared.recipe_fields import title_of
from cnnviz.ui.shared.url_state import quoted

if TYPE_CHECKING:
    from cnnviz.tracking import Database, Run

RUN, RECORDED = "run", "recorded"
VIEWS = ("diagnosis", "story")


@dataclass(frozen=True)
class PageState:
    """At most one of the two is given; neither means what ships, or the newest run where nothing does."""

    run: int | None = None
    recorded: str | None = None
    story: bool = False
    """Whether the recording's story is asked for in place of its diagnosis."""
    problems: tuple[str, ...] = ()


def current() -> PageState:
    """What the page's URL asks for."""
    view, problem = url_state.choice("view", VIEWS, VIEWS[0])
    problems = [*url_state.current().problems, *([problem] if problem else [])]
    return replace(read(st.query_params.to_dict(), problems), story=view == "story")


def read(parameters: Mapping[str, str], problems: list[str]) -> PageState:
    """Validate the parameters; every fault becomes a sentence in `problems`."""
    name, number = parameters.get(RECORDED), parameters.get(RUN)
    if name is not None:
        name = recorded.current_name(name)
        if name in recorded.names():
            return PageState(recorded=name, problems=tuple(problems))
        problems.append(f"No run called {quoted(name)} ships with cnnviz.")
    if number is not None:
        if re.fullmatch(r"[0-9]{1,9}", number):
            return PageState(run=int(number), problems=tuple(problems))
        problems.append(f"“run” is the number of a run, not {quoted(number)}.")
    return PageState(problems=tuple(problems))


def choose(run: int | None = None, name: str | None = None) -> None:
    """Go to another run, for use in callbacks."""
    url_state.change(run=None if run is None else str(run), recorded=name, **{} if name else {"view": None})


# A run with what was found in it; judged once for each state it is in.

KEPT = 24


@dataclass(frozen=True)
class LoadedDiagnosis:
    """What the page is about."""

    evidence: Evidence
    diagnosis: Diagnosis
    run: Run | None = None
    """As it is in the database; None for what ships."""
    recorded: str | None = None

    @property
    def key(self) -> str:
        """Names it in keys of widgets and names of files."""
        return self.recorded or f"run-{self.evidence.run}"

    @property
    def name(self) -> str:
        """What it is called."""
        return self.evidence.title if self.run is None else f"Run {self.run.id}"


def of_run(run_id: int) -> LoadedDiagnosis:
    """A run of the database as it is now; raises `TrackingError`, and `ValueError` as `gather` does."""
    from cnnviz import tracking

    opened = run_data.database()
    run = tracking.get_run(opened, run_id)
    state = (run.key, run.attempt, run.step, run.status.value)
    evidence, diagnosis = _judged(opened, opened.where, run_id, state, probes.stamp(run))
    return LoadedDiagnosis(evidence, diagnosis, run=run)


def of_recorded(name: str) -> LoadedDiagnosis:
    """One that ships; raises `UnknownRecordingError`."""
    evidence, diagnosis = _recorded(name)
    return LoadedDiagnosis(evidence, diagnosis, recorded=name)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _judged(
    _opened: Database, where: str, run_id: int, state: Any, probes_stamp: tuple[int, ...]
) -> tuple[Evidence, Diagnosis]:
    evidence = gather(_opened, run_id)
    if probes_stamp:
        evidence = evidence.model_copy(update={"probes": evidence.probes | dict(probes.of(where, run_id))})
    return evidence, diagnose(evidence)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _recorded(name: str) -> tuple[Evidence, Diagnosis]:
    evidence = recorded.recorded(name)
    return evidence, diagnose(evidence)


# In what two recipes differ, as words and as a small table.


def in_words(old: Recipe, new: Recipe) -> str:
    """As `learning rate 0.5 → 0.05, scale unit → standardised`; empty where nothing differs."""
    return ", ".join(f"{title_of(field).lower()} {words}" for field, words in changed(old, new))


def in_rows(old: Recipe, new: Recipe) -> str:
    """HTML: each setting that changes, what it is and what it becomes."""
    rows = "".join(
        f'<tr><th scope="row">{escape(title_of(field))}</th>{_becoming(words)}</tr>'
        for field, words in changed(old, new)
    )
    return f'<table class="change"><tbody>{rows}</tbody></table>'


def _becoming(words: str) -> str:
    """The cells of a value's change, the new one in bold; what becomes of a layer list is one cell."""
    was, arrow, will = words.partition(" → ")
    if not arrow or "→" in will:
        return f'<td colspan="3">{escape(words)}</td>'
    return f"<td>{escape(was)}</td><td>→</td><td><b>{escape(will)}</b></td>"
