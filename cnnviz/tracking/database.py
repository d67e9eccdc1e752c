"""Database connection: one engine per process, short transactions from any thread; and its migrations.

Alembic's migrations are applied when a database is opened; several processes may do so at once. A migration
is a file in `migrations/versions` whose name begins with its revision (`0002_what_it_does.py`). After a
change of `tables`, `python -m cnnviz.tracking.database "what it does"` writes a draft of the next one.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import orjson
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from cnnviz.access import NotAllowedError
from cnnviz.paths import home
from cnnviz.sentences import full_stop

if TYPE_CHECKING:
    from alembic.config import Config

URL_VARIABLE = "CNNVIZ_DATABASE_URL"
BUSY_SECONDS = 15
# Before this release two connections that write or checkpoint at once can corrupt a database in WAL mode.
WAL_IS_SAFE_FROM = (3, 51, 3)
_WRITES = {"begin": "BEGIN IMMEDIATE"}
_LOCK = 0x636E6E76  # "cnnv": key of the PostgreSQL advisory lock that serializes claims and migrations.

_open: weakref.WeakSet[Engine] = weakref.WeakSet()


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """Return the journal mode for a version of SQLite: `wal` if it is safe, else `delete`."""
    return "wal" if version >= WAL_IS_SAFE_FROM else "delete"


def address(given: str | None = None) -> URL:
    """Return the database's address: `given`, CNNVIZ_DATABASE_URL, or a SQLite file under CNNVIZ_HOME.

    Raises:
        DatabaseUnavailableError: The address is neither SQLite's nor PostgreSQL's.
    """
    location = given or os.environ.get(URL_VARIABLE)
    if not location:
        return URL.create("sqlite", database=str(home() / "runs.sqlite"))
    try:
        url = make_url(location)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number.
        url = None
    kind = url.drivername.partition("+")[0] if url else ""
    if url is not None and kind == "sqlite" and url.database not in (None, "", ":memory:"):
        return url
    if url is not None and kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    # The message omits the address, which may hold a password.
    raise DatabaseUnavailableError(
        f"{URL_VARIABLE} is an address like postgresql://user:password@host/database or sqlite:///file."
    )


class Database:
    """Connection to the run database. Thread-safe; every call is one transaction.

    Args:
        url: From `address`. Use `connect`, which also migrates the tables.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.where = url.render_as_string(hide_password=True)
        self._engine = _engine(url)
        self._reads: Engine
        self._writes: Engine
        if self.is_sqlite:
            self._reads, self._writes = self._engine, self._engine.execution_options(**_WRITES)
        else:
            # One snapshot per transaction, as in SQLite.
            self._reads = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._writes = self._engine
        _open.add(self._engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session that reads a consistent snapshot. Keep it short, with bounded queries."""
        with self._translating_errors(), Session(self._reads) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yield a session that is committed at the end of the block, or rolled back if it raises.

        Raises:
            DatabaseBusyError: Another process has held the write lock for longer than `BUSY_SECONDS`.
        """
        with (
            self._translating_errors(),
            Session(self._writes, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def lock_writers(self, session: Session) -> None:
        """Block other processes that call this until the transaction ends.

        A no-op for SQLite, which has a single writer.
        """
        if not self.is_sqlite:
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})

    @contextmanager
    def migrating(self) -> Iterator[Any]:
        """Yield a connection in an exclusive transaction, for changes of the schema."""
        engine = _engine(self.url, poolclass=NullPool, foreign_keys=False).execution_options(**_WRITES)
        with self._translating_errors(), engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection

    def set_journal_mode(self) -> None:
        """Set SQLite's journal mode, which is stored in the file; a no-op for PostgreSQL."""
        if self.is_sqlite:
            outside = self._engine.execution_options(begin=None)
            with self._translating_errors(), outside.connect() as connection:
                connection.exec_driver_sql(f"PRAGMA journal_mode = {journal_mode()}")

    def verify(self) -> None:
        """Read the schema and the newest run (under 1 ms); raise `DatabaseUnavailableError` on failure.

        This detects a file that was overwritten since it was opened, before a page is half rendered.
        """
        with self.read() as session:
            session.execute(text("SELECT id FROM runs ORDER BY id DESC LIMIT 1")).first()

    def close(self) -> None:
        """Close all connections; the next call reconnects. Also called at the end of a `with` block."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, PoolTimeout) as error:
            translated = translate_error(error, self.where)
            if isinstance(translated, DatabaseDamagedError):
                self._engine.dispose()  # The next call opens the file that is there by then.
            raise translated from error


def _engine(url: URL, foreign_keys: bool = True, **options: Any) -> Engine:
    settings: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        # SQLite's type affinity can return a bare JSON number as a number.
        "json_deserializer": lambda value: value if isinstance(value, int | float) else orjson.loads(value),
        **options,
    }
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **settings)
        _sqlite_transactions(engine, foreign_keys)
        return engine
    limits = {"connect_timeout": 5, "options": f"-c lock_timeout={BUSY_SECONDS}s"}
    try:
        return create_engine(url, connect_args=limits, pool_pre_ping=True, **settings)
    except ModuleNotFoundError as error:
        raise DatabaseUnavailableError("PostgreSQL needs psycopg: pip install 'cnnviz[postgres]'.") from error


def _sqlite_transactions(engine: Engine, foreign_keys: bool) -> None:
    """Start SQLite's transactions explicitly: the driver would start one only at the first write.

    Two transactions that read and then write fail at once, regardless of the busy timeout, since neither can
    let the other finish. A writer therefore takes its lock at the start.
    """

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        statement = connection.get_execution_options().get("begin", "BEGIN")
        if statement:
            connection.exec_driver_sql(statement)


def _forget_connections() -> None:
    """Discard inherited connections in a forked child, which must neither use nor close them."""
    for engine in _open:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(after_in_child=_forget_connections)


# Errors of the run database, each with a one-sentence message for users.
#
# All are `ValueError`s: pages and the command line show the message without a traceback.

_BUSY = frozenset(("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "40P01", "40001"))
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_FULL = frozenset(("SQLITE_FULL", "53100"))


class TrackingError(ValueError):
    """Base class of all errors of the run database."""


class NoSuchRunError(TrackingError):
    """No run has this id."""


class NoSuchExperimentError(TrackingError):
    """No experiment has this id."""


class WrongStateError(TrackingError):
    """The operation is not allowed in the run's present status."""


class QueueFullError(TrackingError):
    """The queue already holds the maximum number of waiting runs."""


class NotOwnerError(TrackingError, NotAllowedError):
    """The object belongs to another owner, or the principal is read-only."""


class LimitError(TrackingError):
    """The owner has reached a limit."""


class StaleAttemptError(TrackingError):
    """The lease is no longer valid (the run was claimed again, or has ended): the write is refused."""


class DatabaseUnavailableError(TrackingError):
    """The database cannot be opened, read or written."""


class DatabaseDamagedError(DatabaseUnavailableError):
    """The file is corrupt, or not a SQLite database."""


class DatabaseBusyError(DatabaseUnavailableError):
    """The database was locked by another process for longer than the timeout; a retry can help."""


class DatabaseFullError(DatabaseUnavailableError):
    """No space is left on the database's disk."""


def translate_error(error: DatabaseError | PoolTimeout, where: str) -> Exception:
    """Translate a driver's error into a `TrackingError`; programming errors are returned unchanged.

    Args:
        error: The error raised by SQLAlchemy.
        where: The database's address, without its password.
    """
    if isinstance(error, PoolTimeout):
        return DatabaseBusyError(f"Too many parts of this process use the run database at once ({where}).")
    if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
        return error
    code = str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")
    # psycopg's messages have several lines, of which each is a sentence without a full stop.
    lines = [" ".join(line.split()) for line in str(error.orig).splitlines()]
    message = " ".join(full_stop(line) for line in lines if line)
    if any(code.startswith(prefix) for prefix in _BUSY):
        return DatabaseBusyError(full_stop(f"The run database is busy ({where}): {message}"))
    if code.startswith(_DAMAGED):
        return DatabaseDamagedError(
            f"The run database is damaged ({where}): {message.rstrip('.')}. Checkpoints do not lie in it but "
            "in the runs' folders; `python -m cnnviz runs recover` begins a new database from these."
        )
    if code in _FULL:
        return DatabaseFullError(
            f"There is no space left for the run database ({where}); free some and resume."
        )
    return DatabaseUnavailableError(full_stop(f"The run database cannot be used ({where}): {message}"))


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
