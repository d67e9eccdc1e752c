"""Experiments, and runs of theirs that ended as a test wants, without training."""

from __future__ import annotations

import time

from cnnviz import tracking
from cnnviz.experiments import Cell, Condition, Experiment, get
from cnnviz.experiments.experiment import METRIC
from cnnviz.tracking import Database, Status
from cnnviz.tracking.metrics import Value, append
from cnnviz.training import Recipe

BASE = Recipe(dataset="digits", scale="unit", epochs=5, device="cpu")
NORMALISING = Experiment.of(
    name="normalising",
    question="Does normalizing the input raise accuracy?",
    base=BASE,
    base_name="pixels in [0, 1]",
    conditions=(Condition(name="normalizing the input", changes={"scale": "standardised"}),),
    seeds=(0, 1, 2),
)


def end_run(
    database: Database, run_id: int, accuracy: float | None, status: Status = Status.FINISHED, error: str = ""
) -> None:
    """Bring a run that waits to its end; `accuracy` (in [0, 1]) is logged unless it is None."""
    lease = tracking.claim(database, "cpu", only=run_id)
    assert lease is not None
    tracking.begin(database, lease)
    if accuracy is not None:
        append(database, lease, [Value(METRIC, step, step, value, time.time()) for step, value in
                                 ((1, accuracy + 0.01), (2, accuracy))])  # fmt: skip
    tracking.end(database, lease, status, error or None)


def end_all(database: Database, experiment_id: int, accuracies: dict[str, list[float]]) -> None:
    """Finish every run of an experiment: accuracies of each arm, in the order of the seeds."""
    stored = get(database, experiment_id)
    for arm, values in accuracies.items():
        for seed, value in zip(stored.experiment.seeds, values, strict=True):
            run = stored.runs[Cell(arm, seed)]
            assert run is not None
            end_run(database, run.id, value)
