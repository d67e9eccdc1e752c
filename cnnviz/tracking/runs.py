"""Runs: create, list, read and edit. Status transitions are in `lifecycle` and `commands`."""

from __future__ import annotations

import gc
import os
import secrets
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from cnnviz.device_class import class_of
from cnnviz.tracking import commands
from cnnviz.tracking.commands import check_capacity, lock_run, require_lease
from cnnviz.tracking.curves import Floats
from cnnviz.tracking.database import Database, NoSuchRunError
from cnnviz.tracking.limits import check_limits, get_or_create_owner, require_owner
from cnnviz.tracking.metrics import BLOCK, summaries
from cnnviz.tracking.records import (
    Kind,
    Lease,
    MetricSummaries,
    Run,
    RunFacts,
    RunSummary,
    Status,
    StatusChange,
    data_name,
    process_handle,
)
from cnnviz.tracking.tables import AttemptRow, CheckpointRow, MetricRow, RunRow, SeriesRow, StatusRow

MAX_RUNS = 10_000


def create_run(
    database: Database,
    recipe: Mapping[str, Any],
    *,
    model: str,
    dataset: str,
    seed: int,
    name: str = "",
    titles: tuple[str, str] = ("", ""),
    device: str = "cpu",
    parent_id: int | None = None,
    total_epochs: float | None = None,
    needs: Mapping[str, Any] | None = None,
) -> Run:
    """Queue a run; it belongs to the current principal.

    Args:
        database: The run database.
        recipe: The recipe as JSON, stored unchanged.
        model: For the list of runs, like the next three.
        dataset: The data.
        seed: The random seed.
        name: Display name; `MODEL on DATASET` by default, with the last part of a path.
        titles: Titles of model and data for the default name, in place of their keys; empty: unknown.
        device: Requested class of device, as in a recipe: `auto`, `cpu`, `gpu`, `gpu:4`. The machine that
            claims the run picks the device; runs on one device run one after another.
        parent_id: The run of which this one is a changed copy.
        total_epochs: Length of the run, if known.
        needs: Requirements of its worker (`Run.needs`).

    Raises:
        QueueFullError: `MAX_QUEUED` runs are already queued.
        LimitError: The owner has reached a limit.
        NotOwnerError: The principal is read-only.
    """
    now = time.time()
    row = RunRow(
        key=secrets.token_hex(6), name=name, status=Status.QUEUED.value,
        recipe=dict(recipe), model=model, dataset=dataset, seed=seed,
        device_class=class_of(device), needs=None if needs is None else dict(needs), parent_id=parent_id,
        total_epochs=total_epochs, created=now, queued=now,
    )  # fmt: skip
    with database.write() as session:
        row.owner_id = get_or_create_owner(session, "queue a run")
        check_limits(session, row.owner_id)
        check_capacity(session)
        row.name = name or f"{titles[0] or model} on {titles[1] or _distinct_data_name(session, dataset)}"
        session.add(row)
        session.flush()
        session.add(StatusRow(run_id=row.id, attempt=0, old=None, new=row.status, time=now))
        run = _run(session, row.id)
    commands.notify()
    return run


FIRST_ATTEMPT = 1


def create_external_run(
    database: Database,
    kind: Kind,
    *,
    model: str,
    dataset: str,
    name: str = "",
    device: str = "cpu",
    recipe: Mapping[str, Any] | None = None,
    process: tuple[int, float] | None = None,
) -> Lease:
    """Insert a run that is not trained here, as running, and return its lease.

    It is never queued. `tracking.end` ends it.

    Args:
        database: The run database.
        kind: `WATCHED` or `IMPORTED`.
        model: For the list of runs, like the next one.
        dataset: The data.
        name: Display name; `MODEL on DATASET` by default.
        device: Device on which it reports to train; the run does not reserve it.
        recipe: The known fields of its recipe.
        process: Of a watched run, the PID and the start time (Unix timestamp) of its process.

    Raises:
        ValueError: `kind` is `TRAINED`.
    """
    if kind is Kind.TRAINED:
        raise ValueError("A run that is trained here waits in the queue: see `create_run`.")
    now, status = time.time(), Status.RUNNING.value
    row = RunRow(
        key=secrets.token_hex(6), name=(name or f"{model} on {data_name(dataset)}")[:200], status=status,
        kind=kind.value, recipe=dict(recipe or {}), model=model[:200], dataset=dataset, seed=0,
        device=device[:100], device_class=class_of(device[:100]), host=socket.gethostname(),
        attempt=FIRST_ATTEMPT, created=now, queued=now,
        began=now, heartbeat=now,
    )  # fmt: skip
    if process is not None:
        row.worker = process_handle(*process)
    with database.write() as session:
        row.owner_id = get_or_create_owner(session, "record a run")
        session.add(row)
        session.flush()
        session.add(StatusRow(run_id=row.id, attempt=FIRST_ATTEMPT, old=None, new=status, time=now))
        session.add(AttemptRow(run_id=row.id, number=FIRST_ATTEMPT, from_step=-1, began=now))
        return Lease(row.id, FIRST_ATTEMPT)


