"""Migration 0004: one owner for what there was, classes of devices, handles of workers, settings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from cnnviz import tracking
from cnnviz.tracking import Database, Status, migrate
from cnnviz.tracking import database as opening
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
    migrate.upgrade(database, "0003")
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
    migrate.upgrade(database)
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
        assert (local.issuer, local.subject, local.role) == ("local", "local", "admin")


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
