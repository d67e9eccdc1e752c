"""Training and recipes on the command line."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.tracking import Database, Lease, MetricWriter, Status
from cnnviz.training import Recipe, all_recipes
from tests.training.workers.making import until

Run = pytest.CaptureFixture[str]
SHORT = ("--dataset", "digits", "--epochs", "1", "--set", "limit=120", "--batch-size", "60")


def test_training_prints_what_came_of_it(capsys: Run) -> None:
    assert main(["train", *SHORT, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "finished"
    assert document["recipe"]["limit"] == 120
    assert set(document["metrics"]["test/accuracy"]) >= {"last", "best", "step"}
    assert Path(document["checkpoint"]).exists()
    assert main(["runs", "show", str(document["id"]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == document["seconds"]


def test_without_a_recipe_the_models_default_is_followed(capsys: Run) -> None:
    assert main(["train", "--epochs", "1", "--set", "limit=120", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["recipe"]
    default = all_recipes()["default-lenet5-digits"]
    assert {"dataset": result["dataset"], "lr": result["lr"], "schedule": result["schedule"]} == {
        "dataset": "digits", "lr": default.lr, "schedule": "one-cycle"
    }  # fmt: skip
    assert main(["train", "plain", *SHORT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["lr"] == Recipe().lr


def test_a_recipe_file_is_followed(capsys: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(Recipe(name="mine", dataset="digits", limit=60, epochs=1).write(), encoding="utf-8")
    assert main(["train", str(file), "--seed", "5"]) == 0
    assert capsys.readouterr().out.startswith("Run 1 finished")


def test_a_failed_run_has_exit_code_1(capsys: Run) -> None:
    wild = ("--lr", "1000", "--set", "optimiser=sgd", "--set", "schedule=constant")
    assert main(["train", *SHORT, "--epochs", "30", *wild]) == 1
    assert "failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "article-lenet"], "no recipe 'article-lenet'"),
        (["train", "--epochs", "0"], "'epochs' cannot be '0', only a whole number from 1 to 100,000"),
        (["train", "--set", "epoch=3"], "no field 'epoch'"),
        (["train", "--set", "epochs"], "K=V"),
        (["train", "--model", "lenet6"], "no model 'lenet6'"),
        (["train", "--dataset", "digitz"], "digits"),
        (["train", "--device", "cuda:77"], "no device 'cuda:77'"),
        (
            ["train", "--device", "cuda:999999999999"],
            "'cuda:999999999999' is no device; a device",
        ),
        (["train", "--resume", "99"], "no run 99"),
        (["train", "--resume", "1", "--epochs", "3"], "give --resume alone"),
        (["train", "missing.json"], "missing.json"),
        (["recipes", "show", "nothing"], "no recipe 'nothing'"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(capsys: Run, arguments: list[str], sentence: str) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert sentence in captured.err


def test_recipes_are_listed_and_shown(capsys: Run) -> None:
    assert main(["recipes", "list", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(all_recipes())
    assert main(["recipes", "show", "article-lenet5-mnist"]) == 0
    shown = Recipe.read(capsys.readouterr().out)
    assert shown == all_recipes()["article-lenet5-mnist"]


@pytest.mark.parametrize(("stopped", "code", "said"), [(False, 0, "finished"), (True, 130, "stopped")])
def test_where_a_supervisor_is_quicker_its_worker_is_watched(
    capsys: Run, monkeypatch: pytest.MonkeyPatch, stopped: bool, code: int, said: str
) -> None:
    claim = tracking.claim

    def train(database: Database, lease: Lease) -> None:
        tracking.begin(database, lease)
        with MetricWriter(database, lease, beat=0.01, every=0.01) as writer:
            if stopped:
                os.kill(os.getpid(), signal.SIGINT)
                until(lambda: writer.command is not None, "it is asked to stop")
        tracking.end(database, lease, Status.STOPPED if stopped else Status.FINISHED)

    def lose(database: Database, device: str, only: int, beside: bool, classes: list[str]) -> None:
        lease = claim(database, device, only=only, classes=classes)
        assert lease is not None
        threading.Timer(0.2, train, (database, lease)).start()

    monkeypatch.setattr(tracking, "claim", lose)
    assert main(["train", *SHORT, "--device", "cpu"]) == code
    assert capsys.readouterr().out.startswith(f"Run 1 {said}")


def test_a_failed_run_s_sentence_ends_with_one_full_stop(capsys: Run, tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(4):
            (tmp_path / label / f"{number}.png").write_bytes(b"no picture at all")
    assert main(["train", "--dataset", str(tmp_path), "--epochs", "1"]) == 1
    text = capsys.readouterr().out.strip()
    assert text.endswith(".")
    assert not text.endswith("..")


def test_a_rate_is_found_and_no_run_is_made(capsys: Run) -> None:
    short = ("find-rate", "plain", "--dataset", "digits", "--set", "limit=120", "--set", "batch_size=20")
    assert main([*short]) == 0
    printed = capsys.readouterr().out
    assert "smoothed" in printed.splitlines()[0]
    assert "steps," in printed
    assert main([*short, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["rates"]) == len(document["losses"]) == len(document["smoothed"]) > 20
    with tracking.connect() as database:
        assert not tracking.list_runs(database, metrics=[], limit=1)
    assert main([*short, "--set", "batch_size=0"]) == 2
    assert "batch_size" in capsys.readouterr().err
