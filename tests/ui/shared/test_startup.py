"""Preloading lets the first page go first, and cannot break the app."""

import logging
import threading

import pytest

from cnnviz.ui.shared import startup


def test_heavy_imports_wait_for_a_drawn_page(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    imported_before_drawing: list[str] = []

    class Gate(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            imported_before_drawing.extend(imported)
            return super().wait(timeout)

    gate = Gate()
    monkeypatch.setattr(startup, "_drawn", gate)
    monkeypatch.setattr(startup, "_import", imported.append)
    startup.page_drawn()
    startup.start().join()
    assert imported_before_drawing == list(startup.FIRST)
    assert imported == [*startup.FIRST, *startup.LATER]


def test_what_cannot_be_imported_is_logged_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(startup, "FIRST", ("no_such_module_one",))
    monkeypatch.setattr(startup, "LATER", ("no_such_module_two",))
    startup.page_drawn()
    with caplog.at_level(logging.WARNING):
        startup.start().join()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["Could not preload no_such_module_one", "Could not preload no_such_module_two"]
