"""Preloading lets the first page go first, and cannot break the app."""

import logging
import threading

import pytest

from cnnviz.ui import preload


def test_heavy_imports_wait_for_a_drawn_page(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    imported_before_drawing: list[str] = []

    class Gate(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            imported_before_drawing.extend(imported)
            return super().wait(timeout)

    gate = Gate()
    monkeypatch.setattr(preload, "_drawn", gate)
    monkeypatch.setattr("cnnviz.ui.preload.importlib.import_module", imported.append)
    preload.page_drawn()
    preload.start().join()
    assert imported_before_drawing == list(preload.FIRST)
    assert imported == [*preload.FIRST, *preload.LATER]


def test_what_cannot_be_imported_is_logged_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preload, "FIRST", ("no_such_module_one",))
    monkeypatch.setattr(preload, "LATER", ("no_such_module_two",))
    preload.page_drawn()
    with caplog.at_level(logging.WARNING):
        preload.start().join()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["Could not preload no_such_module_one", "Could not preload no_such_module_two"]
