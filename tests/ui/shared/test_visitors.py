"""Who is offered to open the app to a class."""

from __future__ import annotations

import pytest

from cnnviz.ui.shared import visitors

HERE = {"host": "localhost:8501"}


@pytest.mark.parametrize("host", ["localhost", "localhost:8501", "127.0.0.1:8501", "[::1]:8501", "LOCALHOST"])
def test_a_browser_at_this_machine_is_local(host: str) -> None:
    assert visitors.is_local(None, {"host": host})


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
    ],
)
def test_whoever_may_come_from_elsewhere_is_not(address: str | None, headers: dict[str, str]) -> None:
    assert not visitors.is_local(address, headers)


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
