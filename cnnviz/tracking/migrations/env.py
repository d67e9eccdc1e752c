"""What Alembic runs to reach the database: `cnnviz.tracking.migrate` hands it the connection."""

from alembic import context

from cnnviz.tracking.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite undoes changes of tables as well, once the transaction is begun by hand, as it is here.
    transactional_ddl=True,
    render_as_batch=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
