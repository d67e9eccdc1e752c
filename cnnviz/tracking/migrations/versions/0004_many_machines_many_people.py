"""Owners, settings, device classes, worker handles, tries, machines, and checkpoints in a store."""

import json
import re
import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True)
LOCAL = 1
"""Id of the first owner, who owns everything from before there were owners."""


def upgrade() -> None:
    """Apply the migration in place, without copying the table of runs."""
    _make_tables()
    connection = op.get_bind()
    # Without an explicit id: the first one is 1, and PostgreSQL's sequence advances.
    connection.execute(
        sa.text(
            "INSERT INTO owners (issuer, subject, name, role, created)"
            " VALUES ('local', 'local', '', 'admin', :now)"
        ),
        {"now": time.time()},
    )
    for table in ("runs", "experiments"):
        # Plain SQL: Alembic can add a foreign key in SQLite only by copying the table.
        number = "INTEGER" if connection.dialect.name == "sqlite" else "BIGINT"
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN owner_id {number}"
            f" CONSTRAINT fk_{table}_owner_id REFERENCES owners (id)"
        )
        connection.execute(sa.text(f"UPDATE {table} SET owner_id = {LOCAL}"))
        op.create_index(f"ix_{table}_owner_id", table, ["owner_id"])
    op.add_column(
        "runs", sa.Column("device_class", sa.String(length=100), nullable=False, server_default="any")
    )
    op.add_column("runs", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("worker", JSON, nullable=True))
    op.add_column("runs", sa.Column("needs", JSON, nullable=True))
    _fill(connection)
    op.drop_column("runs", "worker_pid")
    op.drop_column("runs", "worker_started")
    op.drop_index("ix_runs_queue", table_name="runs")
    op.create_index("ix_runs_queue", "runs", ["status", "device_class", "queued"])
    op.add_column("checkpoints", sa.Column("digest", sa.String(length=64), nullable=True))
    op.add_column("checkpoints", sa.Column("stored", sa.Text(), nullable=True))


def _make_tables() -> None:
    op.create_table(
        "owners",
        sa.Column("id", ID, nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_owners"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_owners_issuer_subject", "owners", ["issuer", "subject"], unique=True)
    op.create_table(
        "settings",
        sa.Column("scope", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("value", JSON, nullable=True),
        sa.PrimaryKeyConstraint("scope", "key", name="pk_settings"),
    )
    op.create_table(
        "machines",
        sa.Column("key", sa.String(length=12), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("launcher", sa.String(length=40), nullable=False),
        sa.Column("devices", JSON, nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("began", sa.Double(), nullable=False),
        sa.Column("seen", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_machines"),
    )


def _fill(connection: Any) -> None:
    """Set the device class of every run, and the worker handle of runs that have a worker."""
    runs = sa.table(
        "runs", sa.column("id"), sa.column("recipe", JSON), sa.column("device"), sa.column("host"),
        sa.column("device_class"), sa.column("worker", JSON), sa.column("worker_pid"),
        sa.column("worker_started"),
    )  # fmt: skip
    columns = runs.c
    rows = connection.execute(
        sa.select(columns.id, columns.recipe, columns.device, columns.host, columns.worker_pid,
                  columns.worker_started)
    ).all()  # fmt: skip
    for run_id, recipe, device, host, pid, started in rows:
        recipe = json.loads(recipe) if isinstance(recipe, str) else recipe
        requested = str((recipe or {}).get("device") or "")
        values: dict[str, Any] = {"device_class": _device_class(requested, device)}
        if pid is not None:
            values["worker"] = {"kind": "process", "host": host, "pid": pid, "started": started}
        connection.execute(sa.update(runs).where(columns.id == run_id).values(values))


def _device_class(requested: str, device: str) -> str:
    """Return the device class for a recipe's device, else for the device that the run had."""
    name = requested or re.sub(r"^cpu:\d+$", "cpu", device)
    return {"auto": "any", "cuda": "gpu", "cuda:0": "gpu"}.get(name, name)
