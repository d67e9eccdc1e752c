"""What a watched run writes down, as a run of ours would: its figures, its network, optimizer and machine."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from cnnviz.tracking import MetricWriter, RunFacts
from cnnviz.training.run_logger import Pace, RunLogger, device_name

_VERSIONS = ("torch", "torchvision", "numpy")


class Log:
    """A run's logger: names and steps as the trainer's, where what was reported already is left out."""

    def __init__(self, writer: MetricWriter) -> None:
        self._writer = writer
        self._steps: dict[str, int] = {}

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Log figures."""
        for name, value in values.items():
            if step > self._steps.get(name, -1):
                self._steps[name] = step
                self._writer.log(name, float(value), step, epoch)

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Log something larger."""
        self._writer.record(kind, value, step, epoch)

    def flush(self) -> None:
        """Wait until all of it is written."""
        self._writer.flush()

    def saved(self, step: int, epoch: float, path: Path) -> None:
        """Watched loops write their own checkpoints."""


class Reporter(RunLogger):
    """Reports as of any run, at epochs that are found out while it goes on."""

    def __init__(self, log: Log, pace: Pace, epoch: Any) -> None:
        super().__init__(log, 1, pace)
        self._epoch = epoch

    def figures(self, step: int, values: dict[str, float]) -> None:
        """Report figures that have no report of their own."""
        self._scalars(step, values)

    def body(self, step: int, kind: str, value: Any) -> None:
        """Report a record that has no report of its own."""
        self._record(step, kind, value)

    def skip(self, seconds: float) -> None:
        """Leave out of the speed what was no training."""
        self._clock = min(time.perf_counter(), self._clock + seconds)

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        self._log.scalars(step, self._epoch(step), values)

    def _record(self, step: int, kind: str, value: Any) -> None:
        self._log.record(step, self._epoch(step), kind, value)


def check_hooks(model: nn.Module) -> None:
    """Raise `ValueError` for a network that cannot be watched."""
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("A TorchScript module takes no hooks: give the module from before torch.jit.script.")
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        raise ValueError("It has lazily shaped layers: pass a batch through the network before cnnviz.watch.")


def class_name(model: nn.Module) -> str:
    """What the network is called: its class, of a compiled one the class inside."""
    return type(getattr(model, "_orig_mod", model)).__name__


def facts(model: nn.Module, device: torch.device) -> RunFacts:
    """Parameters, versions and hardware."""
    versions = {"python": platform.python_version()}
    for package in _VERSIONS:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    threads = torch.get_num_threads()
    count = sum(p.numel() for p in model.parameters())
    return RunFacts(
        params=count,
        versions=versions,
        hardware=f"{device_name(device)}, {threads} thread{'s' if threads > 1 else ''}",
    )


_OPTIMIZERS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw", "RMSprop": "rmsprop"}


def settings(optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Any]:
    """What an optimizer says of a recipe's fields; those it does not say are left out."""
    first = optimizers[0].param_groups[0] if optimizers and optimizers[0].param_groups else {}
    kind = _OPTIMIZERS.get(type(optimizers[0]).__name__) if optimizers else None
    if kind == "sgd" and first.get("nesterov"):
        kind = "nesterov"
    found: dict[str, Any] = {"optimiser": kind} if kind else {}
    rates = [float(g["lr"]) for o in optimizers for g in o.param_groups]
    if rates and 0 < max(rates) <= 1_000:
        found["lr"] = max(rates)
    if "momentum" in first:
        found["momentum"] = min(0.999_999, max(0.0, float(first["momentum"])))
    if "betas" in first:
        found |= {"momentum": float(first["betas"][0]), "beta2": float(first["betas"][1])}
    if "alpha" in first and 0 <= float(first["alpha"]) < 1:
        found["alpha"] = float(first["alpha"])
    if "weight_decay" in first and 0 <= float(first["weight_decay"]) <= 10:
        found["weight_decay"] = float(first["weight_decay"])
    return found
