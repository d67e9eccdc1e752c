"""Correct loops whose targets, losses and data look odd: soft labels, one output, low ceilings."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import correct, hits, later, say
from benchmarks.watched.independent4.nets import (
    Lenet,
    Perceptron,
    Separable,
    TinyResNet,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


def parts_of(count: int, size: int) -> list[Tensor]:
    return list(torch.randperm(count).split(size))


@correct
def cloth_smoothed_labels(bench: Bench) -> WatchedRun:
    torch.manual_seed(222)
    x, y, tx, ty = sets.weaves()
    x, tx = (x - 128) / 60, (tx - 128) / 60
    net = Separable()
    opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
    crit = nn.CrossEntropyLoss(label_smoothing=0.2)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for rows in parts_of(900, 30):
            opt.zero_grad()
            crit(net(x[rows]), y[rows]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            crit(net(tx), ty)
        say(hits(net, tx, ty))
    return run


@correct
def shapes_mixed_up(bench: Bench) -> WatchedRun:
    """Mixup: two pictures at a time, and the loss of both labels."""
    torch.manual_seed(223)
    x, y, tx, ty = sets.shapes()
    x, tx = x * 3 - 1.4, tx * 3 - 1.4
    net = TinyResNet()
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    for _ in range(10):
        net.train()
        for rows in parts_of(900, 30):
            other = rows[torch.randperm(len(rows))]
            part = float(torch.distributions.Beta(0.4, 0.4).sample())
            out = net(part * x[rows] + (1 - part) * x[other])
            loss = part * F.cross_entropy(out, y[rows]) + (1 - part) * F.cross_entropy(out, y[other])
            opt.zero_grad()
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            run.evaluate(net(tx), ty)
    later(lambda: hits(net, tx, ty))
    return run


@correct
def clusters_easy_ones_first(bench: Bench) -> WatchedRun:
    """Curriculum: rows near their class's mean come first, more are added, drawn in random order."""
    torch.manual_seed(224)
    x, y, tx, ty = sets.clusters()
    means = torch.stack([x[y == k].mean(0) for k in range(4)])
    order = (x - means[y]).norm(dim=1).argsort()
    net = Perceptron(16, 64, 64, 4)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    for epoch in range(14):
        net.train()
        pool = order[: min(1200, 400 + 100 * epoch)]
        for rows in parts_of(len(pool), 30):
            opt.zero_grad()
            F.cross_entropy(net(x[pool[rows]]), y[pool[rows]]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.cross_entropy(net(tx), ty)
        say(hits(net, tx, ty))
    return run


@correct
def spots_class_weights(bench: Bench) -> WatchedRun:
    torch.manual_seed(225)
    x, y, tx, ty = sets.rare_spots()
    weight = len(y) / (3 * y.bincount().float())
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(3),
        nn.Flatten(),
        nn.Linear(144, 3),
    )
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt, classes=["none", "spot", "pair"])
    for _ in range(8):
        net.train()
        for rows in parts_of(1500, 30):
            opt.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows], weight=weight).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            run.evaluate(net(tx), ty)
    later(lambda: hits(net, tx, ty))
    return run


@correct
def moons_sigmoid_and_bce(bench: Bench) -> WatchedRun:
    """A sigmoid at the end belongs to BCELoss."""
    torch.manual_seed(227)
    x, y, tx, ty = sets.moons()
    net = nn.Sequential(
        nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1), nn.Sigmoid()
    )
    crit, opt = nn.BCELoss(), torch.optim.Adam(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    for _ in range(15):
        net.train()
        for rows in parts_of(900, 30):
            opt.zero_grad()
            crit(net(x[rows]).squeeze(1), y[rows].float()).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            p = net(tx).squeeze(1)
            crit(p, ty.float())
        say(((p > 0.5).long() == ty).float().mean())
    return run


@correct
def pairs_which_is_larger(bench: Bench) -> WatchedRun:
    """Two digits, one shared trunk, one output."""

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.top = (
                Lenet(classes=24),
                nn.Sequential(nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 1)),
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.top(torch.cat([self.trunk(x[..., :8]), self.trunk(x[..., 8:])], 1)).squeeze(1)

    torch.manual_seed(228)
    x, y, tx, ty = sets.digit_pairs()
    net = Twin()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for rows in parts_of(2400, 40):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(x[rows]), y[rows].float()).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.binary_cross_entropy_with_logits(net(tx), ty.float())
        say(hits(net, tx, ty))
    return run


