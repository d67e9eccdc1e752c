"""The app supervises as long as it lives, and does not hold up its first page for that."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from cnnviz import tracking
from cnnviz.tracking import Status
from cnnviz.training import workers
from cnnviz.training.workers import LocalLauncher
from cnnviz.ui.shared import startup
from cnnviz.ui.shared.startup import supervised
from tests.training.workers.making import LIGHT, become, queue, until


def test_runs_are_supervised_until_the_app_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def light(may_warm: Callable[[], bool]) -> LocalLauncher:
        asked.append(may_warm())
        return LocalLauncher(LIGHT, may_warm)

    monkeypatch.setattr(workers, "LocalLauncher", light)
    loading = threading.Event()
    preloading = threading.Thread(target=loading.wait, daemon=True)
    preloading.start()
    startup.page_drawn()
    with tracking.connect() as database:
        with supervised(preloading):
            become(database, queue(database, "finish"), Status.FINISHED)
            assert workers.is_supervised(database)
        assert asked == [False], "no worker makes itself ready while the app still imports"
        loading.set()
        until(lambda: not workers.is_supervised(database), "nobody supervises any longer")


def test_an_app_that_ends_at_once_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_drawn", threading.Event())
    before = threading.active_count()
    with supervised(threading.Thread()):
        assert threading.active_count() == before + 1
    with tracking.connect() as database:
        assert not workers.is_supervised(database)