def describe_run(
    database: Database, lease: Lease, facts: RunFacts, recipe: Mapping[str, Any] | None = None
) -> None:
    """Update facts and recipe fields of an active run; raise `StaleAttemptError`.

    Raises `StaleAttemptError`.
    """
    values = {name: value for name, value in asdict(facts).items() if value is not None}
    with database.write() as session:
        row = require_lease(session, lease)
        for name, value in values.items():
            setattr(row, name, value)
        if recipe:
            row.recipe = {**row.recipe, **recipe}


def _distinct_data_name(session: Session, dataset: str) -> str:
    """Return the data's name, with its parent folder if runs on other data have the same name."""
    name = data_name(dataset)
    if name == dataset:
        return name
    known_datasets = session.scalars(select(RunRow.dataset).distinct())
    if all(other == dataset or data_name(other) != name for other in known_datasets):
        return name
    parent = dataset.rstrip("/\\").replace("\\", "/").split("/")[-2:-1]
    return f"{name} ({parent[0]})" if parent and parent[0] else name


def get_run(database: Database, run_id: int) -> Run:
    """Return a run, deleted or not; raise `NoSuchRunError`."""
    with database.read() as session:
        return _run(session, run_id)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the garbage collector while many objects are made that all stay.

    It would go through them again and again: 0.4 of the processor time of a list of 10,000 runs.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def list_runs(
    database: Database,
    *,
    ids: Collection[int] | None = None,
    statuses: Collection[Status] | None = None,
    model: str | None = None,
    deleted: bool = False,
    metrics: Sequence[str] | None = None,
    limit: int = MAX_RUNS,
    offset: int = 0,
) -> list[RunSummary]:
    """List runs, newest first, with metric summaries; always two queries.

    Args:
        database: The run database.
        ids: Only these runs.
        statuses: Only runs with one of these statuses.
        model: Only runs of the model with this name.
        deleted: Deleted runs instead of the others.
        metrics: Names of metrics; all by default.
        limit: Maximum number of runs.
        offset: Number of newest runs to skip.
    """
    query = _query(ids, statuses, deleted).order_by(RunRow.id.desc()).limit(limit).offset(offset)
    if model is not None:
        query = query.where(RunRow.model == model)
    with database.read() as session, _collector_paused():
        # A subquery: 10,000 ids would exceed the maximum number of query parameters.
        chosen = query.with_only_columns(RunRow.id).subquery()
        metrics_by_run = summaries(session, select(chosen.c.id), metrics)
        result = session.connection().execute(query.with_only_columns(*_columns(RunSummary)))
        return [_summary(row, metrics_by_run[row[0]]) for rows in result.partitions(BLOCK) for row in rows]


def update_run(
    database: Database,
    run_id: int,
    *,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
) -> Run:
    """Change the name, notes or tags of a run; None leaves the value. Raise `NoSuchRunError`."""
    if name is not None and not name.strip():
        raise ValueError("A run has a name.")
    with database.write() as session:
        row = lock_run(session, run_id)
        require_owner(session, row.owner_id, f"Run {run_id}")
        row.name = row.name if name is None else name.strip()[:200]
        row.notes = row.notes if notes is None else notes
        row.tags = row.tags if tags is None else sorted({tag.strip() for tag in tags} - {""})
        session.flush()
        return _run(session, run_id)


def history(database: Database, run_id: int) -> list[StatusChange]:
    """Return all status transitions of a run, oldest first."""
    query = select(StatusRow.attempt, StatusRow.old, StatusRow.new, StatusRow.time, StatusRow.reason)
    with database.read() as session:
        rows = session.execute(query.where(StatusRow.run_id == run_id).order_by(StatusRow.id)).all()
    return [
        StatusChange(attempt, None if old is None else Status(old), Status(new), when, reason)
        for attempt, old, new, when, reason in rows
    ]


def _query(ids: Collection[int] | None, statuses: Collection[Status] | None, deleted: bool) -> Select[RunRow]:
    query = select(RunRow).where(RunRow.deleted_at.is_not(None) if deleted else RunRow.deleted_at.is_(None))
    if ids is not None:
        query = query.where(RunRow.id.in_(ids))
    if statuses is not None:
        query = query.where(RunRow.status.in_(sorted(statuses)))
    return query


