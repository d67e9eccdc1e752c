"""Why the paper review's AlexNet did not learn, measured: one change at a time, same seeds.

The network is the article's, a quarter as wide and for images of 67×67 (`cnnviz.models.layer_list_edit`),
with the same rule for its first weights. STL-10 is replaced by 5,000 images of CIFAR-10, enlarged; another
seed is another 5,000. Accuracy and the largest share that one answer gets are on 2,000 test images after the
last epoch.

    python -m benchmarks.alexnet_stl10 FOLDER [--seeds N] [--arms NAME …] [--rows FILE] [--keep FILE]

FOLDER holds CIFAR-10 (`train` and `test`). Each run is appended to `--rows` when it ends, and not made again
where it stands there; `--keep` writes all of them as the table that the page shows.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from torch import get_num_threads

from benchmarks.machine import describe
from cnnviz import datasets
from cnnviz.datasets import Dataset
from cnnviz.experiments.presets import alexnet_stl10
from cnnviz.training import Recipe
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import Trainer

TEST_IMAGES = 2_000


def stand_in(folder: Path) -> Dataset:
    """CIFAR-10 with so few test images, the same of each class, that a run is mostly training."""
    whole = datasets.load(folder)
    rows = [np.flatnonzero(whole.test.labels == label)[: TEST_IMAGES // 10] for label in range(10)]
    return dataclasses.replace(whole, test=whole.test.take(np.sort(np.concatenate(rows))))


def run(name: str, recipe: Recipe, data: Dataset) -> dict[str, Any]:
    """One run to its end, as a row."""
    start = time.perf_counter()
    ready, log = build_training(recipe, data), InMemoryLogger()
    Trainer(recipe, ready.model, ready.data_module, ready.side, log, macs=ready.macs).run()
    predicted = [value for _, kind, value in log.records if kind == "test/predicted"][-1]
    looks = [(step, value) for step, kind, value in log.records if kind == "layers"]
    return {
        "arm": name,
        "seed": recipe.seed,
        "steps": looks[-1][0],
        "loss": log.last("train/epoch_loss"),
        "test_loss": log.last("test/loss"),
        "accuracy": log.last("test/accuracy"),
        "largest_share": max(predicted) / sum(predicted),
        "curve": [(step, round(loss, 4)) for step, loss in log.series("train/loss")],
        "first": _layers(looks[0][1]),
        "last": _layers(looks[-1][1]),
        "seconds": time.perf_counter() - start,
    }


def _layers(look: Iterable[dict[str, Any]]) -> list[list[Any]]:
    """Name, spread, signal and gradient of the layers that have weights."""
    return [
        [layer["name"], *(float(f"{layer[what]:.4g}") for what in ("spread", "signal", "gradient"))]
        for layer in look
        if layer["gradient"] is not None
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.alexnet_stl10", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--arms", nargs="*", default=list(alexnet_stl10.CONDITIONS), choices=list(alexnet_stl10.CONDITIONS)
    )
    parser.add_argument("--rows", type=Path, default=Path("alexnet-stl10.jsonl"))
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args(arguments)
    data = stand_in(chosen.folder)
    for seed in range(chosen.seeds):
        for name in chosen.arms:
            if any(row["arm"] == name and row["seed"] == seed for row in _rows(chosen.rows)):
                continue
            row = run(name, alexnet_stl10.recipe(name, seed), data)
            with chosen.rows.open("ab") as file:
                file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            print(_line(row), flush=True)
    if chosen.keep is not None:
        told = {"machine": _machine(), "test_images": TEST_IMAGES, "rows": _in_order(_rows(chosen.rows))}
        chosen.keep.write_bytes(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))


def _machine() -> str:
    """Without the load, which was another for each run."""
    hardware, versions = describe("torch", "torchvision", "numpy").splitlines()
    threads = get_num_threads()
    many = "one thread" if threads == 1 else f"{threads} threads"
    return f"{hardware.rsplit(', load', 1)[0]}, {many} a run, {versions}"


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = list(alexnet_stl10.CONDITIONS)
    return sorted(rows, key=lambda row: (order.index(row["arm"]), row["seed"]))


def _rows(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['arm']:<34} seed {row['seed']}  loss {row['loss']:.3f}  test {row['accuracy']:6.2%}  "
        f"one class {row['largest_share']:4.0%}  {row['seconds']:4.0f} s  load {os.getloadavg()[0]:.0f}"
    )


if __name__ == "__main__":
    main()
