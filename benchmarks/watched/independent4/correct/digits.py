"""Correct loops on pictures whose recipes look odd, as in `honest_recipes`."""

from __future__ import annotations

import contextlib
import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import correct, hits, later
from benchmarks.watched.independent4.correct.recipes import check, drawn
from benchmarks.watched.independent4.nets import (
    Lenet,
    TinyResNet,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@correct
def shapes_rate_by_plateau(bench: Bench) -> WatchedRun:
    torch.manual_seed(207)
    x, y, tx, ty = sets.shapes()
    model = TinyResNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, "max", 0.3, patience=1)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for xb, yb in drawn(x * 3 - 1.4, y, 30):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        plateau.step(check(model, tx * 3 - 1.4, ty))
    return run


@correct
def digits_averaged_weights(bench: Bench) -> WatchedRun:
    """Judged are the averages (EMA), not the network that learns."""
    torch.manual_seed(208)
    x, y, tx, ty = sets.turned_digits()
    model = Lenet()
    ema = AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.98))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for xb, yb in drawn(x, y, 30):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
            ema.update_parameters(model)
        ema.eval()
        with torch.no_grad():
            run.evaluate(ema(tx), ty)
    later(lambda: hits(ema, tx, ty))
    return run


@correct
def digits_head_first_then_all(bench: Bench) -> WatchedRun:
    """A pre-trained trunk is frozen for two epochs, then learns at a tenth of the rate."""
    torch.manual_seed(210)
    x, y, tx, ty = sets.turned_digits()
    before = Lenet()
    warm = torch.optim.Adam(before.parameters(), lr=3e-3)
    for _ in range(4):
        for xb, yb in drawn(x[:800], y[:800] % 5, 40):
            warm.zero_grad()
            functional.cross_entropy(before(xb), yb).backward()
            warm.step()
    model = copy.deepcopy(before)
    model.fc2 = nn.Linear(64, 10)
    trunk = [p for name, p in model.named_parameters() if not name.startswith("fc2")]
    optimizer = torch.optim.Adam(
        [{"params": trunk, "lr": 2e-3}, {"params": model.fc2.parameters(), "lr": 1e-2}]
    )
    run = bench.watch(model, optimizer)
    for epoch in range(12):
        for parameter in trunk:
            parameter.requires_grad_(epoch >= 2)
        model.train()
        for xb, yb in drawn(x, y, 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        check(model, tx, ty)
    return run


@correct
def shapes_on_a_frozen_trunk(bench: Bench) -> WatchedRun:
    """Only a new head learns; the trunk has learned before, and stays in evaluation mode."""
    torch.manual_seed(211)
    x, y, tx, ty = sets.shapes()
    x, tx = x * 3 - 1.4, tx * 3 - 1.4
    trunk = TinyResNet()
    first = torch.optim.Adam(trunk.parameters(), lr=3e-3)
    for _ in range(4):
        for xb, yb in drawn(x, y, 30):
            first.zero_grad()
            functional.cross_entropy(trunk(xb), yb).backward()
            first.step()
    trunk.fc = nn.Identity()  # type: ignore[assignment]
    model = nn.Sequential(trunk.requires_grad_(False), nn.Linear(20, 5))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(4):
        model.eval()
        model[1].train()
        for xb, yb in drawn(x, y, 30):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        check(model, tx, ty)
    return run


@correct
def digits_weights_recomputed(bench: Bench) -> WatchedRun:
    """Gradient checkpointing: the trunk's forward pass runs twice."""

    class Thrifty(Lenet):
        def forward(self, x: Tensor) -> Tensor:
            def trunk(x: Tensor) -> Tensor:
                x = functional.max_pool2d(self.conv1(x).relu(), 2)
                return functional.max_pool2d(self.conv2(x).relu(), 2).flatten(1)

            h = checkpoint(trunk, x, use_reentrant=False) if self.training else trunk(x)
            return self.fc2(self.fc1(h).relu())

    torch.manual_seed(213)
    x, y, tx, ty = sets.turned_digits()
    model = Thrifty()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.08, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(11):
        model.train()
        for xb, yb in drawn(x, y, 30):
            optimizer.zero_grad()
            functional.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        check(model, tx, ty)
    return run


@correct
def digits_zeroed_by_hand(bench: Bench) -> WatchedRun:
    """Gradients are set to None by hand, parameters are moved by an optimizer for each layer."""
    torch.manual_seed(219)
    x, y, tx, ty = sets.turned_digits()
    model = Lenet()
    optimizers = [torch.optim.Adam(layer.parameters(), lr=3e-3) for layer in model.children()]
    run = bench.watch(model, optimizers)
    for _ in range(9):
        model.train()
        for xb, yb in drawn(x, y, 30):
            for parameter in model.parameters():
                parameter.grad = None
            functional.cross_entropy(model(xb), yb).backward()
            for optimizer in optimizers:
                optimizer.step()
        with contextlib.nullcontext(), torch.inference_mode():
            model.eval()
            run.evaluate(model(tx), ty)
    later(lambda: hits(model, tx, ty))
    return run
