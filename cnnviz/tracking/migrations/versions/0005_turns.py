"""Index of each owner's queued runs, so that the fair queue needs one look-up per owner."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the migration."""
    op.create_index("ix_runs_turns", "runs", ["owner_id", "status", "queued"])
