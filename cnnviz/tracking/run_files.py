"""Files of a run: its folder under CNNVIZ_HOME, checkpoints here and in the store, deletion, and export.

An export is a summary, a JSON document or CSV, streamed in pieces of bounded size.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import delete, or_, select

from cnnviz.formats import csv_rows
from cnnviz.paths import home
from cnnviz.tracking.commands import lock_run, require_lease
from cnnviz.tracking.database import Database, TrackingError, WrongStateError
from cnnviz.tracking.limits import keep_minutes, require_owner, writable_rows
from cnnviz.tracking.metrics import read_metrics
from cnnviz.tracking.records import ACTIVE, Checkpoint, Lease, Metric, RunSummary
from cnnviz.tracking.runs import get_run, history
from cnnviz.tracking.store import Store, StoreError, folder_of, open_store, remove_all, sha256_of
from cnnviz.tracking.tables import CheckpointRow, MetricRow, RecordRow, RunRow


def run_folder(run_id: int, key: str) -> Path:
    """Return the folder of a run on the machine that trains it; it need not exist.

    Args:
        run_id: `Run.id`.
        key: `Run.key`: two databases that share one home both have a run 1.
    """
    return home() / "runs" / f"{run_id:06}-{key}"


def disk_bytes(run_id: int, key: str) -> int:
    """Return the total size in bytes of a run's files on this machine."""
    total = 0
    for folder, _, names in os.walk(run_folder(run_id, key)):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # A checkpoint was replaced concurrently.
                continue
    return total


def remove(run_id: int, key: str) -> int:
    """Delete the files of a run and return their size in bytes; raise `OSError` if one cannot be deleted."""
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
    """Insert the row of a checkpoint that is complete on disk, replacing the one of its kind.

    Args:
        database: The run database.
        lease: The worker's lease.
        kind: `last`, `best`, or a user's name for it; at most 40 characters.
        path: Relative to the run's folder.
        step: Number of optimizer steps.
        epoch: Number of epochs.
        size: Size of the file in bytes.
        digest: SHA-256 of the file in hexadecimal.
        stored: Its name in the store, if it is there too.

    Raises:
        StaleAttemptError: The lease is no longer valid.
    """
    row = CheckpointRow(
        run_id=lease.run_id, kind=kind, path=path, attempt=lease.attempt, step=step, epoch=epoch,
        bytes=size, time=time.time(), digest=digest, stored=stored,
    )  # fmt: skip
    with database.write() as session:
        require_lease(session, lease)
        session.merge(row)


def checkpoints(database: Database, run_id: int) -> dict[str, Checkpoint]:
    """Return the checkpoints of a run by kind."""
    query = select(
        CheckpointRow.kind, CheckpointRow.path, CheckpointRow.attempt, CheckpointRow.step,
        CheckpointRow.epoch, CheckpointRow.bytes, CheckpointRow.time, CheckpointRow.digest,
        CheckpointRow.stored,
    ).where(CheckpointRow.run_id == run_id)  # fmt: skip
    with database.read() as session:
        rows = [Checkpoint(*row) for row in session.execute(query.order_by(CheckpointRow.step))]
    return {checkpoint.kind: checkpoint for checkpoint in rows}


# Deletion: first hidden, which can be undone; then purged.

_ROWS_AT_ONCE = 20_000


