"""A run with what was found in it; judged once for each state it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.diagnosis import Diagnosis, Evidence, diagnose, gather, recorded
from cnnviz.ui.diagnose import probed
from cnnviz.ui.runs import store

if TYPE_CHECKING:
    from cnnviz.tracking import Database, Run

KEPT = 24


@dataclass(frozen=True)
class Case:
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


def of_run(run_id: int) -> Case:
    """A run of the database as it is now; raises `TrackingError`, and `ValueError` as `gather` does."""
    from cnnviz import tracking

    opened = store.database()
    run = tracking.get_run(opened, run_id)
    state = (run.key, run.attempt, run.step, run.status.value)
    evidence, found = _judged(opened, opened.where, run_id, state, probed.stamp(run))
    return Case(evidence, found, run=run)


def of_recorded(name: str) -> Case:
    """One that ships; raises `UnknownRecordingError`."""
    evidence, found = _recorded(name)
    return Case(evidence, found, recorded=name)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _judged(
    _opened: Database, where: str, run_id: int, state: Any, probes_stamp: tuple[int, ...]
) -> tuple[Evidence, Diagnosis]:
    evidence = gather(_opened, run_id)
    if probes_stamp:
        evidence = evidence.model_copy(update={"probes": evidence.probes | dict(probed.of(where, run_id))})
    return evidence, diagnose(evidence)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _recorded(name: str) -> tuple[Evidence, Diagnosis]:
    evidence = recorded.recorded(name)
    return evidence, diagnose(evidence)
