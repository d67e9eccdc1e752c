"""What a run keeps on disk: a folder of its own under CNNVIZ_HOME, and the checkpoints in it."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import delete, or_, select

from cnnviz.models.library import home
from cnnviz.tracking.database import Database
from cnnviz.tracking.errors import WrongStateError
from cnnviz.tracking.owners import mine, require_owner
from cnnviz.tracking.records import Checkpoint, Lease
from cnnviz.tracking.states import ACTIVE
from cnnviz.tracking.store import open_store, remove_all
from cnnviz.tracking.tables import CheckpointRow, MetricRow, RunRow
from cnnviz.tracking.transitions import held, locked


def run_folder(run_id: int, key: str) -> Path:
    """The folder of a run on the machine that trains it; it need not exist.

    Args:
        run_id: `Run.id`.
        key: `Run.key`: two databases have a run 1 each, and one home may serve both.
    """
    return home() / "runs" / f"{run_id:06}-{key}"


def disk_bytes(run_id: int, key: str) -> int:
    """How many bytes the files of a run take on this machine, whatever they are."""
    total = 0
    for folder, _, names in os.walk(run_folder(run_id, key)):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # A checkpoint was replaced in this moment.
                continue
    return total


def remove(run_id: int, key: str) -> int:
    """Remove the files of a run and return how many bytes they took; raises `OSError` where one stays."""
    freed, folder = disk_bytes(run_id, key), run_folder(run_id, key)
    if folder.exists():
        shutil.rmtree(folder)
    return freed


def add_checkpoint(
    database: Database,
    lease: Lease,
    kind: str,
    path: str,
    step: int,
    epoch: float,
    size: int,
    digest: str | None = None,
    stored: str | None = None,
) -> None:
    """Note a checkpoint that lies complete on disk, in place of the one of its kind.

    Args:
        database: The run database.
        lease: Of the worker.
        kind: `last`, `best`, or a name for one that was asked for; at most 40 characters.
        path: Relative to the run's folder.
        step: Optimiser steps done.
        epoch: Epochs done.
        size: Bytes of the file.
        digest: SHA-256 of the file in hexadecimal.
        stored: Its name in the store, where it lies there too.

    Raises `StaleAttemptError`.
    """
    row = CheckpointRow(
        run_id=lease.run_id, kind=kind, path=path, attempt=lease.attempt, step=step, epoch=epoch,
        bytes=size, time=time.time(), digest=digest, stored=stored,
    )  # fmt: skip
    with database.write() as session:
        held(session, lease)
        session.merge(row)


def checkpoints(database: Database, run_id: int) -> dict[str, Checkpoint]:
    """The checkpoints of a run by kind."""
    query = select(
        CheckpointRow.kind, CheckpointRow.path, CheckpointRow.attempt, CheckpointRow.step,
        CheckpointRow.epoch, CheckpointRow.bytes, CheckpointRow.time, CheckpointRow.digest,
        CheckpointRow.stored,
    ).where(CheckpointRow.run_id == run_id)  # fmt: skip
    with database.read() as session:
        found = [Checkpoint(*row) for row in session.execute(query.order_by(CheckpointRow.step))]
    return {checkpoint.kind: checkpoint for checkpoint in found}


# Runs that go: hidden first, which can be undone, then for good.

_CHUNK = 20_000


def delete_run(database: Database, run_id: int) -> None:
    """Hide a run; `restore_run` undoes it, `purge_runs` makes it final.

    Raises `NoSuchRunError`, and `WrongStateError` while a worker has it.
    """
    with database.write() as session:
        row = locked(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        if row.status in ACTIVE:
            raise WrongStateError(f"Run {run_id} is {row.status}; stop it before you delete it.")
        row.deleted_at = row.deleted_at or time.time()


def restore_run(database: Database, run_id: int) -> None:
    """Undo `delete_run`; raises `NoSuchRunError`."""
    with database.write() as session:
        row = locked(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        row.deleted_at = None


def remove_checkpoint(database: Database, run_id: int, kind: str) -> int:
    """Delete one checkpoint of a run, file and row, for good; return how many bytes that freed.

    Without its `last` one a run begins anew when it is resumed. Raises `NoSuchRunError`, and
    `WrongStateError` while a worker has the run, where it has no such checkpoint, or where its files lie on
    another machine.
    """
    with database.write() as session:
        run = locked(session, run_id)
        require_owner(session, run.owner_id, f"Run {run_id}")
        if run.status in ACTIVE:
            raise WrongStateError(f"Run {run_id} is {run.status}; stop it before you delete its checkpoints.")
        if run.host not in (None, socket.gethostname()):
            raise WrongStateError(f"The files of run {run_id} lie on {run.host}; delete them there.")
        row = session.get(CheckpointRow, (run_id, kind))
        if row is None:
            raise WrongStateError(f"Run {run_id} has no checkpoint '{kind}'.")
        path, stored = run_folder(run_id, run.key) / row.path, row.stored
        session.delete(row)
    # The row first: a row without its file would be offered, a file without its row only takes room.
    freed = path.stat().st_size if path.exists() else 0
    path.unlink(missing_ok=True)
    if stored is not None:
        store = open_store()
        if store is not None:
            store.delete(stored)
    return freed


def purge_runs(
    database: Database, older_than: float = 0.0, ids: Collection[int] | None = None
) -> tuple[int, int]:
    """Remove deleted runs with their files, for good; return how many, and how many bytes of files.

    Runs whose files lie on another machine stay, for that machine to purge. Interrupted, it goes on when
    called again.

    Args:
        database: The run database.
        older_than: Only those deleted at least so many seconds ago.
        ids: Only these; all deleted ones that whoever acts may change by default.
    """
    here = or_(RunRow.host.is_(None), RunRow.host == socket.gethostname())
    query = select(RunRow.id, RunRow.key).where(RunRow.deleted_at <= time.time() - older_than, here)
    if ids is not None:
        query = query.where(RunRow.id.in_(ids))
    with database.read() as session:
        query = query.where(mine(session, RunRow.owner_id))
        gone = session.execute(query.order_by(RunRow.id)).all()
    freed, store = 0, open_store()
    for run_id, key in gone:
        freed += remove(run_id, key)
        if store is not None:
            remove_all(store, run_id, key)
        _purge_rows(database, run_id)
    return len(gone), freed


def _purge_rows(database: Database, run_id: int) -> None:
    """A million rows in one transaction would hold up a run that trains; a chunk at a time does not."""
    chunk = select(MetricRow.id).where(MetricRow.run_id == run_id).order_by(MetricRow.id).limit(_CHUNK)
    while True:
        with database.write() as session:
            row = session.get(RunRow, run_id, with_for_update=True)
            if row is None or row.deleted_at is None:
                return
            ids = session.scalars(chunk).all()
            if not ids:
                session.execute(delete(RunRow).where(RunRow.id == run_id))
                return
            session.execute(delete(MetricRow).where(MetricRow.run_id == run_id, MetricRow.id <= ids[-1]))
