"""Runs: made, listed in two queries, described, deleted with undo; what they hold on disk; exported."""

import csv
import gc
import io
import json
import math
from pathlib import Path

import pytest
from sqlalchemy import event, text

from cnnviz import tracking
from cnnviz.tracking import Command, Database, NoSuchRunError, Status, WrongStateError, run_files, runs
from cnnviz.tracking.metrics import append
from cnnviz.tracking.records import EncodedRecord, encode
from tests.tracking.making import RECIPE, begin, create, log


def test_a_run_keeps_what_it_was_made_of(database: Database) -> None:
    parent = create(database)
    run = tracking.create_run(
        database, RECIPE, model="lenet5", dataset="digits", seed=2**40, parent_id=parent.id, total_epochs=2
    )
    found = tracking.get_run(database, run.id)
    assert found == run
    assert (found.name, found.recipe, found.seed) == ("lenet5 on digits", RECIPE, 2**40)
    assert (found.parent_id, found.total_epochs, found.tags, found.notes) == (parent.id, 2, [], "")
    assert found.key != parent.key


def test_names_notes_and_tags_can_be_changed(database: Database) -> None:
    run = create(database)
    tracking.update_run(database, run.id, name=" mine ", tags=["b", "a ", "b", ""])
    found = tracking.update_run(database, run.id, notes="It works.")
    assert (found.name, found.notes, found.tags) == ("mine", "It works.", ["a", "b"])
    with pytest.raises(ValueError, match="has a name"):
        tracking.update_run(database, run.id, name=" ")
    with pytest.raises(NoSuchRunError):
        tracking.update_run(database, 99, notes="")


