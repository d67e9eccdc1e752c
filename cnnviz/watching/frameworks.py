"""Callbacks for training frameworks: the same watch, begun and ended by the framework's own events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from torch import nn

from cnnviz.watching.run import WatchedRun


def lightning_callback(model: Callable[[Any], nn.Module] | None, options: Mapping[str, Any]) -> Any:
    """A `Callback` of Lightning 2; raises `ValueError` where it is not installed."""
    base = _base(("lightning.pytorch", "pytorch_lightning"), "Callback", "Lightning", "lightning")

    class WatchCallback(base):  # type: ignore[misc,valid-type]
        """Watch a fit, and stop it where that is asked for on a page."""

        def __init__(self) -> None:
            self.run: WatchedRun | None = None

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            """Begin: the optimizers are there now."""
            watched = model(pl_module) if model is not None else only_part(pl_module)
            batches = trainer.num_training_batches
            each = max(1, int(getattr(trainer, "accumulate_grad_batches", 1)))
            length = max(1, int(batches) // each) if batches not in (float("inf"), 0) else None
            chosen = {"name": type(pl_module).__name__, **options}
            self.run = WatchedRun(watched, list(trainer.optimizers), steps_per_epoch=length, **chosen)

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            """Hand on the request to stop."""
            if self.run is not None and self.run.should_stop:
                trainer.should_stop = True

        def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
            """What is judged now is validation."""
            if self.run is not None:
                self.run.monitor.part = "validation"

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            """End as failed."""
            if self.run is not None:
                self.run.fail(exception)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            """End."""
            if self.run is not None:
                self.run.finish()

    return WatchCallback()


def transformers_callback(options: Mapping[str, Any]) -> Any:
    """A `TrainerCallback` of Hugging Face's Transformers; raises `ValueError` where it is not installed."""
    base = _base(("transformers",), "TrainerCallback", "Transformers", "transformers")

    class WatchCallback(base):  # type: ignore[misc,valid-type]
        """Watch a training, and stop it where that is asked for on a page."""

        run: WatchedRun | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """Begin: model and optimizer are there now."""
            model, optimizer = given["model"], given["optimizer"]
            # Accelerate wraps the optimizer; hooks are torch's.
            inner = getattr(optimizer, "optimizer", optimizer)
            self.run = WatchedRun(model, [inner], **options)
            self.run.monitor.part = "validation"

        def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> Any:
            """Hand on the request to stop."""
            if self.run is not None and self.run.should_stop:
                control.should_training_stop = True
            return control

        def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            """End."""
            if self.run is not None:
                self.run.finish()

    return WatchCallback()


def keras_callback(options: Mapping[str, Any]) -> Any:
    """A `Callback` of Keras 3; raises `ValueError` where it is not installed, or does not run on PyTorch."""
    base = _base(("keras.callbacks",), "Callback", "Keras 3", "keras")
    backend = import_module("keras").config.backend()
    if backend != "torch":
        raise ValueError(f"Keras runs on {backend} here; set KERAS_BACKEND=torch before it is imported.")
    from cnnviz.watching import keras_history

    return keras_history.keras_callback(base, options)


def only_part(module: nn.Module) -> nn.Module:
    """The only part of a module with parameters, which steps may call by itself; else the module."""
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
