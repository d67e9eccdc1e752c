"""A database, and no process left behind."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from cnnviz import tracking
from cnnviz.tracking import ACTIVE, Database


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty run database, whose workers end with the test."""
    with tracking.connect() as opened:
        yield opened
        for run in tracking.list_runs(opened, statuses=ACTIVE):
            if run.worker_pid is not None and psutil.pid_exists(run.worker_pid):
                psutil.Process(run.worker_pid).kill()
