"""URL state of the Diagnose page: a run of the database (`run`), or a recorded one (`recorded`)."""

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
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.recipe_fields import title_of
from cnnviz.ui.shared.url_state import quoted

if TYPE_CHECKING:
    from cnnviz.tracking import Database, Run

RUN, RECORDED = "run", "recorded"
VIEWS = ("diagnosis", "story")


@dataclass(frozen=True)
class PageState:
    """URL state of the page.

    At most one of the two is set; neither means a recorded run, or the newest run if none ships.
    """

    run: int | None = None
    recorded: str | None = None
    story: bool = False
    """Whether the recording's story is shown in place of its diagnosis."""
    problems: tuple[str, ...] = ()


def current() -> PageState:
    """Read the state from the page's URL."""
    view, problem = url_state.choice("view", VIEWS, VIEWS[0])
    problems = [*url_state.current().problems, *([problem] if problem else [])]
    return replace(read(st.query_params.to_dict(), problems), story=view == "story")


def read(parameters: Mapping[str, str], problems: list[str]) -> PageState:
    """Validate the parameters; every error becomes a sentence in `problems`."""
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
    """Select another run, for use in callbacks."""
    url_state.change(run=None if run is None else str(run), recorded=name, **{} if name else {"view": None})


# Diagnoses, computed once for each state of a run.

KEPT = 24


@dataclass(frozen=True)
class LoadedDiagnosis:
    """A diagnosis with its evidence and run."""

    evidence: Evidence
    diagnosis: Diagnosis
    run: Run | None = None
    """The run in the database; None for a recorded one."""
    recorded: str | None = None

    @property
    def key(self) -> str:
        """Key for widgets and file names."""
        return self.recorded or f"run-{self.evidence.run}"

    @property
    def name(self) -> str:
        """Name in sentences."""
        return self.evidence.title if self.run is None else f"Run {self.run.id}"


def of_run(run_id: int) -> LoadedDiagnosis:
    """Return the diagnosis of a run of the database as it is now.

    Raises:
        TrackingError: The run cannot be read.
        ValueError: There is no evidence to gather, as `gather` raises.
    """
    from cnnviz import tracking

    opened = run_data.database()
    run = tracking.get_run(opened, run_id)
    state = (run.key, run.attempt, run.step, run.status.value)
    evidence, diagnosis = _diagnosed(opened, opened.where, run_id, state, probes.stamp(run))
    return LoadedDiagnosis(evidence, diagnosis, run=run)


def of_recorded(name: str) -> LoadedDiagnosis:
    """Return the diagnosis of a recorded run.

    Raises:
        UnknownRecordingError: No such recording ships.
    """
    evidence, diagnosis = _recorded(name)
    return LoadedDiagnosis(evidence, diagnosis, recorded=name)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _diagnosed(
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


# Difference of two recipes, as words and as a small table.


def in_words(old: Recipe, new: Recipe) -> str:
    """Describe the difference: `learning rate 0.5 → 0.05, scale unit → standardised`.

    Empty if there is none.
    """
    return ", ".join(f"{title_of(field).lower()} {words}" for field, words in changed(old, new))


def in_rows(old: Recipe, new: Recipe) -> str:
    """Return the difference as an HTML table: setting, old value, new value."""
    rows = "".join(
        f'<tr><th scope="row">{escape(title_of(field))}</th>{_becoming(words)}</tr>'
        for field, words in changed(old, new)
    )
    return f'<table class="change"><tbody>{rows}</tbody></table>'


def _becoming(words: str) -> str:
    """Return the cells of a changed value, the new one in bold; a changed layer list is one cell."""
    was, arrow, will = words.partition(" → ")
    if not arrow or "→" in will:
        return f'<td colspan="3">{escape(words)}</td>'
    return f"<td>{escape(was)}</td><td>→</td><td><b>{escape(will)}</b></td>"
