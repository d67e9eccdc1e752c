"""Speed of training, and time to an accuracy.

First images a second of our engine, of the article's own loop (torchvision's way to hand out items,
`ToTensor`, `DataLoader`, the loss read in every step) and of Lightning's Trainer, for LeNet-5 and
SmallAlexNet, interleaved, on this device; ratios are of medians in the same run. Ours is timed twice: with
the article's batch and optimizer in fp32, as the others are, and as its `fast-` recipe has it. Metrics, looks
at layers and fixed images are in its time, evaluation at an epoch's end is in nobody's.

Then time to accuracy of `fast-lenet5-mnist`, several seeds: the clock starts when the data are decoded and on
the device, and includes evaluation; accuracy is the mean at the last epoch. For the article's 98.25 % a
single epoch of smaller batches is enough.

    python -m benchmarks.train [--data FOLDER] [--repeat N] [--steps N] [--seeds N]
                               [--set K=V …] [--part speed|accuracy]

FOLDER holds `mnist` and `cifar10-jpeg` (or `cifar10`); without it images are made up, and so are accuracies.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.loops import WARM_UP, Items, Task, Timing, article, lightning, wait
from benchmarks.machine import describe
from cnnviz import datasets
from cnnviz.datasets import Dataset, Part
from cnnviz.training import Recipe, get
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training, device_of
from cnnviz.training.trainer import Trainer

TASKS = (("lenet5", "mnist", (1, 28, 28), 1.0), ("small-alexnet", "cifar10", (3, 32, 32), 0.1))
"""Model, data, shape, and what part of the steps is enough."""

GOALS: tuple[tuple[str, dict[str, str]], ...] = (
    ("98.25 %", {"epochs": "1", "batch_size": "64", "lr": "0.06"}),
    ("99.0 %", {}),
)
"""An accuracy, and what is changed in the recipe that is made for 99 %; tuned as the recipe was."""


def data(folder: Path | None, name: str, shape: tuple[int, int, int]) -> Dataset:
    """The images, decoded; noise where there are none."""
    for found in (name, f"{name}-jpeg"):
        if folder is not None and (folder / found).is_dir():
            return datasets.load(folder / found)
    random = np.random.default_rng(0)

    def noise(count: int) -> Part:
        return Part(random.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count) % 10)

    classes = tuple("0123456789")
    return Dataset(name, f"{name}, made up", classes, noise(10_000), noise(2_000), "0" * 64, (), Path())


def ours(recipe: Recipe, images: Dataset) -> Timing:
    """The engine, with all that it tells and looks at, evaluation left out."""
    ready = build_training(recipe, images)

    def timed(steps: int) -> float:
        run = Trainer(recipe, ready.model, ready.data_module, ready.side, InMemoryLogger(), macs=ready.macs)
        run.run(lambda: run.step < WARM_UP)
        wait(run.device)
        start = time.perf_counter()
        run.run(lambda: run.step < WARM_UP + steps)
        wait(run.device)
        return steps * recipe.batch_size / (time.perf_counter() - start)

    return timed


def speed(folder: Path | None, repeat: int, steps: int, changes: dict[str, str]) -> None:
    for model, name, shape, part in TASKS:
        images = data(folder, name, shape)
        plain = get(f"article-{model}-{name}").changed(
            {"scale": "unit", "pad_crop": 0, "flip": "none", "epochs": 1000}
        )
        fast = get(f"fast-{model}-{name}").changed({"epochs": 1000, **changes})
        other = task(plain, images)
        contenders = {
            "the article's loop": article(other),
            "cnnviz, as the article": ours(plain, images),
            f"cnnviz, {fast.name}": ours(fast, images),
        }
        if importlib.util.find_spec("lightning"):
            contenders["Lightning's Trainer"] = lightning(other)
        found: dict[str, list[float]] = {title: [] for title in contenders}
        count = max(2, round(steps * part))
        for _ in range(repeat):
            for title, timing in contenders.items():
                found[title].append(timing(count))
        print(f"\n{model} on {images.title}, batch {plain.batch_size} (fast: {fast.batch_size}), ", end="")
        print(f"{count} steps, n = {repeat}, interleaved")
        base = statistics.median(found["the article's loop"])
        for title, values in found.items():
            middle, span = statistics.median(values), f"({min(values):,.0f}–{max(values):,.0f})"
            print(f"  {title:34s} {middle:10,.0f} images/s {span:20s} ratio {middle / base:6.2f}")


def task(recipe: Recipe, images: Dataset) -> Task:
    rows = np.arange(min(len(images.train), 20_000))
    items = Items(images.train.pixels(rows), images.train.labels[rows])
    momentum = recipe.momentum if recipe.optimiser == "sgd" else 0.0
    return Task(
        recipe.model, items, recipe.batch_size, recipe.lr, momentum, recipe.weight_decay, device_of(recipe)
    )


def accuracy(folder: Path | None, seeds: int, changes: dict[str, str]) -> None:
    images = data(folder, "mnist", (1, 28, 28))
    for goal, own in GOALS:
        base = get("fast-lenet5-mnist").changed(own | changes)
        found = [_trained(base.changed({"seed": seed}), images) for seed in range(seeds)]
        seconds, reached = zip(*found, strict=True)
        print(f"\n{base.name} on {images.title} for {goal}: {base.epochs} epochs of batches of ", end="")
        print(f"{base.batch_size}, {base.precision}, n = {seeds} seeds, last epoch")
        print(f"  accuracy  mean {statistics.mean(reached):.2%} ({min(reached):.2%}–{max(reached):.2%})")
        print(f"  seconds   mean {statistics.mean(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})")
    print("\nNothing is compiled; what libraries do in a first step is in the seconds.")


def _trained(recipe: Recipe, images: Dataset) -> tuple[float, float]:
    """Seconds and accuracy on the test images after the last epoch."""
    ready, log = build_training(recipe, images), InMemoryLogger()
    wait(ready.data_module.train.labels.device)
    start = time.perf_counter()
    run = Trainer(recipe, ready.model, ready.data_module, ready.side, log, macs=ready.macs)
    run.run()
    return time.perf_counter() - start, log.last("test/accuracy")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with mnist and cifar10-jpeg")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="of LeNet; the larger network makes a tenth")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="K=V", help="change a fast recipe")
    parser.add_argument("--part", choices=("speed", "accuracy"))
    asked = parser.parse_args(arguments)
    changes = dict(pair.split("=", 1) for pair in asked.set)
    print(describe("torch", "torchvision"))
    if importlib.util.find_spec("lightning"):
        print(describe("lightning").splitlines()[1])
    policy = {name: value for name, value in os.environ.items() if name.startswith(("OMP_", "GOMP_"))}
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    print(f"GPU: {gpu}; {torch.get_num_threads()} threads; {policy or 'no OpenMP settings'}")
    if asked.part != "accuracy":
        speed(asked.data, asked.repeat, asked.steps, changes)
    if asked.part != "speed":
        accuracy(asked.data, asked.seeds, changes)


if __name__ == "__main__":
    main()
