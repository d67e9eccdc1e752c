"""State of the Diagnose page: the run of its URL (`run`, or `recorded`), its diagnosis, and its probes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.datasets.spec import Step
from cnnviz.diagnosis import Diagnosis, Evidence, diagnose, gather, recorded
from cnnviz.experiments.experiment import list_changes as changed
from cnnviz.training.recipe import Recipe
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.background_job import BackgroundJob, redraw_until_ended
from cnnviz.ui.shared.notice import progress_text
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.recipe_fields import title_of
from cnnviz.ui.shared.url_state import quoted

if TYPE_CHECKING:
    from cnnviz.datasets import Progress
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
    evidence, diagnosis = _diagnosed(opened, opened.where, run_id, state, probe_stamp(run))
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
        evidence = evidence.model_copy(
            update={"probes": evidence.probes | dict(probe_results(where, run_id))}
        )
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


# Probes of runs as background jobs; results are shared by all visitors until the run progresses.

PROBE_HELP = (
    "Seconds of computation with its images, its first weights and its checkpoint: whether it can memorize "
    "one batch, the loss before the first step, how far gradients reach, images that are in both parts."
)


class ProbeJob(BackgroundJob[Mapping[str, Any]]):
    """Background job with the probes of a run in its state `stamp`."""

    def __init__(self, database: Database, run_id: int, stamp: tuple[int, ...]) -> None:
        self.stamp = stamp
        super().__init__(partial(_probe, database, run_id), Step("beginning", 0, None, ""), "probes")


def _probe(database: Database, run_id: int, progress: Progress) -> Mapping[str, Any]:
    from cnnviz.diagnosis.probes import probe

    return probe(database, run_id, progress=progress).probes


def probe_results(where: str, run_id: int) -> Mapping[str, Any]:
    """Return the results by probe; empty if the run was not probed."""
    job = _probe_jobs().get((where, run_id))
    return {} if job is None or job.running else job.result or {}


def probe_stamp(run: Run) -> tuple[int, ...]:
    """Return the state for which probe results are valid, if it is the run's current one; else empty."""
    job = _probe_jobs().get((run_data.database().where, run.id))
    fits = job is not None and not job.running and job.result and job.stamp == _run_state(run)
    return _run_state(run) if fits else ()


def probe_button(run: Run) -> None:
    """Draw the button that starts the probes."""
    job = _probe_job(run)
    busy = job is not None and job.running
    st.button(
        "Probe again" if probe_stamp(run) else "Probe", key="diagnose-probe", icon=":material/biotech:",
        help=PROBE_HELP, on_click=_begin_probes, args=(run,), disabled=busy,
    )  # fmt: skip


def draw_probes(run: Run) -> None:
    """Draw the progress of the probes, or their error; the page is redrawn when they end."""
    job = _probe_job(run)
    if job is None:
        return
    if job.running:
        redraw_until_ended(job, partial(_draw_progress, job))
    elif job.error is not None:
        why = str(job.error) or type(job.error).__name__
        st.warning(notice.escape(f"The probes ended early. {why}"), icon=":material/info:")
    elif job.result and not probe_stamp(run):
        st.caption("The run has gone on since it was probed, so that the probes do not count any more.")


def _draw_progress(job: ProbeJob) -> None:
    text = progress_text(job.step, job.stage_seconds)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress(job.fraction, text=notice.escape(text))
        st.button("Stop", icon=":material/stop:", key="diagnose-probe-stop", on_click=job.cancel)


def _begin_probes(run: Run) -> None:
    opened = run_data.database()
    _probe_jobs()[opened.where, run.id] = ProbeJob(opened, run.id, _run_state(run))


def _probe_job(run: Run) -> ProbeJob | None:
    return _probe_jobs().get((run_data.database().where, run.id))


def _run_state(run: Run) -> tuple[int, ...]:
    return run.attempt, run.step


@st.cache_resource(show_spinner=False)
def _probe_jobs() -> dict[tuple[str, int], ProbeJob]:
    return {}
