"""Recording of a watched run as one of ours: metrics, network, settings, versions, evaluation passes.

An evaluation pass accumulates predictions, loss and confusion matrix batch by batch.
"""

from __future__ import annotations

import atexit
import math
import platform
import sys
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cnnviz.analysis import Analysis
from cnnviz.analysis import analyze as analyze_module
from cnnviz.analysis.precomputed import encode
from cnnviz.models.meta_device import meta_copy
from cnnviz.models.user_code.dry_run import LOGITS
from cnnviz.tracking import MetricWriter, RunFacts
from cnnviz.training.metrics import Score
from cnnviz.training.run_logger import Pace, RunLogger, device_name

_VERSIONS = ("torch", "torchvision", "numpy")


class Log:
    """Logger of a watched run: the trainer's names and steps; a step that is logged already is skipped."""

    def __init__(self, writer: MetricWriter) -> None:
        self._writer = writer
        self._steps: dict[str, int] = {}

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Log scalar metrics."""
        for name, value in values.items():
            if step > self._steps.get(name, -1):
                self._steps[name] = step
                self._writer.log(name, float(value), step, epoch)

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Log a structured record."""
        self._writer.record(kind, value, step, epoch)

    def flush(self) -> None:
        """Wait until everything is written."""
        self._writer.flush()

    def saved(self, step: int, epoch: float, path: Path) -> None:
        """Do nothing: watched loops write their own checkpoints."""


class Reporter(RunLogger):
    """Run logger whose epochs are inferred while the loop runs."""

    def __init__(self, log: Log, pace: Pace, epoch: Any) -> None:
        super().__init__(log, 1, pace)
        self._epoch = epoch

    def figures(self, step: int, values: dict[str, float]) -> None:
        """Log scalars for which `RunLogger` has no method."""
        self._scalars(step, values)

    def body(self, step: int, kind: str, value: Any) -> None:
        """Log a record for which `RunLogger` has no method."""
        self._record(step, kind, value)

    def skip(self, seconds: float) -> None:
        """Exclude `seconds` from the throughput: time that was no training."""
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
    """Return the name of the network's class; of a compiled one, of the class inside."""
    return type(getattr(model, "_orig_mod", model)).__name__


def facts(model: nn.Module, device: torch.device) -> RunFacts:
    """Return parameter count, versions and hardware."""
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
    """Return the recipe fields that the optimizer determines."""
    first = optimizers[0].param_groups[0] if optimizers and optimizers[0].param_groups else {}
    kind = _OPTIMIZERS.get(type(optimizers[0]).__name__) if optimizers else None
    if kind == "sgd" and first.get("nesterov"):
        kind = "nesterov"
    fields: dict[str, Any] = {"optimiser": kind} if kind else {}
    rates = [float(g["lr"]) for o in optimizers for g in o.param_groups]
    if rates and 0 < max(rates) <= 1_000:
        fields["lr"] = max(rates)
    if "momentum" in first:
        fields["momentum"] = min(0.999_999, max(0.0, float(first["momentum"])))
    if "betas" in first:
        fields |= {"momentum": float(first["betas"][0]), "beta2": float(first["betas"][1])}
    if "alpha" in first and 0 <= float(first["alpha"]) < 1:
        fields["alpha"] = float(first["alpha"])
    if "weight_decay" in first and float(first["weight_decay"]) >= 0:
        fields["weight_decay"] = min(float(first["weight_decay"]), 10.0)  # no recipe has more
    return fields


# Layer table and graph of the network, as a JSON record for pages and diagnosis.


def analyze_network(model: nn.Module, shape: tuple[int, ...]) -> tuple[Analysis | None, str]:
    """Analyze a network on a copy on the meta device; None and the reason where that fails."""
    if len(shape) != 3:
        return None, f"Only networks that read images (C, H, W) are analyzed, not {shape}."
    uncompiled = getattr(model, "_orig_mod", None) or (
        model.module if isinstance(model, nn.DataParallel) else model
    )
    try:
        copied = meta_copy(uncompiled)
        for part in copied.modules():  # hooks, ours and others', must not run in the analysis
            for hooks in (part._forward_hooks, part._forward_pre_hooks):
                hooks.clear()
        return analyze_module(copied, (shape[0], shape[1], shape[2])), ""
    except Exception as error:
        return None, str(error)


def network_record(analysis: Analysis, model: nn.Module) -> dict[str, Any]:
    """Return the analysis as JSON-compatible values, with the rate of each dropout layer."""
    return {"analysis": encode(analysis), "why": "", "dropout": _dropout(model)}


def layers_record(model: nn.Module, why: str) -> dict[str, Any]:
    """Return names, types and parameter counts of the layers, for a network that cannot be analyzed."""
    layers = [
        {"name": name, "type": type(part).__name__, "params": sum(p.numel() for p in part.parameters())}
        for name, part in model.named_modules()
        if name and not any(True for _ in part.children())
    ]
    return {"analysis": None, "why": why, "layers": layers, "dropout": _dropout(model)}


def _dropout(model: nn.Module) -> dict[str, float]:
    return {
        name: float(part.p)
        for name, part in model.named_modules()
        if isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0
    }


# Registry of this process's open runs: ended at exit, or as failed by an uncaught exception.
#
# In a notebook an uncaught exception ends a cell, and the open runs with it.


