"""Callbacks for training frameworks, which start and end a `WatchedRun` on the framework's own events."""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import psutil
from torch import nn

from cnnviz import tracking
from cnnviz.tracking import Command, Database, Kind, Status
from cnnviz.tracking.metrics import MetricWriter
from cnnviz.tracking.records import RunFacts
from cnnviz.watching.run import WatchedRun, WatchWarning


def lightning_callback(model: Callable[[Any], nn.Module] | None, options: Mapping[str, Any]) -> Any:
    """Create a `Callback` of Lightning 2; raises `ValueError` where it is not installed."""
    base = _base(("lightning.pytorch", "pytorch_lightning"), "Callback", "Lightning", "lightning")

    class WatchCallback(base):  # type: ignore[misc,valid-type]
        """Record a fit, and stop it when requested in the app."""

        def __init__(self) -> None:
            self.run: WatchedRun | None = None

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            """Start the run: the optimizers exist now."""
            watched = model(pl_module) if model is not None else only_part(pl_module)
            batches = trainer.num_training_batches
            accumulation = max(1, int(getattr(trainer, "accumulate_grad_batches", 1)))
            steps_per_epoch = (
                max(1, int(batches) // accumulation) if batches not in (float("inf"), 0) else None
            )
            settings = {"name": type(pl_module).__name__, **options}
            self.run = WatchedRun(
                watched, list(trainer.optimizers), steps_per_epoch=steps_per_epoch, **settings
            )

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            """Stop the trainer when requested."""
            if self.run is not None and self.run.should_stop:
                trainer.should_stop = True

        def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
            """Count the following evaluation passes as validation."""
            if self.run is not None:
                self.run.monitor.part = "validation"

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            """End the run as failed."""
            if self.run is not None:
                self.run.fail(exception)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            """End the run."""
            if self.run is not None:
                self.run.finish()

    return WatchCallback()


def transformers_callback(options: Mapping[str, Any]) -> Any:
    """Create a `TrainerCallback` of Transformers; raises `ValueError` where it is not installed."""
    base = _base(("transformers",), "TrainerCallback", "Transformers", "transformers")

    class WatchCallback(base):  # type: ignore[misc,valid-type]
        """Record a training, and stop it when requested in the app."""

        run: WatchedRun | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """Start the run: model and optimizer exist now."""
            model, optimizer = given["model"], given["optimizer"]
            # Accelerate wraps the optimizer; hooks are torch's.
            inner = getattr(optimizer, "optimizer", optimizer)
            self.run = WatchedRun(model, [inner], **options)
            self.run.monitor.part = "validation"

        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> Any:
            """Stop the trainer when requested."""
            if self.run is not None and self.run.should_stop:
                control.should_training_stop = True
            return control

        def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """End the run."""
            if self.run is not None:
                self.run.finish()

    return WatchCallback()


def keras_callback(options: Mapping[str, Any]) -> Any:
    """Create a `Callback` of Keras 3; raises `ValueError` where it is not installed or not on PyTorch."""
    base = _base(("keras.callbacks",), "Callback", "Keras 3", "keras")
    backend = import_module("keras").config.backend()
    if backend != "torch":
        raise ValueError(f"Keras runs on {backend} here; set KERAS_BACKEND=torch before it is imported.")
    return _keras_callback(base, options)


def only_part(module: nn.Module) -> nn.Module:
    """Return the only child with parameters, which training steps may call directly; else the module."""
    parts = [part for part in module.children() if any(True for _ in part.parameters())]
    own = any(True for _ in module.parameters(recurse=False))
    return parts[0] if len(parts) == 1 and not own else module


def _base(modules: tuple[str, ...], name: str, title: str, package: str) -> Any:
    for module in modules:
        try:
            return getattr(import_module(module), name)
        except ImportError:
            continue
    raise ValueError(f"{title} is not installed here: pip install {package}.")


# Recording of a Keras 3 fit (PyTorch backend) from the logs that Keras passes to callbacks.
#
# Keras has its own losses and optimizers, which torch's hooks do not see: learning curves, learning rate and
# the stop request are handled, layer statistics and loop facts are not recorded.

ACCURACIES = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")
EVERY, FIRST = 10, 50
"""Steps between recorded steps, and the number of first steps that are all recorded."""


def _keras_callback(base: Any, options: Mapping[str, Any]) -> Any:
    """Create a Keras 3 callback, derived from its `Callback`."""

    class WatchCallback(base):  # type: ignore[misc]
        """Record a fit, and stop it when requested in the app."""

        def __init__(self) -> None:
            super().__init__()
            self.run: KerasHistory | None = None

        def on_train_begin(self, logs: Any = None) -> None:
            """Start the run: model and optimizer exist now."""
            self.run = KerasHistory(self.model, dict(self.params or {}), **options)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            """Reset the running means: Keras averages from the epoch's first batch on."""
            if self.run is not None:
                self.run.begin_epoch(epoch)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """Record a step, and stop the fit when requested."""
            if self.run is not None:
                self.run.step(batch, logs or {})
                if self.run.should_stop:
                    self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            """Record an epoch and its validation metrics."""
            if self.run is not None:
                self.run.end_epoch(epoch, logs or {})

        def on_train_end(self, logs: Any = None) -> None:
            """End the run."""
            if self.run is not None:
                self.run.finish()

    return WatchCallback()


class KerasHistory:
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
        settings: dict[str, Any] = {"epochs": epochs}
        if optimizer in ("sgd", "adam", "adamw", "rmsprop"):
            settings["optimiser"] = optimizer
        rate = self._rate()
        if rate is not None:
            settings["learning_rate"] = rate
        self._lease = tracking.create_external_run(
            self._database, Kind.WATCHED, model=title, dataset=dataset or "my own data", name=name,
            recipe=settings, process=process,
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
        """Whether a stop was requested in the app or on the command line."""
        try:
            return not self.ended and self._writer.command is Command.STOP
        except tracking.TrackingError:
            return False

    def begin_epoch(self, epoch: int) -> None:
        """Start an epoch, counted from 0."""
        self._epoch, self._means = epoch, {}

    def step(self, batch: int, logs: Mapping[str, Any]) -> None:
        """Record the last batch's metrics, derived from Keras's means over the epoch so far."""
        if self.ended:
            return
        self.step_count += 1
        position = self._epoch + (batch + 1) / self._length
        for name, key in (("train/loss", "loss"), ("train/accuracy", _accuracy(logs))):
            mean = _number(logs.get(key)) if key else None
            if mean is None:
                continue
            previous = self._means.get(name, 0.0)
            self._means[name] = mean
            if self.step_count <= FIRST or self.step_count % EVERY == 0:
                self._log(name, mean * (batch + 1) - previous * batch, position)
        if self.step_count % EVERY == 0:
            self._guard(lambda: self._writer.progress(self.step_count, position))

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Record an epoch's mean metrics, its validation metrics and the learning rate."""
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

    def finish(self) -> None:
        """End the run as finished; a second call does nothing."""
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
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.ended = True
        warnings.warn(f"cnnviz.watch.keras does not record this run. {error}", WatchWarning, stacklevel=4)


def _accuracy(logs: Mapping[str, Any]) -> str:
    return next((name for name in ACCURACIES if name in logs), "")


def _number(value: Any) -> float | None:
    """Convert a metric (float, tensor or variable) to float; None where it is not a number."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
