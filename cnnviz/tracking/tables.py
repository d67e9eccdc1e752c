"""The tables, as typed classes. What leaves the package is `records`, never one of these.

Times are seconds since 1970 (UTC). A value that is not a number is stored as NULL: SQLite has no NaN, and
PostgreSQL sorts it above everything.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, Integer, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
# SQLite counts rows by itself only in a column declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
Json = JSON(none_as_null=True)
_RUNS = "runs.id"
_OWNERS = "owners.id"
LOCAL_OWNER = 1
"""Who owns what somebody makes alone on their own machine, and all that was there before owners."""
# A watched run holds no device: it is somebody else's process, which runs whatever we queue.
_HOLDS_DEVICE = text("status IN ('starting', 'running', 'stopping') AND kind = 'trained'")


class Base(DeclarativeBase):
    """The tables' common ground."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 SQLAlchemy's form
        float: Double,
        dict[str, Any]: Json,
        list[str]: Json,
        Any: Json,
    }


class OwnerRow(Base):
    """Somebody whose runs, experiments, models, data sets and uploads these are: issuer and subject."""

    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(20))
    created: Mapped[float]

    __table_args__ = (
        Index("uq_owners_issuer_subject", "issuer", "subject", unique=True),
        {"sqlite_autoincrement": True},
    )


class SettingRow(Base):
    """A setting or a limit as JSON; its scope is `global`, or `owner:` and an owner's number."""

    __tablename__ = "settings"

    scope: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[Any | None]


class MachineRow(Base):
    """Where runs can train: a supervisor, the devices of its machine or cluster, when it was last there."""

    __tablename__ = "machines"

    key: Mapped[str] = mapped_column(String(12), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    launcher: Mapped[str] = mapped_column(String(40))
    devices: Mapped[list[str]]
    facts: Mapped[dict[str, Any]]
    began: Mapped[float]
    seen: Mapped[float]


class RunRow(Base):
    """One run: what was asked, where it stands, who works on it."""

    __tablename__ = "runs"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(12), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16), default="trained", server_default="trained")
    owner_id: Mapped[int | None] = mapped_column(ForeignKey(_OWNERS), default=LOCAL_OWNER, index=True)
    recipe: Mapped[dict[str, Any]]
    model: Mapped[str] = mapped_column(String(200))
    dataset: Mapped[str] = mapped_column(Text)
    seed: Mapped[int] = mapped_column(BigInteger)
    device_class: Mapped[str] = mapped_column(String(100), default="any", server_default="any")
    device: Mapped[str] = mapped_column(String(100), default="")
    host: Mapped[str | None] = mapped_column(String(255))
    parent_id: Mapped[int | None] = mapped_column(BigInteger)
    params: Mapped[int | None] = mapped_column(BigInteger)
    versions: Mapped[dict[str, Any] | None]
    hardware: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(String(100))
    attempt: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    worker: Mapped[dict[str, Any] | None]
    needs: Mapped[dict[str, Any] | None]
    heartbeat: Mapped[float | None]
    step: Mapped[int] = mapped_column(BigInteger, default=0)
    epoch: Mapped[float] = mapped_column(default=0.0)
    total_steps: Mapped[int | None] = mapped_column(BigInteger)
    total_epochs: Mapped[float | None]
    created: Mapped[float]
    queued: Mapped[float]
    began: Mapped[float | None]
    ended: Mapped[float | None]
    earlier_seconds: Mapped[float] = mapped_column(default=0.0)
    error: Mapped[str | None] = mapped_column(Text)
    last_lines: Mapped[str | None] = mapped_column(Text)
    notes: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list[str]] = mapped_column(default=list)
    deleted_at: Mapped[float | None]

    __table_args__ = (
        Index(
            "uq_runs_one_a_device",
            "host",
            "device",
            unique=True,
            sqlite_where=_HOLDS_DEVICE,
            postgresql_where=_HOLDS_DEVICE,
        ),
        Index("ix_runs_queue", "status", "device_class", "queued"),
        Index("ix_runs_turns", "owner_id", "status", "queued"),
        {"sqlite_autoincrement": True},
    )