def _columns(kind: type[RunSummary]) -> list[Any]:
    return [getattr(RunRow, field.name) for field in fields(kind) if field.name != "metrics"]


_KEYS = [column.key for column in _columns(RunSummary)]
_STATUS, _KIND = _KEYS.index("status") - 1, _KEYS.index("kind") - 1
_STATUSES, _KINDS = {status.value: status for status in Status}, {kind.value: kind for kind in Kind}


def _summary(row: Any, metrics: MetricSummaries) -> RunSummary:
    """Make a `RunSummary` of a row of `_columns`.

    Not by its constructor: a frozen dataclass sets its fields one by one through `object.__setattr__`, which
    takes three times as long; a list has 10,000.
    """
    values = dict(zip(_KEYS, row, strict=True))
    values["status"], values["kind"] = _STATUSES[values["status"]], _KINDS[values["kind"]]
    summary = object.__new__(RunSummary)
    summary.__dict__.update(values, metrics=metrics)
    summary.__post_init__()
    return summary


def _typed(values: Any) -> list[Any]:
    row = list(values)
    row[_STATUS], row[_KIND] = _STATUSES[row[_STATUS]], _KINDS[row[_KIND]]
    return row


def _run(session: Session, run_id: int) -> Run:
    row = session.execute(select(*_columns(Run)).where(RunRow.id == run_id)).one_or_none()
    if row is None:
        raise NoSuchRunError(f"There is no run {run_id}.")
    return Run(row[0], *_typed(row[1:]), metrics=summaries(session, [run_id])[run_id])


# Further columns of a table of runs; one query each for any number of runs.


def stamp(database: Database) -> tuple[Any, ...]:
    """Return a value that changes when a run is created, progresses, changes status, is deleted or restored.

    It takes milliseconds to compute, so a list is read again only after a change. Notes, tags and names are
    not part of it.
    """
    runs = select(func.count(RunRow.id), func.count(RunRow.deleted_at), func.max(RunRow.deleted_at))
    with database.read() as session:
        newest = (session.scalar(select(func.max(table.id))) for table in (StatusRow, MetricRow))
        return (*session.execute(runs).one(), *newest)


def metric_names(database: Database) -> list[str]:
    """Return the names of all logged metrics, sorted."""
    with database.read() as session:
        return sorted(session.scalars(select(SeriesRow.name).distinct()).all())


def checkpoint_bytes(database: Database) -> dict[int, int]:
    """Return `{run: bytes of its checkpoints}` as stored in the database.

    `disk_bytes` measures the folder of one run instead.
    """
    query = select(CheckpointRow.run_id, func.sum(CheckpointRow.bytes)).group_by(CheckpointRow.run_id)
    with database.read() as session:
        return {run_id: int(size) for run_id, size in session.execute(query)}


def stored_runs(database: Database) -> frozenset[int]:
    """Return the ids of runs whose last checkpoint is in the store, if this process has a store."""
    if not os.environ.get("CNNVIZ_STORE"):
        return frozenset()
    query = select(CheckpointRow.run_id).where(
        CheckpointRow.kind == "last", CheckpointRow.stored.is_not(None)
    )
    with database.read() as session:
        return frozenset(session.scalars(query))


def recipes(database: Database, ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """Return `{run: recipe}` of the existing runs among `ids`."""
    query = select(RunRow.id, RunRow.recipe)
    # More ids than a query may have parameters: read all recipes.
    if len(ids) <= 1_000:
        query = query.where(RunRow.id.in_(ids))
    with database.read() as session:
        rows = session.connection().execute(query).all()
    wanted = set(ids)
    return {run_id: recipe for run_id, recipe in rows if run_id in wanted}


# Training time: wall-clock time without the gaps of pauses and crashes.

_TRAINING = frozenset((Status.RUNNING, Status.STOPPING))


def elapsed(changes: Sequence[StatusChange], times: Floats) -> Floats:
    """Return the training time in seconds up to each of `times`, shape `(N,)`, without waiting times.

    Time whose rows were made void by a resumption counts: it was spent.

    Args:
        changes: The run's `history`.
        times: Unix timestamps, in increasing order.
    """
    moments, spent, begun = [0.0], [0.0], None
    for change in changes:
        working = change.new in _TRAINING
        if working and begun is None:
            begun = change.time
            moments.append(begun)
            spent.append(spent[-1])
        elif not working and begun is not None:
            moments.append(max(change.time, begun))
            spent.append(spent[-1] + max(0.0, change.time - begun))
            begun = None
    if begun is not None and len(times):
        latest = max(begun, float(times[-1]))
        moments.append(latest)
        spent.append(spent[-1] + latest - begun)
    return np.asarray(np.interp(times, moments, spent), np.float64)
