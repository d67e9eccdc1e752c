"""What the package hands out: plain immutable values, never a row that is tied to a connection."""

from __future__ import annotations

import math
import re
import socket
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from sqlalchemy import select

from cnnviz.device_class import ANY
from cnnviz.sentences import full_stop
from cnnviz.tracking.database import Database
from cnnviz.tracking.states import ACTIVE, RESUMABLE, Kind, Status
from cnnviz.tracking.tables import RecordRow


def ray_handle(actor: str, state: str, node: str = "", node_id: str = "") -> dict[str, Any]:
    """The handle of a worker in a Ray cluster: the actor's name, its state and, once it has one, its node."""
    return {"kind": RAY, "actor": actor, "state": state, "node": node, "node_id": node_id}


def data_name(dataset: str) -> str:
    """Name the data that a run was trained on: a path by its last part, without the ending of a file."""
    if not _PATH.match(dataset):
        return dataset
    last = dataset.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    return last.removesuffix(".zip").removesuffix(".parquet") or dataset


_PATH = re.compile(r"[/~.\\]|[A-Za-z]:[/\\]")
"""How paths begin; names of data sets begin with a letter or a digit."""


PROCESS, RAY = "process", "ray"
"""Kinds of workers."""
SUBMITTED, STARTING = "submitted", "starting"
"""States of a cluster's worker: it waits for room there; it has room, and makes itself ready."""


def process_handle(pid: int, process_started: float | None, host: str | None = None) -> dict[str, Any]:
    """The handle of a process: its machine, its number and, since numbers are reused, its time of start."""
    return {
        "kind": PROCESS, "host": host or socket.gethostname(), "pid": pid, "started": process_started,
    }  # fmt: skip


@dataclass(frozen=True)
class Lease:
    """The right to work on a run, given to one worker. The next claim of the run makes it worthless."""

    run_id: int
    attempt: int


class MetricSummary(NamedTuple):
    """One metric of a run in a line. `low` and `high` are None where every value was NaN."""

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
        """The smallest value of what should be small (`lower_is_better`), else the largest."""
        return self.low if lower_is_better(self.name) else self.high

    @property
    def best_step(self) -> int | None:
        """The first step that reached `best`."""
        return self.low_step if lower_is_better(self.name) else self.high_step


def lower_is_better(metric: str) -> bool:
    """Whether a metric is one that training makes small: a loss, an error, seconds or bytes."""
    last = metric.rpartition("/")[2]
    return last.endswith(("loss", "error", "seconds", "bytes"))


@dataclass(frozen=True)
class RunFacts:
    """What only the worker finds out. None leaves what is known."""

    params: int | None = None
    versions: dict[str, Any] | None = None
    hardware: str | None = None
    fingerprint: str | None = None
    total_steps: int | None = None
    total_epochs: float | None = None


@dataclass(frozen=True)
class RunSummary:
    """A run as a list shows it. Times are seconds since 1970.

    `key` names the run's folder and is unique in every database; `device_class` is what it asked for,
    `device` where it trains or trained last, `host` the machine that holds its files; `attempt` counts
    claims, `tries` how often it went on by itself after its machine was gone; `began` and `ended` belong to
    the last attempt. `worker` is the handle of whoever works on it, as JSON.
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
    metrics: dict[str, MetricSummary] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        """Call by the data's name what was called by their path: runs of earlier versions were."""
        if self.name == f"{self.model} on {self.dataset}":
            object.__setattr__(self, "name", f"{self.model} on {self.data}")

    @property
    def data(self) -> str:
        """What its data are called where it is shown; `dataset` may be a path, which stays in the recipe."""
        return data_name(self.dataset)

    @property
    def active(self) -> bool:
        """Whether a worker belongs to it."""
        return self.status in ACTIVE

    @property
    def trained(self) -> bool:
        """Whether it is ours: only such a run follows its recipe, and can be paused and resumed."""
        return self.kind is Kind.TRAINED

    @property
    def has_recipe(self) -> bool:
        """Whether its recipe is whole and can be followed again: ours, trained here or recorded."""
        return self.kind in (Kind.TRAINED, Kind.RECORDED)

    @property
    def resumable(self) -> bool:
        """Whether it can go on: a watched run has its loop in a process of its own, which is gone."""
        return self.trained and self.status in RESUMABLE

    @property
    def seconds(self) -> float:
        """Time spent in training by all attempts, up to the last sign of life."""
        if self.active and self.began is not None:
            return self.earlier_seconds + max(0.0, (self.heartbeat or self.began) - self.began)
        return self.earlier_seconds

    @property
    def device_text(self) -> str:
        """Where it trains or trained last; while it waits, what it waits for."""
        if self.status is not Status.QUEUED and self.device:
            return self.device
        return "any device" if self.device_class == ANY else self.device_class

    @property
    def worker_pid(self) -> int | None:
        """The number of the process that works on it; None where none does, or where it is no process."""
        return None if self.worker is None else self.worker.get("pid")

    @property
    def worker_started(self) -> float | None:
        """When that process was started."""
        return None if self.worker is None else self.worker.get("started")

    @property
    def on_cluster(self) -> bool:
        """Whether its worker is a cluster's, which finds the run's files in the store alone."""
        return self.worker is not None and self.worker.get("kind") != PROCESS

    @property
    def submitted(self) -> bool:
        """Whether it was handed to a cluster that has had no room for it yet."""
        return self.worker is not None and self.worker.get("state") == SUBMITTED

    @property
    def lease(self) -> Lease:
        """The right of the present attempt's worker, for whoever watches over it."""
        return Lease(self.id, self.attempt)