class OpenRun(Protocol):
    """Interface of a run that can be ended: `cnnviz.watching.run.WatchedRun`."""

    def fail(self, error: BaseException) -> None:
        """End it as failed, with the exception's message."""

    def finish(self) -> object:
        """End it as finished."""


open_runs: weakref.WeakSet[OpenRun] = weakref.WeakSet()
_references: set[OpenRun] = set()
_installed = False


def register(run: OpenRun) -> None:
    """End the run with the process, unless it ends earlier."""
    global _installed
    open_runs.add(run)
    _references.add(run)  # a strong reference: a run without a variable still records its loop
    if _installed:
        return
    _installed = True
    atexit.register(_finish_all)
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        for run in list(open_runs):
            with suppress(Exception):
                run.fail(error)
        previous(kind, error, trace)

    sys.excepthook = hook
    _in_notebook()


def _in_notebook() -> None:
    """Register an IPython hook: in a notebook an exception ends a cell and not the process."""
    shell = sys.modules.get("IPython")
    active = shell.get_ipython() if shell is not None else None
    if active is None:
        return

    def ended(result: Any) -> None:
        error = getattr(result, "error_in_exec", None)
        if error is not None:
            for run in list(open_runs):
                run.fail(error)

    active.events.register("post_run_cell", ended)


def unregister(run: OpenRun) -> None:
    """Remove a run that has ended."""
    open_runs.discard(run)
    _references.discard(run)


def _finish_all() -> None:
    for run in list(open_runs):
        with suppress(Exception):
            run.finish()


TOP = 5


class EvaluationPass:
    """Accumulator of one evaluation pass: logits of all images, and metrics of those with labels."""

    def __init__(self, part: str = "test") -> None:
        self.part = part
        self.began = time.perf_counter()
        self.images = 0
        self.labelled = 0
        self.in_training_mode: dict[str, None] = {}
        self._loss = 0.0
        self._top = 0
        self._predicted: Tensor | None = None
        self._confusion: Tensor | None = None
        self._sums: Tensor | None = None
        self._squares: Tensor | None = None

    def add_logits(self, logits: Tensor, in_training_mode: Iterable[str]) -> None:
        """Accumulate a batch's logits `(N, C)`."""
        self.in_training_mode |= dict.fromkeys(in_training_mode)
        if logits.dim() != 2 or logits.shape[1] < 2:
            self.images += len(logits)
            return
        values = logits.detach().double()
        counts = values.argmax(1).bincount(minlength=values.shape[1]).cpu()
        self.images += len(values)
        self._predicted = counts if self._predicted is None else self._predicted + counts
        sums, squares = values.sum(0).cpu(), values.square().sum(0).cpu()
        self._sums = sums if self._sums is None else self._sums + sums
        self._squares = squares if self._squares is None else self._squares + squares

    def add_labels(self, logits: Tensor, labels: Tensor) -> None:
        """Accumulate the metrics of a batch's logits `(N, C)` against its labels `(N,)`."""
        classes = logits.shape[1]
        values, truth = logits.detach().float(), labels.detach().to(logits.device).long()
        valid = (truth >= 0) & (truth < classes)
        values, truth = values[valid], truth[valid]
        if not len(truth):
            return
        predicted = values.argmax(1)
        pairs = (truth * classes + predicted).bincount(minlength=classes * classes)
        matrix = pairs.reshape(classes, classes).cpu()
        self._confusion = matrix if self._confusion is None else self._confusion + matrix
        # Not by torch's loss function, which is wrapped: the monitor would be notified again.
        self._loss -= float(values.log_softmax(1).gather(1, truth[:, None]).sum())
        best = values.topk(min(TOP, classes), 1).indices
        self._top += int((best == truth[:, None]).any(1).sum())
        self.labelled += len(truth)

    @property
    def predicted(self) -> list[int]:
        """Number of images predicted as each class."""
        return [] if self._predicted is None else [int(n) for n in self._predicted.tolist()]

    def score(self) -> Score | None:
        """Return the metrics over all labeled images; None where there are no labels."""
        if self._confusion is None or not self.labelled:
            return None
        spread = 0.0
        if self._sums is not None and self._squares is not None and self.images:
            variance = self._squares / self.images - (self._sums / self.images).square()
            spread = float(variance.clamp(min=0).sqrt().mean())
        return Score(
            loss=self._loss / self.labelled,
            accuracy=float(self._confusion.diagonal().sum()) / self.labelled,
            top5=self._top / self.labelled,
            confusion=self._confusion,
            logit_spread=spread if math.isfinite(spread) else 0.0,
            in_training_mode=tuple(self.in_training_mode),
        )


def as_logits(out: object) -> Tensor | None:
    """Return a network's main output: a mapping's logits entry, else the first `(N, C)` tensor.

    Where no tensor is `(N, C)`, it is the first one.
    """
    if isinstance(out, Tensor):
        return out
    if isinstance(out, dict):
        named = next((out[name] for name in LOGITS if isinstance(out.get(name), Tensor)), None)
        return named if named is not None else as_logits([v for v in out.values() if isinstance(v, Tensor)])
    if isinstance(out, tuple | list):
        tensors = [tensor for tensor in map(as_logits, out) if tensor is not None]
        return next((tensor for tensor in tensors if tensor.dim() == 2), tensors[0] if tensors else None)
    logits = getattr(out, "logits", None)
    return logits if isinstance(logits, Tensor) else None
