"""Runs of seconds, for probes: digits, or a data set made for the test."""

from __future__ import annotations

from typing import Any

from cnnviz import tracking
from cnnviz.tracking import Database, Run
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work

RECIPE = Recipe(dataset="digits", limit=200, epochs=2, batch_size=20, lr=0.02, device="cpu")


def trained(database: Database, **changes: Any) -> Run:
    """A run of `RECIPE` with changes, trained to its end."""
    run = enqueue(database, RECIPE.changed(changes))
    lease = tracking.claim(database, "cpu", only=run.id)
    assert lease is not None
    work(database, lease, lambda _: None, lambda: False)
    return tracking.get_run(database, run.id)
