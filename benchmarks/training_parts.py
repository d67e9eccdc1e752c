"""What a training run pays for being watched, and whether its steps wait for the device.

Steps that are looked at (statistics of every layer, update ratios, the fixed images' predictions) and plain
ones take turns in one run; the cost is the difference of medians, spread over the steps between two looks, or
over an epoch with its own look at the end. On a GPU, plain steps are made once more with torch checking that
nothing waits.

    python -m benchmarks.training_parts [--repeat N] [--batch-size N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import torch

from benchmarks.loops import wait
from benchmarks.machine import describe
from benchmarks.train import data
from cnnviz.training import Recipe, trainer
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import STATS_EARLY, Trainer

NEVER = 10**9
MODELS = (
    ("lenet5", "mnist", (1, 28, 28), 60_000),
    ("small-googlenet-32", "cifar10", (3, 32, 32), 50_000),
    ("small-alexnet", "cifar10", (3, 32, 32), 50_000),
)


def make_trainer(model: str, name: str, shape: tuple[int, int, int], batch: int) -> Trainer:
    recipe = Recipe(model=model, batch_size=batch, epochs=100_000, validation=0)
    ready = build_training(recipe, data(None, name, shape))
    return Trainer(recipe, ready.model, ready.data_module, ready.side, InMemoryLogger(), macs=ready.macs)


def step(run: Trainer, looked_at: bool) -> float:
    """Seconds of the next step, on the wall clock."""
    trainer.STATS_EVERY = 1 if looked_at else NEVER
    wait(run.device)
    start, end = time.perf_counter(), run.step + 1
    run.run(lambda: run.step < end)
    wait(run.device)
    return time.perf_counter() - start


def looks(model: str, name: str, shape: tuple[int, int, int], images: int, batch: int, repeat: int) -> None:
    every, run = trainer.STATS_EVERY, make_trainer(model, name, shape, batch)
    plain, watched = [], []
    try:
        run.step = max(STATS_EARLY)  # the first steps are looked at whatever is asked
        for _ in range(3):
            step(run, False)
        for _ in range(repeat):
            plain.append(step(run, False))
            watched.append(step(run, True))
    finally:
        trainer.STATS_EVERY = every
    base, extra = statistics.median(plain), statistics.median(watched) - statistics.median(plain)
    steps = images // batch
    share = extra * (steps // every + 1) / (steps * base)
    print(f"{model}, batch {batch}, n = {repeat} of each, alternating")
    print(f"  a step {base * 1e3:9.2f} ms, a look {extra * 1e3:9.2f} ms more")
    print(f"  every {every} steps: {extra / (every * base):.2%};  of an epoch of {steps} steps: {share:.2%}")


def waiting(model: str, name: str, shape: tuple[int, int, int], batch: int) -> None:
    """Raises `RuntimeError` where a step between two reports waits for the GPU."""
    run = make_trainer(model, name, shape, batch)
    run.run(lambda: run.step < 21)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(10):
            run._train_step(run.rate(), record_layers=False)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    print(f"{model}: no step between reports waits for the device")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=128)
    asked = parser.parse_args(arguments)
    print(describe("torch"), f"\n{torch.get_num_threads()} threads", sep="")
    for model, name, shape, images in MODELS:
        looks(model, name, shape, images, asked.batch_size, asked.repeat)
        if torch.cuda.is_available():
            waiting(model, name, shape, asked.batch_size)


if __name__ == "__main__":
    main()
