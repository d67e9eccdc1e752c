"""How long the analysis of an architecture takes, against torchinfo in the same run.

For every torchvision model, at the size of its own weights and building included: ours on the meta device,
torchinfo on real tensors, torchinfo on the meta device; then ours from the facts that ship. Peak extra
memory is the process's high-water mark during a call, above what it held before.

    python -m benchmarks.analysis [--models N] [--repeat N]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torchinfo

from benchmarks.machine import describe, memory_peak
from cnnviz import models
from cnnviz.analysis import analyze, precomputed
from cnnviz.analysis.core import of_spec

MIB = 2**20


@dataclass(frozen=True)
class Line:
    """One model: seconds of each way, and our peak extra memory in bytes."""

    name: str
    ours: float
    real: float
    meta: float | None
    shipped: float
    memory: int


def timed(work: Callable[[], Any], repeat: int) -> float:
    """The median of `repeat` calls, in seconds."""
    seconds = []
    for _ in range(repeat):
        gc.collect()
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure(spec: models.ModelSpec, repeat: int) -> Line:
    def ours() -> object:
        return of_spec(spec, spec.classes, spec.input_shape, spec.options())

    def real() -> object:
        return _torchinfo(models.build(spec), spec, "cpu")

    def meta() -> object:
        with torch.device("meta"):
            model = models.build(spec)
        return _torchinfo(model, spec, "meta")

    def shipped() -> object:
        precomputed.load.cache_clear()
        return analyze(spec.name)

    with memory_peak() as peak:
        ours()
    try:
        on_meta: float | None = timed(meta, repeat)
    except (NotImplementedError, RuntimeError):  # The RegNets read values while they are built.
        on_meta = None
    return Line(
        spec.name, timed(ours, repeat), timed(real, repeat), on_meta, timed(shipped, repeat), peak.bytes
    )


def _torchinfo(model: torch.nn.Module, spec: models.ModelSpec, device: str) -> object:
    return torchinfo.summary(model.eval(), input_size=(1, *spec.input_shape), verbose=0, device=device)


def report(lines: Sequence[Line]) -> str:
    head = f"{'model':40} {'ours':>8} {'torchinfo':>10} {'on meta':>8} {'ratio':>7} {'shipped':>8}    MiB"
    body = [
        f"{line.name:40} {line.ours * 1e3:8.1f} {line.real * 1e3:10.1f} "
        f"{'fails' if line.meta is None else f'{line.meta * 1e3:.1f}':>8} {line.real / line.ours:7.1f} "
        f"{line.shipped * 1e3:8.2f} {line.memory / MIB:6.1f}"
        for line in lines
    ]
    return "\n".join([head + "   (times in ms)", *body, "", *_summary(lines)])


def _summary(lines: Sequence[Line]) -> list[str]:
    ours = sorted(line.ours * 1e3 for line in lines)
    most = max(line.memory for line in lines) / MIB
    ratios = [line.real / line.ours for line in lines]
    meta = [line.meta / line.ours for line in lines if line.meta is not None]
    return [
        f"ours: median {statistics.median(ours):.0f} ms, 95th percentile {_percentile(ours, 95):.0f} ms, "
        f"most {ours[-1]:.0f} ms; peak extra memory at most {most:.0f} MiB",
        f"torchinfo on real tensors takes {statistics.median(ratios):.1f}× ours in the median "
        f"(least {min(ratios):.1f}×, most {max(ratios):.1f}×)",
        f"torchinfo on meta takes {statistics.median(meta):.1f}× ours in the median; it fails on "
        f"{sum(line.meta is None for line in lines)} of {len(lines)}",
        f"shipped facts: median {statistics.median(line.shipped for line in lines) * 1e3:.1f} ms, "
        f"most {max(line.shipped for line in lines) * 1e3:.1f} ms",
    ]


def _percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile of sorted values."""
    return values[-(-len(values) * percent // 100) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=None, help="only the first N")
    parser.add_argument("--repeat", type=int, default=3, help="calls of each, of which the median counts")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = [spec for spec in models.specs().values() if spec.source == "torchvision"][: given.models]
    measure(models.get("lenet5"), 1)  # The first call of anything in torch imports more of it.
    lines = [measure(spec, given.repeat) for spec in chosen]
    print(describe("torch", "torchvision", "torchinfo"))
    print(f"n = {len(lines)} models, median of {given.repeat} calls each\n")
    print(report(lines))


if __name__ == "__main__":
    main()
