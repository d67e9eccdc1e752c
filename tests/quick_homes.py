"""Makes empty homes quickly: the run database's tables and the enlarged digits, computed once in a process.

Most tests begin with an empty CNNVIZ_HOME, and spend 0.1 s on Alembic for its tables, as long on its digits.
Processes that tests start do both themselves, and so do the tests of migrations, which name the revision.
"""

import functools
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from cnnviz.datasets.sources import shapes
from cnnviz.datasets.spec import Pixels
from cnnviz.tracking import Database
from cnnviz.tracking import database as migrations
from cnnviz.tracking.database import address

_migrate = migrations.upgrade
_enlarge = shapes._enlarged
_enlarged: dict[bytes, Pixels] = {}


def install() -> None:
    """Replace the two functions for the rest of the process."""
    migrations.upgrade = upgrade
    shapes._enlarged = enlarged


def upgrade(database: Database, to: str | None = None) -> None:
    """Migrate a database; an empty one of SQLite from a script of its tables, without Alembic."""
    if to is None and database.is_sqlite and _is_empty(database):
        with database.migrating() as connection:
            if migrations.current(connection) is None:
                for statement in _script():
                    connection.exec_driver_sql(statement)
    _migrate(database, to)


def _is_empty(database: Database) -> bool:
    with database.read() as session:
        return session.connection().exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0


@functools.cache
def _script() -> tuple[str, ...]:
    """Migrate an empty database and return its contents as SQL."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.sqlite"
        with Database(address(f"sqlite:///{file}")) as database:
            _migrate(database)
        with closing(sqlite3.connect(file)) as connection:
            statements = tuple(connection.iterdump())
    return tuple(statement for statement in statements if statement not in ("BEGIN TRANSACTION;", "COMMIT;"))


def enlarged(small: Pixels) -> Pixels:
    """Enlarge 8×8 digits as `cnnviz.datasets.sources.shapes` does, once for the same digits."""
    key = small.tobytes()
    if key not in _enlarged:
        _enlarged[key] = _enlarge(small)
    return _enlarged[key].copy()
