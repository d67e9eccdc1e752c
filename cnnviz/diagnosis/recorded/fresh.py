"""Measured signal propagation of full-size AlexNets at initialization: `alexnet-stl10-fresh.json`.

    python -m cnnviz.diagnosis.recorded.fresh FOLDER

FOLDER holds CIFAR-10. Dropout is off: its noise differs between images too, and would hide a weak signal.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from cnnviz import models
from cnnviz.diagnosis.evidence.mean_field import Signal
from cnnviz.diagnosis.recorded import FOLDER
from cnnviz.experiments.presets.alexnet_stl10 import FULL
from cnnviz.training.recipe import Scale

if TYPE_CHECKING:
    from torch import Tensor

FILE = FOLDER / "alexnet-stl10-fresh.json"
IMAGES, SEEDS, CLASSES = 32, 3, 10
STARTS: dict[str, tuple[str, str, Scale]] = {
    "article": ("article", "lrn-article", "unit"),
    "paper": ("paper", "lrn-paper", "raw-minus-mean"),
    "mended": ("he", "lrn-article", "standardised"),
}
"""Initialization, normalization and pixel scale, by name."""


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Layer(_Plain):
    """Statistics of a layer with weights, averaged over seeds."""

    name: str
    spread: float
    """Standard deviation of the outputs over images, positions and units."""
    signal: float
    """Standard deviation over images, root mean square over outputs."""
    gradient: float
    """L2 norm of the gradient of weights and biases."""


class Fresh(_Plain):
    """All measurements, and the hardware and versions."""

    data: str
    images: int
    seeds: int
    hardware: str
    versions: dict[str, str]
    inputs: dict[str, tuple[float, float]]
    """By pixel scale: mean square of the model input, and its standard deviation between images."""
    layers: dict[str, tuple[Layer, ...]]
    """By name of `STARTS`."""

    def entering(self, scale: str) -> Signal:
        """Return the input signal on that scale."""
        return Signal(*self.inputs[scale])


@cache
def fresh() -> Fresh:
    """Read the measurements that ship."""
    return Fresh.model_validate_json(FILE.read_bytes())


def measure(images: Tensor, labels: Tensor, start: str, seed: int) -> list[Layer]:
    """Measure one network at initialization on one batch.

    Images are `(N, 3, 227, 227)` on the scale of `start`, labels `(N,)`.
    """
    import torch

    from cnnviz.training.layer_stats import LayerStatsHook

    init, normalisation, _ = STARTS[start]
    torch.manual_seed(seed)
    options = {"init": init, "normalisation": normalisation}
    model = models.build(models.get("alexnet"), CLASSES, FULL[1:], options).eval()
    observer = LayerStatsHook(model)
    with observer.recording():
        torch.nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
    return [
        Layer(name=look.name, spread=look.spread, signal=look.signal, gradient=look.gradient)
        for look in observer.compute()
        if look.gradient is not None and look.spread is not None and look.signal is not None
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the file."""
    import torch

    from cnnviz import datasets
    from cnnviz.training.data.transforms import Statistics, scale
    from cnnviz.training.run_logger import processor

    parser = argparse.ArgumentParser(prog="python -m cnnviz.diagnosis.recorded.fresh")
    parser.add_argument("folder", type=Path)
    pixels, labels = datasets.load(parser.parse_args(arguments).folder).train.tensors()
    statistics = Statistics.of(pixels)
    large = torch.nn.functional.interpolate(pixels[:IMAGES].float(), FULL[1:], mode="bilinear")
    scaled = {pixel_scale: scale(large, pixel_scale, statistics) for _, _, pixel_scale in STARTS.values()}
    record = Fresh(
        data=f"{IMAGES} images of CIFAR-10 (JPEG) enlarged to 227×227",
        images=IMAGES,
        seeds=SEEDS,
        hardware=processor(),
        versions={"python": platform.python_version(), "torch": version("torch")},
        inputs={pixel_scale: (float(x.square().mean()), _signal(x)) for pixel_scale, x in scaled.items()},
        layers={
            start: _average(
                [measure(scaled[pixel_scale], labels[:IMAGES], start, seed) for seed in range(SEEDS)]
            )
            for start, (_, _, pixel_scale) in STARTS.items()
        },
    )
    FILE.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _signal(x: Tensor) -> float:
    return float(x.var(0, correction=0).mean().sqrt())


def _average(runs: Sequence[Sequence[Layer]]) -> tuple[Layer, ...]:
    """Return the geometric mean of each statistic over the runs, which differ by factors."""
    from statistics import geometric_mean

    return tuple(
        Layer(
            name=same[0].name,
            spread=geometric_mean([layer.spread for layer in same]),
            signal=geometric_mean([layer.signal for layer in same]),
            gradient=geometric_mean([layer.gradient for layer in same]),
        )
        for same in zip(*runs, strict=True)
    )


if __name__ == "__main__":
    main()
