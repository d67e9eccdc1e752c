"""Memory is bounded by bytes, never by a count of images: statistics, and all else before the first step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cnnviz.training.data import AT_ONCE, DataModule, portion
from cnnviz.training.data.quality import dataset_report
from cnnviz.training.data.transforms import Statistics
from cnnviz.training.recipe import Recipe
from tests.training.stripes import striped


class OnMps:
    """Images on a device without double precision, such as Apple's; what is read of them lies on the CPU."""

    device = torch.device("mps")

    def __init__(self, images: torch.Tensor) -> None:
        self._images, self.shape = images, images.shape

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: slice) -> torch.Tensor:
        return self._images[rows]


def test_statistics_need_no_double_precision_of_the_device() -> None:
    images = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8)
    result, expected = Statistics.of(OnMps(images)), Statistics.of(images)  # type: ignore[arg-type]
    assert torch.equal(result.mean, expected.mean)
    assert torch.equal(result.mean_image, expected.mean_image)


MAX_GROWTH = 256 << 20
"""Bytes that may be taken beside the images."""
MEASURED = """
import resource, sys
import torch
from cnnviz.training.data.label_agreement import neighbours
from cnnviz.training.data.quality import detail
from cnnviz.training.data import Labelled
from cnnviz.training.data.quality import near_duplicates
from cnnviz.training.data.transforms import Statistics
from cnnviz.training.data.quality import variation

torch.set_num_threads(1)
what, count, channels, side = sys.argv[1], *map(int, sys.argv[2:])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
def measured(images):
    part = Labelled(images, torch.arange(len(images)) % 2)
    if what == "statistics":
        return Statistics.of(images)
    return neighbours(part, 2), detail(images[:200]), variation(part), near_duplicates(part, part)
measured(torch.randint(0, 255, (30, channels, 32, 32), dtype=torch.uint8))  # Libraries take what they take.
images = torch.randint(0, 255, (count, channels, side, side), dtype=torch.uint8)
before = peak()
measured(images)
print(peak() - before)
"""


@pytest.mark.parametrize("what", ["statistics", "quality"])
@pytest.mark.parametrize(("count", "channels", "side"), [(600, 3, 224), (6, 3, 1_024)])
def test_what_is_looked_at_before_the_first_step_takes_at_most_256_mib(
    what: str, count: int, channels: int, side: int
) -> None:
    """600 images of 224 pixels are 0.7 GB in double precision, and were as much again in statistics."""
    words = [sys.executable, "-c", MEASURED, what, *map(str, (count, channels, side))]
    result = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert int(result.stdout) < MAX_GROWTH


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 28, 28), (3, 224, 224), (3, 1_024, 1_024)])
def test_a_portion_has_a_bounded_number_of_values_or_is_one_image(shape: tuple[int, int, int]) -> None:
    values = portion(shape) * shape[0] * shape[1] * shape[2]
    assert values <= AT_ONCE or portion(shape) == 1


def test_statistics_are_the_same_bits_in_portions_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (50, 3, 9, 7), dtype=torch.uint8, generator=seed)
    whole = Statistics.of(images)
    for values in (25, 200, 900):
        monkeypatch.setattr("cnnviz.training.data.transforms.IN_CACHE", values)
        apart = Statistics.of(images)
        for name in ("mean", "spread", "mean_image", "colours"):
            assert torch.equal(getattr(apart, name), getattr(whole, name))


def test_the_dataset_report_is_the_same_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    data_module = DataModule.of(striped(), Recipe(validation=0), 1, torch.device("cpu"))
    whole = dataset_report(data_module)
    monkeypatch.setattr("cnnviz.training.data.AT_ONCE", 20_000)
    apart = dataset_report(data_module)
    assert apart.pop("detail") == pytest.approx(whole.pop("detail"), rel=1e-5)
    assert apart.pop("variation")["stored"] == pytest.approx(whole.pop("variation")["stored"])
    assert apart == whole
