"""Value types that the package returns, never tied to a database session; statuses and their transitions."""

from __future__ import annotations

import math
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from sqlalchemy import select

from cnnviz.device_class import ANY
from cnnviz.sentences import full_stop
from cnnviz.tracking.database import Database
from cnnviz.tracking.tables import RecordRow


class Status(StrEnum):
    """Status of a run."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Kind(StrEnum):
    """Origin of a run, which decides the operations that it supports."""

    TRAINED = "trained"
    """Trained by our worker from its recipe: can be claimed, paused, resumed, killed and probed."""
    WATCHED = "watched"
    """A user's own training loop (`cnnviz.watch`): it can only be asked to stop."""
    IMPORTED = "imported"
    """A history read from a file; there is no process."""
    RECORDED = "recorded"
    """A run that ships with cnnviz."""


class Command(StrEnum):
    """Request of a page to a run's worker."""

    PAUSE = "pause"
    STOP = "stop"
    RESUME = "resume"


# Runs with one of these statuses have a worker and hold their device. A paused run holds none: its worker has
# saved a checkpoint and exited, so a pause survives a restart of the app and frees the device.
ACTIVE = frozenset((Status.STARTING, Status.RUNNING, Status.STOPPING))
RESUMABLE = frozenset((Status.PAUSED, Status.STOPPED, Status.FAILED, Status.INTERRUPTED))

_ENDS = frozenset((Status.STOPPED, Status.FAILED, Status.INTERRUPTED))
ALLOWED: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset((Status.STARTING, Status.PAUSED, Status.STOPPED)),
    Status.STARTING: frozenset((Status.RUNNING, Status.PAUSED)) | _ENDS,
    Status.RUNNING: frozenset((Status.PAUSED, Status.STOPPING, Status.FINISHED)) | _ENDS,
    Status.STOPPING: frozenset((Status.FINISHED,)) | _ENDS,
    Status.PAUSED: frozenset((Status.QUEUED, Status.STOPPED)),
    Status.STOPPED: frozenset((Status.QUEUED,)),
    Status.FAILED: frozenset((Status.QUEUED,)),
    Status.INTERRUPTED: frozenset((Status.QUEUED,)),
    Status.FINISHED: frozenset(),
}


def ray_handle(actor: str, state: str, node: str = "", node_id: str = "") -> dict[str, Any]:
    """Return the handle of a Ray worker: actor name, state, and node once it is scheduled."""
    return {"kind": RAY, "actor": actor, "state": state, "node": node, "node_id": node_id}


def data_name(dataset: str) -> str:
    """Return the display name of a run's data: the last part of a path, without .zip or .parquet."""
    if not _PATH.match(dataset):
        return dataset
    last = dataset.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    return last.removesuffix(".zip").removesuffix(".parquet") or dataset


_PATH = re.compile(r"[/~.\\]|[A-Za-z]:[/\\]")
"""Prefix of a path; names of data sets begin with a letter or a digit."""


PROCESS, RAY = "process", "ray"
"""Kinds of worker handles."""
SUBMITTED, STARTING = "submitted", "starting"
"""States of a cluster's worker: pending until the cluster has resources; then preparing to train."""


def process_handle(pid: int, process_started: float | None, host: str | None = None) -> dict[str, Any]:
    """Return the handle of a process: host, PID and, since PIDs are reused, start time."""
    return {
        "kind": PROCESS, "host": host or socket.gethostname(), "pid": pid, "started": process_started,
    }  # fmt: skip


@dataclass(frozen=True)
class Lease:
    """Right of one worker to write to a run; the next claim of the run invalidates it."""

    run_id: int
    attempt: int


class MetricSummary(NamedTuple):
    """Summary of one metric of a run. `low` and `high` are None if every value was NaN."""

    name: str
    rows: int
    last: float | None
    last_step: int
    low: float | None
    low_step: int | None
    high: float | None
    high_step: int | None

    @property
    def best(self) -> float | None:
        """Smallest value of a metric that `lower_is_better`, else the largest."""
        return self.low if lower_is_better(self.name) else self.high

    @property
    def best_step(self) -> int | None:
        """First step that reached `best`."""
        return self.low_step if lower_is_better(self.name) else self.high_step


