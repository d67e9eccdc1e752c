"""Alembic environment: configures the migrations with the connection from `cnnviz.tracking.database`."""

from alembic import context

from cnnviz.tracking.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite rolls back schema changes too, given that the transaction is started explicitly, as it is here.
    transactional_ddl=True,
    render_as_batch=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
