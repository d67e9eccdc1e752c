"""The hint beside a run on Train: there when a rule is sure, gone when put away, never in the way."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import tracking
from cnnviz.tracking import Database, Status
from cnnviz.ui.pages.train import jobs
from tests.diagnosis.runs import run_with_curves, run_without_records
from tests.pages.runner import assert_sound, open_page

DEADLINE = 20.0


@pytest.fixture
def runs() -> Iterator[Database]:
    with tracking.connect() as database:
        yield database


@pytest.fixture(autouse=True)
def _looked_at_anew() -> None:
    jobs.shared_hints.clear()


def said(app: AppTest) -> str:
    return " ".join(element.value.replace("\\", "") for element in app.markdown)


def until(app: AppTest, condition: Callable[[], bool]) -> None:
    """Draw the page again, as its ticking does, until the condition holds; fails at the deadline."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, said(app)
        app.run()
        assert_sound(app)


def links(app: AppTest) -> list[str]:
    return [link.proto.label for link in app.get("page_link")]


def test_a_collapsed_run_has_a_hint_until_it_is_put_away(runs: Database) -> None:
    run = run_with_curves(runs, collapsed=True, status=Status.RUNNING)
    app = open_page("train", run=str(run))
    until(app, lambda: "Collapse to one class?" in said(app))
    assert "100 % of the images are called '3'" in said(app)
    assert "See why" in links(app)
    app.button(key="train-hint-close").click().run()
    assert_sound(app)
    assert "Collapse to one class?" not in said(app)
    app.run()
    assert "Collapse to one class?" not in said(app)


def test_a_sound_run_has_none_but_the_way_to_its_diagnosis(runs: Database) -> None:
    run = run_with_curves(runs, collapsed=False, status=Status.RUNNING)
    known = jobs.shared_hints()
    result = known.of(runs, tracking.get_run(runs, run))
    app = open_page("train", run=str(run))
    assert result is None
    assert "See why" not in links(app)
    assert "Diagnose" in links(app)


def test_a_failed_run_leads_to_the_reason(runs: Database) -> None:
    app = open_page("train", run=str(run_without_records(runs)))
    assert [link.proto.label for link in app.get("page_link")].count("Why did it fail?") == 1
    details = open_page("runs", run="1")
    assert "Why did it fail?" in links(details)


def test_a_copy_leads_to_where_it_stands_beside_its_original(runs: Database) -> None:
    first = run_with_curves(runs, collapsed=True)
    copy = run_with_curves(runs, collapsed=False, parent_id=first)
    assert f"Beside run {first}" in links(open_page("train", run=str(copy)))


def test_a_run_is_looked_at_again_only_when_it_has_gone_on_and_time_has_passed(
    runs: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def found(database: Database, run_id: int) -> jobs.EarlyDiagnosis:
        looked.append(run_id)
        return jobs.EarlyDiagnosis(None, 0.0)

    monkeypatch.setattr(jobs, "_early_diagnosis", found)
    monkeypatch.setattr(jobs, "PATIENCE", DEADLINE)
    run = tracking.get_run(runs, run_with_curves(runs, collapsed=True, status=Status.RUNNING))
    states = [run, run, replace(run, step=run.step + 1)]
    monkeypatch.setattr(jobs, "MIN_SECONDS", 3600.0)
    monkeypatch.setattr(jobs, "MAX_SECONDS", 3600.0)
    patient = jobs.Hints()
    for state in states:
        patient.of(runs, state)
    assert len(looked) == 1
    monkeypatch.setattr(jobs, "MIN_SECONDS", 0.0)
    eager = jobs.Hints()
    for state in states:
        eager.of(runs, state)
    assert len(looked) == 3


def test_a_look_that_fails_is_no_hint(runs: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(database: Database, run_id: int) -> jobs.EarlyDiagnosis:
        raise RuntimeError("no")

    monkeypatch.setattr(jobs, "_early_diagnosis", broken)
    run = run_with_curves(runs, collapsed=True, status=Status.RUNNING)
    app = open_page("train", run=str(run))
    app.run()
    assert_sound(app)
    assert "See why" not in links(app)
