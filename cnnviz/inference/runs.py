"""A model out of a run, finished or still going: its last or its best complete checkpoint."""

from __future__ import annotations

from pathlib import Path

from cnnviz import tracking
from cnnviz.inference.errors import InferenceError
from cnnviz.inference.loaded import Loaded, trained
from cnnviz.tracking import Database, Run
from cnnviz.training import Recipe, checkpoint

KINDS = ("last", "best")
ACCURACY = "test/accuracy"


def from_run(database: Database, run_id: int, kind: str = "last") -> Loaded:
    """The model of a run's checkpoint, `last` or `best` by validation accuracy.

    Raises `NoSuchRunError`, `InferenceError` where there is no such checkpoint (yet, or on this machine),
    and `ValueError` for a model that is no longer there.
    """
    run = tracking.get_run(database, run_id)
    stored = checkpoint.read(checkpoint_path(database, run, kind))
    position = stored.position
    going = "" if position.step == run.total_steps else f" It stood at step {position.step:,}."
    return trained(
        run.name,
        Recipe.read(position.recipe),
        stored.interface,
        stored.weights,
        source=f"run:{run_id}" + ("" if kind == "last" else f"/{kind}"),
        accuracy=accuracy_at(database, run_id, position.step),
        notes=(f"The {kind} checkpoint of run {run_id} ({run.status}).{going}",),
    )


def checkpoint_path(database: Database, run: Run, kind: str) -> Path:
    """Where a run's checkpoint lies; raises `InferenceError` where there is none."""
    if kind not in KINDS:
        raise InferenceError(f"A run's checkpoint is {' or '.join(KINDS)}, not '{kind[:40]}'.")
    known = tracking.checkpoints(database, run.id).get(kind)
    if known is None:
        raise InferenceError(
            f"Run {run.id} ({run.status}) has no checkpoint '{kind}'; the first is written after an epoch."
        )
    path = tracking.run_folder(run.id, run.key) / known.path
    if not path.exists():
        where = f" It was trained on {run.host}." if run.host else ""
        raise InferenceError(f"The checkpoint of run {run.id} is not on this machine.{where}")
    return path


def accuracy_at(database: Database, run_id: int, step: int) -> float | None:
    """The test accuracy measured last at or before `step`."""
    curve = tracking.sample_metric(database, run_id, ACCURACY, last=step)
    return float(curve.values[-1]) if len(curve) else None
