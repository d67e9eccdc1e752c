"""Heartbeats: one output for two classes, and the loops of `signal_loops`."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty, hits, later, say
from benchmarks.watched.independent4.faulty.signal import minibatches
from benchmarks.watched.independent4.nets import Tones
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty(
    "zero-grad-misplaced",
    right=[
        (
            "\n            opt.zero_grad()\n            opt.step()",
            "\n            opt.step()\n            opt.zero_grad()",
        )
    ],
)
def beats_cleared_before_step(bench: Bench) -> WatchedRun:
    torch.manual_seed(4)
    x, y, tx, ty = sets.heartbeats()
    net = Tones(1, 8)
    crit = nn.BCEWithLogitsLoss()
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    for _ in range(5):
        net.train()
        for xb, yb in minibatches(x, y, 40):
            loss = crit(net(xb).squeeze(1), yb.float())
            loss.backward()
            opt.zero_grad()
            opt.step()
        net.eval()
        with torch.no_grad():
            out = net(tx).squeeze(1)
            crit(out, ty.float())
            say(((out > 0) == (ty == 1)).float().mean())
    return run


@faulty(
    "loss-mismatch", "output-activation", right=[("crit = nn.BCEWithLogitsLoss()", "crit = nn.BCELoss()")]
)
def beats_sigmoid_twice(bench: Bench) -> WatchedRun:
    """A sigmoid in the network, and the loss that has one too."""
    torch.manual_seed(5)
    x, y, tx, ty = sets.heartbeats()
    net = nn.Sequential(Tones(1, 6), nn.Sigmoid())
    crit = nn.BCEWithLogitsLoss()
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(8):
        for xb, yb in minibatches(x, y, 50):
            opt.zero_grad()
            crit(net(xb)[:, 0], yb.float()).backward()
            opt.step()
    later(lambda: float(((net(tx)[:, 0] > 0.5) == (ty == 1)).float().mean()))
    return run


@faulty(
    "loss-mismatch",
    right=[
        ("net(xb), yb.float())", "net(xb), yb.float()[:, None])"),
        ("net(tx), ty.float())", "net(tx), ty.float()[:, None])"),
    ],
)
def beats_spread_over_each_other(bench: Bench) -> WatchedRun:
    """(N, 1) against (N,): each output is compared with every label."""
    torch.manual_seed(6)
    x, y, tx, ty = sets.heartbeats()
    net = Tones(1, 8)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    for _ in range(5):
        net.train()
        for xb, yb in minibatches(x, y, 25):
            opt.zero_grad()
            loss = F.mse_loss(net(xb), yb.float())
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.mse_loss(net(tx), ty.float())
            say(((net(tx)[:, 0] > 0.5) == (ty == 1)).float().mean())
    return run


@faulty("rate-too-low", "too-few-steps", right=[("lr=2e-4", "lr=0.1")])
def beats_crawling(bench: Bench) -> WatchedRun:
    torch.manual_seed(8)
    x, y, tx, ty = sets.heartbeats()
    net = Tones(1, 8)
    opt = torch.optim.SGD(net.parameters(), lr=2e-4, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for xb, yb in minibatches(x, y, 40):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb).squeeze(-1), yb.float()).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            out = net(tx).squeeze(-1)
            F.binary_cross_entropy_with_logits(out, ty.float())
            say(((out > 0).long() == ty).float().mean())
    return run


@faulty("not-shuffled", right=[("idx = order[i : i + 25]", "idx = torch.randint(0, 1000, (25,))")])
def beats_healthy_first(bench: Bench) -> WatchedRun:
    torch.manual_seed(12)
    x, y, tx, ty = sets.heartbeats()
    order = torch.cat([(y == 0).nonzero()[:, 0], (y == 1).nonzero()[:, 0]])
    net = Tones(1, 8)
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    run = bench.watch(net, opt)
    for _ in range(4):
        net.train()
        for i in range(0, 1000, 25):
            idx = order[i : i + 25]
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(x[idx])[:, 0], y[idx].float()).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.binary_cross_entropy_with_logits(net(tx)[:, 0], ty.float())
        say(hits(net, tx, ty))
    return run


@faulty("reinitialized", right=[("        net.apply(reset)\n", "")])
def beats_fresh_every_epoch(bench: Bench) -> WatchedRun:
    torch.manual_seed(15)
    x, y, tx, ty = sets.heartbeats()

    def reset(layer: nn.Module) -> None:
        if isinstance(layer, nn.Conv1d | nn.Linear):
            layer.reset_parameters()

    net = Tones(1, 8)
    opt = torch.optim.Adam(net.parameters(), lr=1.5e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.apply(reset)
        net.train()
        for xb, yb in minibatches(x, y, 80):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb).view(-1), yb.float()).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.binary_cross_entropy_with_logits(net(tx).view(-1), ty.float())
        say(hits(net, tx, ty))
    return run


@faulty("dropout", right=[("nn.Dropout(0.93)", "nn.Dropout(0.3)")])
def beats_mostly_dropped(bench: Bench) -> WatchedRun:
    torch.manual_seed(18)
    x, y, tx, ty = sets.heartbeats()
    net = nn.Sequential(
        nn.Conv1d(1, 12, 9, 2, 4), nn.ReLU(), nn.Conv1d(12, 16, 5, 2, 2), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.93), nn.Linear(16 * 24, 48), nn.ReLU(), nn.Dropout(0.93), nn.Linear(48, 1),
    )  # fmt: skip
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    run = bench.watch(net, opt)
    for _ in range(12):
        net.train()
        for xb, yb in minibatches(x, y, 32):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(xb)[:, 0], yb.float()).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.binary_cross_entropy_with_logits(net(tx)[:, 0], ty.float())
        say(hits(net, tx, ty))
    return run
