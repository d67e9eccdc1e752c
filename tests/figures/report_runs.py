"""Runs that a report is made of."""

import numpy as np

from cnnviz import tracking
from cnnviz.tracking import Database, MetricWriter, RunFacts, Status
from cnnviz.training import Recipe

EVIL = '<script src="https://example.org/x.js"></script>'


def finished(database: Database, classes: int = 10, **changes: object) -> int:
    """A finished run with curves, a matrix, and names that must be escaped."""
    recipe = Recipe(name="untitled", **changes).model_dump(mode="json")
    run = tracking.create_run(
        database, recipe, model="lenet5", dataset="digits", seed=3, name=f"first {EVIL}", total_epochs=2
    )
    lease = tracking.claim(database, "cpu", only=run.id)
    assert lease is not None
    facts = RunFacts(
        params=61_706, hardware="a processor", versions={"torch": "9.9"}, fingerprint="f1n9er", total_steps=4
    )
    tracking.begin(database, lease, facts=facts)
    matrix = np.eye(classes, dtype=int) * 9
    matrix[1, 2] = 4
    with MetricWriter(database, lease) as log:
        log.record("test/confusion", matrix.tolist(), 4, 2.0)
        for step in range(1, 5):
            log.log_all(
                {"train/loss": 1 / step, "test/loss": 2 / step, "test/accuracy": step / 5}, step, step / 2
            )
    tracking.update_run(database, run.id, notes=f"A note {EVIL}", tags=["kept"])
    tracking.end(database, lease, Status.FINISHED)
    return run.id
