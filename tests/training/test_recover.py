"""A run database that is damaged: said in a sentence, and begun anew from the runs' folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.datasets.spec import silent
from cnnviz.paths import home
from cnnviz.tracking import Command, Database, DatabaseDamagedError, Status
from cnnviz.tracking.run_files import SUMMARY
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.trainer import LAST
from cnnviz.training.workers.worker import work

Out = pytest.CaptureFixture[str]
SHORT = Recipe(name="short", dataset="digits", limit=120, epochs=2, batch_size=60, device="cpu")


def train(database: Database, stop_at: int | None = None) -> tracking.Run:
    run = enqueue(database, SHORT).id
    lease = tracking.claim(database, "cpu", only=run)
    assert lease is not None
    steps: list[int] = []
    work(database, lease, lambda step: steps.append(step.done), lambda: steps[-1] == stop_at)
    return tracking.get_run(database, run)


def overwrite(whole: bool = True) -> None:
    """Write over the run database, all of it or all but its first page."""
    path = home() / "runs.sqlite"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(0 if whole else 4096)
        file.write(b"overwritten " * (size // 12))


@pytest.mark.parametrize("whole", [True, False], ids=["no database any more", "its pages are gone"])
def test_a_damaged_database_is_begun_anew_from_the_runs_folders(capsys: Out, whole: bool) -> None:
    with tracking.connect() as database:
        finished, stopped = train(database), train(database, stop_at=1)
        queued = enqueue(database, SHORT)
        before = tracking.report(database, finished.id)
    overwrite(whole)
    assert main(["runs", "list"]) == 2
    text = capsys.readouterr().err
    assert "The run database is damaged" in text
    assert "`python -m cnnviz runs recover`" in text
    assert main(["runs", "recover", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["runs"] == [finished.id, stopped.id]
    assert Path(document["set_aside"]).exists()
    assert document["skipped"] == []
    with tracking.connect() as database:
        after = tracking.report(database, finished.id)
        same = (
            "name",
            "status",
            "model",
            "dataset",
            "seed",
            "recipe",
            "step",
            "epoch",
            "metrics",
            "fingerprint",
        )
        assert {name: after[name] for name in same} == {name: before[name] for name in same}
        assert set(after["checkpoints"]) == {"last", "best"}
        assert Path(after["checkpoint"]).exists()
        assert tracking.get_run(database, stopped.id).status is Status.STOPPED
        with pytest.raises(tracking.NoSuchRunError):
            tracking.get_run(database, queued.id)
    assert main(["train", "--resume", str(stopped.id)]) == 0
    assert capsys.readouterr().out.startswith(f"Run {stopped.id} finished")
    assert (
        main(["train", "--dataset", "digits", "--set", "limit=60", "--epochs", "1", "--batch-size", "60"])
        == 0
    )
    assert capsys.readouterr().out.startswith(f"Run {queued.id} finished")


def test_without_a_summary_there_is_what_the_checkpoint_says(capsys: Out) -> None:
    with tracking.connect() as database:
        run = train(database)
        score = run.metrics["val/accuracy"].best
    (tracking.run_folder(run.id, run.key) / SUMMARY).unlink()
    (home() / "runs.sqlite").unlink()
    assert main(["runs", "recover"]) == 0
    assert capsys.readouterr().out == f"1 run recovered from the runs' folders: {run.id}.\n"
    with tracking.connect() as database:
        result = tracking.get_run(database, run.id)
        assert (result.name, result.model, result.step) == ("short", "lenet5", run.step)
        assert result.metrics["val/accuracy"].best == score
        assert result.fingerprint == run.fingerprint
        assert result.status is Status.INTERRUPTED
        tracking.request(database, run.id, Command.RESUME)
        lease = tracking.claim(database, "cpu", only=run.id)
        assert lease is not None
        assert work(database, lease, silent, lambda: False) is Status.FINISHED


def test_a_whole_database_is_left_as_it_is_and_gets_what_is_missing(capsys: Out) -> None:
    with tracking.connect() as database:
        kept = train(database)
    assert main(["runs", "recover"]) == 0
    assert capsys.readouterr().out == "0 runs recovered from the runs' folders.\n"
    assert not list(home().glob("*.damaged-*"))
    broken = home() / "runs" / "000009-0123456789ab"
    taken = home() / "runs" / f"{kept.id:06}-ba9876543210"
    for folder in (broken, taken):
        folder.mkdir()
        (folder / LAST).write_bytes(b"half of a check")
    assert main(["runs", "recover"]) == 0
    output = capsys.readouterr().out
    assert "Left out: 000009-0123456789ab: last.safetensors is no checkpoint" in output
    assert f"Left out: {taken.name}: the database has another run {kept.id}." in output


def test_the_end_of_a_run_whose_database_was_overwritten_names_the_whole_checkpoint(
    capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overwritten(database: Database, run_id: int) -> None:
        overwrite()

    monkeypatch.setattr("cnnviz.training.workers.worker.write_summary", overwritten)
    assert (
        main(["train", "--dataset", "digits", "--set", "limit=60", "--epochs", "1", "--batch-size", "60"])
        == 2
    )
    captured = capsys.readouterr()
    assert "finished" not in captured.out
    assert "The run database is damaged" in captured.err
    assert f"The checkpoint of run 1 after step 1 is whole: {home() / 'runs'}" in captured.err
    assert captured.err.rstrip().endswith("last.safetensors.")


def test_an_open_database_finds_the_new_file(capsys: Out) -> None:
    with tracking.connect() as database:
        run = train(database)
        overwrite()
        for _ in range(2):  # every time, whatever the first look left behind
            with pytest.raises(DatabaseDamagedError):
                tracking.list_runs(database)
        assert main(["runs", "recover"]) == 0
        assert [result.id for result in tracking.list_runs(database)] == [run.id]


def test_a_server_s_database_is_not_recovered_from_folders(
    monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    monkeypatch.setenv("CNNVIZ_DATABASE_URL", "postgresql://me:secret@/runs")
    assert main(["runs", "recover"]) == 2
    text = capsys.readouterr().err
    assert "Only a SQLite file can be begun anew" in text
    assert "secret" not in text
