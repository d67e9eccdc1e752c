"""Preloading lets the first page go first, and cannot break the app."""

import gc
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnviz.access import class_process
from cnnviz.access.classroom import Classroom
from cnnviz.paths import home
from cnnviz.ui.shared import startup, visitors
from tests.pages.runner import open_page


@pytest.fixture(autouse=True)
def _collected_again() -> Iterator[None]:
    """Preloading leaves what there is out of garbage collections; these tests do not."""
    yield
    gc.unfreeze()


@pytest.mark.parametrize("lean", [False, True])
def test_what_was_imported_is_left_out_of_collections(lean: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # Streamlit collects after every script run: with torch imported that took four fifths of a click.
    order: list[str] = []
    monkeypatch.setattr(startup, "_import", order.append)
    monkeypatch.setattr(startup, "await_page", lambda seconds: None)
    monkeypatch.setattr(startup, "lean", lambda: lean)
    monkeypatch.setattr(gc, "freeze", lambda: order.append("freeze"))
    startup._preload()
    assert order == [*startup.FIRST, *(() if lean else startup.LATER), "freeze"]


def test_what_pages_import_later_is_left_out_too_and_not_at_every_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frozen: list[int] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(len(sys.modules)))
    monkeypatch.setattr(startup, "_modules", 0)
    startup.page_drawn()
    assert not frozen, "before preloading has ended"
    monkeypatch.setattr(startup, "_modules", len(sys.modules) - startup.MANY_MODULES - 1)
    startup.page_drawn()
    startup.page_drawn()
    for thread in threading.enumerate():
        if thread.name == "freeze":
            thread.join()
    assert len(frozen) == 1


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


def test_torchvision_is_imported_after_the_page_where_a_network_of_its_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "torchvision" not in startup.LATER, "it brings torch._dynamo, sympy and triton"
    expected: list[str] = []
    monkeypatch.setattr(startup, "import_after_page", expected.append)
    open_page("architecture", model="lenet5")
    assert not expected
    open_page("architecture", model="torchvision/resnet18")
    assert set(expected) == {"torchvision"}


def test_a_lean_app_imports_nothing_after_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_to_import", set())
    monkeypatch.setenv(startup.LEAN_VARIABLE, "1")
    startup.import_after_page("no_such_module")
    assert not startup._to_import


def test_waiting_modules_are_imported_once_the_page_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[str] = []
    monkeypatch.setattr(startup, "_modules", 0)
    monkeypatch.setattr(startup, "_to_import", set())
    monkeypatch.setattr(startup, "_import", imported.append)
    startup.import_after_page("no_such_module")
    startup.import_after_page("sys")
    startup.page_drawn()
    assert imported == [], "preloading goes first"
    monkeypatch.setattr(startup, "_modules", len(sys.modules))
    startup.page_drawn()
    for thread in threading.enumerate():
        if thread.name == "import":
            thread.join()
    startup.page_drawn()
    assert imported == ["no_such_module"]


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


def test_a_class_is_recorded_and_not_announced_to_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cnnviz.show` would be turned away by the class's gate, and takes or starts another app."""
    opened = Classroom(tmp_path / "class.json")
    opened.open()
    for classroom, announced in ((opened, 0), (None, 1)):
        monkeypatch.setattr(visitors, "classroom", lambda classroom=classroom: classroom)
        monkeypatch.setenv("CNNVIZ_CLASS_URL", "http://cnn.school.example:8502")
        with startup.announced(), startup.class_tended():
            assert len(list((home() / "app").glob("*.json"))) == announced
            found = class_process.running(tmp_path)
            assert (found.url if found else "") == ("" if announced else "http://cnn.school.example:8502")
    assert class_process.running(tmp_path) is None


def test_runs_are_left_to_the_app_that_has_opened_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    assert startup.CHILD_VARIABLE == class_process.CHILD_VARIABLE
    begun: list[str] = []

    class Recorded(threading.Thread):
        def start(self) -> None:
            begun.append(self.name)

    monkeypatch.setattr(threading, "Thread", Recorded)
    for variable, threads in (("1", []), ("", ["supervision"])):
        monkeypatch.setenv(startup.CHILD_VARIABLE, variable)
        with startup.supervised(threading.current_thread()):
            assert begun == threads
