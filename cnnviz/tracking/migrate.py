"""Bring the tables up to date when a database is opened, whoever else opens it at the same moment.

A migration is a file in `migrations/versions` whose name begins with its revision (`0002_what_it_does.py`).
After a change of `tables`, `python -m cnnviz.tracking.migrate "what it does"` writes a draft of the next one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text

from cnnviz.tracking.database import Database, address
from cnnviz.tracking.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """Every revision, oldest first. Read from the file names: importing Alembic costs a tenth of a second."""
    return sorted(path.name.partition("_")[0] for path in (SCRIPTS / "versions").glob("[0-9]*.py"))


def upgrade(database: Database, to: str | None = None) -> None:
    """Apply what is missing up to the newest revision (or `to`), all or nothing, by one process at a time.

    Raises `DatabaseUnavailableError` where a newer version of cnnviz has already changed the tables.
    """
    wanted = to or revisions()[-1]
    with database.read() as session:
        if current(session.connection()) == wanted:
            return
    with database.migrating() as connection:
        _check_known(current(connection), database.where)
        from alembic import command

        command.upgrade(config(connection), wanted)


def connect(url: str | None = None) -> Database:
    """Open the run database at `url`, CNNVIZ_DATABASE_URL, or a SQLite file under CNNVIZ_HOME.

    It is made if there is none, and its tables are brought up to date. Keep what is returned: it is safe to
    share between threads and opens a connection only when one is needed.

    Raises `DatabaseUnavailableError` where that cannot be done, `OSError` where the folder cannot be made.
    """
    found = address(url)
    database = Database(found)
    if database.is_sqlite:
        Path(str(found.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        database.choose_journal()
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def config(connection: Any) -> Config:
    """Alembic's settings, with the connection that its script `env.py` takes."""
    from alembic.config import Config

    settings = Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def current(connection: Any) -> str | None:
    """The revision that a database has; None for one without tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _check_known(revision: str | None, where: str) -> None:
    if revision is not None and revision not in revisions():
        raise DatabaseUnavailableError(
            f"The run database ({where}) was changed by a newer version of cnnviz (revision {revision}); "
            "update cnnviz, or choose another database with CNNVIZ_DATABASE_URL."
        )


def draft(message: str) -> None:
    """Write a draft of the next migration: what `tables` has and a freshly made database has not."""
    import tempfile

    from alembic import command

    with tempfile.TemporaryDirectory() as folder:
        database = connect(f"sqlite:///{folder}/draft.sqlite")
        with database.migrating() as connection:
            number = int(revisions()[-1]) + 1
            command.revision(config(connection), message, autogenerate=True, rev_id=f"{number:04}")


if __name__ == "__main__":
    draft(sys.argv[1])
