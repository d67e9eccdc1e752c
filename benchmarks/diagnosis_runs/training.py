"""Train a setup, and keep what is known of it: evidence with and without probes, and its accuracy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.diagnosis_runs.setups import Setup
from cnnviz import tracking
from cnnviz.datasets.spec import silent
from cnnviz.diagnosis import Evidence, gather
from cnnviz.diagnosis.probes import probe
from cnnviz.tracking import Database
from cnnviz.training import Recipe, trainer
from cnnviz.training.metrics import Score, evaluate
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work


@dataclass(frozen=True)
class Trained:
    """A run of the bench."""

    run: int
    accuracy: float
    """On the test images after the last epoch; 0 where it did not come so far."""
    honest: float
    """On the validation images, which no flaw of a test part touches."""
    fitted: float
    """On the training images, while they were learned from in the last epoch."""
    seconds: float


class Trainer:
    """Trains, unless a run of that name is known already; its data must be registered.

    Args:
        database: Where runs are recorded; nobody else works at it.
        folder: Where evidence is kept: `NAME.json.gz`, what probes add as `NAME.probed.json.gz`. Files that
            are not there are gathered again from the database without training.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        folder.mkdir(parents=True, exist_ok=True)

    def train(self, name: str, recipe: Recipe, training_mode: bool = False) -> Trained:
        """Train `recipe`; with `training_mode` it is judged so, which is the fault that is planted."""
        about = self.folder / f"{name}.run.json"
        if not self.has(name):
            with _judged_in_training(training_mode):
                run = self._trained(recipe)
            self.evidence(name, run.run)
            about.write_text(json.dumps(asdict(run)))
        return Trained(**json.loads(about.read_text()))

    def has(self, name: str) -> bool:
        """Whether a run of that name is known."""
        return (self.folder / f"{name}.run.json").exists()

    def evidence(self, name: str, run: int, probed: bool = False) -> Evidence:
        """What the run recorded, and with `probed` what probes find."""
        path = self.folder / f"{name}{'.probed' if probed else ''}.json.gz"
        if not path.exists():
            found = probe(self.database, run) if probed else gather(self.database, run)
            found.model_copy(update={"run": None, "title": ""}).write(path)
        return Evidence.read(path)

    def _trained(self, recipe: Recipe) -> Trained:
        started = time.perf_counter()
        run = enqueue(self.database, recipe)
        lease = tracking.claim(self.database, "cpu", only=run.id)
        if lease is None:
            raise RuntimeError(f"Run {run.id} could not be claimed; is another process at this database?")
        work(self.database, lease, silent, lambda: False)
        curves = gather(self.database, run.id).curve
        return Trained(
            run=run.id,
            accuracy=curves("test/accuracy").last or 0.0,
            honest=curves("val/accuracy").last or 0.0,
            fitted=curves("train/epoch_accuracy").last or 0.0,
            seconds=time.perf_counter() - started,
        )


@contextmanager
def _judged_in_training(wrong: bool) -> Iterator[None]:
    """The mistake of a loop without `model.eval()`, made here and nowhere else."""
    if not wrong:
        yield
        return

    def wrongly(model: Any, *args: Any, **kwargs: Any) -> Score:
        with mock.patch.object(model, "eval", return_value=model):
            return evaluate(model, *args, **kwargs)

    with mock.patch.object(trainer, "evaluate", wrongly):
        yield


def set_up(trainer: Trainer, name: str, setup: Setup, seed: int, data: Path | None) -> Trained:
    """Register the setup's data and train it."""
    return trainer.train(name, setup.recipe(data, seed), setup.training_mode)
