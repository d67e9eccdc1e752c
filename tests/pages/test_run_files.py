"""Export on Runs: each file is written and saved, or the page says in a sentence why there is none."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from cnnviz import tracking
from cnnviz.inference import InferenceError
from cnnviz.tracking import Status
from cnnviz.ui.pages.runs.files import ELSEWHERE, KEY, RECORDS, WEIGHTS, FileKind
from tests.pages.runner import assert_sound, open_page, said
from tests.ui.pages.runs.making import trained as untrained


def ask(app: AppTest, label: str) -> Any:
    """Ask for a file and wait for it; its job."""
    app.button(key=f"export-{label}").click().run()
    job = app.session_state[KEY]
    job.wait(120)
    app.run()
    assert_sound(app)
    return job


def saves(app: AppTest) -> list[str]:
    """The buttons that save a written file."""
    labels = [button.proto.label for button in app.get("download_button")]
    return [label for label in labels if label.startswith("Save")]


@pytest.mark.usefixtures("trained")
def test_files_of_a_run_are_written_and_saved() -> None:
    app = open_page("runs", run="1")
    job = ask(app, "State dict (.pth)")
    assert torch.load(io.BytesIO(job.result.content), weights_only=True)
    (save,) = saves(app)
    assert save.startswith("Save run-1.pth (")
    job = ask(app, "PyTorch source and weights (zip)")
    assert job.result.name == "run-1.zip"
    assert job.result.content.startswith(b"PK")
    job = ask(app, WEIGHTS[0].label)
    assert job.result.name == "run-1-lenet5.safetensors"
    assert saves(app)[0].startswith("Save run-1-lenet5.safetensors (")


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("kind", RECORDS)
def test_what_was_recorded_is_written_and_saved(kind: FileKind) -> None:
    app = open_page("runs", run="1")
    openings = {"html": b"<!doctype html>", "csv": b"name,step,epoch,value", "json": b'{"id":1'}
    assert ask(app, kind.label).result.content.startswith(openings[kind.form])
    assert saves(app)[0].startswith(f"Save run-1.{kind.form} (")


@pytest.mark.parametrize("kind", RECORDS)
def test_a_run_that_is_gone_by_the_click_is_said(kind: FileKind, caplog: pytest.LogCaptureFixture) -> None:
    with tracking.connect() as database:
        run = untrained(database)
        app = open_page("runs", run=str(run))
        tracking.delete_run(database, run)
        tracking.purge_runs(database, ids=(run,))
    job = ask(app, kind.label)
    assert f"There is no run {run}." in str(job.error)
    assert f"There is no run {run}." in said(app)
    assert saves(app) == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_records_of_a_run_that_goes_on_say_up_to_which_step() -> None:
    with tracking.connect() as database:
        run = tracking.get_run(database, untrained(database, status=Status.RUNNING))
        app = open_page("runs", run=str(run.id))
        ask(app, "Metrics (CSV)")
        assert "The run goes on: this is what was recorded up to step" in said(app)
        assert saves(app)[0].startswith("Save run-1.csv (")
        tracking.end(database, run.lease, Status.FINISHED)
    app.run()
    assert saves(app) == []


@pytest.mark.usefixtures("trained")
def test_a_file_stands_where_it_was_asked_for_until_another_is() -> None:
    app = open_page("runs", run="1")
    ask(app, "State dict (.pth)")
    labels = {button.key for button in app.button}
    assert "export-State dict (.pth)" not in labels
    ask(app, WEIGHTS[0].label)
    assert "export-State dict (.pth)" in {button.key for button in app.button}
    assert [label.split(" (")[0] for label in saves(app)] == ["Save run-1-lenet5.safetensors"]


@pytest.mark.usefixtures("trained")
def test_a_file_of_a_run_that_went_on_is_no_longer_offered() -> None:
    app = open_page("runs", run="1")
    ask(app, "State dict (.pth)")
    app.session_state[KEY].state = (1, 1, 0)
    app.run()
    assert saves(app) == []
    assert "export-State dict (.pth)" in {button.key for button in app.button}


@pytest.mark.parametrize("label", [WEIGHTS[0].label, *(kind.label for kind in ELSEWHERE)])
def test_a_checkpoint_that_is_elsewhere_is_said(label: str) -> None:
    with tracking.connect() as database:
        run = tracking.get_run(database, untrained(database, status=Status.RUNNING))
        tracking.add_checkpoint(database, run.lease, "last", "last.safetensors", 6, 2.0, 4096)
        tracking.end(database, run.lease, Status.FINISHED)
    app = open_page("runs", run=str(run.id))
    ask(app, label)
    assert "The checkpoint of run 1 is not on this machine." in said(app)
    assert saves(app) == []


@pytest.mark.usefixtures("trained")
def test_a_network_that_a_format_cannot_hold_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> None:
        raise InferenceError("file/Net cannot be written as ONNX: it branches on values.")

    monkeypatch.setattr("cnnviz.inference.export.export", refused)
    app = open_page("runs", run="1")
    ask(app, "ONNX")
    assert "file/Net cannot be written as ONNX: it branches on values." in said(app)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.usefixtures("trained")
def test_an_error_that_nobody_foresaw_is_said_with_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("stem")

    monkeypatch.setattr("cnnviz.inference.export.export", broken)
    app = open_page("runs", run="1")
    ask(app, "ONNX")
    assert "ONNX could not be written: KeyError: 'stem'" in said(app)
