"""Healthy runs of every small registered model on every registered data set that is there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from benchmarks.diagnosis_runs.setups import Setup

SOURCES = ("digits", "shapes", "every-mnist", "every-fashion", "every-cifar10")
_CYCLE = {"optimiser": "nesterov", "lr": 0.05, "schedule": "one-cycle", "weight_decay": 5e-4}
_RECIPES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lenet5", {"optimiser": "nesterov", "lr": 0.02, "batch_size": 32, "epochs": 8}),
    ("lenet5", {**_CYCLE, "batch_size": 64, "epochs": 10, "pad_crop": 1}),
    (
        "lenet5",
        {"options": {"activation": "tanh", "pooling": "average"}, "optimiser": "adam", "lr": 2e-3}
        | {"batch_size": 50, "epochs": 10},
    ),
    ("lenet5-1998", {"optimiser": "sgd", "lr": 0.003, "batch_size": 32, "epochs": 7}),
    (
        "small-alexnet",
        {"options": {"init": "he"}, "size": 16, "limit": 2000, "optimiser": "adam", "lr": 5e-4}
        | {"batch_size": 50, "epochs": 5},
    ),
    ("small-googlenet-32", {**_CYCLE, "size": 16, "limit": 2000, "batch_size": 50, "epochs": 4}),
    ("resnet18-32", {**_CYCLE, "size": 8, "limit": 2000, "batch_size": 50, "epochs": 4}),
)
"""Models that train within a minute on so little, each as a reader would set it up."""


def setups() -> Iterator[Setup]:
    """Each recipe on each data set, the quickest model first: the others are held against it."""
    for (model, values), source in product(_RECIPES, SOURCES):
        yield Setup(model, source, None, {"model": model, "options": {}, **values})
