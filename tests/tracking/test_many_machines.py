"""Migration 0004: one owner for what there was, classes of devices, handles of workers, settings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from cnnviz import tracking
from cnnviz.tracking import Database, Machine, Status, waiting_reason
from cnnviz.tracking import database as opening
from cnnviz.tracking.queue import register_machine, unregister_machine
from cnnviz.tracking.tables import LOCAL_OWNER, OwnerRow, SettingRow
from tests.tracking.making import begin, create


def insert(database: Database, key: str, status: str, device: str, **values: Any) -> None:
    """A run as version 0003 stored it."""
    row = {
        "key": key, "status": status, "device": device, "recipe": "{}", "host": None, "pid": None,
        "started": None,
    } | values  # fmt: skip
    with database.write() as session:
        session.execute(text(
            "INSERT INTO runs (key, name, status, kind, recipe, model, dataset, seed, device, host, attempt,"
            " step, epoch, created, queued, earlier_seconds, notes, tags, worker_pid, worker_started) VALUES"
            " (:key, :key, :status, 'trained', :recipe, 'lenet5', 'digits', 0, :device, :host, 1, 0, 0, 1, 1,"
            " 0, '', '[]', :pid, :started)"
        ), row)  # fmt: skip


def test_an_old_database_keeps_its_runs_devices_workers_and_has_one_owner(address: str) -> None:
    database = Database(opening.address(address))
    opening.upgrade(database, "0003")
    insert(database, "auto", "queued", "cpu", recipe=json.dumps({"device": "auto"}))
    insert(database, "pinned", "finished", "cuda:0", recipe=json.dumps({"device": "cuda:0"}))
    insert(database, "second", "finished", "cuda:1", recipe=json.dumps({"device": "cuda:1"}))
    insert(database, "beside", "running", "cpu:1", host="there", pid=4711, started=12.5)
    with database.write() as session:
        session.execute(text("INSERT INTO experiments (name, body, created) VALUES ('old', '{}', 1)"))
        session.execute(text(
            "INSERT INTO checkpoints (run_id, kind, path, attempt, step, epoch, bytes, time)"
            " VALUES (2, 'last', 'last.safetensors', 1, 5, 1, 10, 1)"
        ))  # fmt: skip
    opening.upgrade(database)
    runs = {run.key: run for run in tracking.list_runs(database)}
    assert {key: (run.device_class, run.device) for key, run in runs.items()} == {
        "auto": ("any", "cpu"), "pinned": ("gpu", "cuda:0"), "second": ("cuda:1", "cuda:1"),
        "beside": ("cpu", "cpu:1"),
    }  # fmt: skip
    assert runs["beside"].worker == {"kind": "process", "host": "there", "pid": 4711, "started": 12.5}
    assert (runs["beside"].worker_pid, runs["beside"].worker_started) == (4711, 12.5)
    assert (runs["auto"].worker, runs["auto"].tries) == (None, 0)
    assert {run.owner_id for run in runs.values()} == {LOCAL_OWNER}
    (last,) = tracking.checkpoints(database, 2).values()
    assert (last.digest, last.stored) == (None, None)
    with database.read() as session:
        assert session.execute(text("SELECT owner_id FROM experiments")).scalars().all() == [LOCAL_OWNER]
    assert tracking.claim(database, "cpu") is not None
    database.close()


def test_new_rows_belong_to_the_local_owner_and_a_second_owner_gets_the_next_number(
    database: Database,
) -> None:
    assert create(database).owner_id == LOCAL_OWNER
    with database.write() as session:
        ada = OwnerRow(issuer="https://id.example", subject="ada", name="Ada", role="student", created=1.0)
        session.add(ada)
        session.flush()
        assert ada.id == LOCAL_OWNER + 1
        local = session.get_one(OwnerRow, LOCAL_OWNER)
        # Migration 0004 called the role `admin`; it follows the principal who queues.
        assert (local.issuer, local.subject, local.role) == ("local", "local", "manager")


def test_settings_are_json_by_scope_and_key(database: Database) -> None:
    with database.write() as session:
        session.add(SettingRow(scope="global", key="disk_bytes", value=5))
        session.add(SettingRow(scope="owner:2", key="disk_bytes", value={"most": 3}))
    with database.read() as session:
        assert session.get_one(SettingRow, ("global", "disk_bytes")).value == 5
        assert session.get_one(SettingRow, ("owner:2", "disk_bytes")).value == {"most": 3}


def test_a_worker_is_a_process_or_has_another_handle(database: Database) -> None:
    lease = begin(database)
    tracking.attach(database, lease, worker={"kind": "ray", "actor": "cnnviz-1-1"})
    run = tracking.get_run(database, lease.run_id)
    assert run.worker == {"kind": "ray", "actor": "cnnviz-1-1"}
    assert (run.worker_pid, run.worker_started) == (None, None)
    with pytest.raises(ValueError, match="has a handle"):
        tracking.attach(database, lease)
    tracking.end(database, lease, Status.FINISHED)
    assert tracking.get_run(database, lease.run_id).worker is None


def test_a_checkpoint_may_have_a_digest_and_a_name_in_the_store(database: Database) -> None:
    lease = begin(database)
    stored = f"runs/1/last-1-{'a' * 64}"
    tracking.add_checkpoint(database, lease, "last", "last.safetensors", 3, 0.3, 10, "a" * 64, stored)
    checkpoint = tracking.checkpoints(database, lease.run_id)["last"]
    assert (checkpoint.digest, checkpoint.stored) == ("a" * 64, stored)


def test_the_machine_that_claims_a_run_decides_on_its_device(database: Database) -> None:
    asked = {name: create(database, name).id for name in ("auto", "cpu", "gpu", "gpu:2", "cuda:3")}
    assert {run.device for run in tracking.list_runs(database)} == {""}
    lease = tracking.claim(database, "cuda:1", "lab")
    assert lease is not None
    run = tracking.get_run(database, lease.run_id)
    assert (run.id, run.device_class, run.device, run.device_text) == (
        asked["auto"],
        "any",
        "cuda:1",
        "cuda:1",
    )
    both = tracking.claim(database, "cuda:0,cuda:1", "lab", classes=["gpu:2"])
    assert both is None, "one of the two is taken"
    other = tracking.claim(database, "cuda:0,cuda:2", "lab")
    assert other is not None
    assert other.run_id == asked["gpu:2"]
    assert tracking.claim(database, "cuda:2", "lab") is None, "it is a part of a run's devices"
    assert tracking.get_run(database, asked["gpu"]).device_text == "gpu"


def test_a_run_has_as_many_gpus_as_it_can_ask_for(database: Database) -> None:
    create(database, "gpu:64")
    names = ",".join(f"cuda:{number}" for number in range(64))
    lease = tracking.claim(database, names, "a cluster")
    assert lease is not None
    assert tracking.get_run(database, lease.run_id).device == names


def test_a_run_that_a_machine_cannot_have_is_left_for_others(database: Database) -> None:
    first, second = create(database).id, create(database).id
    lease = tracking.claim(database, "cpu", accepts=lambda candidate: candidate.id != first)
    assert lease is not None
    assert lease.run_id == second
    assert tracking.get_run(database, first).status is Status.QUEUED


def test_machines_are_there_until_they_leave_or_fall_silent(database: Database) -> None:
    web = Machine("a" * 12, "web", "LocalLauncher", ("cpu",))
    lab = Machine("b" * 12, "lab", "LocalLauncher", ("cpu", "cuda:0", "cuda:1"), {"code": ["c" * 64]})
    assert waiting_reason([], "gpu") is None
    register_machine(database, web)
    there = tracking.machines(database)
    assert [machine.text for machine in there] == ["web: CPU"]
    said = waiting_reason(there, "gpu:2")
    assert said is not None
    assert said.startswith("No machine that is there has what it asks for (gpu:2), so it waits.")
    register_machine(database, lab)
    register_machine(database, lab)
    there = tracking.machines(database)
    assert [machine.host for machine in there] == ["lab", "web"]
    assert waiting_reason(there, "gpu:2", "c" * 64) is None
    assert "--allow-code" in (waiting_reason(there, "cpu", "d" * 64) or "")
    with database.write() as session:
        session.execute(text("UPDATE machines SET seen = seen - 100 WHERE host = 'lab'"))
    unregister_machine(database, web.key)
    assert tracking.machines(database) == []


def test_a_sentence_says_where_data_or_a_checkpoint_lie_alone() -> None:
    here = Machine("a" * 12, "web", "LocalLauncher", ("cpu",))
    stored = Machine("b" * 12, "web", "LocalLauncher", ("cpu",), {"store": True})
    lost = {"data": {"host": "desk"}}
    assert waiting_reason([here], "cpu", None, lost) == (
        "Its data lie on desk alone, and no machine of that name is at work, so it waits."
    )
    assert waiting_reason([here], "cpu", None, {"data": {"host": "web"}}) is None
    assert waiting_reason([here], "cpu", None, {"data": {"host": "desk", "stored": "data/x.tar"}}) is None
    assert waiting_reason([here], "cpu", host="gpu") == (
        "Its checkpoint lies on gpu alone, and no machine of that name is at work, so it waits."
    )
    assert waiting_reason([stored], "cpu", host="gpu") is None
    assert waiting_reason([here], "cpu", host="web") is None
