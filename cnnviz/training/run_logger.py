"""Run logger: names and reports all metrics and records of a run; throughput and peak FLOP/s (MFU)."""

from __future__ import annotations

import functools
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
import torch
from torch import Tensor

from cnnviz.training.data import DataModule, Labelled
from cnnviz.training.data.label_agreement import baseline
from cnnviz.training.data.quality import dataset_report
from cnnviz.training.data.transforms import Transform
from cnnviz.training.layer_stats import LayerStats, NonFiniteOrigin
from cnnviz.training.metrics import EpochMetrics, Score

# Peak FLOP/s and memory of a device.

PASSES = 3
"""Forward passes per training step: computing the gradients of inputs and of weights costs one each."""

_DATA_SHEETS: dict[tuple[str, ...], tuple[float, float]] = {
    ("H100", "PCIe"): (756e12, 378e12),
    ("H100", "NVL"): (835e12, 417e12),
    ("H100",): (989e12, 494e12),
    ("H200",): (989e12, 494e12),
    ("A100",): (312e12, 156e12),
    ("L40S",): (362e12, 183e12),
    ("L4",): (121e12, 60e12),
    ("A10",): (125e12, 62.5e12),
}
"""Dense tensor-core FLOP/s in bf16 and in TF32 by words of the device name, from NVIDIA's data sheets.

H100 (2024), H200 (2024), A100 (2021), L40S (2023), L4 (2023), A10 (2021). Where a data sheet gives the value
for sparse matrices, this is half of it. All words must occur in the device's name.
"""


@dataclass(frozen=True)
class PeakFlops:
    """Peak FLOP/s; `basis` names its precision and source."""

    flops: float
    basis: str

    def used(self, macs: int, images_per_second: float) -> float:
        """Return model FLOPs utilization (MFU, Chowdhery et al., 2022): 2 FLOPs a MAC, 3 passes a step."""
        return 2 * PASSES * macs * images_per_second / self.flops


@functools.cache
def peak_flops(device: torch.device, precision: str, threads: int) -> PeakFlops:
    """Return the device's peak FLOP/s: of a known GPU from its data sheet, else of the best matrix product.

    `threads` matters only on the CPU, as part of the cache key.
    """
    if device.type == "cuda":
        listed = from_data_sheet(torch.cuda.get_device_name(device), precision)
        if listed is not None:
            return listed
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return PeakFlops(_measured(device, dtype), f"{precision}, the best of a few matrix products here")


def from_data_sheet(name: str, precision: str) -> PeakFlops | None:
    """Return the peak of a GPU by its driver's name, or None. For fp32 it is TF32's, used by cuDNN."""
    words = set(re.split(r"[^A-Za-z0-9]+", name))
    for required, (half, single) in _DATA_SHEETS.items():
        if words.issuperset(required):
            return (
                PeakFlops(half, "bf16, data sheet")
                if precision == "bf16"
                else PeakFlops(single, "TF32, data sheet")
            )
    return None


def memory_in_use(device: torch.device) -> int:
    """Return the peak bytes of tensors on a GPU, or the process's resident set size elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss


def device_name(device: torch.device) -> str:
    """Return the device's display name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor()


def processor() -> str:
    """Return the CPU's model name if the system provides it, else its architecture."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


MAX_SECONDS = 0.25
"""Maximum duration of the measurement after the first product, which loads the library."""


def _measured(device: torch.device, dtype: torch.dtype, tries: int = 6) -> float:
    side = 4096 if device.type == "cuda" else 1024
    matrix = torch.ones(side, side, dtype=dtype, device=device)
    best, end = float("inf"), float("inf")
    for _ in range(tries):
        if time.perf_counter() > end:
            break
        _wait(device)
        start = time.perf_counter()
        matrix @ matrix
        _wait(device)
        best = min(best, time.perf_counter() - start)
        end = min(end, time.perf_counter() + MAX_SECONDS)
    return 2 * side**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# Loggers.

MEASURED = ("images_per_second", "mfu", "memory_bytes")
"""Metrics of the machine rather than of the run: the only ones that differ in a resumed run."""


class Logger(Protocol):
    """Interface of loggers: receives metrics under fixed names, losses in nats, accuracies in [0, 1]."""

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Log the metrics of a step; `epoch` is the number of completed epochs, as a fraction."""

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Log a structured record of JSON values; `RunLogger` lists the kinds."""

    def flush(self) -> None:
        """Block until everything logged is stored durably."""

    def saved(self, step: int, epoch: float, path: Path) -> None:
        """Handle a checkpoint that was completed at `path`."""


class InMemoryLogger:
    """Logger that stores everything in lists, for tests and direct use of `Trainer`."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, str, float]] = []
        self.records: list[tuple[int, str, Any]] = []

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Store the metrics."""
        self.rows.extend((step, epoch, name, value) for name, value in values.items())

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Store the record."""
        self.records.append((step, kind, value))

    def flush(self) -> None:
        """Do nothing."""

    def saved(self, step: int, epoch: float, path: Path) -> None:
        """Do nothing."""

    def series(self, name: str) -> list[tuple[int, float]]:
        """Return the (step, value) pairs of a metric."""
        return [(step, value) for step, _, metric, value in self.rows if metric == name]

    def last(self, name: str) -> float:
        """Return the latest value of a metric; raise `IndexError` if there is none."""
        return self.series(name)[-1][1]