class MetricSummaries(Mapping[str, MetricSummary]):
    """Summaries of a run's metrics by name, each made when it is asked for.

    A list of 10,000 runs holds 80,000 of them, and a table shows a few: the garbage collector passes over
    plain tuples, and would visit as many objects several times while the list is read (a third of its time).
    """

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[str, tuple[Any, ...]] = {}

    def add(self, row: tuple[Any, ...]) -> None:
        """Add a run's id with the values of a `MetricSummary`, in its order."""
        self._rows[row[1]] = row

    def __getitem__(self, name: str) -> MetricSummary:
        """Return the summary of a metric; raise `KeyError` for one that was not logged."""
        return MetricSummary._make(self._rows[name][1:])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order in which they were first logged."""
        return iter(self._rows)

    def __len__(self) -> int:
        """Return the number of metrics."""
        return len(self._rows)

    def __repr__(self) -> str:
        """Return the summaries as a dictionary is shown."""
        return repr(dict(self))


def lower_is_better(metric: str) -> bool:
    """Return whether a lower value of the metric is better: losses, errors, seconds and bytes."""
    last = metric.rpartition("/")[2]
    return last.endswith(("loss", "error", "seconds", "bytes"))


@dataclass(frozen=True)
class RunFacts:
    """Properties of a run that only its worker can determine. None leaves the stored value."""

    params: int | None = None
    versions: dict[str, Any] | None = None
    hardware: str | None = None
    fingerprint: str | None = None
    total_steps: int | None = None
    total_epochs: float | None = None


@dataclass(frozen=True)
class RunSummary:
    """Summary of a run, as listed. Times are Unix timestamps in seconds.

    `key` names the run's folder and is unique across databases; `device_class` is the requested class of
    device, `device` the device of the present or last attempt, `host` the machine that holds its files;
    `attempt` counts claims, `tries` automatic restarts after its machine was lost; `began` and `ended` are of
    the last attempt. `worker` is the handle of its worker as JSON.
    """

    id: int
    key: str
    name: str
    status: Status
    kind: Kind
    model: str
    dataset: str
    seed: int
    owner_id: int | None
    device_class: str
    device: str
    host: str | None
    parent_id: int | None
    params: int | None
    attempt: int
    tries: int
    worker: dict[str, Any] | None
    heartbeat: float | None
    step: int
    epoch: float
    total_steps: int | None
    total_epochs: float | None
    created: float
    queued: float
    began: float | None
    ended: float | None
    earlier_seconds: float
    error: str | None
    notes: str
    tags: list[str]
    deleted_at: float | None
    metrics: Mapping[str, MetricSummary] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        """Replace the path in default names of runs made by earlier versions by the data's name."""
        if self.name == f"{self.model} on {self.dataset}":
            object.__setattr__(self, "name", f"{self.model} on {self.data}")

    @property
    def data(self) -> str:
        """Display name of the data; `dataset` may be a path, which stays in the recipe."""
        return data_name(self.dataset)

    @property
    def active(self) -> bool:
        """Return whether the run has a worker."""
        return self.status in ACTIVE

    @property
    def trained(self) -> bool:
        """Return whether the run is trained here: only such a run can be paused and resumed."""
        return self.kind is Kind.TRAINED

    @property
    def has_recipe(self) -> bool:
        """Return whether the recipe is complete and can be cloned: trained here, or recorded."""
        return self.kind in (Kind.TRAINED, Kind.RECORDED)

    @property
    def timed(self) -> bool:
        """Return whether times and machine are a training's; an imported history has those of its import."""
        return self.kind is not Kind.IMPORTED

    @property
    def counts_epochs(self) -> bool:
        """Return whether epochs are known: a loop of one's own, or a history, may count steps alone."""
        return self.has_recipe or self.epoch > 0

    @property
    def resumable(self) -> bool:
        """Return whether the run can be resumed; a watched run cannot, since its process has ended."""
        return self.trained and self.status in RESUMABLE

    @property
    def seconds(self) -> float:
        """Training time of all attempts in seconds, up to the last heartbeat."""
        if self.active and self.began is not None:
            return self.earlier_seconds + max(0.0, (self.heartbeat or self.began) - self.began)
        return self.earlier_seconds

    @property
    def device_text(self) -> str:
        """Device of the present or last attempt; the requested class while the run is queued."""
        if self.status is not Status.QUEUED and self.device:
            return self.device
        return "any device" if self.device_class == ANY else self.device_class

    @property
    def worker_pid(self) -> int | None:
        """PID of the worker process; None without a worker, or if it is not a process."""
        return None if self.worker is None else self.worker.get("pid")

    @property
    def worker_started(self) -> float | None:
        """Start time of the worker process."""
        return None if self.worker is None else self.worker.get("started")

    @property
    def on_cluster(self) -> bool:
        """Return whether the worker runs in a cluster, where only the store has the run's files."""
        return self.worker is not None and self.worker.get("kind") != PROCESS

    @property
    def submitted(self) -> bool:
        """Return whether the run was submitted to a cluster that has no resources for it yet."""
        return self.worker is not None and self.worker.get("state") == SUBMITTED

    @property
    def lease(self) -> Lease:
        """Lease of the present attempt, for its supervisor."""
        return Lease(self.id, self.attempt)


