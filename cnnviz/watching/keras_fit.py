"""Recording of a Keras 3 fit (PyTorch backend): curves, weight updates and gradients of the layers.

Keras has its own losses and optimizers, which torch's hooks do not see. What is recorded comes from the logs
that Keras passes to callbacks, and from the variables of the layers before and after a sampled step; outputs
of layers and loop facts are not recorded.
"""

from __future__ import annotations

import math
import os
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import psutil
import torch
from torch import Tensor

from cnnviz import tracking
from cnnviz.diagnosis import diagnose, gather
from cnnviz.tracking import Command, Database, Kind, Status
from cnnviz.tracking.metrics import MetricWriter
from cnnviz.tracking.records import RunFacts
from cnnviz.training.layer_stats import LayerStats
from cnnviz.training.trainer import STATS_EARLY, STATS_EVERY
from cnnviz.watching import recording
from cnnviz.watching.diagnosing import Report
from cnnviz.watching.run import WatchWarning

ACCURACIES = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")
EVERY, FIRST = 10, 50
"""Steps between recorded steps, and the number of first steps that are all recorded."""
_OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")


def callback(base: Any, options: Mapping[str, Any]) -> Any:
    """Create a Keras 3 callback, derived from its `Callback`."""

    class WatchCallback(base):  # type: ignore[misc]
        """Record a fit, and stop it when requested in the app."""

        def __init__(self) -> None:
            super().__init__()
            self.run: KerasFit | None = None

        def on_train_begin(self, logs: Any = None) -> None:
            """Start the run: model and optimizer exist now."""
            if self.run is not None:  # An exception that the caller caught: Keras tells callbacks of none.
                self.run.interrupt("Another fit began with the same callback.")
            self.run = KerasFit(self.model, dict(self.params or {}), **options)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            """Reset the running means: Keras averages from the epoch's first batch on."""
            if self.run is not None:
                self.run.begin_epoch(epoch)

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            """Copy the weights before a sampled step."""
            if self.run is not None:
                self.run.begin_step()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Record a step, and stop the fit when requested."""
            if self.run is not None:
                self.run.step(batch, logs or {})
                if self.run.should_stop:
                    self.model.stop_training = True

        def on_test_begin(self, logs: Any = None) -> None:
            """Count the images that the epoch trained with, before Keras resets its metrics."""
            if self.run is not None:
                self.run.count_images("train")

        def on_test_end(self, logs: Any = None) -> None:
            """Count the images that were judged."""
            if self.run is not None:
                self.run.count_images("validation")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Record an epoch and its validation metrics."""
            if self.run is not None:
                self.run.end_epoch(epoch, logs or {})

        def on_train_end(self, logs: Any = None) -> None:
            """End the run."""
            if self.run is not None:
                self.run.finish()

    return WatchCallback()