class SilentLogger(InMemoryLogger):
    """Logger that discards everything, for ranks other than 0."""

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Discard the metrics."""

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Discard the record."""


# The run logger: the only place where metrics and records get their names.

_INPUT = ("mean", "spread", "low", "high")


@dataclass(frozen=True)
class Pace:
    """Parameters of throughput; without MACs (0) there is no `mfu`."""

    device: torch.device
    macs: int
    peak: PeakFlops
    ranks: int = 1
    """Number of devices of this kind that train together."""


class RunLogger:
    """Logs a run's metrics and records, with `steps_per_epoch` steps per epoch.

    Metrics: `train/loss`, `train/accuracy` and `train/aux1_loss`, … of auxiliary classifiers, all since the
    last report, `lr`, and `MEASURED`; at the end of an epoch `train/epoch_loss`, `train/epoch_accuracy`, and
    `loss`, `accuracy`, `top5` and `logit_spread` of `val/` and `test/`.

    Records before the first step: `data`, `fixed_images`, `batch_norm` of a model with batch normalization,
    `trained_layers` if some layers are frozen or have a lower rate, and `input`. After the first step: the
    data-quality report (`census`). After the first epoch: `baseline`. With layer statistics: `layers` and
    `fixed_predictions`. At the end of an epoch: `train/predicted`, `test/predicted`, `validation/confusion`,
    `test/confusion`, and `in_training_mode`, the layers in training mode during evaluation (there should be
    none). After the last step: `train/evaluated`, the score of training images in evaluation mode, and
    `batch_norm` with the scores of test images with running and with batch statistics. `nonfinite` if a run
    fails with NaN or Inf; `early_stopping` if it ended the run or restored the best weights; `engine` for
    notes.
    """

    def __init__(self, log: Logger, steps_per_epoch: int, pace: Pace) -> None:
        self._log, self._steps, self._pace = log, steps_per_epoch, pace
        self._clock = time.perf_counter()

    def start_clock(self) -> None:
        """Restart the clock of throughput, after work that is not training."""
        self._clock = time.perf_counter()

    def data(self, data_module: DataModule, pictures: Sequence[dict[str, Any]]) -> None:
        """Record the data of the run, before its first step."""
        self._log.record(0, 0, "data", _facts(data_module))
        self._log.record(0, 0, "fixed_images", list(pictures))

    def dataset_report(self, step: int, data_module: DataModule, transform: Transform) -> None:
        """Record the data-quality report; for 60,000 images it takes longer than the first steps."""
        self._record(step, "census", dataset_report(data_module, transform))

    def input_stats(self, images: Tensor) -> None:
        """Record statistics of the first preprocessed batch, `(N, C, H, W)`, over all of its values."""
        values = images.float()
        figures = torch.stack([values.mean(), values.std(correction=0), values.amin(), values.amax()])
        self._record(0, "input", dict(zip(_INPUT, figures.tolist(), strict=True)))

    def report(self, step: int, rate: float, tally: EpochMetrics) -> None:
        """Log the steps since the last report, from `tally`, which must be drained."""
        loss, right, count = tally.recent.values
        now = time.perf_counter()
        speed = count / max(now - self._clock, 1e-9)
        values = {
            "train/loss": loss / count,
            "train/accuracy": right / count,
            "lr": rate,
            "images_per_second": speed,
            "memory_bytes": float(memory_in_use(self._pace.device)),
        }
        values |= {f"train/aux{head}_loss": sum_ / count for head, sum_ in enumerate(tally.auxiliary, 1)}
        if self._pace.macs:
            values["mfu"] = self._pace.peak.used(self._pace.macs, speed) / self._pace.ranks
        self._scalars(step, values)
        tally.begin_report()
        self._clock = now

    def layer_stats(
        self, step: int, layers: Sequence[LayerStats], predictions: Sequence[dict[str, Any]]
    ) -> None:
        """Record layer statistics and the predictions for tracked images."""
        self._record(step, "layers", [dict(vars(layer)) for layer in layers])
        self._record(step, "fixed_predictions", list(predictions))

    def epoch(self, step: int, tally: EpochMetrics) -> None:
        """Log the epoch that ends with `step`."""
        loss, right, count = tally.epoch.values
        self._scalars(step, {"train/epoch_loss": loss / count, "train/epoch_accuracy": right / count})
        self._record(step, "train/predicted", tally.predicted)

    def score(self, step: int, part: str, score: Score) -> None:
        """Log the score on `validation` or `test` images."""
        prefix = "val" if part == "validation" else part
        names = ("loss", "accuracy", "top5", "logit_spread")
        self._scalars(step, {f"{prefix}/{name}": getattr(score, name) for name in names})
        self._record(step, f"{part}/confusion", score.confusion.tolist())
        if part == "test":
            self._record(step, "test/predicted", score.predicted)
        if part == "test" or score.in_training_mode:
            self._record(step, "in_training_mode", list(score.in_training_mode))

    def train_score(self, step: int, images: int, score: Score) -> None:
        """Record the score of `images` training images without dropout and augmentation."""
        self._record(step, "train/evaluated", {"images": images} | _brief(score))

    def trained_layers(self, layers: Sequence[dict[str, Any]]) -> None:
        """Record `layer_rates`, unless all layers are trained at the same rate."""
        if any(layer["trainable"] < layer["params"] or layer["rate"] != 1.0 for layer in layers):
            self._record(0, "trained_layers", list(layers))

    def batch_norm(
        self,
        step: int,
        layers: Sequence[dict[str, Any]],
        images: int = 0,
        running: Score | None = None,
        by_batch: Score | None = None,
    ) -> None:
        """Record the batch-norm layers, and after training the scores with both statistics."""
        if not layers:
            return
        body: dict[str, Any] = {"layers": list(layers)}
        if running is not None and by_batch is not None:
            body |= {"images": images, "running": _brief(running), "batch": _brief(by_batch)}
        self._record(step, "batch_norm", body)

    def baseline(self, step: int, data_module: DataModule) -> None:
        """Record the accuracy of the patch classifier on the same images.

        After the first epoch, before which nothing is compared: users wait for the first step.
        """
        self._record(step, "baseline", baseline(data_module))

    def nonfinite(self, step: int, origin: NonFiniteOrigin) -> None:
        """Record where the first NaN or Inf arose."""
        self._record(step, "nonfinite", {"step": step, "layer": origin.layer, "what": origin.what})

    def early_stopping(self, step: int, body: Mapping[str, Any]) -> None:
        """Record the epoch and reason of early stopping, and the final weights."""
        self._record(step, "early_stopping", dict(body))

    def note(self, step: int, sentence: str) -> None:
        """Record a note of the trainer."""
        self._record(step, "engine", {"note": sentence})

    def _scalars(self, step: int, values: dict[str, float]) -> None:
        self._log.scalars(step, step / self._steps, values)

    def _record(self, step: int, kind: str, value: Any) -> None:
        self._log.record(step, step / self._steps, kind, value)


def _brief(score: Score) -> dict[str, float]:
    return {"loss": score.loss, "accuracy": score.accuracy}


def _facts(data_module: DataModule) -> dict[str, Any]:
    counts = data_module.train.labels.bincount(minlength=len(data_module.classes))
    return {
        "classes": list(data_module.classes),
        "train": len(data_module.train),
        "available": data_module.available,
        "validation": len(data_module.validation),
        "test": len(data_module.test),
        "shape": list(_shape(data_module.train)),
        "counts": counts.tolist(),
        "notes": list(data_module.notes),
    }


def _shape(part: Labelled) -> torch.Size:
    return part.images.shape[1:]
