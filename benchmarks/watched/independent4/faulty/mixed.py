"""Faulty loops of all kinds, written in one go by somebody who calls everything differently each time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty, hits, say
from benchmarks.watched.independent4.nets import (
    PathGru,
    Perceptron,
    Reader,
    Tones,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun

CE, BCE = nn.CrossEntropyLoss(), nn.BCEWithLogitsLoss()


def yes(out: Tensor, labels: Tensor) -> Tensor:
    return BCE(out.squeeze(1), labels.float())


def go(
    net: nn.Module, opt: optim.Optimizer, parts: sets.Parts, epochs: int, size: int = 30, *,
    criterion: Callable[[Tensor, Tensor], Tensor] = CE, change: Callable[[Tensor], Tensor] = lambda x: x,
    train_mode: bool = True, judged: bool = True,
) -> None:  # fmt: skip
    """Train and, unless told otherwise, judge each epoch."""
    x, y, tx, ty = parts
    loader = DataLoader(TensorDataset(x, y), size, shuffle=True)
    net.train(train_mode)
    for _ in range(epochs):
        if train_mode and judged:
            net.train()
        for inputs, targets in loader:
            opt.zero_grad()
            loss = criterion(net(change(inputs)), targets)
            loss.backward()
            opt.step()
        if judged:
            net.eval()
            with torch.no_grad():
                criterion(net(tx), ty)
            say(hits(net, tx, ty))
    if not judged:
        say(hits(net, tx, ty))


def cloth() -> sets.Parts:
    x, y, tx, ty = sets.weaves()
    return x / 64 - 2, y, tx / 64 - 2, ty


def figures() -> sets.Parts:
    x, y, tx, ty = sets.shapes()
    return x * 3 - 1.4, y, tx * 3 - 1.4, ty


@faulty("zero-grad-missing", right=[("top.zero_grad()", "top.zero_grad(); low.zero_grad()")])
def clusters_one_of_two_is_cleared(bench: Bench) -> WatchedRun:
    torch.manual_seed(91)
    x, y, tx, ty = sets.clusters()
    trunk, head = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()), nn.Linear(32, 4)
    net = nn.Sequential(trunk, head)
    low = optim.SGD(trunk.parameters(), lr=0.1, momentum=0.9)
    top = optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(net, [low, top])
    for _ in range(10):
        net.train()
        for rows in torch.randperm(1200).split(30):
            top.zero_grad()
            CE(net(x[rows]), y[rows]).backward()
            low.step()
            top.step()
        net.eval()
        with torch.no_grad():
            CE(net(tx), ty)
        say(hits(net, tx, ty))
    return run


@faulty(
    "zero-grad-misplaced",
    right=[("opt.zero_grad()\n            nn.utils", "nn.utils"), ("CE(net", "opt.zero_grad(); CE(net")],
)
def paths_cleared_before_clipping(bench: Bench) -> WatchedRun:
    torch.manual_seed(93)
    x, y, tx, ty = sets.walkers()
    net = PathGru()
    opt = optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(8):
        for rows in torch.randperm(800).split(25):
            CE(net(x[rows]), y[rows]).backward()
            opt.zero_grad()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
        with torch.no_grad():
            run.evaluate(net(tx), ty)
    say(hits(net, tx, ty))
    return run


@faulty(
    "leakage",
    "over-fitting-data",
    right=[
        ("torch.cat([x[:150], tx[:250]]), torch.cat([y[:150], ty[:250]])", "x[:400], y[:400]"),
        ("tx[:250], ty[:250])", "tx[250:], ty[250:])"),
    ],
)
def clusters_split_before_cleaning(bench: Bench) -> WatchedRun:
    """The rows to judge by are among those to learn from."""
    torch.manual_seed(95)
    x, y, tx, ty = sets.clusters()
    x, y = torch.cat([x[:150], tx[:250]]), torch.cat([y[:150], ty[:250]])
    net = Perceptron(16, 128, 128, 4)
    opt = optim.Adam(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    go(net, opt, (x, y, tx[:250], ty[:250]), 50, 20)
    return run


@faulty("classes-unbalanced", "one-class", "too-few-steps", right=[("ill[:16]", "ill")])
def beats_hardly_any_ill(bench: Bench) -> WatchedRun:
    """Sixteen early beats among hundreds that are in time; judged in equal parts."""
    torch.manual_seed(97)
    x, y, tx, ty = sets.heartbeats()
    well, ill = (y == 0).nonzero()[:, 0], (y == 1).nonzero()[:, 0]
    rows = torch.cat([well, ill[:16]])
    net = Tones(1, 8)
    opt = optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(net, opt)
    go(net, opt, (x[rows], y[rows], tx, ty), 10, criterion=yes)
    return run


@faulty("batch-norm-unsettled", right=[("momentum=0.003", "momentum=0.1")])
def beats_statistics_of_the_start(bench: Bench) -> WatchedRun:
    torch.manual_seed(98)
    x, y, tx, ty = sets.heartbeats()
    net = nn.Sequential(
        nn.Conv1d(1, 16, 9, 2, 4, bias=False), nn.BatchNorm1d(16, momentum=0.003), nn.ReLU(),
        nn.Conv1d(16, 24, 7, 2, 3, bias=False), nn.BatchNorm1d(24, momentum=0.003), nn.ReLU(),
        nn.Flatten(), nn.Linear(24 * 24, 1),
    )  # fmt: skip
    opt = optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    go(net, opt, (x * 5 + 2, y, tx * 5 + 2, ty), 3, criterion=yes)
    return run


@faulty("constant-input", right=[("(part / 1000).round()", "part")])
def beats_rounded_away(bench: Bench) -> WatchedRun:
    """Millivolts taken for microvolts, and rounded: zeros are left."""
    torch.manual_seed(99)
    x, y, tx, ty = sets.heartbeats()
    x, tx = ((part / 1000).round() for part in (x, tx))
    net = Tones(1, 8)
    opt = optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    go(net, opt, (x, y, tx, ty), 6, criterion=yes)
    return run


@faulty("augmentation-too-strong", right=[("4.0 * torch.randn_like(x)", "0.1 * torch.randn_like(x)")])
def tones_under_noise(bench: Bench) -> WatchedRun:
    torch.manual_seed(100)
    net = Tones()
    opt = optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    go(net, opt, sets.sounds(), 8, change=lambda x: x + 4.0 * torch.randn_like(x))
    return run


@faulty("optimizer-parameters", "frozen-parameters", right=[("net.embed.parameters()", "net.parameters()")])
def strings_only_the_embedding(bench: Bench) -> WatchedRun:
    torch.manual_seed(111)
    net = Reader(width=16)
    opt = optim.SGD(net.embed.parameters(), lr=0.3, momentum=0.9)
    run = bench.watch(net, opt)
    go(net, opt, sets.orders(), 8, 40)
    return run


@faulty("too-few-steps", "batch-too-large", right=[(", 2, 64, criterion", ", 40, 64, criterion")])
def pairs_two_epochs(bench: Bench) -> WatchedRun:
    torch.manual_seed(113)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    opt = optim.Adam(net.parameters(), lr=1e-3)
    run = bench.watch(net, opt)
    x, y, tx, ty = sets.digit_pairs()
    loss = lambda out, labels: BCE(out[:, 0], labels.float())  # noqa: E731
    go(net, opt, (x * 2 - 0.7, y, tx * 2 - 0.7, ty), 2, 64, criterion=loss)
    return run


@faulty(
    "batch-too-small",
    "rate-too-high",
    "unstable-training",
    "dead-relu",
    "one-class",
    right=[("20, 2)", "20, 40)")],
)
def wines_two_rows_a_step(bench: Bench) -> WatchedRun:
    torch.manual_seed(114)
    x, y, tx, ty = sets.cultivars()
    net = Perceptron(13, 24, 24, 3)
    opt = optim.SGD(net.parameters(), lr=0.25, momentum=0.5)
    run = bench.watch(net, opt)
    mean, std = x.mean(0), x.std(0)
    go(net, opt, ((x[:200] - mean) / std, y[:200], (tx - mean) / std, ty), 20, 2)
    return run


@faulty("non-finite", "rate-too-high", "exploding-gradients", right=[("lr=1.0", "lr=0.01")])
def tones_until_infinity(bench: Bench) -> WatchedRun:
    """Squares of outputs, and steps that overshoot further each time, until nothing is a number."""
    torch.manual_seed(115)
    x, y, tx, ty = sets.sounds()
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 5)
    )
    opt = optim.SGD(net.parameters(), lr=1.0, momentum=0.9)
    run = bench.watch(net, opt)
    hot = nn.functional.one_hot
    go(
        net,
        opt,
        (x * 4, y, tx * 4, ty),
        20,
        criterion=lambda out, labels: nn.functional.mse_loss(out, hot(labels, 5).float()),
    )
    return run
