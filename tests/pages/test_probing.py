"""Probes begun from the page Diagnose: in the background, told how far, and judged when they are done."""

import importlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import tracking
from cnnviz.datasets import Step
from cnnviz.diagnosis import Evidence, Inconclusive, Negative, Rule, gather
from cnnviz.diagnosis.rules import Outcome
from cnnviz.tracking import Database, MetricWriter, Status
from cnnviz.ui.pages.diagnose import state
from tests.diagnosis.runs import run_with_curves
from tests.pages.runner import assert_sound, open_page

DEADLINE = 20.0
PROBES = importlib.import_module("cnnviz.diagnosis.probes")  # the package has a function of this name
FRESH = {"loss": 7.5, "chance_loss": 2.302585}


@pytest.fixture
def runs() -> Iterator[Database]:
    with tracking.connect() as database:
        yield database


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A probe that is done when this is set, and a rule that reads it."""
    opened = threading.Event()

    def probe(database: Database, run_id: int, progress: Any) -> Evidence:
        progress(Step("the batch by heart", 1, 4, "probes"))
        assert opened.wait(DEADLINE)
        progress(Step("probes", 4, 4, "probes"))
        return gather(database, run_id).model_copy(
            update={"probes": {"by-heart": {"loss": 0.5}, "initial-loss": FRESH}}
        )

    def apply_rule(evidence: Evidence) -> Outcome:
        if "by-heart" in evidence.probes:
            return Negative("One batch was learned by heart.")
        return Inconclusive("Nobody has probed it.")

    own = Rule("by-heart", "Cannot learn one batch", "It cannot.", apply_rule, live=False)
    monkeypatch.setattr(PROBES, "probe", probe)
    monkeypatch.setattr("cnnviz.diagnosis.engine.rules", lambda: {"by-heart": own})
    yield opened
    opened.set()


def said(app: AppTest) -> str:
    text = [element.value for kind in (app.caption, app.warning) for element in kind]
    return " ".join([*text, *(element.proto.body for element in app.get("html"))]).replace("\\", "")


def ended(runs: Database, run: int) -> None:
    """Wait for the job's thread."""
    job = state._probe_jobs()[runs.where, run]
    job.wait(DEADLINE)
    assert not job.running


def test_probes_run_in_the_background_and_what_they_find_is_judged(
    runs: Database, gate: threading.Event
) -> None:
    run = run_with_curves(runs, collapsed=False)
    app = open_page("diagnose", run=str(run))
    assert "Nobody has probed it." in said(app)
    app.button(key="diagnose-probe").click().run()
    end = time.monotonic() + DEADLINE
    while not any("1 of 4 probes" in bar.proto.text for bar in app.get("progress")):
        assert time.monotonic() < end
        app.run()
        assert_sound(app)
    assert app.button(key="diagnose-probe").disabled
    gate.set()
    ended(runs, run)
    app.run()
    assert "One batch was learned by heart." in said(app)
    assert "It is 7.5; chance level is 2.303" in said(app)
    assert app.button(key="diagnose-probe").label == "Probe again"


def test_a_probe_that_is_stopped_leaves_all_as_it_was(runs: Database, gate: threading.Event) -> None:
    run = run_with_curves(runs, collapsed=False)
    app = open_page("diagnose", run=str(run))
    app.button(key="diagnose-probe").click().run()
    app.button(key="diagnose-probe-stop").click().run()
    gate.set()
    ended(runs, run)
    app.run()
    assert_sound(app)
    assert "Nobody has probed it." in said(app)


def test_why_probes_ended_early_is_said(
    runs: Database, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(database: Database, run_id: int, progress: Any) -> Evidence:
        raise ValueError("The images are not here.")

    monkeypatch.setattr(PROBES, "probe", probe)
    run = run_with_curves(runs, collapsed=False)
    app = open_page("diagnose", run=str(run))
    app.button(key="diagnose-probe").click().run()
    ended(runs, run)
    app.run()
    assert "The probes ended early. The images are not here." in said(app)


def test_probes_of_an_earlier_step_do_not_count(runs: Database, gate: threading.Event) -> None:
    run = run_with_curves(runs, collapsed=False, status=Status.RUNNING)
    gate.set()
    app = open_page("diagnose", run=str(run))
    app.button(key="diagnose-probe").click().run()
    ended(runs, run)
    app.run()
    assert "One batch was learned by heart." in said(app)
    with MetricWriter(runs, tracking.get_run(runs, run).lease) as log:
        log.log("train/loss", 0.1, 999, 11.0)
    app.run()
    assert "Nobody has probed it." in said(app)
    assert "The run has gone on since it was probed" in said(app)