def delete_run(database: Database, run_id: int) -> None:
    """Hide a run; `restore_run` undoes it, `purge_runs` deletes it permanently.

    Raises:
        NoSuchRunError: There is no such run.
        WrongStateError: The run has a worker.
    """
    with database.write() as session:
        row = lock_run(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        if row.status in ACTIVE:
            raise WrongStateError(f"Run {run_id} is {row.status}; stop it before you delete it.")
        row.deleted_at = row.deleted_at or time.time()


def restore_run(database: Database, run_id: int) -> None:
    """Undo `delete_run`; raise `NoSuchRunError`."""
    with database.write() as session:
        row = lock_run(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        row.deleted_at = None


def remove_checkpoint(database: Database, run_id: int, kind: str) -> int:
    """Delete one checkpoint of a run permanently, file and row; return the number of freed bytes.

    Without its `last` checkpoint a run restarts from scratch when it is resumed.

    Raises:
        NoSuchRunError: There is no such run.
        WrongStateError: The run has a worker, has no such checkpoint, or has its files on another machine.
    """
    with database.write() as session:
        run = lock_run(session, run_id)
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
    # The row first: a row without a file would be offered to users, a file without a row only takes space.
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
    """Delete hidden runs and their files permanently; return the number of runs and of freed bytes.

    Runs with files on another machine are left for that machine. If interrupted, the next call continues.

    Args:
        database: The run database.
        older_than: Minimum time since deletion in seconds.
        ids: Only these runs; by default all hidden runs that the current principal may change.
    """
    on_this_host = or_(RunRow.host.is_(None), RunRow.host == socket.gethostname())
    query = select(RunRow.id, RunRow.key).where(RunRow.deleted_at <= time.time() - older_than, on_this_host)
    if ids is not None:
        query = query.where(RunRow.id.in_(ids))
    with database.read() as session:
        query = query.where(writable_rows(session, RunRow.owner_id))
        runs = session.execute(query.order_by(RunRow.id)).all()
    freed, store = 0, open_store()
    for run_id, key in runs:
        freed += remove(run_id, key)
        if store is not None:
            remove_all(store, run_id, key)
        _purge_rows(database, run_id)
    return len(runs), freed


def _purge_rows(database: Database, run_id: int) -> None:
    """Delete a run's rows in chunks: a transaction over a million rows would block a run in training."""
    chunk = select(MetricRow.id).where(MetricRow.run_id == run_id).order_by(MetricRow.id).limit(_ROWS_AT_ONCE)
    while True:
        with database.write() as session:
            row = session.get(RunRow, run_id, with_for_update=True)
            if row is None or row.deleted_at is None:
                return
            ids = session.scalars(chunk).all()
            if not ids:
                keep_minutes(session, row)
                session.execute(delete(RunRow).where(RunRow.id == run_id))
                return
            session.execute(delete(MetricRow).where(MetricRow.run_id == run_id, MetricRow.id <= ids[-1]))


# Checkpoints of runs in the store: written by the holder of the lease, readable from any machine.

CACHE_VARIABLE = "CNNVIZ_STORE_CACHE_BYTES"
CACHE_BYTES = 2 << 30
"""Maximum size of the local cache of other machines' checkpoints."""


def publish(store: Store, run: RunSummary, path: Path, step: int) -> tuple[str, str]:
    """Upload a checkpoint of the run's present attempt; return its name in the store and its SHA-256.

    It becomes visible with its database row, which only the holder of the lease can write.
    """
    digest = sha256_of(path)  # Part of the name, so that an object with a row is never overwritten.
    name = f"{folder_of(run.id, run.key)}/{path.stem}-{run.attempt}-{step}-{digest[:16]}.safetensors"
    if store.put(path, name) != digest:
        raise StoreError(f"'{path.name}' was changed while it was put into the store.")
    return name, digest


def delete_superseded(store: Store, run: RunSummary, kind: str, keep: str) -> None:
    """Delete all objects of a kind except the one in the database; objects that cannot be deleted stay."""
    try:
        for name in store.names(folder_of(run.id, run.key)):
            if name != keep and Path(name).name.startswith(f"{kind}-"):
                store.delete(name)
    except StoreError:
        return


def ensure_local(store: Store, run: RunSummary, checkpoint: Checkpoint) -> Path:
    """Return the path of a checkpoint in the run's folder, downloading it unless the digest matches."""
    path = run_folder(run.id, run.key) / checkpoint.path
    if checkpoint.stored is not None and not (path.exists() and sha256_of(path) == checkpoint.digest):
        store.get(checkpoint.stored, checkpoint.digest, path)
    return path


def checkpoint_file(run: RunSummary, checkpoint: Checkpoint, host: str | None = None) -> Path:
    """Return the path of a checkpoint: in the run's folder, or downloaded to a bounded cache.

    The path need not exist: if the run trained on another machine and there is no shared store, it does not.

    Args:
        run: The run.
        checkpoint: Its checkpoint.
        host: Name of this machine, if not its host name.

    Raises:
        StoreError: The store cannot be read.
    """
    path = run_folder(run.id, run.key) / checkpoint.path
    this_host = host or socket.gethostname()
    if checkpoint.stored is None or checkpoint.digest is None or (run.host == this_host and path.exists()):
        return path
    store = open_store()
    if store is None:
        return path
    copy = home() / "cache" / "checkpoints" / f"{checkpoint.digest}.safetensors"
    if copy.exists():
        os.utime(copy)
    else:
        store.get(checkpoint.stored, checkpoint.digest, copy)
        evict_cache(copy.parent, keep=copy)
    return copy


def evict_cache(folder: Path, keep: Path, most: int | None = None) -> None:
    """Delete the least recently used copies until the cache holds at most `most` bytes."""
    setting = os.environ.get(CACHE_VARIABLE, "")
    limit = most if most is not None else int(setting) if setting.isdigit() else CACHE_BYTES
    copies = []
    for path in folder.glob("*.safetensors"):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        copies.append((path != keep, -state.st_mtime, state.st_size, path))
    total = 0
    for _, _, size, path in sorted(copies):
        total += size
        if total > limit and path != keep:
            path.unlink(missing_ok=True)


SUMMARY = "run.json"
"""Name of the summary in a run's folder, from which `training.recover` restores a lost database."""
COLUMNS = ("name", "step", "epoch", "value", "attempt", "time")
_PAGE = 10_000
_RECORDS = 20


def report(database: Database, run_id: int) -> dict[str, Any]:
    """Return the summary that `train --json` and `runs show --json` print; raise `NoSuchRunError`.

    `metrics` is `{name: {last, best, step, best_step}}` with the `step` of the last value; `checkpoint` is
    the path of the last checkpoint, or None.
    """
    run = get_run(database, run_id)
    saved = checkpoints(database, run_id)
    folder = run_folder(run.id, run.key)
    paths = {kind: str(folder / checkpoint.path) for kind, checkpoint in saved.items()}
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind.value,
        "status": run.status.value,
        "model": run.model,
        "dataset": run.data,
        "seed": run.seed,
        "recipe": run.recipe,
        "attempt": run.attempt,
        "step": run.step,
        "epoch": run.epoch,
        "metrics": {
            name: {"last": m.last, "best": m.best, "step": m.last_step, "best_step": m.best_step}
            for name, m in run.metrics.items()
        },
        "checkpoint": paths.get("last"),
        "checkpoints": {kind: {**saved[kind]._asdict(), "path": paths[kind]} for kind in saved},
        "disk_bytes": disk_bytes(run.id, run.key),
        "seconds": run.seconds if run.timed else None,
        "params": run.params,
        "device": run.device or run.device_class,
        "hardware": run.hardware,
        "host": run.host,
        "versions": run.versions,
        "fingerprint": run.fingerprint,
        "created": run.created,
        "began": run.began,
        "ended": run.ended,
        "error": run.error,
        "notes": run.notes,
        "tags": run.tags,
    }


def write_summary(database: Database, run_id: int) -> None:
    """Write a run's summary to its folder; errors are ignored, since they must not stop the run."""
    with suppress(OSError, TrackingError):
        run = get_run(database, run_id)
        folder = run_folder(run.id, run.key)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{SUMMARY}.{os.getpid()}.tmp"
        document = report(database, run_id) | {"total_steps": run.total_steps}
        try:
            temporary.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
            temporary.replace(folder / SUMMARY)
        finally:
            temporary.unlink(missing_ok=True)


def to_json(database: Database, run_id: int) -> Iterator[str]:
    """Yield pieces of one JSON document: summary, status history, all metric rows and all records.

    NaN and infinities become null, since JSON cannot represent them; CSV can.

    Raises:
        NoSuchRunError: There is no such run.
    """
    head = {
        **report(database, run_id),
        "history": [change._asdict() for change in history(database, run_id)],
        "metric_columns": COLUMNS,
    }
    yield orjson.dumps(head).decode()[:-1]
    yield ',"metric_rows":['
    for start, rows in _pages(database, run_id):
        yield ("," if start else "") + orjson.dumps([_cells(row) for row in rows]).decode()[1:-1]
    yield '],"records":['
    for start, body in _records(database, run_id):
        yield ("," if start else "") + body
    yield "]}\n"


def to_csv(database: Database, run_id: int) -> Iterator[str]:
    """Yield pieces of a CSV file, one line per metric row, under `COLUMNS`; raise `NoSuchRunError`."""
    yield csv_rows([COLUMNS])
    for _, rows in _pages(database, run_id):
        yield csv_rows(_cells(row) for row in rows)


def _pages(database: Database, run_id: int) -> Iterator[tuple[int, list[Metric]]]:
    cursor, more = 0, True
    while more:
        start = cursor
        page = read_metrics(database, run_id, cursor, _PAGE)
        cursor, more = page.cursor, page.more
        if page.rows:
            yield start, page.rows


def _records(database: Database, run_id: int) -> Iterator[tuple[int, str]]:
    after = 0
    while True:
        query = select(RecordRow).where(RecordRow.run_id == run_id, RecordRow.id > after)
        with database.read() as session:
            rows = session.scalars(query.order_by(RecordRow.id).limit(_RECORDS)).all()
        for row in rows:
            entry = {
                "kind": row.kind, "step": row.step, "epoch": row.epoch, "attempt": row.attempt,
                "time": row.time, "body": orjson.Fragment(row.body),
            }  # fmt: skip
            yield after, orjson.dumps(entry).decode()
            after = row.id
        if len(rows) < _RECORDS:
            return


def _cells(row: Metric) -> tuple[object, ...]:
    return row.name, row.step, row.epoch, row.value, row.attempt, row.time
