"""Experiments on the command line: listed, run, stopped, gone on with, shown."""

import json
import os
import signal
from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.experiments import Condition, Experiment
from cnnviz.experiments.presets import list_presets
from cnnviz.tracking import Status
from cnnviz.training import Recipe

Run = pytest.CaptureFixture[str]
TINY = Experiment.of(
    name="tiny",
    question="Adam or SGD, on next to nothing?",
    base=Recipe(dataset="digits", limit=60, validation=0, epochs=1, batch_size=30, optimiser="sgd"),
    conditions=(Condition(name="Adam", changes={"optimiser": "adam", "lr": 0.001}),),
    seeds=(0, 1),
)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    file = tmp_path / "tiny.json"
    file.write_text(TINY.write(), encoding="utf-8")
    return str(file)


def test_one_is_run_to_its_verdict_and_shown_again(capsys: Run, tiny: str) -> None:
    assert main(["experiment", "run", tiny, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [arm["name"] for arm in document["arms"]] == ["as it is", "Adam"]
    assert all(outcome["status"] == "finished" for arm in document["arms"] for outcome in arm["outcomes"])
    assert "at 1 epoch" in document["verdict"]
    assert main(["experiment", "show", str(document["id"]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == document
    assert main(["experiment", "show", "1"]) == 0
    shown = capsys.readouterr().out
    assert TINY.question in shown
    assert document["verdict"] in " ".join(shown.split())
    assert main(["experiment", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["started"][0]["done"] == 4


def test_ctrl_c_stops_cleanly_and_its_number_goes_on(
    capsys: Run, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = tracking.begin

    def interrupted(*arguments: object, **options: object) -> None:
        begin(*arguments, **options)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(tracking, "begin", interrupted)
        assert main(["experiment", "run", tiny]) == 130
    captured = capsys.readouterr()
    assert "Incomplete, 0 of 4 runs" in captured.out
    assert "`cnnviz experiment run 1` goes on" in captured.err
    with tracking.connect() as database:
        assert [run.status for run in tracking.list_runs(database)] == [Status.STOPPED]
    assert main(["experiment", "run", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"].startswith("Adam:")


def test_queued_runs_wait_for_a_supervisor(capsys: Run) -> None:
    assert main(["experiment", "run", "normalising", "--seeds", "2", "--queue", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"id": 1, "queued": [1, 2, 3, 4, 5, 6], "supervised": False}
    with tracking.connect() as database:
        assert {run.status for run in tracking.list_runs(database)} == {Status.QUEUED}


def test_ready_made_ones_are_listed_and_explained(capsys: Run) -> None:
    assert main(["experiment", "list", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)["ready"]] == list(list_presets())
    assert main(["experiment", "show", "dropout", "--large"]) == 0
    assert "dropout 0 → 0.5" in capsys.readouterr().out
    assert main(["experiment", "show", "dropout", "--json"]) == 0
    assert Experiment.read(capsys.readouterr().out) == list_presets()["dropout"].small


def test_what_is_listed_and_shown_fits_the_terminal_with_the_answer_that_ships(
    capsys: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for arguments, words in (
        (("list",), "What do the 1×1 reductions"),
        (("show", "alexnet-stl10"), "He initialization: +"),
        (("show", "article-d"), "He initialization: +"),  # what it was called before
        (("run", "weightless"), "614,656"),
    ):
        assert main(["experiment", *arguments]) == 0
        shown = capsys.readouterr().out
        assert words in shown
        assert 60 < max(map(len, shown.splitlines())) <= 80
    assert main(["experiment", "show", "alexnet-stl10", "--large"]) == 0
    assert "Recorded on" not in capsys.readouterr().out


def test_a_demonstration_runs_at_once(capsys: Run) -> None:
    assert main(["experiment", "run", "inplace-dropout"]) == 0
    shown = capsys.readouterr().out
    text = " ".join(shown.split())
    assert "torch says: one of the variables needed for gradient computation has been modified" in text
    assert "Fixed: " in shown
    assert main(["experiment", "show", "weightless", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "weightless"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "normalizing"], "did you mean normalising"),
        (["show", "7"], "no experiment 7"),
        (["run", "7"], "no experiment 7"),
        (["run", "7", "--seeds", "3"], "give its number alone"),
        (["run", "missing.json"], "missing.json"),
        (["run", "dropout", "--seeds", "51"], "50"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(capsys: Run, arguments: list[str], sentence: str) -> None:
    with tracking.connect():
        pass
    assert main(["experiment", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert sentence in captured.err


def test_queueing_many_runs_needs_yes(capsys: Run) -> None:
    arguments = ["experiment", "run", "dropout", "--seeds", "40", "--queue"]
    assert main(arguments) == 2
    assert "This would queue 80 runs" in capsys.readouterr().err
    with tracking.connect() as database:
        assert tracking.list_runs(database) == []
        assert main([*arguments, "--yes"]) == 0
        assert len(tracking.list_runs(database)) == 80
