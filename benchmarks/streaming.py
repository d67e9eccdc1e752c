"""Images decoded as they stream: a run over a folder of JPEG files against torch's DataLoader.

Both learn from the same class folder of 224×224 JPEG files, with the same small network, optimizer and batch,
from the encoded files on: ours decodes a batch ahead with threads, the loop has `DataLoader(ImageFolder,
num_workers=2)` and a plain step. Epochs take turns; the first of each is not counted.

    python -m benchmarks.streaming [--images N] [--repeat N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from benchmarks.machine import describe
from cnnviz import datasets
from cnnviz.datasets import user_data
from cnnviz.training import Recipe
from cnnviz.training.data import DataModule
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.trainer import Trainer

SIDE, CLASSES, BATCH = 224, 10, 64
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def folder(root: Path, count: int) -> Path:
    """Smooth random pictures, as photographs compress: about 12 kB each."""
    random = np.random.default_rng(0)
    for split, images in (("train", count), ("test", 2 * CLASSES)):
        for number in range(images):
            coarse = Image.fromarray(random.integers(0, 256, (28, 28, 3), dtype=np.uint8))
            path = root / split / f"class{number % CLASSES}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, quality=90)
    return root


def network(width: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, width, 7, stride=4), nn.ReLU(), nn.MaxPool2d(4), nn.Conv2d(width, 32, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES),
    )  # fmt: skip


def ours(root: Path, width: int) -> Iterator[float]:
    """Seconds of each epoch's steps."""
    user_data.MAX_DECODED = 0
    dataset = datasets.load(str(root), {"size": SIDE})
    assert dataset.streams
    recipe = Recipe(
        epochs=1_000, batch_size=BATCH, validation=0, lr=0.01, optimiser="sgd", scale="standardised",
        schedule="constant", precision="fp32", device="cpu",
    )  # fmt: skip
    modules = DataModule.of(dataset, recipe, 3, torch.device("cpu"))
    run = Trainer(recipe, network(width), modules, (SIDE, SIDE), InMemoryLogger(), data_report=False)
    while True:
        start, end = time.perf_counter(), run.step + run.steps_per_epoch
        while run.step < end:
            run._train_step(0.01, record_layers=False)
        run._metrics.drain()
        seconds = time.perf_counter() - start
        modules.close()  # The next epoch's first batch is decoded within its time, as the loader's is.
        yield seconds


def loader(root: Path, width: int) -> Iterator[float]:
    """The same by a loop as the articles have it."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    images = ImageFolder(str(root / "train"), prepare)
    batches = DataLoader(images, BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    model = network(width).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    while True:
        start = time.perf_counter()
        for pixels, labels in batches:
            optimizer.zero_grad()
            torch.autograd.backward(functional.cross_entropy(model(pixels), labels))
            optimizer.step()
        yield time.perf_counter() - start


def main() -> None:
    """Print images a second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--repeat", type=int, default=5)
    asked = parser.parse_args()
    print(describe("torch", "torchvision", "Pillow"))
    print(f"{asked.images:,} JPEG files of {SIDE}×{SIDE}, batch {BATCH}, {torch.get_num_threads()} threads, ")
    print(f"median of {asked.repeat} epochs in turn\n")
    print(f"{'network':10} {'ours':>12} {'DataLoader':>12} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as place:
        root = folder(Path(place), asked.images)
        for name, width in (("light", 4), ("heavier", 64)):
            racers = ours(root, width), loader(root, width)
            for racer in racers:
                next(racer)
            taken = [[next(racer) for racer in racers] for _ in range(asked.repeat)]
            mine, theirs = (asked.images / statistics.median(column) for column in zip(*taken, strict=True))
            print(f"{name:10} {mine:10.0f}/s {theirs:10.0f}/s {mine / theirs:6.2f}")


if __name__ == "__main__":
    main()
