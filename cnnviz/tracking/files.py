"""What a run keeps on disk: a folder of its own under CNNVIZ_HOME, and the checkpoints in it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from sqlalchemy import select

from cnnviz.models.library import home
from cnnviz.tracking.change import held
from cnnviz.tracking.database import Database
from cnnviz.tracking.records import Checkpoint, Lease
from cnnviz.tracking.tables import CheckpointRow


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
    database: Database, lease: Lease, kind: str, path: str, step: int, epoch: float, size: int
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

    Raises `StaleAttemptError`.
    """
    row = CheckpointRow(
        run_id=lease.run_id, kind=kind, path=path, attempt=lease.attempt, step=step, epoch=epoch,
        bytes=size, time=time.time(),
    )  # fmt: skip
    with database.write() as session:
        held(session, lease)
        session.merge(row)


def checkpoints(database: Database, run_id: int) -> dict[str, Checkpoint]:
    """The checkpoints of a run by kind."""
    query = select(
        CheckpointRow.kind, CheckpointRow.path, CheckpointRow.attempt, CheckpointRow.step,
        CheckpointRow.epoch, CheckpointRow.bytes, CheckpointRow.time,
    ).where(CheckpointRow.run_id == run_id)  # fmt: skip
    with database.read() as session:
        found = [Checkpoint(*row) for row in session.execute(query.order_by(CheckpointRow.step))]
    return {checkpoint.kind: checkpoint for checkpoint in found}
