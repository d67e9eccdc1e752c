"""Kind of a run: trained, watched, imported, recorded. Only trained runs hold a device."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HOLDS_DEVICE = sa.text("status IN ('starting', 'running', 'stopping') AND kind = 'trained'")


def upgrade() -> None:
    """Apply the migration."""
    # In place, without copying the table; every older run was trained here.
    op.add_column("runs", sa.Column("kind", sa.String(length=16), nullable=False, server_default="trained"))
    op.drop_index("uq_runs_one_a_device", table_name="runs")
    op.create_index(
        "uq_runs_one_a_device",
        "runs",
        ["host", "device"],
        unique=True,
        sqlite_where=HOLDS_DEVICE,
        postgresql_where=HOLDS_DEVICE,
    )
