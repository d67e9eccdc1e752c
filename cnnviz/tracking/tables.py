"""Database tables as SQLAlchemy models, internal to the package: its functions return `records`.

Times are Unix timestamps in seconds. NaN is stored as NULL: SQLite has no NaN, and PostgreSQL sorts it above
everything.
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
# SQLite autoincrements only a column declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
Json = JSON(none_as_null=True)
_RUNS = "runs.id"
_OWNERS = "owners.id"
LOCAL_OWNER = 1
"""Owner of everything made by a local user without sign-in, and before there were owners."""
# A watched run holds no device: it runs in a user's process, independent of our queue.
_HOLDS_DEVICE = text("status IN ('starting', 'running', 'stopping') AND kind = 'trained'")


class Base(DeclarativeBase):
    """Declarative base of the tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 SQLAlchemy's form
        float: Double,
        dict[str, Any]: Json,
        list[str]: Json,
        Any: Json,
    }


class OwnerRow(Base):
    """Owner of runs, experiments, models, data sets and uploads, identified by issuer and subject."""

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
    """Setting or limit as JSON; its scope is `global`, or `owner:` and an owner's id."""

    __tablename__ = "settings"

    scope: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[Any | None]


class MachineRow(Base):
    """Machine or cluster with a supervisor: its devices and the time of its last heartbeat."""

    __tablename__ = "machines"

    key: Mapped[str] = mapped_column(String(12), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    launcher: Mapped[str] = mapped_column(String(40))
    devices: Mapped[list[str]]
    facts: Mapped[dict[str, Any]]
    began: Mapped[float]
    seen: Mapped[float]


class RunRow(Base):
    """Run: recipe, status, progress, and the handle of its worker."""

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
    device: Mapped[str] = mapped_column(Text, default="", server_default="")
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
    """One status transition of a run."""

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
    """Start of an attempt of a run; rows up to `from_step` belong to earlier attempts."""

    __tablename__ = "attempts"

    run_id: Mapped[int] = mapped_column(ForeignKey(_RUNS, ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    from_step: Mapped[int] = mapped_column(BigInteger)
    began: Mapped[float]


class SeriesRow(Base):
    """One metric of one run, with the summary that a list of runs shows, updated with every batch."""

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
    """One value of one metric. A run's rows are written by one worker at a time, in order of their ids."""

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
        # A covering index: with the value in it, a curve of a million points is read five times faster.
        Index("ix_metrics_curve", "series_id", "step", "value"),
        {"sqlite_autoincrement": True},
    )


class RecordRow(Base):
    """Structured record as JSON: layer statistics, a confusion matrix, predictions."""

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
    """Command of a page to a worker; `taken` is the time at which the worker read it."""

    __tablename__ = "commands"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey(_RUNS, ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    created: Mapped[float]
    taken: Mapped[float | None]

    __table_args__ = (Index("ix_commands_pending", "run_id", "taken"), {"sqlite_autoincrement": True})


class CheckpointRow(Base):
    """A complete checkpoint.

    `path` is relative to the run's folder; `stored` is its name in the store, None if it is only in the
    folder.
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
    """Experiment over several runs; `body` is the whole experiment as JSON."""

    __tablename__ = "experiments"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey(_OWNERS), default=LOCAL_OWNER, index=True)
    name: Mapped[str] = mapped_column(String(60))
    body: Mapped[str] = mapped_column(Text)
    created: Mapped[float]

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 SQLAlchemy's form


class ExperimentRunRow(Base):
    """Run of one condition and seed; None if it was never queued, or was purged."""

    __tablename__ = "experiment_runs"

    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True
    )
    arm: Mapped[str] = mapped_column(String(60), primary_key=True)
    seed: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    run_id: Mapped[int | None] = mapped_column(ForeignKey(_RUNS, ondelete="SET NULL"), index=True)