def actor_name(run: RunSummary) -> str:
    """What the actor of a run's present attempt is called in a Ray cluster."""
    return f"cnnviz-{run.key}-{run.attempt}"


@dataclass(frozen=True)
class Run(RunSummary):
    """A run with all that is known of it."""

    recipe: dict[str, Any]
    versions: dict[str, Any] | None
    hardware: str | None
    fingerprint: str | None
    last_lines: str | None
    needs: dict[str, Any] | None
    """What its worker has to have: where its data can be had, and the digest of users' code."""


class StatusChange(NamedTuple):
    """One change of state; `old` is None for the first."""

    attempt: int
    old: Status | None
    new: Status
    time: float
    reason: str | None


class Restart(NamedTuple):
    """The beginning of an attempt: what was logged after `from_step` by earlier ones is void."""

    attempt: int
    from_step: int


class Metric(NamedTuple):
    """One value of one metric; NaN where it was not a number."""

    id: int
    attempt: int
    step: int
    epoch: float
    name: str
    value: float
    time: float


class MetricPage(NamedTuple):
    """Rows after a cursor, the cursor after them, every restart so far, and whether there is more."""

    rows: list[Metric]
    cursor: int
    restarts: tuple[Restart, ...]
    more: bool


class Record(NamedTuple):
    """One structured record; `body` is what was logged, read back from JSON."""

    id: int
    kind: str
    attempt: int
    step: int
    epoch: float
    body: Any
    time: float


class Checkpoint(NamedTuple):
    """A complete checkpoint; `path` is relative to the run's folder, `stored` its name in the store."""

    kind: str
    path: str
    attempt: int
    step: int
    epoch: float
    bytes: int
    time: float
    digest: str | None = None
    """SHA-256 of the file in hexadecimal; older checkpoints have none."""
    stored: str | None = None


def number(value: float | None) -> float:
    """A stored value: NULL stands for NaN."""
    return math.nan if value is None else value


# What is larger than a number, kept as JSON: layer statistics, confusion matrices, predictions.

LARGEST_RECORD = 16 * 2**20


class Structure(NamedTuple):
    """One structured record on its way to the database, encoded already."""

    kind: str
    step: int
    epoch: float
    body: str
    time: float


def encode(body: Any) -> str:
    """JSON of dicts, lists, numbers, strings and numpy arrays; what is not a number becomes null.

    Raises `ValueError` for anything else and for more than 16 MiB.
    """
    try:
        found = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise ValueError(
            full_stop(f"A record holds what JSON can hold, and numpy arrays: {error}")
        ) from error
    if len(found) > LARGEST_RECORD:
        raise ValueError(f"A record has at most {LARGEST_RECORD:,} bytes, not {len(found):,}.")
    return found.decode()


def read_records(
    database: Database, run_id: int, kind: str, after_id: int = 0, limit: int = 1000
) -> list[Record]:
    """The records of a kind after a cursor (the `id` of the last one seen), oldest first.

    A resumed run deletes records as it deletes metric rows; see `read_metrics`.
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
    """The newest record of a kind, if there is one."""
    newest = select(RecordRow).where(RecordRow.run_id == run_id, RecordRow.kind == kind)
    with database.read() as session:
        row = session.scalar(newest.order_by(RecordRow.id.desc()).limit(1))
        return None if row is None else _record(row)


def _record(row: RecordRow) -> Record:
    return Record(row.id, row.kind, row.attempt, row.step, row.epoch, orjson.loads(row.body), row.time)