@correct
def flowers_that_overlap(bench: Bench) -> WatchedRun:
    """Kinds overlap: about 88 % is what can be had."""
    torch.manual_seed(229)
    x, y, tx, ty = sets.wide_iris()
    net = Perceptron(4, 24, 3)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    run = bench.watch(net, opt)
    for _ in range(15):
        net.train()
        for rows in parts_of(900, 30):
            opt.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.cross_entropy(net(tx), ty)
        say(hits(net, tx, ty))
    return run


@correct
def coins_that_lean(bench: Bench) -> WatchedRun:
    """A binary task drawn from a logistic model: 78 % is the ceiling, and nobody can do better."""
    draw = torch.Generator().manual_seed(230)
    x = torch.randn(4000, 5, generator=draw)
    lean = 1.8 * x[:, 0] - 1.2 * x[:, 1] * x[:, 2].sign()
    y = (torch.rand(4000, generator=draw) < torch.sigmoid(lean)).float()
    torch.manual_seed(230)
    net = Perceptron(5, 32, 32, 1)
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    for _ in range(10):
        net.train()
        for rows in parts_of(3000, 60):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(x[rows])[:, 0], y[rows]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.binary_cross_entropy_with_logits(net(x[3000:])[:, 0], y[3000:])
        say(hits(net, x[3000:], y[3000:]))
    return run


@correct
def wines_few_but_enough(bench: Bench) -> WatchedRun:
    """Ninety rows, a linear model, weight decay: a small set that is learned well."""
    torch.manual_seed(232)
    x, y, tx, ty = sets.cultivars()
    mean, std = x[:90].mean(0), x[:90].std(0)
    x, y, tx = (x[:90] - mean) / std, y[:90], (tx - mean) / std
    net = nn.Linear(13, 3)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.02)
    run = bench.watch(net, opt)
    for _ in range(40):
        net.train()
        for rows in parts_of(90, 15):
            opt.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.cross_entropy(net(tx), ty)
        say(hits(net, tx, ty))
    return run


@correct
def clusters_squares_of_one_hot(bench: Bench) -> WatchedRun:
    torch.manual_seed(233)
    x, y, tx, ty = sets.clusters()
    net = Perceptron(16, 96, 64, 4)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    for _ in range(15):
        net.train()
        for rows in parts_of(1200, 40):
            opt.zero_grad()
            F.mse_loss(net(x[rows]), F.one_hot(y[rows], 4).float()).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            out = net(tx)
            F.mse_loss(out, F.one_hot(ty, 4).float())
            run.evaluate(out, ty)
    later(lambda: hits(net, tx, ty))
    return run


@correct
def digits_one_in_twenty_wrong(bench: Bench) -> WatchedRun:
    """A twentieth of the labels to learn from is wrong; few epochs, and it does not matter."""
    torch.manual_seed(236)
    x, y, tx, ty = sets.turned_digits()
    y = torch.where(torch.rand(len(y)) < 0.05, torch.randint(0, 10, y.shape), y)
    net = Lenet()
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for rows in parts_of(1200, 40):
            opt.zero_grad()
            F.cross_entropy(net(x[rows] * 2 - 0.7), y[rows]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.cross_entropy(net(tx * 2 - 0.7), ty)
        say(hits(net, tx * 2 - 0.7, ty))
    return run
