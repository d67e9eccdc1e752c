"""Runs as a list has them, and databases with runs in them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnviz import tracking
from cnnviz.tracking import Database, Kind, MetricSummary, MetricWriter, RunFacts, RunSummary, Status
from cnnviz.training import Recipe
from cnnviz.ui.shared.runs.run_data import Listing


def summary(run_id: int, **changes: Any) -> RunSummary:
    """A finished run; `accuracy` gives it a last and a best test accuracy."""
    accuracy = changes.pop("accuracy", None)
    metrics = {}
    if accuracy is not None:
        metrics["test/accuracy"] = MetricSummary("test/accuracy", 3, accuracy, 9, 0.1, 3, accuracy + 0.01, 6)
    plain: dict[str, Any] = {
        "id": run_id, "key": f"key{run_id}", "name": f"run {run_id}", "status": Status.FINISHED,
        "kind": Kind.TRAINED,
        "model": "lenet5", "dataset": "digits", "seed": 0, "device": "cpu", "host": None, "parent_id": None,
        "params": 61_706, "attempt": 1, "worker": None, "tries": 0, "owner_id": 1,
        "device_class": "cpu", "heartbeat": None,
        "step": 9, "epoch": 3.0, "total_steps": 9, "total_epochs": 3.0, "created": 1.0, "queued": 1.0,
        "began": float(run_id), "ended": 99.0, "earlier_seconds": 12.5, "error": None, "notes": "",
        "tags": [], "deleted_at": None,
    }  # fmt: skip
    return RunSummary(**(plain | changes), metrics=metrics)


def listing(*runs: RunSummary, disk: Mapping[int, int] | None = None) -> Listing:
    """A listing of these, newest first."""
    return Listing(tuple(sorted(runs, key=lambda run: -run.id)), dict(disk or {}), ("test/accuracy",))


def trained(
    database: Database,
    accuracy: float = 0.8,
    *,
    name: str = "",
    status: Status = Status.FINISHED,
    **recipe: Any,
) -> int:
    """A run of a few epochs with metrics and a confusion matrix, made without training anything."""
    whole = Recipe(name="untitled", **recipe)
    run = tracking.create_run(
        database, whole.model_dump(mode="json"), model=whole.model, dataset=whole.dataset, seed=whole.seed,
        name=name, total_epochs=3,
    )  # fmt: skip
    if status is Status.QUEUED:
        return run.id
    lease = tracking.claim(database, "cpu", only=run.id)
    assert lease is not None
    facts = RunFacts(
        params=61_706, hardware="a processor", versions={"torch": "9.9"}, fingerprint="f1n9er", total_steps=9
    )
    tracking.begin(database, lease, facts=facts)
    matrix = np.full((10, 10), 1) + np.eye(10, dtype=int) * round(40 * accuracy)
    with MetricWriter(database, lease) as log:
        log.record("test/confusion", matrix.tolist(), 9, 3.0)
        for epoch in range(1, 4):
            values = {
                "train/loss": 2 / epoch, "test/loss": 2.2 / epoch, "train/accuracy": accuracy * epoch / 3,
                "test/accuracy": accuracy * epoch / 3, "images_per_second": 1000.0 * epoch,
            }  # fmt: skip
            log.log_all(values, 3 * epoch, float(epoch))
        if status in (Status.RUNNING, Status.STARTING):
            log.flush()
            return run.id
    tracking.end(database, lease, status, "It went wrong." if status is Status.FAILED else None)
    return run.id


def many(database: Database, count: int) -> None:
    """So many finished runs, by the tables: as fast as the database takes them."""
    from sqlalchemy import insert

    from cnnviz.tracking.tables import RunRow, SeriesRow

    recipe, now = Recipe(name="untitled").model_dump(mode="json"), time.time()
    alike = {
        "status": "finished", "recipe": recipe, "dataset": "digits", "device": "cpu", "attempt": 1, "step": 9,
        "epoch": 3.0, "created": now, "queued": now, "tags": ["sweep"],
    }  # fmt: skip
    runs = [
        {
            **alike, "key": f"{i:012}", "name": f"sweep {i}", "seed": i, "params": 60_000 + i,
            "began": now + i, "model": ("lenet5", "lenet5-1998")[i % 2], "earlier_seconds": 1.0 + i,
        }
        for i in range(1, count + 1)
    ]  # fmt: skip
    measured = {"count": 3, "last_step": 9, "low": 0.0, "low_step": 3, "high": 0.99, "high_step": 6}
    series = [
        {**measured, "run_id": i, "name": name, "last": (i * 37 % 1009) / 1009}
        for i in range(1, count + 1)
        for name in ("test/accuracy", "images_per_second", "test/loss")
    ]
    with database.write() as session:
        connection = session.connection()
        connection.execute(insert(RunRow), runs)
        connection.execute(insert(SeriesRow), series)
