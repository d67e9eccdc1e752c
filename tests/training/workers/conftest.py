"""A database, and no process left behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cnnviz import tracking
from cnnviz.tracking import ACTIVE, Database
from cnnviz.training.workers import process_id


@pytest.fixture
def database() -> Iterator[Database]:
    """An empty run database, whose workers end with the test."""
    with tracking.connect() as opened:
        yield opened
        for run in tracking.list_runs(opened, statuses=ACTIVE):
            if run.worker_pid is not None and run.worker_started is not None:
                process_id.kill(run.worker_pid, run.worker_started)
