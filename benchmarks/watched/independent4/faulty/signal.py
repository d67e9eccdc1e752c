"""Tones and heartbeats: scripts, 1-D convolutions, one output for two classes."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty, hits, later, say
from benchmarks.watched.independent4.nets import Dilated, Tones
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


def minibatches(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    perm = torch.randperm(len(x))
    for i in range(0, len(x), size):
        idx = perm[i : i + size]
        yield x[idx], y[idx]


@faulty("zero-grad-missing", right=[("loss.backward()", "opt.zero_grad(); loss.backward()")])
def tones_adding_up(bench: Bench) -> WatchedRun:
    torch.manual_seed(3)
    x, y, tx, ty = sets.sounds()
    net = Tones()
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt, name="tones")
    for _ in range(5):
        net.train()
        for xb, yb in minibatches(x, y, 30):
            loss = F.cross_entropy(net(xb), yb)
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            say((net(tx).argmax(1) == ty).float().mean())
    return run


@faulty("rate-too-high", "unstable-training", "dead-relu", "one-class", right=[("lr=0.2", "lr=0.003")])
def tones_adam_at_a_fifth(bench: Bench) -> WatchedRun:
    torch.manual_seed(7)
    x, y, tx, ty = sets.sounds()
    net = Tones()
    opt = torch.optim.Adam(net.parameters(), lr=0.2)
    run = bench.watch(
        net, opt, dataset="tones", classes=["rising", "falling", "steady", "trembling", "ticking"]
    )
    for _ in range(6):
        net.train()
        for xb, yb in minibatches(x, y, 32):
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            logits = net(tx)
        run.evaluate(logits, ty)
        say((logits.argmax(1) == ty).float().mean())
    return run


@faulty(
    "optimizer-parameters",
    right=[
        ("torch.optim.Adam(net.parameters(), lr=2e-3)", "torch.optim.Adam(student.parameters(), lr=2e-3)")
    ],
)
def tones_copy_is_trained(bench: Bench) -> WatchedRun:
    """The optimizer was made of the network before the copy that is trained."""
    torch.manual_seed(9)
    x, y, tx, ty = sets.sounds()
    net = Tones()
    student = copy.deepcopy(net)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(student, opt)
    for _ in range(4):
        for xb, yb in minibatches(x, y, 32):
            opt.zero_grad()
            F.cross_entropy(student(xb), yb).backward()
            opt.step()
        with torch.no_grad():
            run.evaluate(student(tx), ty)
    later(lambda: hits(student, tx, ty))
    return run


@faulty(
    "loss-detached",
    right=[
        (
            "torch.tensor(F.cross_entropy(net(xb), yb).item(), requires_grad=True)",
            "F.cross_entropy(net(xb), yb)",
        )
    ],
)
def tones_loss_made_anew(bench: Bench) -> WatchedRun:
    torch.manual_seed(10)
    x, y, tx, ty = sets.sounds()
    net = Tones(width=10)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(4):
        net.train()
        for xb, yb in minibatches(x, y, 30):
            opt.zero_grad()
            loss = torch.tensor(F.cross_entropy(net(xb), yb).item(), requires_grad=True)
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            say((net(tx).argmax(1) == ty).float().mean())
    return run


@faulty("not-shuffled", right=[("idx = sorted_idx[i : i + 30]", "idx = torch.randint(0, 900, (30,))")])
def tones_by_kind(bench: Bench) -> WatchedRun:
    """Recordings lie in folders by kind and are read in that order."""
    torch.manual_seed(11)
    x, y, tx, ty = sets.sounds()
    sorted_idx = y.argsort(stable=True)
    net = Tones()
    opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(5):
        net.train()
        for i in range(0, 900, 30):
            idx = sorted_idx[i : i + 30]
            opt.zero_grad()
            F.cross_entropy(net(x[idx]), y[idx]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            logits = net(tx)
            F.cross_entropy(logits, ty)
            say((logits.argmax(1) == ty).float().mean())
    return run


@faulty("labels-shuffled", right=[("x = x[torch.randperm(len(x))]", "")])
def tones_and_labels_sorted_apart(bench: Bench) -> WatchedRun:
    torch.manual_seed(13)
    x, y, tx, ty = sets.sounds()
    x = x[torch.randperm(len(x))]  # shuffled "both"
    net = Tones()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for xb, yb in minibatches(x, y, 30):
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            logits = net(tx)
            F.cross_entropy(logits, ty)
            say((logits.argmax(1) == ty).float().mean())
    return run


@faulty(
    "labels-noisy",
    "over-fitting-data",
    "over-fitting-model",
    right=[("torch.rand(len(y)) < 0.45", "torch.rand(len(y)) < 0")],
)
def tones_labeled_in_a_hurry(bench: Bench) -> WatchedRun:
    torch.manual_seed(14)
    x, y, tx, ty = sets.sounds()
    guessed = torch.where(torch.rand(len(y)) < 0.45, torch.randint(0, 5, y.shape), y)
    net = Tones(width=20)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    for _ in range(16):
        net.train()
        for xb, yb in minibatches(x, guessed, 32):
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            run.evaluate(net(tx), ty)
    later(lambda: hits(net, tx, ty))
    return run


@faulty(
    "initialisation",
    "vanishing-gradients",
    right=[("nn.init.normal_(layer.weight, std=1e-3)", "nn.init.kaiming_normal_(layer.weight)")],
)
def tones_tiny_weights(bench: Bench) -> WatchedRun:
    torch.manual_seed(16)
    x, y, tx, ty = sets.sounds()
    net = Tones()
    for layer in net.modules():
        if isinstance(layer, nn.Conv1d | nn.Linear):
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for xb, yb in minibatches(x, y, 30):
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.cross_entropy(net(tx), ty)
        say(hits(net, tx, ty))
    return run


@faulty("split-mismatch", right=[("tx = F.avg_pool1d(tx, 5, 1, 2) * 4 + 2", "")])
def tones_from_another_microphone(bench: Bench) -> WatchedRun:
    """Judged on recordings that a filter has smoothed, made louder and shifted."""
    torch.manual_seed(17)
    x, y, tx, ty = sets.sounds()
    tx = F.avg_pool1d(tx, 5, 1, 2) * 4 + 2
    net = Tones()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for xb, yb in minibatches(x, y, 30):
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            logits = net(tx)
            F.cross_entropy(logits, ty)
            say((logits.argmax(1) == ty).float().mean())
    return run


@faulty("same-batch", right=[("xb, yb = first", "xb, yb = next(iter(minibatches(x, y, 32)))")])
def tones_first_batch_only(bench: Bench) -> WatchedRun:
    torch.manual_seed(19)
    x, y, tx, ty = sets.sounds()
    net = Tones()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    first = next(iter(minibatches(x, y, 32)))
    for step in range(160):
        xb, yb = first
        opt.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
        if step % 40 == 39:
            net.eval()
            with torch.no_grad():
                logits = net(tx)
                F.cross_entropy(logits, ty)
            say((logits.argmax(1) == ty).float().mean())
            net.train()
    return run


@faulty(
    "schedule-ended",
    "rate-too-low",
    "scheduler-per-batch",
    "too-few-steps",
    right=[("gamma=0.2", "gamma=0.9")],
)
def tones_rate_falls_at_once(bench: Bench) -> WatchedRun:
    torch.manual_seed(20)
    x, y, tx, ty = sets.sounds()
    net = Dilated(width=12)
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.2)
    run = bench.watch(net, opt)
    for _ in range(10):
        net.train()
        for xb, yb in minibatches(x, y, 30):
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()
            opt.step()
        sched.step()
        net.eval()
        with torch.no_grad():
            logits = net(tx)
            F.cross_entropy(logits, ty)
            say((logits.argmax(1) == ty).float().mean())
    return run
