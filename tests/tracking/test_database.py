"""How the database is opened and locked, and that its tables are what the migrations make."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from cnnviz import tracking
from cnnviz.tracking import Database, DatabaseBusyError, DatabaseUnavailableError
from cnnviz.tracking import database as opening
from cnnviz.tracking.tables import Base, StatusRow
from tests.tracking.making import create


def scalar(database: Database, statement: str) -> object:
    with database.read() as session:
        return session.execute(text(statement)).scalar()


@pytest.mark.parametrize("revision", [None, *opening.revisions()])
def test_every_revision_is_brought_to_what_the_classes_say(address: str, revision: str | None) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    database = Database(opening.address(address))
    if revision is not None:
        opening.upgrade(database, revision)
    opening.upgrade(database)
    with database.migrating() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == opening.revisions()[-1]
    database.close()


def test_file_names_tell_the_revisions() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(opening.SCRIPTS))
    assert scripts.get_current_head() == opening.revisions()[-1]
    assert [script.revision for script in scripts.walk_revisions()][::-1] == opening.revisions()


def test_a_migration_is_all_or_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    database = Database(opening.address(address))
    create_index = op.create_index

    def breaks(name: str, *arguments: object, **options: object) -> None:
        if name == "ix_metrics_curve":
            raise OSError("pulled the plug")
        create_index(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(op, "create_index", breaks)
    with pytest.raises(OSError, match="pulled the plug"):
        opening.upgrade(database, opening.revisions()[-1])
    monkeypatch.undo()
    with database.migrating() as connection:
        assert opening.current(connection) is None
    opening.upgrade(database)
    assert create(database).id == 1
    database.close()


def test_a_database_of_the_future_is_left_alone(database: Database, address: str) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnavailableError, match="newer version of cnnviz"):
        tracking.connect(address)


@pytest.mark.parametrize(
    ("version", "mode"),
    [((3, 40, 1), "delete"), ((3, 51, 2), "delete"), ((3, 51, 3), "wal"), ((4, 0, 0), "wal")],
)
def test_wal_only_where_sqlite_is_safe(version: tuple[int, ...], mode: str) -> None:
    assert opening.journal_mode(version) == mode


def test_sqlite_is_set_up_as_the_design_says(sqlite: Database) -> None:
    assert scalar(sqlite, "PRAGMA journal_mode") == opening.journal_mode()
    assert scalar(sqlite, "PRAGMA foreign_keys") == 1
    assert scalar(sqlite, "PRAGMA busy_timeout") == opening.BUSY_SECONDS * 1000


def test_a_file_left_in_wal_mode_goes_back_where_that_is_unsafe(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode = wal")
    other.close()
    database = tracking.connect(f"sqlite:///{path}")
    assert scalar(database, "PRAGMA journal_mode") == opening.journal_mode()
    database.close()


def test_a_writer_takes_its_lock_at_the_beginning(sqlite: Database) -> None:
    other = sqlite3.connect(str(sqlite.url.database), timeout=0, isolation_level=None)
    with sqlite.write() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    with sqlite.read() as session:
        session.execute(text("SELECT 1"))
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    other.close()


# In SQLite without WAL a writer waits for the reader: there is nothing to see.
@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_a_reader_sees_one_moment(database: Database, address: str) -> None:
    other = tracking.connect(address)
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM runs")).scalar() == 0
        create(other)
        assert session.execute(text("SELECT count(*) FROM runs")).scalar() == 0
    assert scalar(database, "SELECT count(*) FROM runs") == 1
    other.close()


def test_foreign_keys_hold(database: Database) -> None:
    orphan = StatusRow(run_id=99, attempt=0, new="queued", time=0.0)
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(orphan)


def test_what_raises_is_undone(database: Database) -> None:
    def half() -> None:
        with database.write() as session:
            session.execute(text("DELETE FROM alembic_version"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert scalar(database, "SELECT count(*) FROM alembic_version") == 1


def test_a_lock_that_is_held_too_long_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"sqlite:///{tmp_path}/runs.sqlite"
    tracking.connect(address).close()
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.01)
    database = tracking.connect(address)
    other = sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusyError, match=r"is busy \(sqlite:.*\): database is locked"):
        create(database)
    other.close()
    database.close()


def test_the_file_lies_under_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(opening.URL_VARIABLE, raising=False)
    tracking.connect().close()
    assert (tmp_path / "cnnviz-home" / "runs.sqlite").exists()
    monkeypatch.setenv(opening.URL_VARIABLE, f"sqlite:///{tmp_path}/elsewhere.sqlite")
    tracking.connect().close()
    assert (tmp_path / "elsewhere.sqlite").exists()


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite://", "mysql://user:secret@host/db", "://", "postgresql://a:secret@host:x/b"]
)
def test_an_address_we_cannot_use_is_a_sentence_without_the_password(url: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match="is an address like postgresql://") as error:
        tracking.connect(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("given", ["postgres://a:secret@host/b", "postgresql://a:secret@host/b"])
def test_postgres_addresses_are_completed(given: str) -> None:
    assert opening.address(given).drivername == "postgresql+psycopg"


def test_a_server_that_is_not_there_is_a_sentence_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match="cannot be used") as error:
        tracking.connect(f"postgresql://me:secret@/runs?host={tmp_path}")
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs.sqlite").write_text("a letter to a friend, which is longer than a header " * 20)
    with pytest.raises(DatabaseUnavailableError, match="file is not a database"):
        tracking.connect(f"sqlite:///{tmp_path}/runs.sqlite")


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    if os.access(tmp_path, os.W_OK) and os.geteuid() == 0:
        (tmp_path / "runs.sqlite").mkdir()
    else:
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(DatabaseUnavailableError, match="unable to open database file"):
        tracking.connect(f"sqlite:///{tmp_path}/runs.sqlite")


def test_a_forked_child_does_not_touch_its_parents_connections(database: Database) -> None:
    run_id = create(database).id
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if tracking.get_run(database, run_id).id == run_id else 2
            database.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tracking.get_run(database, run_id).id == run_id


def test_importing_and_reopening_need_neither_torch_nor_alembic(sqlite: Database) -> None:
    code = (
        "import sys; from cnnviz import tracking; tracking.connect(sys.argv[1]); "
        "print(sorted({'torch', 'alembic', 'streamlit', 'pandas'} & set(sys.modules)))"
    )
    address = f"sqlite:///{sqlite.url.database}"
    found = subprocess.run(
        [sys.executable, "-c", code, address],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "[]\n"
