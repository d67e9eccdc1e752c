"""Correct loops on signals and sequences with odd losses, as in `honest_objectives`."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import correct, hits, later, say
from benchmarks.watched.independent4.correct.objectives import parts_of
from benchmarks.watched.independent4.nets import (
    PathGru,
    Reader,
    Tones,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@correct
def tones_log_softmax_and_nll(bench: Bench) -> WatchedRun:
    torch.manual_seed(221)
    x, y, tx, ty = sets.sounds()
    net = nn.Sequential(Tones(), nn.LogSoftmax(dim=1))
    crit, opt = nn.NLLLoss(), torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(8):
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
def beats_focal(bench: Bench) -> WatchedRun:
    """Focal loss, made of the cross-entropy of each row."""
    torch.manual_seed(226)
    x, y, tx, ty = sets.heartbeats()
    net = Tones(1, 8)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for rows in parts_of(1000, 25):
            each = F.binary_cross_entropy_with_logits(net(x[rows])[:, 0], y[rows].float(), reduction="none")
            loss = ((1 - torch.exp(-each)) ** 2 * each).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            say(((net(tx)[:, 0] > 0).long() == ty).float().mean())
    return run


@correct
def beats_mostly_healthy(bench: Bench) -> WatchedRun:
    """One in eight is ill in both parts, as in life, and both kinds are told apart."""
    torch.manual_seed(231)
    x, y, tx, ty = sets.heartbeats()
    ill, ill_test = (y == 1).nonzero()[:, 0], (ty == 1).nonzero()[:, 0]
    keep = torch.cat([(y == 0).nonzero()[:, 0], ill[: len(ill) // 6]])
    keep_test = torch.cat([(ty == 0).nonzero()[:, 0], ill_test[: len(ill_test) // 6]])
    x, y, tx, ty = x[keep], y[keep], tx[keep_test], ty[keep_test]
    net = Tones(2, 8)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for rows in parts_of(len(x), 25):
            opt.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.cross_entropy(net(tx), ty)
        say(hits(net, tx, ty))
    return run


@correct
def strings_bce_of_one_hot(bench: Bench) -> WatchedRun:
    """One against the rest: a sigmoid for each class."""
    torch.manual_seed(234)
    x, y, tx, ty = sets.orders()
    net = Reader()
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    crit = nn.BCEWithLogitsLoss()
    run = bench.watch(net, opt)
    for _ in range(9):
        net.train()
        for rows in parts_of(1600, 40):
            opt.zero_grad()
            crit(net(x[rows]), F.one_hot(y[rows], 3).float()).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            crit(net(tx), F.one_hot(ty, 3).float())
        say(hits(net, tx, ty))
    return run


@correct
def paths_gentle_noise_and_turns(bench: Bench) -> WatchedRun:
    """Every path is turned at random when it is learned from, and never when it is judged by."""
    torch.manual_seed(235)
    x, y, tx, ty = sets.walkers()
    net = PathGru()
    opt = torch.optim.Adam(net.parameters(), lr=8e-3)
    run = bench.watch(net, opt)
    for _ in range(12):
        net.train()
        for rows in parts_of(800, 25):
            angle = torch.rand(len(rows)) * 2 * math.pi
            turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
            opt.zero_grad()
            F.cross_entropy(net(x[rows] @ turn), y[rows]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            F.cross_entropy(net(tx), ty)
        say(hits(net, tx, ty))
    return run


@correct
def tones_own_loss(bench: Bench) -> WatchedRun:
    """Cross-entropy written by hand, and handed over."""
    torch.manual_seed(237)
    x, y, tx, ty = sets.sounds()
    net = Tones(width=12)
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    for _ in range(9):
        net.train()
        for rows in parts_of(900, 30):
            out = net(x[rows])
            loss = (torch.logsumexp(out, 1) - out[torch.arange(len(rows)), y[rows]]).mean()
            opt.zero_grad()
            loss.backward()
            run.step(loss, out, y[rows])
            opt.step()
        net.eval()
        with torch.no_grad():
            run.evaluate(net(tx), ty)
    later(lambda: hits(net, tx, ty))
    return run
