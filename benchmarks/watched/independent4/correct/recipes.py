"""Correct loops whose recipes look odd: schedules, clipping, accumulation, averages, frozen parts."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import correct, hits, say
from benchmarks.watched.independent4.nets import (
    Attentive,
    PathGru,
    Perceptron,
    Reader,
    Separable,
    Tones,
)
from benchmarks.watched.independent4.sets import Parts
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


def standard(parts: Parts) -> Parts:
    x, y, tx, ty = parts
    mean, std = x.mean(0), x.std(0)
    return (x - mean) / std, y, (tx - mean) / std, ty


def cloth() -> Parts:
    x, y, tx, ty = sets.weaves()
    return x / 64 - 2, y, tx / 64 - 2, ty


def drawn(x: Tensor, y: Tensor, size: int) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(x, y), size, shuffle=True)


def check(model: nn.Module, tx: Tensor, ty: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        functional.cross_entropy(model(tx), ty)
    reached = hits(model, tx, ty)
    say(reached)
    return reached


@correct
def paths_clipped_hard(bench: Bench) -> WatchedRun:
    torch.manual_seed(201)
    x, y, tx, ty = sets.walkers()
    model = PathGru()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(10):
        model.train()
        for xb, yb in drawn(x, y, 32):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            optimizer.step()
        check(model, tx, ty)
    return run


@correct
def tones_accumulated_and_divided(bench: Bench) -> WatchedRun:
    torch.manual_seed(202)
    x, y, tx, ty = sets.sounds()
    model = Tones()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for number, (xb, yb) in enumerate(drawn(x, y, 10), 1):
            (functional.cross_entropy(model(xb), yb) / 3).backward()
            if number % 3 == 0:
                optimizer.step()
                optimizer.zero_grad()
        check(model, tx, ty)
    return run


@correct
def beats_accumulated_as_sums(bench: Bench) -> WatchedRun:
    """Sums of losses, divided by the number of rows of all parts."""
    torch.manual_seed(203)
    x, y, tx, ty = sets.heartbeats()
    model = Tones(1, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for xb, yb in drawn(x, y, 40):
            optimizer.zero_grad()
            for xs, ys in zip(xb.split(10), yb.split(10), strict=True):
                loss = functional.binary_cross_entropy_with_logits(
                    model(xs)[:, 0], ys.float(), reduction="sum"
                )
                (loss / len(xb)).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            functional.binary_cross_entropy_with_logits(model(tx)[:, 0], ty.float())
        say(hits(model, tx, ty))
    return run


@correct
def cloth_one_cycle(bench: Bench) -> WatchedRun:
    torch.manual_seed(204)
    x, y, tx, ty = cloth()
    model = Separable()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    cycle = lr_scheduler.OneCycleLR(optimizer, max_lr=0.15, epochs=5, steps_per_epoch=30)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for xb, yb in drawn(x, y, 30):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
            cycle.step()
        check(model, tx, ty)
    return run


@correct
def clusters_warm_restarts(bench: Bench) -> WatchedRun:
    torch.manual_seed(205)
    x, y, tx, ty = sets.clusters()
    model = Perceptron(16, 64, 64, 4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    waves = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=4, T_mult=2)
    run = bench.watch(model, optimizer)
    for _ in range(12):
        model.train()
        for xb, yb in drawn(x, y, 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        waves.step()
        check(model, tx, ty)
    return run


@correct
def strings_warm_up_then_cosine(bench: Bench) -> WatchedRun:
    torch.manual_seed(206)
    x, y, tx, ty = sets.orders()
    model = Attentive(width=24, depth=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.05)
    steps, warm = 40 * 8, 40

    def rate(step: int) -> float:
        return step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))

    plan = lr_scheduler.LambdaLR(optimizer, rate)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for xb, yb in drawn(x, y, 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
            plan.step()
        check(model, tx, ty)
    return run


@correct
def cloth_swa_at_the_end(bench: Bench) -> WatchedRun:
    """Averaged weights are loaded into the network once, with statistics of their own."""
    torch.manual_seed(209)
    x, y, tx, ty = cloth()
    model = Separable()
    mean = AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.08, momentum=0.9)
    run = bench.watch(model, optimizer)
    for epoch in range(7):
        model.train()
        for xb, yb in drawn(x, y, 30):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        if epoch >= 4:
            mean.update_parameters(model)
        check(model, tx, ty)
    torch.optim.swa_utils.update_bn(drawn(x, y, 30), mean)
    model.load_state_dict(mean.module.state_dict())
    check(model, tx, ty)
    return run


@correct
def clusters_in_bfloat(bench: Bench) -> WatchedRun:
    torch.manual_seed(212)
    x, y, tx, ty = sets.clusters()
    model = Perceptron(16, 96, 64, 4, drop=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(10):
        model.train()
        for xb, yb in drawn(x, y, 40):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                out = model(xb)
            functional.cross_entropy(out.float(), yb).backward()
            optimizer.step()
        check(model, tx, ty)
    return run


@correct
def spots_drawn_evenly(bench: Bench) -> WatchedRun:
    torch.manual_seed(214)
    x, y, tx, ty = sets.rare_spots()
    sampler = WeightedRandomSampler((1 / y.bincount().float())[y].tolist(), 1500)
    loader = DataLoader(TensorDataset(x, y), 30, sampler=sampler)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(576, 3),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(10):
        model.train()
        for xb, yb in loader:
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        check(model, tx, ty)
    return run


@correct
def flowers_lbfgs(bench: Bench) -> WatchedRun:
    """All rows, a closure that is called many times a step."""
    torch.manual_seed(215)
    x, y, tx, ty = sets.wide_iris()
    model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 3))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=8, line_search_fn="strong_wolfe")
    run = bench.watch(model, optimizer)

    def closure() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y) + 1e-3 * sum(
            p.square().sum() for p in model.parameters()
        )
        loss.backward()
        return float(loss)

    for _ in range(8):
        optimizer.step(closure)
        check(model, tx, ty)
        model.train()
    return run


@correct
def strings_stopped_early(bench: Bench) -> WatchedRun:
    """Stops when it does not get better, and goes back to the best weights."""
    torch.manual_seed(216)
    x, y, tx, ty = sets.orders()
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    run = bench.watch(model, optimizer)
    best, waited, kept = 0.0, 0, copy.deepcopy(model.state_dict())
    for _ in range(20):
        model.train()
        for xb, yb in drawn(x[:1300], y[:1300], 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            out = model(x[1300:])
            run.evaluate(out, y[1300:], part="validation")
        reached = float((out.argmax(1) == y[1300:]).float().mean())
        if reached > best:
            best, waited, kept = reached, 0, copy.deepcopy(model.state_dict())
        elif (waited := waited + 1) >= 2:
            break
    model.load_state_dict(kept)
    check(model, tx, ty)
    return run


@correct
def tumours_decay_for_weights_only(bench: Bench) -> WatchedRun:
    torch.manual_seed(217)
    x, y, tx, ty = standard(sets.tumours())
    model = nn.Sequential(nn.Linear(30, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 1))
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=3e-3
    )
    run = bench.watch(model, optimizer)
    for _ in range(15):
        model.train()
        for xb, yb in drawn(x, y, 20):
            optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(model(xb).squeeze(1), yb.float()).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            functional.binary_cross_entropy_with_logits(model(tx).squeeze(1), ty.float())
        say(hits(model, tx, ty))
    return run


@correct
def wines_in_one_batch(bench: Bench) -> WatchedRun:
    """All rows are one batch, 250 times: little data, and enough steps."""
    torch.manual_seed(218)
    x, y, tx, ty = standard(sets.cultivars())
    model = Perceptron(13, 24, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(model, optimizer, steps_per_epoch=25)
    for step in range(250):
        model.train()
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step % 25 == 24:
            check(model, tx, ty)
    return run
