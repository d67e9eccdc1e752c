"""Keras 3 on PyTorch: a callback that records a fit live, by the figures that Keras hands to callbacks.

Keras computes its own losses and has its own optimizer, which torch's hooks do not see: the curves, the rate
and the request to stop are recorded, layers and the loop itself are not looked at.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Kind, Status
from cnnviz.tracking.metrics import MetricWriter
from cnnviz.tracking.records import RunFacts
from cnnviz.watching.run import WatchWarning

ACCURACIES = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")
EVERY, FIRST = 10, 50
"""Steps of which one is recorded, and how many of the first are recorded all."""


def keras_callback(base: Any, options: Mapping[str, Any]) -> Any:
    """A callback of Keras 3, made of its `Callback`."""

    class WatchCallback(base):  # type: ignore[misc]
        """Record a fit, and stop it where that is asked for on a page."""

        def __init__(self) -> None:
            super().__init__()
            self.run: KerasHistory | None = None

        def on_train_begin(self, logs: Any = None) -> None:
            """Begin: model and optimizer are there now."""
            self.run = KerasHistory(self.model, dict(self.params or {}), **options)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            """Keras's figures are means since the epoch's first batch."""
            if self.run is not None:
                self.run.begin_epoch(epoch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Record a step, and hand on the request to stop."""
            if self.run is not None:
                self.run.step(batch, logs or {})
                if self.run.should_stop:
                    self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Record an epoch, and what was judged after it."""
            if self.run is not None:
                self.run.end_epoch(epoch, logs or {})

        def on_train_end(self, logs: Any = None) -> None:
            """End."""
            if self.run is not None:
                self.run.finish()

    return WatchCallback()


class KerasHistory:
    """A watched run that a Keras fit writes; an error of ours is one warning, and recording ends."""

    def __init__(
        self,
        model: Any,
        params: Mapping[str, Any],
        *,
        name: str = "",
        dataset: str = "",
        classes: Sequence[str] | None = None,
        database: Database | str | None = None,
    ) -> None:
        self.id: int | None = None
        self.ended = False
        self.step_count = 0
        self._epoch, self._means = 0, dict[str, float]()
        self._model, self._length = model, max(1, int(params.get("steps") or 1))
        try:
            self._database = tracking.connect(database) if not isinstance(database, Database) else database
            self._own = self._database is not database
            self._begin(params, name, dataset, classes)
        except (ValueError, OSError) as error:
            self._fail(error)

    def _begin(
        self, params: Mapping[str, Any], name: str, dataset: str, classes: Sequence[str] | None
    ) -> None:
        epochs = int(params.get("epochs") or 1)
        title = str(getattr(self._model, "name", "") or type(self._model).__name__)
        process = (os.getpid(), psutil.Process().create_time())
        optimizer = type(getattr(self._model, "optimizer", None)).__name__.lower()
        known: dict[str, Any] = {"epochs": epochs}
        if optimizer in ("sgd", "adam", "adamw", "rmsprop"):
            known["optimiser"] = optimizer
        rate = self._rate()
        if rate is not None:
            known["learning_rate"] = rate
        self._lease = tracking.create_foreign_run(
            self._database, Kind.WATCHED, model=title, dataset=dataset or "my own data", name=name,
            recipe=known, process=process,
        )  # fmt: skip
        self.id = self._lease.run_id
        facts = RunFacts(
            params=int(self._model.count_params()), total_steps=self._length * epochs,
            total_epochs=float(epochs),
        )  # fmt: skip
        tracking.describe_run(self._database, self._lease, facts)
        self._writer = MetricWriter(self._database, self._lease)
        if classes:
            self._writer.record("data", {"classes": list(classes)}, 0)
        atexit.register(self.finish)

    @property
    def should_stop(self) -> bool:
        """Whether somebody asked this run to stop, on a page or on the command line."""
        try:
            return not self.ended and self._writer.command is Command.STOP
        except tracking.TrackingError:
            return False

    def begin_epoch(self, epoch: int) -> None:
        """An epoch, counted from 0, begins."""
        self._epoch, self._means = epoch, {}

    def step(self, batch: int, logs: Mapping[str, Any]) -> None:
        """Record a step: of Keras's means over the epoch so far, the last batch's part."""
        if self.ended:
            return
        self.step_count += 1
        at = self._epoch + (batch + 1) / self._length
        for name, key in (("train/loss", "loss"), ("train/accuracy", _accuracy(logs))):
            mean = _number(logs.get(key)) if key else None
            if mean is None:
                continue
            before = self._means.get(name, 0.0)
            self._means[name] = mean
            if self.step_count <= FIRST or self.step_count % EVERY == 0:
                self._log(name, mean * (batch + 1) - before * batch, at)
        if self.step_count % EVERY == 0:
            self._guard(lambda: self._writer.progress(self.step_count, at))

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Record an epoch's means, those of validation, and the rate."""
        accuracy = _accuracy(logs)
        figures = {
            "train/epoch_loss": logs.get("loss"),
            "train/epoch_accuracy": logs.get(accuracy) if accuracy else None,
            "val/loss": logs.get("val_loss"),
            "val/accuracy": logs.get(f"val_{accuracy}") if accuracy else None,
            "lr": self._rate(),
        }
        for name, value in figures.items():
            number = _number(value)
            if number is not None:
                self._log(name, number, float(epoch + 1))
        self._guard(lambda: self._writer.progress(self.step_count, float(epoch + 1)))

    def finish(self) -> None:
        """End the run as finished, once."""
        if self.ended:
            return
        self.ended = True
        atexit.unregister(self.finish)
        try:
            self._writer.close()
            tracking.end(self._database, self._lease, Status.FINISHED)
        except (ValueError, OSError) as error:
            self._fail(error)
        finally:
            if self._own:
                self._database.close()

    def _rate(self) -> float | None:
        """The optimizer's learning rate now; a schedule's has its value by then."""
        return _number(getattr(getattr(self._model, "optimizer", None), "learning_rate", None))

    def _log(self, name: str, value: float, epoch: float) -> None:
        self._guard(lambda: self._writer.log(name, value, self.step_count, epoch))

    def _guard(self, write: Any) -> None:
        if self.ended:
            return
        try:
            write()
        except (ValueError, OSError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.ended = True
        warnings.warn(f"cnnviz.watch.keras does not record this run. {error}", WatchWarning, stacklevel=4)


def _accuracy(logs: Mapping[str, Any]) -> str:
    return next((name for name in ACCURACIES if name in logs), "")


def _number(value: Any) -> float | None:
    """A figure of Keras's, be it a float, a tensor or a variable; None for what is none."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
