"""Yes or no by one output: odd digits, coarse cloth, circles, spots; scripts with generators of batches."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import correct, faulty, hits, say
from benchmarks.watched.independent4.nets import Lenet, PathGru, Perceptron, Reader
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


def bce(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, targets)


def pieces(inputs: Tensor, targets: Tensor, size: int = 32) -> Iterator[tuple[Tensor, Tensor]]:
    """Give batches in random order, targets as (N, 1)."""
    order = torch.randperm(len(inputs))
    for start in range(0, len(order) - size + 1, size):
        rows = order[start : start + size]
        yield inputs[rows], targets[rows].float().unsqueeze(1)


def validated(net: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    net.eval()
    with torch.no_grad():
        logits = net(inputs)
        F.binary_cross_entropy_with_logits(logits, targets.float().unsqueeze(1))
        say(((logits > 0).squeeze(1) == (targets == 1)).float().mean())


def odd_digits() -> sets.Parts:
    x, y, tx, ty = sets.turned_digits()
    return x * 2 - 0.7, y % 2, tx * 2 - 0.7, ty % 2


def coarse_cloth() -> sets.Parts:
    x, y, tx, ty = sets.weaves()
    return x / 64 - 2, (y < 3).long(), tx / 64 - 2, (ty < 3).long()


@faulty("output-activation", "loss-mismatch", right=[(", nn.ReLU())\n    opt", ")\n    opt")])
def odd_digits_relu_on_the_logit(bench: Bench) -> WatchedRun:
    """No output is below 0, so none says less than one half."""
    torch.manual_seed(301)
    x, y, tx, ty = odd_digits()
    net = nn.Sequential(Lenet(classes=1), nn.ReLU())
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for xb, yb in pieces(x, y):
            opt.zero_grad()
            bce(net(xb), yb).backward()
            opt.step()
        validated(net, tx, ty)
    return run


@faulty("rate-too-high", "dead-relu", "one-class", "unstable-training", right=[("lr=3.0", "lr=0.03")])
def coarse_cloth_in_big_steps(bench: Bench) -> WatchedRun:
    torch.manual_seed(302)
    x, y, tx, ty = coarse_cloth()
    net = Lenet(1, 20, 1)
    opt = torch.optim.SGD(net.parameters(), lr=3.0, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(5):
        net.train()
        for xb, yb in pieces(x, y):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb), yb).backward()
            opt.step()
        validated(net, tx, ty)
    return run


@faulty("scaled-twice", right=[("xb / 255", "xb"), ("tx / 255", "tx")])
def odd_digits_over_255(bench: Bench) -> WatchedRun:
    torch.manual_seed(303)
    x, y, tx, ty = sets.turned_digits()
    y, ty = y % 2, ty % 2
    net = Lenet(classes=1)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for xb, yb in pieces(x, y):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb / 255), yb).backward()
            opt.step()
        validated(net, tx / 255, ty)
    return run


@faulty(
    "zero-grad-missing",
    right=[("bce(net(xb), yb).backward()", "opt.zero_grad(); bce(net(xb), yb).backward()")],
)
def pairs_never_cleared(bench: Bench) -> WatchedRun:
    torch.manual_seed(305)
    x, y, tx, ty = sets.digit_pairs()
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(128, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 1)
    )
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(12):
        net.train()
        for xb, yb in pieces(x * 2 - 0.7, y):
            bce(net(xb), yb).backward()
            opt.step()
        validated(net, tx * 2 - 0.7, ty)
    return run


@faulty("reinitialized", right=[("if step % 12 == 0:", "if step == 0:")])
def tumours_fresh_every_dozen_steps(bench: Bench) -> WatchedRun:
    torch.manual_seed(306)
    x, y, tx, ty = sets.tumours()
    x, tx = (x - x.mean(0)) / x.std(0), (tx - x.mean(0)) / x.std(0)
    net = Perceptron(30, 24, 1)
    opt = torch.optim.SGD(net.parameters(), lr=0.003, momentum=0.9)
    run = bench.watch(net, opt)
    step = 0
    for _ in range(15):
        net.train()
        for xb, yb in pieces(x, y, 20):
            if step % 12 == 0:
                for layer in net.layers:
                    if isinstance(layer, nn.Linear):
                        nn.init.kaiming_uniform_(layer.weight)
                        nn.init.zeros_(layer.bias)
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb), yb).backward()
            opt.step()
            step += 1
        validated(net, tx, ty)
    return run


@faulty(
    "labels-noisy",
    "over-fitting-data",
    "over-fitting-model",
    right=[("torch.rand(len(y)) < 0.3", "torch.rand(len(y)) < 0")],
)
def odd_digits_often_mistaken(bench: Bench) -> WatchedRun:
    torch.manual_seed(307)
    x, y, tx, ty = odd_digits()
    y = torch.where(torch.rand(len(y)) < 0.3, 1 - y, y)
    net = Lenet(classes=1)
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    for _ in range(22):
        net.train()
        for xb, yb in pieces(x, y):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb), yb).backward()
            opt.step()
        validated(net, tx, ty)
    return run


@correct
def spots_or_nothing_weighted(bench: Bench) -> WatchedRun:
    """Spots are rare and count seven times; judged on as many pictures with as without."""
    torch.manual_seed(308)
    x, y, tx, ty = sets.rare_spots()
    y, keep = (y > 0).long(), ty < 2
    tx, ty = tx[keep], ty[keep]
    net = nn.Sequential(
        nn.Conv2d(1, 12, 3),
        nn.ReLU(),
        nn.Conv2d(12, 16, 3),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 1),
    )
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    weight = torch.tensor([6.0])
    run = bench.watch(net, opt)
    for _ in range(10):
        net.train()
        for xb, yb in pieces(x, y, 50):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb), yb, pos_weight=weight).backward()
            opt.step()
        validated(net, tx, ty)
    return run


@correct
def circles_by_a_hinge(bench: Bench) -> WatchedRun:
    """A hinge loss with labels -1 and 1, that is handed over."""
    torch.manual_seed(309)
    x, y, tx, ty = sets.walkers()
    y, ty = (y == 0).long(), (ty == 0).long()
    net = PathGru(1)
    opt = torch.optim.Adam(net.parameters(), lr=6e-3)
    run = bench.watch(net, opt)
    for _ in range(10):
        net.train()
        for xb, yb in pieces(x, y):
            loss = (1 - net(xb) * (2 * yb - 1)).clamp(min=0).mean()
            opt.zero_grad()
            loss.backward()
            run.step(loss)
            opt.step()
        say(hits(net, tx, ty))
    return run


@correct
def odd_digits_softened(bench: Bench) -> WatchedRun:
    """Targets are 0.05 and 0.95."""
    torch.manual_seed(310)
    x, y, tx, ty = odd_digits()
    net = Lenet(classes=1)
    opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    for _ in range(9):
        net.train()
        for xb, yb in pieces(x, y):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb), 0.05 + 0.9 * yb).backward()
            opt.step()
        validated(net, tx, ty)
    return run


@correct
def coarse_cloth_rmsprop(bench: Bench) -> WatchedRun:
    """Half of the units are dropped, gradients are clipped, and it learns."""
    torch.manual_seed(311)
    x, y, tx, ty = coarse_cloth()
    net = nn.Sequential(Lenet(1, 20, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 1))
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for xb, yb in pieces(x, y):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb), yb).backward()
            nn.utils.clip_grad_value_(net.parameters(), 0.1)
            opt.step()
        validated(net, tx, ty)
    return run


@correct
def strings_is_one_first(bench: Bench) -> WatchedRun:
    """One of three, so that two thirds say no."""
    torch.manual_seed(312)
    x, y, tx, ty = sets.orders()
    y, ty = (y == 0).long(), (ty == 0).long()
    net = Reader(classes=1)
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    run = bench.watch(net, opt, name="is 1 first?")
    for _ in range(10):
        net.train()
        for xb, yb in pieces(x, y, 40):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb), yb).backward()
            opt.step()
        validated(net, tx, ty)
    return run
