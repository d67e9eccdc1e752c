"""Who is offered to open the app to a class."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from cnnviz import access, paths, tracking
from cnnviz.access import Principal, Role, acting
from cnnviz.access.classroom import Classroom
from cnnviz.access.gate import COOKIE
from cnnviz.tracking import Limits
from cnnviz.ui.shared import visitors
from cnnviz.ui.shared.runs import run_data

HERE = {"host": "localhost:8501"}


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST"])
def test_a_browser_at_this_machine_is_local(host: str) -> None:
    assert visitors.is_local(None, {"host": host})
    assert visitors.is_local(None, {"host": host, "origin": f"http://{host}"})


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.168.1.5", HERE),
        (None, {}),
        (None, {"host": "192.168.1.20:8501"}),
        (None, {"host": "localhost.evil.example"}),
        (None, HERE | {"x-forwarded-for": "192.168.1.5"}),
        (None, HERE | {"x-real-ip": "192.168.1.5"}),
        (None, HERE | {"via": "1.1 proxy"}),
        # A page of another site, of another program on this machine, or that a silent proxy serves.
        (None, HERE | {"origin": "http://evil.example"}),
        (None, HERE | {"origin": "http://localhost:9999"}),
        (None, HERE | {"origin": "http://cnn.school.example:8501"}),
        (None, HERE | {"origin": "http://[localhost:8501"}),
        (None, HERE | {"origin": "null"}),
    ],
)
def test_whoever_may_come_from_elsewhere_is_not(address: str | None, headers: dict[str, str]) -> None:
    assert not visitors.is_local(address, headers)


@pytest.mark.parametrize(
    ("address", "offered"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        (None, False),
    ],
)
def test_only_an_app_at_localhost_is_opened_to_a_class(
    monkeypatch: pytest.MonkeyPatch, address: str | None, offered: bool
) -> None:
    def option(name: str) -> str | None:
        assert name == "server.address"
        return address

    monkeypatch.setattr(st, "get_option", option)
    monkeypatch.setattr(visitors, "is_local_session", lambda: True)
    assert visitors.may_open_class() is offered
    monkeypatch.setattr(visitors, "is_local_session", lambda: False)
    assert not visitors.may_open_class()


def test_a_shared_app_has_no_local_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitors, "is_local", lambda *_: True)
    assert visitors.is_local_session()
    monkeypatch.setattr(visitors, "sign_in", lambda: "a policy")
    assert not visitors.is_local_session()
    monkeypatch.setattr(visitors, "sign_in", lambda: None)
    monkeypatch.setattr(visitors, "classroom", lambda: "a class")
    assert not visitors.is_local_session()


def test_alone_nothing_stands_before_the_app_and_all_is_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNNVIZ_CLASS", raising=False)
    monkeypatch.delenv("CNNVIZ_SIGN_IN", raising=False)
    visitors.classroom.cache_clear()
    visitors.sign_in.cache_clear()
    assert visitors.middleware() == []
    assert visitors.shared_routes() == []
    assert not visitors.shared()


def test_the_command_names_this_apps_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", "/somewhere/my runs")
    assert visitors.class_command() == "cnnviz class --home '/somewhere/my runs'"
    monkeypatch.delenv("CNNVIZ_HOME")
    assert visitors.class_command() == "cnnviz class"


async def behind(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("behind")


def forget() -> None:
    """Let the process read its environment anew."""
    visitors.classroom.cache_clear()
    visitors.sign_in.cache_clear()
    visitors._gate_database.cache_clear()


@pytest.fixture
def classroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Classroom]:
    """The class of a process that `cnnviz class` has started."""
    opened = Classroom(tmp_path / "class.json")
    opened.open()
    monkeypatch.setenv("CNNVIZ_CLASS", str(opened.path))
    monkeypatch.delenv("CNNVIZ_SIGN_IN", raising=False)
    forget()
    yield opened
    forget()
    access.resolve_with(None)


def test_the_app_of_a_class_refuses_who_has_not_joined(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def options(_script: str, **given: Any) -> dict[str, Any]:
        return given

    monkeypatch.setattr(st, "App", options)
    app = runpy.run_path(str(paths.APP))["app"]
    routes = [Route("/{path:path}", behind, methods=["GET", "PUT"])]
    client = TestClient(
        Starlette(routes=routes, middleware=app["middleware"]), base_url="http://localhost:8501",
        follow_redirects=False,
    )  # fmt: skip
    assert client.get("/train").status_code == 401
    joined = client.post("/join?next=/train", data={"code": classroom.state.code, "name": "Ada"})
    assert (joined.status_code, joined.headers["location"]) == (303, "/train")
    assert client.get("/train").text == "behind"
    # What is handed in is counted for who hands it in, and refused beyond the limit.
    with tracking.connect() as database:
        with acting(access.ALONE):
            tracking.write_limits(database, Limits(upload=1))
        file = "/_stcore/upload_file/session/file"
        assert client.put(file, content=b"x" * 900_000).status_code == 200
        assert client.put(file, content=b"x" * 200_000).status_code == 413
        ada = classroom.principal(client.cookies[COOKIE])
        assert ada is not None
        with acting(ada):
            assert tracking.read_usage(database).upload == 900_000
    # Who the session belongs to is not known outside of one: then nobody may change anything.
    assert access.principal() is access.NOBODY
    classroom.close()
    assert client.get("/train").status_code == 401


def test_what_a_class_has_made_is_somebodys_in_the_teachers_own_app_too() -> None:
    ada = Principal("class 1", "Ada", Role.MEMBER)
    with tracking.connect() as database:
        own = tracking.create_run(database, {}, model="lenet5", dataset="digits", seed=0)

        def listed() -> list[str]:
            runs = tracking.list_runs(database, metrics=[])
            names = [run.name for run in visitors.with_owners(database, runs)]
            assert [run.name for run in run_data.listing("").runs] == names
            return sorted(names)

        assert listed() == [own.name]  # alone there is nothing to see of owners
        assert visitors.owner_name(database, own.owner_id) == ""
        with acting(ada):
            hers = tracking.create_run(database, {}, model="lenet5", dataset="digits", seed=0)
        assert listed() == [own.name, f"{hers.name} · Ada"]
        assert visitors.owner_name(database, hers.owner_id) == "Ada"
        assert visitors.owner_name(database, own.owner_id) == ""
        with acting(ada):
            assert visitors.owner_name(database, own.owner_id) == "Teacher"
