"""Test accuracy that the default recipes reach over ten seeds: every pair of a small model and offline data.

    python -m benchmarks.defaults [NAME …] [--seeds N] [--tune FIELD=VALUE,… …]

NAME is a default recipe, such as `default-lenet5-digits`; all of them without one. `--tune` prints instead of
test accuracy what candidates reach on a fifth of the training images, with seeds that are not used otherwise:
that is how the defaults were chosen, and test images have no part in it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import torch

from benchmarks.machine import describe
from cnnviz import datasets
from cnnviz.training import Recipe, get
from cnnviz.training.recipes import default_recipes
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import Trainer

FIRST_TUNING_SEED = 100


def train(recipe: Recipe, metric: str) -> tuple[float, float]:
    """Train by the recipe; return the metric after the last epoch, and seconds."""
    start = time.perf_counter()
    setup, log = build_training(recipe, datasets.load(recipe.dataset)), InMemoryLogger()
    Trainer(setup.recipe, setup.model, setup.data_module, setup.side, log, macs=setup.macs).run()
    return log.last(metric), time.perf_counter() - start


def line(title: str, recipes: Sequence[Recipe], metric: str) -> str:
    """Train by every recipe; return one line of the table."""
    reached = [train(recipe, metric) for recipe in recipes]
    accuracies, seconds = zip(*reached, strict=True)
    return (
        f"{title:<52} {len(reached):>2}  {statistics.mean(accuracies):7.2%}  {min(accuracies):7.2%}  "
        f"{max(accuracies):7.2%}  {statistics.median(seconds):7.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.defaults", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--tune", nargs="+", metavar="FIELD=VALUE,…")
    asked = parser.parse_args(arguments)
    recipes = [get(name) for name in asked.names] or list(default_recipes())
    torch.set_num_threads(1)
    print(describe("torch"), "1 thread", sep=", ")
    measured = "validation" if asked.tune else "test"
    print(f"{measured + ' accuracy':<52}  n     mean      min      max  s a run")
    for recipe in recipes:
        if not asked.tune:
            seeds = [recipe.changed({"seed": seed}) for seed in range(asked.seeds)]
            print(line(recipe.name, seeds, "test/accuracy"), flush=True)
        for text in asked.tune or ():
            changes = dict(pair.split("=", 1) for pair in text.split(",")) | {"validation": "0.2"}
            candidate = recipe.changed(changes)
            seeds = [candidate.changed({"seed": FIRST_TUNING_SEED + seed}) for seed in range(asked.seeds)]
            print(line(f"{recipe.name}: {text}", seeds, "val/accuracy"), flush=True)


if __name__ == "__main__":
    main()