def test_listing_takes_two_queries_however_many_runs(database: Database) -> None:
    for number in range(12):
        lease = begin(database, device=f"cuda:{number}")
        log(database, lease, "val/loss", [(1, number), (2, number + 1)])
        log(database, lease, "lr", [(1, 0.1)])
    waiting = create(database)
    statements: list[str] = []
    engine = database._engine

    @event.listens_for(engine, "before_cursor_execute")
    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append(statement)

    found = tracking.list_runs(database)
    assert len(statements) == 2
    assert [run.id for run in found] == list(range(13, 0, -1))
    assert found[0].id == waiting.id
    assert found[0].metrics == {}
    assert (found[1].metrics["val/loss"].best, found[1].metrics["val/loss"].last) == (11, 12)
    assert set(found[1].metrics) == {"val/loss", "lr"}


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_as_it_was_after_a_list(
    enabled: bool, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(database)
    during: list[bool] = []

    def failing(*_: object) -> None:
        during.append(gc.isenabled())
        raise RuntimeError("no list")

    (gc.enable if enabled else gc.disable)()
    try:
        tracking.list_runs(database)
        assert gc.isenabled() is enabled
        monkeypatch.setattr(runs, "summaries", failing)
        with pytest.raises(RuntimeError, match="no list"):
            tracking.list_runs(database)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
    assert during == [False]


def test_a_list_can_be_narrowed(database: Database) -> None:
    running = begin(database).run_id
    log(database, tracking.get_run(database, running).lease, "a", [(1, 1.0)])
    waiting, other = create(database).id, create(database).id
    assert [run.id for run in tracking.list_runs(database, statuses={Status.QUEUED})] == [other, waiting]
    assert [run.id for run in tracking.list_runs(database, ids=[running])] == [running]
    assert [run.id for run in tracking.list_runs(database, limit=1, offset=1)] == [waiting]
    assert tracking.list_runs(database, ids=[]) == []
    assert tracking.list_runs(database, metrics=["b"])[-1].metrics == {}


def test_deleting_can_be_undone_until_it_is_made_final(database: Database) -> None:
    lease = begin(database)
    run = tracking.get_run(database, lease.run_id)
    log(database, lease, "loss", [(1, 1.0)])
    with pytest.raises(WrongStateError, match="stop it before you delete it"):
        tracking.delete_run(database, run.id)
    tracking.end(database, lease, Status.STOPPED)
    tracking.delete_run(database, run.id)
    assert tracking.list_runs(database) == []
    assert [found.id for found in tracking.list_runs(database, deleted=True)] == [run.id]
    tracking.restore_run(database, run.id)
    assert tracking.list_runs(database)[0].metrics["loss"].last == 1.0


def test_purging_removes_rows_and_files_of_deleted_runs_only(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnviz.tracking.run_files._ROWS_AT_ONCE", 2)
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    ids = []
    for status in (Status.STOPPED, Status.FINISHED):
        lease = begin(database)
        log(database, lease, "loss", enumerate(range(5)))
        append(database, lease, structures=[EncodedRecord("k", 1, 0.0, encode({}), 0.0)])
        tracking.add_checkpoint(database, lease, "last", "last.safetensors", 4, 0.4, 3)
        tracking.request(database, lease.run_id, Command.STOP)
        tracking.end(database, lease, status)
        keep(database, lease.run_id, b"abc")
        ids.append(lease.run_id)
    gone, kept = ids
    folder = tracking.run_folder(kept, tracking.get_run(database, kept).key)
    tracking.delete_run(database, gone)
    assert tracking.purge_runs(database, older_than=3600) == (0, 0)
    assert tracking.purge_runs(database, ids=[kept]) == (0, 0)
    assert tracking.purge_runs(database) == (1, 3)
    assert tracking.purge_runs(database) == (0, 0)
    with pytest.raises(NoSuchRunError):
        tracking.get_run(database, gone)
    assert (folder / "last.safetensors").read_bytes() == b"abc"
    tables = ("metrics", "series", "records", "checkpoints", "commands", "attempts", "status_changes")
    with database.read() as session:
        left = {name: session.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in tables}
    wanted = {"metrics": 5, "series": 1, "records": 1, "checkpoints": 1, "commands": 1, "attempts": 1}
    assert left == {**wanted, "status_changes": 5}
    assert create(database).id == 3


def keep(database: Database, run_id: int, content: bytes) -> Path:
    folder = tracking.run_folder(run_id, tracking.get_run(database, run_id).key)
    folder.mkdir(parents=True)
    (folder / "last.safetensors").write_bytes(content)
    return folder


def test_files_on_another_machine_are_left_to_it(database: Database) -> None:
    lease = begin(database)
    tracking.end(database, lease, Status.STOPPED)
    tracking.delete_run(database, lease.run_id)
    assert tracking.purge_runs(database) == (0, 0)
    assert tracking.get_run(database, lease.run_id).deleted_at


def test_the_disk_a_run_holds_is_what_lies_there(database: Database) -> None:
    run = create(database)
    assert tracking.disk_bytes(run.id, run.key) == 0
    folder = keep(database, run.id, b"12345")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "file").write_bytes(b"123")
    assert tracking.disk_bytes(run.id, run.key) == 8


def test_a_checkpoint_takes_the_place_of_its_kind(database: Database) -> None:
    lease = begin(database)
    for step, kind in ((1, "last"), (1, "best"), (2, "last")):
        tracking.add_checkpoint(database, lease, kind, f"{kind}-{step}", step, step / 2, 10)
    found = tracking.checkpoints(database, lease.run_id)
    assert {kind: (c.path, c.step, c.epoch) for kind, c in found.items()} == {
        "best": ("best-1", 1, 0.5),
        "last": ("last-2", 2, 1.0),
    }


def test_an_export_holds_everything(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_files, "_PAGE", 3)
    monkeypatch.setattr(run_files, "_RECORDS", 2)
    lease = begin(database)
    log(database, lease, "loss", [*((step, step / 2) for step in range(8)), (8, math.nan), (9, math.inf)])
    append(database, lease, structures=[EncodedRecord("k", i, 0.0, encode({"i": i}), 0.0) for i in range(5)])
    tracking.add_checkpoint(database, lease, "last", "last.safetensors", 9, 0.9, 3)
    found = json.loads("".join(tracking.to_json(database, lease.run_id)))
    columns = found["metric_columns"]
    rows = [dict(zip(columns, row, strict=True)) for row in found["metric_rows"]]
    assert [(row["name"], row["step"], row["value"]) for row in rows[:8]] == [
        ("loss", step, step / 2) for step in range(8)
    ]
    assert [row["value"] for row in rows[8:]] == [None, None]
    assert [record["body"]["i"] for record in found["records"]] == list(range(5))
    assert [change["new"] for change in found["history"]] == ["queued", "starting", "running"]
    assert found["metrics"]["loss"] == {"last": None, "best": 0.0, "step": 9, "best_step": 0}
    assert found["checkpoint"].endswith("last.safetensors")
    lines = list(csv.DictReader(io.StringIO("".join(tracking.to_csv(database, lease.run_id)))))
    assert [float(line["value"]) for line in lines[:8]] == [step / 2 for step in range(8)]
    assert [line["value"] for line in lines[8:]] == ["nan", "inf"]
    assert list(lines[0]) == columns


def test_an_export_of_an_empty_run(database: Database) -> None:
    found = json.loads("".join(tracking.to_json(database, create(database).id)))
    assert (found["metric_rows"], found["records"], found["checkpoint"]) == ([], [], None)
    with pytest.raises(NoSuchRunError):
        list(tracking.to_csv(database, 99))
