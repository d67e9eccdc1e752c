"""Runs in a database as a worker would have recorded them, sound and collapsed ones; nothing is trained."""

from __future__ import annotations

from typing import Any

from cnnviz import tracking
from cnnviz.tracking import Database, MetricWriter, RunFacts, Status
from cnnviz.training import Recipe

EPOCHS, STEPS = 10, 200
CLASSES = [str(digit) for digit in range(10)]


def run_with_curves(
    database: Database,
    *,
    collapsed: bool,
    behind: bool = False,
    status: Status = Status.FINISHED,
    error: str | None = None,
    parent_id: int | None = None,
    device: str = "cpu",
    **recipe: Any,
) -> int:
    """A run with ten epochs of curves and answers; `collapsed` says 3 to every image.

    `behind` stops at 41 % of images that a classifier without training knows to 93 %, which no rule explains.
    """
    whole = Recipe(epochs=EPOCHS, **recipe)
    run = tracking.create_run(
        database, whole.model_dump(mode="json"), model=whole.model, dataset=whole.dataset, seed=whole.seed,
        parent_id=parent_id, total_epochs=EPOCHS, device=device,
    )  # fmt: skip
    if status is Status.QUEUED:
        return run.id
    lease = tracking.claim(database, device, only=run.id)
    assert lease is not None
    tracking.begin(database, lease, facts=RunFacts(params=61_706, total_steps=STEPS, total_epochs=EPOCHS))
    with MetricWriter(database, lease) as log:
        facts = {
            "classes": CLASSES, "counts": [100] * 10, "train": 1000, "validation": 100, "test": 200,
            "shape": [1, 28, 28], "notes": [],
        }  # fmt: skip
        log.record("data", facts, 0, 0.0)
        for epoch in range(1, EPOCHS + 1):
            _epoch(log, epoch, collapsed, behind)
            if behind and epoch == 1:
                score = {"images": 200, "accuracy": 0.93, "constant": 0.1}
                log.record("baseline", {"learned_from": 1000, "test": score}, STEPS // EPOCHS, 1.0)
        log.flush()
    if status is not Status.RUNNING:
        tracking.end(database, lease, status, error)
    return run.id


def _epoch(log: MetricWriter, epoch: int, collapsed: bool, behind: bool) -> None:
    step = epoch * STEPS // EPOCHS
    loss, accuracy = (2.303, 0.1) if collapsed else (2.3 - 0.22 * epoch, 0.1 + 0.088 * epoch)
    if behind:
        loss, accuracy = max(1.4, 2.3 - 0.3 * epoch), min(0.41, 0.1 + 0.1 * epoch)
    values = {"lr": 0.05}
    for part in ("train", "val", "test"):
        values |= {f"{part}/loss": loss, f"{part}/accuracy": accuracy}
    values |= {"train/epoch_loss": loss, "train/epoch_accuracy": accuracy, "test/logit_spread": 1 - collapsed}
    log.log_all(values, step, float(epoch))
    counts = [0, 0, 0, 200, *([0] * 6)] if collapsed else [20] * 10
    log.record("test/predicted", counts, step, float(epoch))


def run_without_records(
    database: Database, status: Status = Status.FAILED, error: str | None = "It ended early."
) -> int:
    """A run without any metric or record."""
    whole = Recipe()
    run = tracking.create_run(
        database, whole.model_dump(mode="json"), model=whole.model, dataset=whole.dataset, seed=0
    )
    if status is Status.QUEUED:
        return run.id
    lease = tracking.claim(database, "cpu", only=run.id)
    assert lease is not None
    tracking.begin(database, lease)
    if status is not Status.RUNNING:
        tracking.end(database, lease, status, error)
    return run.id
