"""Paths of points: a GRU, in loops as those of `sequence_loops`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty
from benchmarks.watched.independent4.faulty.sequence import epoch_of, validate
from benchmarks.watched.independent4.nets import PathGru
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("zero-grad-missing", right=[("loss.backward()", "model.zero_grad(); loss.backward()")])
def paths_gradients_pile_up(bench: Bench) -> WatchedRun:
    torch.manual_seed(71)
    x, y, tx, ty = sets.walkers()
    model = PathGru()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for rows in epoch_of(len(x), 40):
            loss = functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        validate(model, tx, ty)
    return run


@faulty(
    "scheduler-per-batch",
    "rate-too-low",
    right=[
        ("            schedule.step()", "            pass"),
        ("        validate(", "        schedule.step()\n        validate("),
    ],
)
def paths_steplr_by_batch(bench: Bench) -> WatchedRun:
    torch.manual_seed(73)
    x, y, tx, ty = sets.walkers()
    model = PathGru()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.3)
    run = bench.watch(model, optimizer)
    for _ in range(10):
        model.train()
        for rows in epoch_of(len(x), 25):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
        validate(model, tx, ty)
    return run


@faulty(
    "gradient-accumulation-scale",
    "rate-too-high",
    "unstable-training",
    right=[("loss.backward()", "(loss / 4).backward()")],
)
def paths_four_losses_added(bench: Bench) -> WatchedRun:
    torch.manual_seed(76)
    x, y, tx, ty = sets.walkers()
    model = PathGru()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    run = bench.watch(model, optimizer)
    optimizer.zero_grad()
    for _ in range(6):
        model.train()
        for number, rows in enumerate(epoch_of(len(x), 10), 1):
            loss = functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            if number % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()
        validate(model, tx, ty)
    return run


@faulty(
    "too-few-steps",
    "rate-too-low",
    "batch-too-large",
    right=[("for step in range(12)", "for step in range(200)")],
)
def paths_a_dozen_steps(bench: Bench) -> WatchedRun:
    torch.manual_seed(79)
    x, y, tx, ty = sets.walkers()
    model = PathGru()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    run = bench.watch(model, optimizer)
    for step in range(12):
        rows = torch.randint(0, len(x), (64,))
        optimizer.zero_grad()
        functional.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
        if step % 4 == 3:
            validate(model, tx, ty)
            model.train()
    return run


@faulty(
    "optimizer-never-steps",
    right=[("            schedule.step()", "            optimizer.step(); schedule.step()")],
)
def paths_only_the_schedule_steps(bench: Bench) -> WatchedRun:
    torch.manual_seed(82)
    x, y, tx, ty = sets.walkers()
    model = PathGru()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    schedule: Any = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, 160)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            schedule.step()
        validate(model, tx, ty)
    return run


@faulty("output-activation", right=[(", nn.Sigmoid())", ")")])
def paths_sigmoid_before_the_loss(bench: Bench) -> WatchedRun:
    torch.manual_seed(84)
    x, y, tx, ty = sets.walkers()
    model = nn.Sequential(PathGru(), nn.Sigmoid())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        validate(model, tx, ty)
    return run


@faulty(
    "labels-out-of-range",
    right=[
        ("y[::7] = -1", "pass"),
        (
            "functional.cross_entropy(model(x[rows]), y[rows])",
            "functional.cross_entropy(model(x[rows]), y[rows])",
        ),
    ],
)
def paths_unlabeled_are_minus_one(bench: Bench) -> WatchedRun:
    """Paths that nobody has labeled carry -1, which is no class."""
    torch.manual_seed(85)
    x, y, tx, ty = sets.walkers()
    y = y.clone()
    y[::7] = -1
    model = PathGru()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(4):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        validate(model, tx, ty)
    return run


@faulty(
    "non-finite",
    "rate-too-high",
    "initialisation",
    right=[("(x - mean) / std", "(x - mean) / std.clamp(min=1e-6)")],
)
def paths_divided_by_no_spread(bench: Bench) -> WatchedRun:
    """One feature is constant, its spread 0, and 0 / 0 is no number."""
    torch.manual_seed(86)
    x, y, tx, ty = (part.flatten(1) if part.dim() == 3 else part for part in sets.walkers())
    x, tx = torch.cat([x, torch.ones(len(x), 1)], 1), torch.cat([tx, torch.ones(len(tx), 1)], 1)
    mean, std = x.mean(0), x.std(0)
    tx, x = (tx - mean) / std.clamp(min=1e-6), (x - mean) / std
    model = nn.Sequential(nn.Linear(49, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(12):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        validate(model, tx, ty)
    return run


@faulty("unstable-training", "rate-too-high", right=[('group["lr"] = 2.0', "pass")])
def paths_last_epoch_too_bold(bench: Bench) -> WatchedRun:
    torch.manual_seed(89)
    x, y, tx, ty = sets.walkers()
    model = PathGru()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(model, optimizer)
    for epoch in range(10):
        model.train()
        if epoch == 9:
            for group in optimizer.param_groups:
                group["lr"] = 2.0
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        validate(model, tx, ty)
    return run
