"""Tables of experiments, and of the run of each condition (arm) and seed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "experiments",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_experiments"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "experiment_runs",
        sa.Column("experiment_id", ID, nullable=False),
        sa.Column("arm", sa.String(length=60), nullable=False),
        sa.Column("seed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name="fk_experiment_runs_experiment_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_experiment_runs_run_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("experiment_id", "arm", "seed", name="pk_experiment_runs"),
    )
    op.create_index("ix_experiment_runs_run_id", "experiment_runs", ["run_id"])
