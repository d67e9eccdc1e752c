"""Each test that asks for a `database` runs twice: on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from cnnviz import tracking
from tests.tracking import postgres

MISSING = "needs the programs of a PostgreSQL server (Debian, Ubuntu: apt-get install postgresql)"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server; skips where there is none, and fails in CI."""
    programs = postgres.binaries()
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with postgres.server(programs) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.sqlite"
    found: str = request.getfixturevalue("server")
    name = f"test_{secrets.token_hex(4)}"
    engine = create_engine(make_url(found).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(found).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def open_database() -> Iterator[Callable[[str], tracking.Database]]:
    """Open databases that are closed after the test."""
    opened: list[tracking.Database] = []

    def connect(url: str) -> tracking.Database:
        opened.append(tracking.connect(url))
        return opened[-1]

    yield connect
    for database in opened:
        database.close()


@pytest.fixture
def database(address: str, open_database: Callable[[str], tracking.Database]) -> tracking.Database:
    """An empty run database, of each kind in turn."""
    return open_database(address)


@pytest.fixture
def sqlite(tmp_path: Path, open_database: Callable[[str], tracking.Database]) -> tracking.Database:
    """An empty run database in a file."""
    return open_database(f"sqlite:///{tmp_path}/runs.sqlite")
