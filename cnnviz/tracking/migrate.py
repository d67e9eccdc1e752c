"""Database migrations with Alembic, applied when a database is opened; safe with concurrent processes.

A migration is a file in `migrations/versions` whose name begins with its revision (`0002_what_it_does.py`).
After a change of `tables`, `python -m cnnviz.tracking.migrate "what it does"` writes a draft of the next one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text

from cnnviz.tracking.database import Database, DatabaseUnavailableError, address

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """Return all revisions, oldest first, from the file names: importing Alembic takes 0.1 s."""
    return sorted(path.name.partition("_")[0] for path in (SCRIPTS / "versions").glob("[0-9]*.py"))


def upgrade(database: Database, to: str | None = None) -> None:
    """Migrate to the newest revision (or `to`) in one transaction, by one process at a time.

    Raises:
        DatabaseUnavailableError: A newer version of cnnviz has already changed the tables.
    """
    target = to or revisions()[-1]
    with database.read() as session:
        if current(session.connection()) == target:
            return
    with database.migrating() as connection:
        _check_known(current(connection), database.where)
        from alembic import command

        command.upgrade(config(connection), target)


def connect(url: str | None = None) -> Database:
    """Open the run database, create it if it is missing, and migrate its tables.

    Keep the returned object: it is safe to share between threads and connects only when needed.

    Args:
        url: Address of the database; CNNVIZ_DATABASE_URL, or a SQLite file under CNNVIZ_HOME, by default.

    Raises:
        DatabaseUnavailableError: The database cannot be opened or migrated.
        OSError: The folder cannot be created.
    """
    location = address(url)
    database = Database(location)
    if database.is_sqlite:
        Path(str(location.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        database.set_journal_mode()
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def config(connection: Any) -> Config:
    """Return Alembic's configuration, with the connection that `env.py` uses."""
    from alembic.config import Config

    settings = Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def current(connection: Any) -> str | None:
    """Return the revision of a database, or None if it has no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _check_known(revision: str | None, where: str) -> None:
    if revision is not None and revision not in revisions():
        raise DatabaseUnavailableError(
            f"The run database ({where}) was changed by a newer version of cnnviz (revision {revision}); "
            "update cnnviz, or choose another database with CNNVIZ_DATABASE_URL."
        )


def draft(message: str) -> None:
    """Write a draft of the next migration: the difference between `tables` and a newly created database."""
    import tempfile

    from alembic import command

    with tempfile.TemporaryDirectory() as folder:
        database = connect(f"sqlite:///{folder}/draft.sqlite")
        with database.migrating() as connection:
            number = int(revisions()[-1]) + 1
            command.revision(config(connection), message, autogenerate=True, rev_id=f"{number:04}")


if __name__ == "__main__":
    draft(sys.argv[1])
