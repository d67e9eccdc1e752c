"""What `cnnviz.watch` costs: processor time of a training step with and without it, by interleaved rounds.

    python -m benchmarks.watch_overhead [--rounds N] [--steps N] [--only NAME]

Each round trains the same number of steps unwatched, with `cnnviz.watch`, with `wandb.watch(log="all")` and
`run.log` in offline mode, and with TensorBoard histograms of weights and gradients, in turn, in one thread
and one process; the ratio of a way's processor time to that of the unwatched steps is one sample (of all
threads, so that the writers' count; what wandb does in its own process does not). All three look at layers
in every 200th step and log the loss in every tenth. Steps are measured after the early looks. Printed are the
median ratio and a 95 % interval of the mean by bootstrap. wandb and TensorBoard are measured where they are
installed, and said to be missing where not.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

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


CROSS_ENTROPY = functional.cross_entropy
"""PyTorch's own function, which other ways than `cnnviz.watch` call: it replaces the module's attribute."""
Log = Callable[[Tensor], None]
"""Called after each step with its loss."""
PLAIN, WATCH = "unwatched", "cnnviz.watch"
LOSS_EVERY, LOOK_EVERY = 10, 200


@contextmanager
def unwatched(model: nn.Module, optimizer: torch.optim.Optimizer, folder: str) -> Iterator[Log]:
    """Steps alone."""
    yield lambda loss: None


@contextmanager
def with_cnnviz(model: nn.Module, optimizer: torch.optim.Optimizer, folder: str) -> Iterator[Log]:
    """Steps under `cnnviz.watch`, at its default rhythm."""
    with connect(f"sqlite:///{folder}/runs.sqlite") as database:
        run = cnnviz.watch(model, optimizer, database=database)
        yield lambda loss: None
        run.finish()


@contextmanager
def with_wandb(model: nn.Module, optimizer: torch.optim.Optimizer, folder: str) -> Iterator[Log]:
    """Steps under `wandb.watch` in offline mode."""
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    wandb: Any = import_module("wandb")
    run = wandb.init(dir=folder, project="overhead", mode="offline")
    run.watch(model, log="all", log_freq=LOOK_EVERY)
    step = 0

    def log(loss: Tensor) -> None:
        nonlocal step
        step += 1
        # Histograms wait for the next call of `log` in their step.
        if step % LOSS_EVERY == 0:
            run.log({"loss": float(loss.detach())}, step=step)

    yield log
    run.finish()


@contextmanager
def with_tensorboard(model: nn.Module, optimizer: torch.optim.Optimizer, folder: str) -> Iterator[Log]:
    """Steps with TensorBoard scalars, and histograms of weights and gradients."""
    writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(folder)
    step = 0

    def log(loss: Tensor) -> None:
        nonlocal step
        step += 1
        if step % LOSS_EVERY == 0:
            writer.add_scalar("loss", float(loss.detach()), step)
        if step % LOOK_EVERY == 0:
            for name, parameter in model.named_parameters():
                writer.add_histogram(name, parameter.detach(), step)
                writer.add_histogram(f"{name}.grad", parameter.grad, step)

    yield log
    writer.close()


WAYS = {PLAIN: unwatched, WATCH: with_cnnviz, "wandb, offline": with_wandb, "TensorBoard": with_tensorboard}
PACKAGES = {"wandb, offline": "wandb", "TensorBoard": "tensorboard"}


def steps(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: list[tuple[Tensor, Tensor]],
    log: Log,
    own_loss: bool,
) -> float:
    """Train one step for each batch and return the process's seconds of processor time."""
    cross_entropy = CROSS_ENTROPY if own_loss else functional.cross_entropy
    began = time.process_time()
    for images, labels in data:
        optimizer.zero_grad()
        loss = cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        log(loss)
    return time.process_time() - began


def measure(
    make: Callable[[], nn.Module], shape: tuple[int, ...], rounds: int, count: int, ways: list[str]
) -> tuple[dict[str, list[float]], float]:
    """Ratios of the rounds of each way, and milliseconds of a step without a watch."""
    draw = torch.Generator().manual_seed(0)
    batches = [
        (torch.randn(*shape, generator=draw), torch.randint(0, 10, shape[:1], generator=draw))
        for _ in range(10)
    ]
    data = [batches[i % 10] for i in range(count)]
    ratios: dict[str, list[float]] = {way: [] for way in ways if way != PLAIN}
    plain = []
    with ExitStack() as stack:
        trained = {}
        for way in ways:
            model = make()
            optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9)
            folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            log = stack.enter_context(WAYS[way](model, optimizer, folder))
            trained[way] = partial(steps, model, optimizer, log=log, own_loss=way != WATCH)
        for train in trained.values():
            train([batches[i % 10] for i in range(min(WARM, 10 * count))])
        for number in range(rounds):
            # The order turns, so that no way always comes first.
            order = [*ways[number % len(ways) :], *ways[: number % len(ways)]]
            seconds = {way: trained[way](data) for way in order}
            plain.append(seconds[PLAIN] / count)
            for way, found in ratios.items():
                found.append(seconds[way] / seconds[PLAIN])
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
    parser.add_argument("--only", choices=[way for way in WAYS if way != PLAIN], help="only this way")
    asked = parser.parse_args()
    wanted = [way for way in WAYS if asked.only in (None, way) or way == PLAIN]
    missing = [way for way in wanted if way in PACKAGES and find_spec(PACKAGES[way]) is None]
    ways = [way for way in wanted if way not in missing]
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| network | step, ms | with | median overhead | mean, 95 % interval | rounds |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for name, make, shape, count in (
        ("LeNet-5, 64 images", lenet, (64, 1, 28, 28), asked.steps),
        (
            "ResNet-18, 8 images of 64×64",
            lambda: resnet18(num_classes=10),
            (8, 3, 64, 64),
            max(4, asked.steps // 25),
        ),
    ):
        found, milliseconds = measure(make, shape, asked.rounds, count, ways)
        for way, ratios in found.items():
            low, high = interval(ratios)
            print(
                f"| {name} | {milliseconds:.2f} | {way} | {100 * (statistics.median(ratios) - 1):+.1f} % | "
                f"{100 * (statistics.fmean(ratios) - 1):+.1f} % "
                f"({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %) | "
                f"{len(ratios)} |",
                flush=True,
            )
    if missing:
        print(f"Not installed, and not measured: {', '.join(missing)}.")
    print(describe("torch", "torchvision", *(PACKAGES[way] for way in ways if way in PACKAGES)))


if __name__ == "__main__":
    main()
