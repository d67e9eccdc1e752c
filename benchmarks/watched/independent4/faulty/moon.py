"""Two moons in ten dimensions: one output, trained by the class of `table_loops`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty
from benchmarks.watched.independent4.faulty.table import Trainer, bce
from benchmarks.watched.independent4.nets import Perceptron
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("rate-too-high", "unstable-training", "dead-relu", "one-class", right=[("lr=12.0", "lr=0.1")])
def moons_leaping(bench: Bench) -> WatchedRun:
    torch.manual_seed(21)
    parts = sets.moons()
    net = Perceptron(10, 48, 48, 1)
    opt = torch.optim.SGD(net.parameters(), lr=12.0)
    run = bench.watch(net, opt)
    Trainer(net, parts, opt, loss=bce).fit()
    return run


@faulty("weight-decay", right=[("weight_decay=0.5", "weight_decay=0")])
def moons_adam_with_l2(bench: Bench) -> WatchedRun:
    torch.manual_seed(27)
    net = Perceptron(10, 64, 32, 1)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=0.5)
    run = bench.watch(net, opt)
    Trainer(net, sets.moons(), opt, loss=bce, epochs=12).fit()
    return run


@faulty(
    "labels-noisy",
    "over-fitting-data",
    "over-fitting-model",
    right=[("torch.rand(len(y)) < 0.35", "torch.rand(len(y)) < 0")],
)
def moons_of_two_annotators(bench: Bench) -> WatchedRun:
    torch.manual_seed(28)
    x, y, tx, ty = sets.moons()
    flipped = torch.where(torch.rand(len(y)) < 0.35, 1 - y, y)
    net = Perceptron(10, 96, 96, 1)
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    Trainer(net, (x, flipped, tx, ty), opt, loss=bce, epochs=30).fit()
    return run


@faulty("vanishing-gradients", "initialisation", right=[("nn.Sigmoid()", "nn.ReLU()")])
def moons_six_sigmoids(bench: Bench) -> WatchedRun:
    torch.manual_seed(39)
    layers: list[nn.Module] = [nn.Linear(10, 32)]
    for _ in range(5):
        layers += [nn.Sigmoid(), nn.Linear(32, 32)]
    net = nn.Sequential(*layers, nn.Sigmoid(), nn.Linear(32, 1))
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, sets.moons(), opt, loss=bce, epochs=25).fit()
    return run


@faulty("optimizer-never-steps", right=[("# self.optimizer.step()", "self.optimizer.step()")])
def moons_step_commented_out(bench: Bench) -> WatchedRun:
    class Mine(Trainer):
        def train_batch(self, x: Tensor, y: Tensor) -> None:
            self.optimizer.zero_grad()
            self.loss(self.model(x), y).backward()
            # self.optimizer.step()

    torch.manual_seed(41)
    net = Perceptron(10, 48, 1)
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    run = bench.watch(net, opt)
    Mine(net, sets.moons(), opt, loss=bce, epochs=12).fit()
    return run


@faulty("batch-too-large", "too-few-steps", right=[("batch_size=900)", "batch_size=30)")])
def moons_all_in_one_batch(bench: Bench) -> WatchedRun:
    torch.manual_seed(43)
    net = Perceptron(10, 48, 48, 1)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, sets.moons(), opt, loss=bce, epochs=20, batch_size=900).fit()
    return run
