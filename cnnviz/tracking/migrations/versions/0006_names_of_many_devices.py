"""A run's device takes the names of as many devices as a run can have: 64 GPUs have 440 characters."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

HOLDS_DEVICE = sa.text("status IN ('starting', 'running', 'stopping') AND kind = 'trained'")


def upgrade() -> None:
    """Apply the migration in place, without copying the table of runs."""
    if op.get_bind().dialect.name != "sqlite":
        op.alter_column("runs", "device", type_=sa.Text(), server_default="")
        return
    # SQLite, which ignores the length, cannot change a column's type.
    op.drop_index("uq_runs_one_a_device", table_name="runs")
    op.add_column("runs", sa.Column("devices", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE runs SET devices = device")
    op.drop_column("runs", "device")
    op.execute("ALTER TABLE runs RENAME COLUMN devices TO device")
    op.create_index(
        "uq_runs_one_a_device", "runs", ["host", "device"], unique=True, sqlite_where=HOLDS_DEVICE
    )