class StatusRow(Base):
    """One change of a run's state."""

    __tablename__ = "status_changes"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey(_RUNS, ondelete="CASCADE"), index=True)
    attempt: Mapped[int]
    old: Mapped[str | None] = mapped_column(String(16))
    new: Mapped[str] = mapped_column(String(16))
    time: Mapped[float]
    reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 SQLAlchemy's form


class AttemptRow(Base):
    """One beginning of a run's training: rows up to `from_step` are the earlier attempts'."""

    __tablename__ = "attempts"

    run_id: Mapped[int] = mapped_column(ForeignKey(_RUNS, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    from_step: Mapped[int] = mapped_column(BigInteger)
    began: Mapped[float]


class SeriesRow(Base):
    """One metric of one run, with what a list of runs shows of it, kept up to date with every batch."""

    __tablename__ = "series"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey(_RUNS, ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    count: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[float | None]
    last_step: Mapped[int] = mapped_column(BigInteger)
    low: Mapped[float | None]
    low_step: Mapped[int | None] = mapped_column(BigInteger)
    high: Mapped[float | None]
    high_step: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index("uq_series_run_id_name", "run_id", "name", unique=True),
        {"sqlite_autoincrement": True},
    )


class MetricRow(Base):
    """One value of one metric. A run's rows are written by one worker at a time, in the order of their id."""

    __tablename__ = "metrics"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(BigInteger)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    epoch: Mapped[float]
    value: Mapped[float | None]
    time: Mapped[float]

    __table_args__ = (
        Index("ix_metrics_cursor", "run_id", "id"),
        # With the value in it, a curve of a million points is drawn from the index alone, five times sooner.
        Index("ix_metrics_curve", "series_id", "step", "value"),
        {"sqlite_autoincrement": True},
    )


class RecordRow(Base):
    """Something larger than a number, as JSON: layer statistics, a confusion matrix, predictions."""

    __tablename__ = "records"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey(_RUNS, ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(100))
    attempt: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    epoch: Mapped[float]
    body: Mapped[str] = mapped_column(Text)
    time: Mapped[float]

    __table_args__ = (
        Index("ix_records_cursor", "run_id", "kind", "id"),
        {"sqlite_autoincrement": True},
    )


class CommandRow(Base):
    """What a page asked of a running worker; taken once."""

    __tablename__ = "commands"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey(_RUNS, ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    created: Mapped[float]
    taken: Mapped[float | None]

    __table_args__ = (Index("ix_commands_pending", "run_id", "taken"), {"sqlite_autoincrement": True})


class CheckpointRow(Base):
    """A complete checkpoint.

    `path` is relative to the run's folder; `stored` is its name in the store, none where it lies in the
    folder alone.
    """

    __tablename__ = "checkpoints"

    run_id: Mapped[int] = mapped_column(ForeignKey(_RUNS, ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    path: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int]
    step: Mapped[int] = mapped_column(BigInteger)
    epoch: Mapped[float]
    bytes: Mapped[int] = mapped_column(BigInteger)
    time: Mapped[float]
    digest: Mapped[str | None] = mapped_column(String(64))
    stored: Mapped[str | None] = mapped_column(Text)


class ExperimentRow(Base):
    """A question put to several runs; `body` is the whole experiment as JSON."""

    __tablename__ = "experiments"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey(_OWNERS), default=LOCAL_OWNER, index=True)
    name: Mapped[str] = mapped_column(String(60))
    body: Mapped[str] = mapped_column(Text)
    created: Mapped[float]

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 SQLAlchemy's form


class ExperimentRunRow(Base):
    """Which run stands for an arm with a seed; none where it was not queued, or is deleted for good."""

    __tablename__ = "experiment_runs"

    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True
    )
    arm: Mapped[str] = mapped_column(String(60), primary_key=True)
    seed: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    run_id: Mapped[int | None] = mapped_column(ForeignKey(_RUNS, ondelete="SET NULL"), index=True)
