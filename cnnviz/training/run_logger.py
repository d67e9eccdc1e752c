"""Run logger: what a run reports, when, and to whom; throughput against peak FLOP/s (MFU)."""

from __future__ import annotations

import functools
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
import torch
from torch import Tensor

from cnnviz.training.data.patch_classifier import baseline
from cnnviz.training.data.quality import dataset_report
from cnnviz.training.data.tensors import DataModule, Labelled
from cnnviz.training.data.transforms import Transform
from cnnviz.training.layer_stats import Broken, LayerStats
from cnnviz.training.metrics import EpochMetrics, Score

# What a device can do at most, and how much memory is in use: what a run's speed is compared with.

PASSES = 3
"""A training step is about three forward passes: the gradients of inputs and of weights cost one each."""

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
"""Tensor-core operations a second in bf16 and in TF32, without sparsity: NVIDIA's product data sheets of
H100 (2024), H200 (2024), A100 (2021), L40S (2023), L4 (2023), A10 (2021). All name the figures for sparse
matrices where there are two; these are the halves. A name's words must all occur in the device's name."""


@dataclass(frozen=True)
class PeakFlops:
    """Floating-point operations a second, at most; `basis` says for which numbers and from what."""

    flops: float
    basis: str

    def used(self, macs: int, images_per_second: float) -> float:
        """Model FLOPs utilisation (Chowdhery et al., 2022): two operations a MAC, three passes a step."""
        return 2 * PASSES * macs * images_per_second / self.flops


@functools.cache
def peak_flops(device: torch.device, precision: str, threads: int) -> PeakFlops:
    """The device's peak: of a known GPU from its data sheet, else the best of a few matrix products.

    `threads` counts for the CPU only: the same question is measured once in a process.
    """
    if device.type == "cuda":
        listed = from_data_sheet(torch.cuda.get_device_name(device), precision)
        if listed is not None:
            return listed
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return PeakFlops(_measured(device, dtype), f"{precision}, the best of a few matrix products here")


def from_data_sheet(name: str, precision: str) -> PeakFlops | None:
    """The peak of a GPU by the name that its driver gives, or None. In fp32 it is TF32's: cuDNN uses that."""
    words = set(re.split(r"[^A-Za-z0-9]+", name))
    for wanted, (half, single) in _DATA_SHEETS.items():
        if words.issuperset(wanted):
            return (
                PeakFlops(half, "bf16, data sheet")
                if precision == "bf16"
                else PeakFlops(single, "TF32, data sheet")
            )
    return None


def memory_in_use(device: torch.device) -> int:
    """Bytes: the most that tensors took on a GPU so far, the process's resident set elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return psutil.Process().memory_info().rss


def device_name(device: torch.device) -> str:
    """What people call the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor()


def processor() -> str:
    """The CPU's name as its maker gives it, where the system tells, else its architecture."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


MOST_SECONDS = 0.25
"""Spent on a device's peak after the first product, which loads the library."""


def _measured(device: torch.device, dtype: torch.dtype, tries: int = 6) -> float:
    side = 4096 if device.type == "cuda" else 1024
    one = torch.ones(side, side, dtype=dtype, device=device)
    best, end = float("inf"), float("inf")
    for _ in range(tries):
        if time.perf_counter() > end:
            break
        _wait(device)
        start = time.perf_counter()
        one @ one
        _wait(device)
        best = min(best, time.perf_counter() - start)
        end = min(end, time.perf_counter() + MOST_SECONDS)
    return 2 * side**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# What a run tells while it goes on, and to whom.

MEASURED = ("images_per_second", "mfu", "memory_bytes")
"""Figures of the machine and not of the run: the only ones that a resumed run gives anew."""


class Logger(Protocol):
    """Receives what a run measures, under fixed names: losses in nats, accuracies in [0, 1]."""

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Figures of a step; `epoch` is how many epochs are done, in parts."""

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Something larger, as JSON values; `engine` lists the kinds."""

    def flush(self) -> None:
        """Return when all of it is where nothing can lose it."""

    def saved(self, step: int, epoch: float, path: Path) -> None:
        """A checkpoint lies complete at `path`."""


class InMemoryLogger:
    """Keeps everything in lists, for tests and for those who call the engine themselves."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, str, float]] = []
        self.records: list[tuple[int, str, Any]] = []

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Keep the figures."""
        self.rows.extend((step, epoch, name, value) for name, value in values.items())

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Keep the record."""
        self.records.append((step, kind, value))

    def flush(self) -> None:
        """Nothing to wait for."""

    def saved(self, step: int, epoch: float, path: Path) -> None:
        """Nothing to keep: the file tells."""

    def series(self, name: str) -> list[tuple[int, float]]:
        """One figure's (step, value) pairs."""
        return [(step, value) for step, _, metric, value in self.rows if metric == name]

    def last(self, name: str) -> float:
        """One figure's newest value; raises `IndexError` where there is none."""
        return self.series(name)[-1][1]


