"""What `cnnviz.watch` costs: processor time of a training step with and without it, by interleaved pairs.

    python -m benchmarks.watch_overhead [--rounds N] [--steps N]

Each round trains the same number of steps without and with a watch, in turn, in one thread and one process;
the ratio of their processor times is one sample (of all threads, so that the writer's counts). Steps are
measured after the early looks: a look every 200 is part of them. Printed are the median ratio and a 95 %
interval of the mean by bootstrap.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18

import cnnviz
from benchmarks.machine import describe
from cnnviz.tracking import connect

WARM = 120
"""Steps before anything is measured: nine looks, the analysis of the network, allocation."""


def lenet() -> nn.Module:
    """LeNet-5 with ReLU on 28×28."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, data: list[tuple[Tensor, Tensor]]) -> float:
    """Train one step for each batch and return the process's seconds of processor time."""
    began = time.process_time()
    for images, labels in data:
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return time.process_time() - began


def measure(
    make: Callable[[], nn.Module], shape: tuple[int, ...], rounds: int, count: int
) -> tuple[list[float], float]:
    """Ratios of the rounds, and milliseconds of a step without a watch."""
    draw = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(*shape, generator=draw), torch.randint(0, 10, shape[:1], generator=draw))
        for _ in range(10)
    ]
    data = [batches[i % 10] for i in range(count)]
    ratios, plain = [], []
    models = [make(), make()]
    optimizers = [torch.optim.SGD(model.parameters(), 0.001, momentum=0.9) for model in models]
    with tempfile.TemporaryDirectory() as folder, connect(f"sqlite:///{folder}/runs.sqlite") as database:
        run = cnnviz.watch(models[1], optimizers[1], database=database)
        for model, optimizer in zip(models, optimizers, strict=True):
            steps(model, optimizer, [batches[i % 10] for i in range(min(WARM, 10 * count))])
        for _ in range(rounds):
            seconds = [steps(m, o, data) for m, o in zip(models, optimizers, strict=True)]
            ratios.append(seconds[1] / seconds[0])
            plain.append(seconds[0] / count)
        run.finish()
    return ratios, 1_000 * statistics.median(plain)


def interval(values: list[float], draws: int = 4_000) -> tuple[float, float]:
    """A 95 % interval of the mean, by bootstrap."""
    draw = random.Random(0)
    means = sorted(statistics.fmean(draw.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def main() -> None:
    """Measure both networks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200, help="of LeNet-5 in a round; ResNet-18 gets a 25th")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| network | step, ms | median overhead | mean, 95 % interval | rounds |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, make, shape, count in (
        ("LeNet-5, 64 images", lenet, (64, 1, 28, 28), asked.steps),
        (
            "ResNet-18, 8 images of 64×64",
            lambda: resnet18(num_classes=10),
            (8, 3, 64, 64),
            max(4, asked.steps // 25),
        ),
    ):
        ratios, milliseconds = measure(make, shape, asked.rounds, count)
        low, high = interval(ratios)
        print(
            f"| {name} | {milliseconds:.2f} | {100 * (statistics.median(ratios) - 1):+.1f} % | "
            f"{100 * (statistics.fmean(ratios) - 1):+.1f} % "
            f"({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %) | "
            f"{len(ratios)} |",
            flush=True,
        )
    print(describe("torch", "torchvision"))


if __name__ == "__main__":
    main()