def actor_name(run: RunSummary) -> str:
    """Return the name of the Ray actor of a run's present attempt."""
    return f"cnnviz-{run.key}-{run.attempt}"


@dataclass(frozen=True)
class Run(RunSummary):
    """All stored properties of a run."""

    recipe: dict[str, Any]
    versions: dict[str, Any] | None
    hardware: str | None
    fingerprint: str | None
    last_lines: str | None
    needs: dict[str, Any] | None
    """Requirements of the worker: where the data can be loaded from, and the digest of users' code."""


class StatusChange(NamedTuple):
    """One status transition; `old` is None for the first."""

    attempt: int
    old: Status | None
    new: Status
    time: float
    reason: str | None


class Restart(NamedTuple):
    """Start of an attempt: rows that earlier attempts logged after `from_step` are void."""

    attempt: int
    from_step: int


class Metric(NamedTuple):
    """One value of one metric; NaN if it was not a number."""

    id: int
    attempt: int
    step: int
    epoch: float
    name: str
    value: float
    time: float


class MetricPage(NamedTuple):
    """Page of metric rows after a cursor, the next cursor, all restarts, and whether more rows follow."""

    rows: list[Metric]
    cursor: int
    restarts: tuple[Restart, ...]
    more: bool


class Record(NamedTuple):
    """One structured record; `body` is the logged value, decoded from JSON."""

    id: int
    kind: str
    attempt: int
    step: int
    epoch: float
    body: Any
    time: float


class Checkpoint(NamedTuple):
    """A complete checkpoint: `path` is relative to the run's folder, `stored` its name in the store."""

    kind: str
    path: str
    attempt: int
    step: int
    epoch: float
    bytes: int
    time: float
    digest: str | None = None
    """SHA-256 of the file in hexadecimal; None for checkpoints of earlier versions."""
    stored: str | None = None


def nan_if_none(value: float | None) -> float:
    """Return a stored value as a float: NULL is NaN."""
    return math.nan if value is None else value


# Structured records as JSON: layer statistics, confusion matrices, predictions.

LARGEST_RECORD = 16 * 2**20


class EncodedRecord(NamedTuple):
    """An encoded record that waits to be written to the database."""

    kind: str
    step: int
    epoch: float
    body: str
    time: float


def encode(body: Any) -> str:
    """Encode dicts, lists, numbers, strings and numpy arrays as JSON; NaN and infinities become null.

    Raises:
        ValueError: The value cannot be encoded, or the result is larger than 16 MiB.
    """
    try:
        encoded = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise ValueError(
            full_stop(f"A record holds what JSON can hold, and numpy arrays: {error}")
        ) from error
    if len(encoded) > LARGEST_RECORD:
        raise ValueError(f"A record has at most {LARGEST_RECORD:,} bytes, not {len(encoded):,}.")
    return encoded.decode()


def read_records(
    database: Database, run_id: int, kind: str, after_id: int = 0, limit: int = 1000
) -> list[Record]:
    """Return the records of a kind after a cursor (the `id` of the last one read), oldest first.

    A resumed run deletes records together with metric rows; see `read_metrics`.
    """
    query = (
        select(RecordRow)
        .where(RecordRow.run_id == run_id, RecordRow.kind == kind, RecordRow.id > after_id)
        .order_by(RecordRow.id)
        .limit(limit)
    )
    with database.read() as session:
        return [_record(row) for row in session.scalars(query).all()]


def latest_record(database: Database, run_id: int, kind: str) -> Record | None:
    """Return the newest record of a kind, or None."""
    newest = select(RecordRow).where(RecordRow.run_id == run_id, RecordRow.kind == kind)
    with database.read() as session:
        row = session.scalar(newest.order_by(RecordRow.id.desc()).limit(1))
        return None if row is None else _record(row)


def _record(row: RecordRow) -> Record:
    return Record(row.id, row.kind, row.attempt, row.step, row.epoch, orjson.loads(row.body), row.time)