class SilentLogger(InMemoryLogger):
    """Keeps nothing: of a rank that is not the first."""

    def scalars(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Drop the figures."""

    def record(self, step: int, epoch: float, kind: str, value: Any) -> None:
        """Drop the record."""


# What a run tells, in which words: every figure and record is named here and nowhere else.

_INPUT = ("mean", "spread", "low", "high")


@dataclass(frozen=True)
class Pace:
    """What speed is judged by; without the multiply-adds of one image (0) there is no `mfu`."""

    device: torch.device
    macs: int
    peak: PeakFlops
    ranks: int = 1
    """Devices like this one that train together."""


class RunLogger:
    """Tells a log about a run of `steps_per_epoch` steps an epoch.

    Figures: `train/loss`, `train/accuracy` and, of auxiliary classifiers, `train/aux1_loss` and so on since
    the last report, `lr`, and those of `log.MEASURED`; at an epoch's end `train/epoch_loss`,
    `train/epoch_accuracy`, and `loss`, `accuracy`, `top5` and `logit_spread` of `val/` and `test/`.
    Records: `data`, `fixed_images`, `trained_layers` where some are frozen or learn slower, `input`, after
    the first step the data-quality report (`census`) and after the first epoch `baseline` once; `layers` and
    `fixed_predictions` at a look; `train/predicted`, `test/predicted`, `validation/confusion` and
    `test/confusion` at an epoch's end, with `in_training_mode`, the layers that were in training mode while
    the test images were evaluated (there should be none);
    `train/evaluated`, how well some training images are known in evaluation mode, after the last step;
    `batch_norm` of a model that has it, before the first step and after the last, then with what some test
    images come to with running and with batch statistics; `nonfinite` where a run fails of it;
    `early_stopping` at the end of a run that it ended, or whose best weights were restored; `engine` where
    the engine has something to say.
    """

    def __init__(self, log: Logger, steps_per_epoch: int, pace: Pace) -> None:
        self._log, self._steps, self._pace = log, steps_per_epoch, pace
        self._clock = time.perf_counter()

    def start_clock(self) -> None:
        """Speed is measured from here: what came before was no training."""
        self._clock = time.perf_counter()

    def begin(self, data_module: DataModule, pictures: Sequence[dict[str, Any]]) -> None:
        """Tell what the run reads, before its first step."""
        self._log.record(0, 0, "data", _facts(data_module))
        self._log.record(0, 0, "fixed_images", list(pictures))

    def dataset_report(self, step: int, data_module: DataModule, transform: Transform) -> None:
        """Record the data-quality report; of 60,000 images it takes longer than the first steps."""
        self._record(step, "census", dataset_report(data_module, transform))

    def read(self, images: Tensor) -> None:
        """Tell of the first batch as the model reads it, `(N, C, H, W)`: figures over all of its values."""
        values = images.float()
        figures = torch.stack([values.mean(), values.std(correction=0), values.amin(), values.amax()])
        self._record(0, "input", dict(zip(_INPUT, figures.tolist(), strict=True)))

    def report(self, step: int, rate: float, tally: EpochMetrics) -> None:
        """Tell of the steps since the last report, which `tally` has fetched."""
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

    def look(self, step: int, layers: Sequence[LayerStats], predictions: Sequence[dict[str, Any]]) -> None:
        """Tell what was seen in a step that was looked at."""
        self._record(step, "layers", [asdict(layer) for layer in layers])
        self._record(step, "fixed_predictions", list(predictions))

    def epoch(self, step: int, tally: EpochMetrics) -> None:
        """Tell of the epoch that ends with `step`."""
        loss, right, count = tally.epoch.values
        self._scalars(step, {"train/epoch_loss": loss / count, "train/epoch_accuracy": right / count})
        self._record(step, "train/predicted", tally.predicted)

    def score(self, step: int, part: str, score: Score) -> None:
        """Tell how good the model is on `validation` or `test` images."""
        prefix = "val" if part == "validation" else part
        names = ("loss", "accuracy", "top5", "logit_spread")
        self._scalars(step, {f"{prefix}/{name}": getattr(score, name) for name in names})
        self._record(step, f"{part}/confusion", score.confusion.tolist())
        if part == "test":
            self._record(step, "test/predicted", score.predicted)
            self._record(step, "in_training_mode", list(score.in_training_mode))

    def train_score(self, step: int, images: int, score: Score) -> None:
        """Record how well `images` training images are known, without dropout and augmentation."""
        self._record(step, "train/evaluated", {"images": images} | _brief(score))

    def trained_layers(self, layers: Sequence[dict[str, Any]]) -> None:
        """Record which layers learn, and at which part of the rate, unless all do alike (`layer_rates`)."""
        if any(one["trainable"] < one["params"] or one["rate"] != 1.0 for one in layers):
            self._record(0, "trained_layers", list(layers))

    def batch_norm(
        self,
        step: int,
        layers: Sequence[dict[str, Any]],
        images: int = 0,
        running: Score | None = None,
        by_batch: Score | None = None,
    ) -> None:
        """Record the batch-norm layers, and once at the end `images` test images with both statistics."""
        if not layers:
            return
        body: dict[str, Any] = {"layers": list(layers)}
        if running is not None and by_batch is not None:
            body |= {"images": images, "running": _brief(running), "batch": _brief(by_batch)}
        self._record(step, "batch_norm", body)

    def baseline(self, step: int, data_module: DataModule) -> None:
        """Tell what a classifier without training reaches on the same images.

        Not before the first step, for which people wait; nothing is compared before the first epoch's end.
        """
        self._record(step, "baseline", baseline(data_module))

    def broken(self, step: int, place: Broken) -> None:
        """Tell where numbers stopped being numbers, in the step whose loss was none."""
        self._record(step, "nonfinite", {"step": step, "layer": place.layer, "what": place.what})

    def early_stopping(self, step: int, body: Mapping[str, Any]) -> None:
        """Record at which epoch and why the run ended early, and which weights it was left with."""
        self._record(step, "early_stopping", dict(body))

    def note(self, step: int, sentence: str) -> None:
        """Tell what the engine found out about itself."""
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
