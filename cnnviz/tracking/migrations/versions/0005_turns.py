"""An index of what each owner has waiting, so that whose turn it is costs a look-up an owner."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    op.create_index("ix_runs_turns", "runs", ["owner_id", "status", "queued"])