class KerasFit:
    """Watched run of a Keras fit; an error of cnnviz becomes one warning and ends the recording."""

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
        self._epoch, self._position, self._means = 0, 0.0, dict[str, float]()
        self._images = {"train": 0, "validation": 0}
        self._model, self._length = model, max(1, int(params.get("steps") or 1))
        self._classes = tuple(classes or ()) or _class_numbers(model)
        self._before: dict[str, list[Tensor]] = {}
        self._url = None if isinstance(database, Database) else database
        self._own = not isinstance(database, Database)
        try:
            self._database = database if isinstance(database, Database) else tracking.connect(database)
            self._begin(params, name, dataset)
        except (ValueError, OSError) as error:
            self._give_up(error)

    def _begin(self, params: Mapping[str, Any], name: str, dataset: str) -> None:
        epochs = int(params.get("epochs") or 1)
        title = str(getattr(self._model, "name", "") or type(self._model).__name__)
        process = (os.getpid(), psutil.Process().create_time())
        self._lease = tracking.create_external_run(
            self._database, Kind.WATCHED, model=title, dataset=dataset or "my own data", name=name,
            recipe={"epochs": epochs} | self._settings(), process=process,
        )  # fmt: skip
        self.id = self._lease.run_id
        facts = RunFacts(
            params=int(self._model.count_params()), total_steps=self._length * epochs,
            total_epochs=float(epochs),
        )  # fmt: skip
        tracking.describe_run(self._database, self._lease, facts)
        self._writer = MetricWriter(self._database, self._lease)
        self._write_network()
        self._write_data()
        recording.register(self)

    def _settings(self) -> dict[str, Any]:
        """Return the recipe fields that the optimizer determines."""
        optimizer = getattr(self._model, "optimizer", None)
        kind = type(optimizer).__name__.lower()
        settings: dict[str, Any] = {}
        if kind in _OPTIMIZERS:
            nesterov = kind == "sgd" and getattr(optimizer, "nesterov", False)
            settings["optimiser"] = "nesterov" if nesterov else kind
        rate = self._rate()
        if rate is not None and 0 < rate <= 1_000:
            settings["lr"] = rate
        momentum = _number(getattr(optimizer, "beta_1" if kind in ("adam", "adamw") else "momentum", None))
        if momentum is not None:
            settings["momentum"] = min(0.999_999, max(0.0, momentum))
        return settings

    @property
    def should_stop(self) -> bool:
        """Whether a stop was requested in the app or on the command line."""
        try:
            return not self.ended and self._writer.command is Command.STOP
        except tracking.TrackingError:
            return False

    # Events of the fit.

    def begin_epoch(self, epoch: int) -> None:
        """Start an epoch, counted from 0."""
        self._epoch, self._means = epoch, {}

    def begin_step(self) -> None:
        """Copy the weights, if the step that begins is sampled."""
        step = self.step_count + 1
        if not self.ended and (step in STATS_EARLY or step % STATS_EVERY == 0):
            self._before = {
                name: [value.detach().clone() for value in values] for name, values in _weights(self._model)
            }

    def step(self, batch: int, logs: Mapping[str, Any]) -> None:
        """Record the last batch's metrics, derived from Keras's means over the epoch so far."""
        if self.ended:
            return
        self.step_count += 1
        position = self._position = self._epoch + (batch + 1) / self._length
        for name, key in (("train/loss", "loss"), ("train/accuracy", _accuracy(logs))):
            mean = _number(logs.get(key)) if key else None
            if mean is None:
                continue
            previous = self._means.get(name, 0.0)
            self._means[name] = mean
            if self.step_count <= FIRST or self.step_count % EVERY == 0:
                self._log(name, mean * (batch + 1) - previous * batch, position)
        if self._before:
            self._write_layers(position)
        if self.step_count % EVERY == 0:
            self._guard(lambda: self._writer.progress(self.step_count, position))

    def count_images(self, part: str) -> None:
        """Take the number of images that Keras's running mean of the loss was made of."""
        tracker = next(iter(getattr(self._model, "metrics", ())), None)
        count = _number(getattr(tracker, "count", None))
        if count is not None and round(count) > self._images[part]:
            self._images[part] = round(count)
            self._write_data()

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Record an epoch's mean metrics, its validation metrics and the learning rate."""
        if not any(name.startswith("val_") for name in logs):
            self.count_images("train")
        accuracy = _accuracy(logs)
        metrics = {
            "train/epoch_loss": logs.get("loss"),
            "train/epoch_accuracy": logs.get(accuracy) if accuracy else None,
            "val/loss": logs.get("val_loss"),
            "val/accuracy": logs.get(f"val_{accuracy}") if accuracy else None,
            "lr": self._rate(),
        }
        for name, value in metrics.items():
            number = _number(value)
            if number is not None:
                self._log(name, number, float(epoch + 1))
        self._guard(lambda: self._writer.progress(self.step_count, float(epoch + 1)))

    # The end, and the diagnosis.

    def finish(self) -> None:
        """End the run, as stopped where that was requested, else as finished; a second call does nothing."""
        self._end(Status.STOPPED if self.should_stop else Status.FINISHED)

    def fail(self, error: BaseException) -> None:
        """End the run as failed, with the error's message."""
        first = next(iter(str(error).strip().splitlines()), "")
        text = f"{type(error).__name__}: {first}" if first else type(error).__name__
        lines = "".join(traceback.format_exception(error))
        self._end(Status.STOPPED if isinstance(error, KeyboardInterrupt) else Status.FAILED, text, lines)

    def interrupt(self, reason: str) -> None:
        """End the run as interrupted; a run that has ended stays as it is."""
        self._end(Status.INTERRUPTED, reason)

    def diagnose(self) -> Report:
        """Diagnose the fit from what was recorded so far.

        Raises:
            RuntimeError: For a fit that was not recorded.
        """
        if self.id is None:
            raise RuntimeError("This run was not recorded, so there is nothing to judge; a warning said why.")
        if not self.ended:
            self._guard(self._writer.flush)
        if not (self.ended and self._own):
            return Report(diagnose(gather(self._database, self.id)), ())
        with tracking.connect(self._url) as database:
            return Report(diagnose(gather(database, self.id)), ())

    def _end(self, status: Status, error: str | None = None, last_lines: str | None = None) -> None:
        if self.ended:
            return
        self.ended = True
        recording.unregister(self)
        try:
            self._writer.close()
            tracking.end(self._database, self._lease, status, error, last_lines)
        except (ValueError, OSError) as failure:
            self._give_up(failure)
        finally:
            if self._own:
                self._database.close()

    # Records.

    def _write_network(self) -> None:
        layers = [
            {"name": layer.name, "type": type(layer).__name__, "params": int(layer.count_params())}
            for layer in _layers(self._model)
        ]
        dropout = {
            layer.name: float(layer.rate)
            for layer in _layers(self._model)
            if "Dropout" in type(layer).__name__ and getattr(layer, "rate", None)
        }
        why = "Of a Keras model layers and parameters are recorded, not their shapes."
        body = {"analysis": None, "why": why, "layers": layers, "dropout": dropout, "framework": "keras"}
        self._writer.record("network", body, 0)

    def _write_data(self) -> None:
        body = {"classes": list(self._classes), **self._images}
        self._guard(lambda: self._writer.record("data", body, self.step_count, self._position))

    def _write_layers(self, position: float) -> None:
        before, self._before = self._before, {}
        rows = [
            asdict(_changes(name, before[name], values))
            for name, values in _weights(self._model)
            if len(before.get(name, ())) == len(values)
        ]
        self._guard(lambda: self._writer.record("layers", rows, self.step_count, position))

    def _rate(self) -> float | None:
        """Return the optimizer's current learning rate, with the schedule applied."""
        return _number(getattr(getattr(self._model, "optimizer", None), "learning_rate", None))

    def _log(self, name: str, value: float, epoch: float) -> None:
        self._guard(lambda: self._writer.log(name, value, self.step_count, epoch))

    def _guard(self, write: Any) -> None:
        if self.ended:
            return
        try:
            write()
        except (ValueError, OSError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.ended = True
        recording.unregister(self)
        warnings.warn(f"cnnviz.watch.keras does not record this run. {error}", WatchWarning, stacklevel=4)


def _layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model and of the models in it; a composite layer of another kind is one layer."""
    for layer in getattr(model, "layers", ()):
        if getattr(layer, "layers", None):
            yield from _layers(layer)
        else:
            yield layer


def _weights(model: Any) -> Iterator[tuple[str, list[Tensor]]]:
    """Yield name and trainable weights of each layer that has any."""
    for layer in _layers(model):
        values = [variable.value for variable in layer.trainable_variables]
        tensors = [value for value in values if isinstance(value, Tensor)]
        if tensors:
            yield layer.name, tensors


def _changes(name: str, before: Sequence[Tensor], after: Sequence[Tensor]) -> LayerStats:
    """Return gradient norm and update-to-weight ratio of a layer; its outputs are not known."""
    with torch.no_grad():
        size = _norm(before)
        moved = _norm([new - old for old, new in zip(before, after, strict=True)])
        gradients = [value.grad for value in after if value.grad is not None]
        gradient = _norm(gradients) if gradients else None
    update = moved / size if size else None
    return LayerStats(name, None, None, None, None, None, gradient, update)


def _norm(tensors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))


def _class_numbers(model: Any) -> tuple[str, ...]:
    """Return the numbers of the classes, by the size of the last layer's output; empty where unknown."""
    with suppress(AttributeError, TypeError, ValueError, IndexError):
        count = int(model.output_shape[-1])
        if len(model.output_shape) == 2 and count > 1:
            return tuple(map(str, range(count)))
    return ()


def _accuracy(logs: Mapping[str, Any]) -> str:
    return next((name for name in ACCURACIES if name in logs), "")


def _number(value: Any) -> float | None:
    """Convert a metric (float, tensor or variable) to float; None where it is not a number."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
