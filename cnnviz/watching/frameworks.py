"""Callbacks for training frameworks, which start and end a `WatchedRun` on the framework's own events."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from torch import nn

from cnnviz.watching import keras_fit
from cnnviz.watching.run import WatchedRun


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
            # Lightning steps after an epoch's last batch too, however few are accumulated by then.
            steps_per_epoch = (
                math.ceil(int(batches) / accumulation) if batches not in (float("inf"), 0) else None
            )
            # With manual optimization the steps are the user's own code.
            framework = "lightning" if getattr(pl_module, "automatic_optimization", True) else "torch"
            settings = {"name": type(pl_module).__name__, "framework": framework, **options}
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
            if self.run is not None:  # An exception that the caller caught: Trainer tells callbacks of none.
                self.run.interrupt("Another training began with the same callback.")
            self.run = WatchedRun(model, [inner], **{"framework": "transformers", **options})
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
    return keras_fit.callback(base, options)


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
