"""The database: opened once by a process, used in short transactions from any thread."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import orjson
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from cnnviz.models.library import home
from cnnviz.tracking.errors import DatabaseDamagedError, DatabaseUnavailableError, explained

URL_VARIABLE = "CNNVIZ_DATABASE_URL"
BUSY_SECONDS = 15
# Before this release two connections that write or checkpoint at once can corrupt a database in WAL mode.
WAL_IS_SAFE_FROM = (3, 51, 3)
_WRITES = {"begin": "BEGIN IMMEDIATE"}
_LOCK = 0x636E6E76  # "cnnv": the key of PostgreSQL's advisory lock, the same for all that we serialise.

_open: weakref.WeakSet[Engine] = weakref.WeakSet()


def journal_mode(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> str:
    """SQLite's journal for a library of this version: `wal` where it is safe, else `delete`."""
    return "wal" if version >= WAL_IS_SAFE_FROM else "delete"


def address(given: str | None = None) -> URL:
    """Where the runs are kept: `given`, or CNNVIZ_DATABASE_URL, or a SQLite file under CNNVIZ_HOME.

    Raises `DatabaseUnavailableError` for what is neither a SQLite nor a PostgreSQL address.
    """
    found = given or os.environ.get(URL_VARIABLE)
    if not found:
        return URL.create("sqlite", database=str(home() / "runs.sqlite"))
    try:
        url = make_url(found)
    except ArgumentError:
        url = None
    kind = url.drivername.partition("+")[0] if url else ""
    if url is not None and kind == "sqlite" and url.database not in (None, "", ":memory:"):
        return url
    if url is not None and kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    # What was given is not repeated: it may hold a password.
    raise DatabaseUnavailableError(
        f"{URL_VARIABLE} is an address like postgresql://user:password@host/database or sqlite:///file."
    )


class Database:
    """The run database. Safe to share between threads; every call is a transaction of its own.

    Args:
        url: An address that `address` returned. `connect` also brings the tables up to date: use that.
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
            # All that one call reads is one moment's picture, as in SQLite.
            self._reads = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._writes = self._engine
        _open.add(self._engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that reads one consistent state. Fetch what is needed, bounded, and leave."""
        with self._explaining(), Session(self._reads) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes: committed at the end of the block, undone where it raises.

        Raises `DatabaseBusyError` where another process writes for longer than `BUSY_SECONDS`.
        """
        with self._explaining(), Session(self._writes, expire_on_commit=False) as session, session.begin():
            yield session

    def serialise(self, session: Session) -> None:
        """Hold back every other process that calls this until the transaction ends.

        SQLite has one writer at a time anyway.
        """
        if not self.is_sqlite:
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})

    @contextmanager
    def migrating(self) -> Iterator[Any]:
        """A connection in a transaction that no other process's overlaps, to change the tables in."""
        engine = _engine(self.url, poolclass=NullPool, foreign_keys=False).execution_options(**_WRITES)
        with self._explaining(), engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection

    def choose_journal(self) -> None:
        """Set SQLite's journal mode, which the file remembers; nothing for PostgreSQL."""
        if self.is_sqlite:
            outside = self._engine.execution_options(begin=None)
            with self._explaining(), outside.connect() as connection:
                connection.exec_driver_sql(f"PRAGMA journal_mode = {journal_mode()}")

    def verify(self) -> None:
        """Read the schema and the newest run, a fraction of a millisecond; raises where that cannot be done.

        A file that was written over since it was opened is noticed so, before half a page is drawn.
        """
        with self.read() as session:
            session.execute(text("SELECT id FROM runs ORDER BY id DESC LIMIT 1")).first()

    def close(self) -> None:
        """Close every connection; the next call opens one again. The end of a `with` block does it too."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, PoolTimeout) as error:
            found = explained(error, self.where)
            if isinstance(found, DatabaseDamagedError):
                self._engine.dispose()  # The next call opens the file that lies there by then.
            raise found from error


def _engine(url: URL, foreign_keys: bool = True, **options: Any) -> Engine:
    settings: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        # A column that SQLite takes for numeric gives a bare number back as one.
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
    """Begin transactions ourselves: the driver would begin one only at the first write.

    Two transactions that read and then write fail at once, whatever the busy timeout, because neither can
    let the other finish. A writer therefore takes its lock at the beginning.
    """

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        words = connection.get_execution_options().get("begin", "BEGIN")
        if words:
            connection.exec_driver_sql(words)


def _forget_connections() -> None:
    """A child made by fork must neither use nor close its parent's connections."""
    for engine in _open:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):  # Not on Windows, where nothing forks.
    os.register_at_fork(after_in_child=_forget_connections)
