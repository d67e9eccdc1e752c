"""`cnnviz runs` as a user meets it."""

import csv
import io
import json
from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.tracking import MetricWriter, RunFacts, Status

Run = pytest.CaptureFixture[str]


def run(capsys: Run, *arguments: str) -> str:
    assert main(["runs", *arguments]) == 0
    return capsys.readouterr().out


@pytest.fixture
def trained() -> int:
    """A finished run in the user's own database."""
    database = tracking.connect()
    made = tracking.create_run(
        database, {"lr": 0.1}, model="lenet5", dataset="mnist", seed=3, name="first", total_epochs=2
    )
    lease = tracking.claim(database, "cpu")
    assert lease is not None
    tracking.begin(
        database, lease, facts=RunFacts(params=61_706, hardware="a processor", versions={"torch": "2"})
    )
    with MetricWriter(database, lease) as log:
        for step in range(1, 5):
            log.log_all({"test/loss": 1 / step, "test/accuracy": step / 5}, step, step / 2)
    tracking.add_checkpoint(database, lease, "last", "last.safetensors", 4, 2.0, 8)
    tracking.end(database, lease, Status.FINISHED)
    database.close()
    return made.id


def test_an_empty_database_has_an_empty_list(capsys: Run) -> None:
    assert run(capsys, "list") == "There are no runs here.\n"
    assert json.loads(run(capsys, "list", "--json")) == []


def test_list(capsys: Run, trained: int) -> None:
    line = run(capsys, "list").splitlines()[2]
    assert line.split()[:9] == ["1", "first", "finished", "lenet5", "mnist", "2/2", "0.25", "0.8", "0.8"]
    assert line.split()[10:13] == ["61,706", "8", "B"]
    (entry,) = json.loads(run(capsys, "list", "--json", "--status", "finished"))
    assert entry["id"] == trained
    assert entry["metrics"]["test/loss"] == {"last": 0.25, "best": 0.25, "step": 4, "best_step": 4}
    assert json.loads(run(capsys, "list", "--json", "--status", "queued")) == []


def test_show(capsys: Run, trained: int) -> None:
    text = run(capsys, "show", str(trained))
    assert "first: run 1, finished, attempt 1" in text
    assert "parameters: 61,706" in text
    assert "device: cpu on a processor" in text
    assert '"lr": 0.1' in text
    document = json.loads(run(capsys, "show", str(trained), "--json"))
    asked = ("id", "status", "recipe", "metrics", "checkpoint", "seconds", "device", "versions")
    assert set(asked) <= set(document)
    assert document["metrics"]["test/accuracy"] == {"last": 0.8, "best": 0.8, "step": 4, "best_step": 4}
    assert Path(document["checkpoint"]).name == "last.safetensors"
    assert document["versions"] == {"torch": "2"}


def test_delete_and_undo(capsys: Run, trained: int) -> None:
    assert "--undo` undoes it" in run(capsys, "delete", str(trained))
    assert json.loads(run(capsys, "list", "--json")) == []
    assert len(json.loads(run(capsys, "list", "--json", "--deleted"))) == 1
    assert "Brought back run 1" in run(capsys, "delete", str(trained), "--undo")
    assert len(json.loads(run(capsys, "list", "--json"))) == 1


def test_delete_for_good(capsys: Run, trained: int) -> None:
    document = json.loads(run(capsys, "delete", str(trained), "--for-good", "--json"))
    assert document == {"runs": [trained], "restored": False, "purged": 1, "bytes": 0}
    assert main(["runs", "show", str(trained)]) == 2


def test_export(capsys: Run, trained: int, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run(capsys, "export", str(trained), "--format", "csv"))))
    assert [row["value"] for row in rows if row["name"] == "test/accuracy"] == ["0.2", "0.4", "0.6", "0.8"]
    report = run(capsys, "export", str(trained), "--format", "html")
    assert report.startswith("<!doctype html>")
    assert "80.00 %" in report
    file = tmp_path / "run.json"
    assert run(capsys, "export", str(trained), "--output", str(file)) == ""
    assert json.loads(file.read_text()) == json.loads(run(capsys, "export", str(trained), "--json"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "7"], "There is no run 7"),
        (["show", "x"], "integer"),
        (["delete", "1", "7"], "There is no run 7"),
        (["delete", "1", "--undo", "--for-good"], "Choose one"),
        (["export", "7"], "There is no run 7"),
        (["export", "1", "--format", "csv", "--json"], "Choose one"),
        (["export", "1", "--format", "pdf"], "weights"),
        (["export", "1", "--format", "weights"], "not on this machine"),
        (["list", "--status", "asleep"], "A run is queued, starting, running"),
    ],
)
def test_errors_are_one_line(capsys: Run, trained: int, arguments: list[str], sentence: str) -> None:
    assert main(["runs", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert sentence in captured.err
    with tracking.connect() as database:
        assert tracking.get_run(database, trained).deleted_at is None


def test_a_database_that_cannot_be_reached_is_one_line(capsys: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_DATABASE_URL", "nonsense")
    assert main(["runs", "list"]) == 2
    assert "postgresql://user:password@host/database" in capsys.readouterr().err


def test_a_history_is_imported(capsys: Run, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,val_acc,gpu\n1,2.3,0.1,60\n2,2.0,0.3,61\n")
    text = run(capsys, "import", str(path), "--classes", "10", "--name", "elsewhere")
    assert text == "Run 1: 2 rows, curves train/loss, val/accuracy.\nNot known, and left out: gpu.\n"
    (entry,) = json.loads(run(capsys, "list", "--json"))
    assert (entry["name"], entry["metrics"]["val/accuracy"]["last"]) == ("elsewhere", 0.3)
    assert entry["seconds"] is None, "the time of its import is none of training"
    shown = run(capsys, "show", "1")
    assert "kind: an imported history" in shown
    assert not {"device", "time", "seed", "recipe"} & {line.partition(":")[0] for line in shown.splitlines()}
    epochs = tmp_path / "keras.csv"
    epochs.write_text("epoch,loss\n0,2.3\n1,2.0\n")
    run(capsys, "import", str(epochs), "--steps-per-epoch", "40")
    assert json.loads(run(capsys, "show", "2", "--json"))["step"] == 80
    assert main(["runs", "resume", "1"]) == 2
    assert "a history that was imported; there is nothing to train" in capsys.readouterr().err
    assert main(["runs", "import", str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err
