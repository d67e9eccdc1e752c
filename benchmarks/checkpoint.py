"""What the step waits for when a checkpoint is written: against one copy of its tensors.

AlexNet for CIFAR-10 with momentum, 466 MB of weights and optimizer state. `save` copies them, and a thread
writes the copy while training goes on. Both take turns; the disk is waited for in between, outside the time.

    python -m benchmarks.checkpoint [--repeat N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.machine import describe
from benchmarks.train import data
from cnnviz.training import Recipe
from cnnviz.training.checkpoint import _tensors
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import Trainer


def main() -> None:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    recipe = Recipe(
        model="alexnet-cifar10",
        optimiser="sgd",
        momentum=0.9,
        batch_size=8,
        epochs=1,
        validation=0,
        device="cpu",
    )
    ready = build_training(recipe, data(None, "cifar10", (3, 32, 32)))
    with tempfile.TemporaryDirectory() as place:
        run = Trainer(
            recipe,
            ready.model,
            ready.data_module,
            ready.side,
            InMemoryLogger(),
            Path(place),
            data_report=False,
        )
        run._train_step(0.01, record_layers=False)
        tensors = [tensor.detach() for _, tensor in _tensors(run.model, run.optimizer)]
        saved, copied = [], []
        for _ in range(repeat + 1):
            start = time.perf_counter()
            copies = [tensor.clone() for tensor in tensors]
            copied.append(time.perf_counter() - start)
            del copies
            start = time.perf_counter()
            run.save()
            saved.append(time.perf_counter() - start)
            run._checkpoints.wait()
        run._checkpoints.close()
    size = sum(tensor.nbytes for tensor in tensors)
    wait, copy = (1e3 * statistics.median(times[1:]) for times in (saved, copied))
    print(describe("torch"))
    print(f"{size / 1e6:.0f} MB in {len(tensors)} tensors, {torch.get_num_threads()} threads, n = {repeat}")
    print(f"a step waits {wait:.0f} ms, one copy takes {copy:.0f} ms: ratio {wait / copy:.2f} (aim 1.5)")


if __name__ == "__main__":
    main()
