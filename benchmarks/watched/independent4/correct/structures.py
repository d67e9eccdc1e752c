"""Correct loops whose structure looks odd: several parts, tasks, phases, folds, optimizers and passes."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import correct, hits, later, say
from benchmarks.watched.independent4.nets import (
    Attentive,
    Perceptron,
    Reader,
    Tones,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


def shuffled(*parts: Tensor, size: int = 30) -> Iterator[tuple[Tensor, ...]]:
    for rows in torch.randperm(len(parts[0])).split(size):
        yield tuple(part[rows] for part in parts)


def evaluate_loss(model: nn.Module, tx: Tensor, ty: Tensor) -> None:
    model.eval()
    with torch.no_grad():
        fn.cross_entropy(model(tx), ty)
    say(hits(model, tx, ty))


@correct
def tones_contrasted_then_named(bench: Bench) -> WatchedRun:
    """Two views of a recording are pulled together first; then a head learns too, in the same run."""
    torch.manual_seed(243)
    x, y, tx, ty = sets.sounds()
    encoder = Tones(32)
    model = nn.Sequential(encoder, nn.ReLU(), nn.Linear(32, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(3):
        model.train()
        for (xb,) in shuffled(x, size=60):
            one = fn.normalize(encoder(xb + 0.2 * torch.randn_like(xb)), dim=1)
            two = fn.normalize(encoder(xb.roll(3, 2)), dim=1)
            loss = fn.cross_entropy(one @ two.T / 0.2, torch.arange(len(xb)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for _ in range(7):
        model.train()
        for xb, yb in shuffled(x, y):
            optimizer.zero_grad()
            fn.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        evaluate_loss(model, tx, ty)
    return run


@correct
def wines_in_four_folds(bench: Bench) -> WatchedRun:
    """Cross-validation: a new network, optimizer and run for each fold."""
    torch.manual_seed(245)
    x, y, _, _ = sets.cultivars()
    folds = torch.randperm(700).chunk(4)
    run = None
    for number, fold in enumerate(folds):
        rest = torch.cat([other for other in folds if other is not fold])
        mean, std = x[rest].mean(0), x[rest].std(0)
        model = Perceptron(13, 24, 3)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        if run is not None:
            run.finish()
        run = bench.watch(model, optimizer, name=f"fold {number}")
        for _ in range(14):
            model.train()
            for xb, yb in shuffled((x[rest] - mean) / std, y[rest]):
                optimizer.zero_grad()
                fn.cross_entropy(model(xb), yb).backward()
                optimizer.step()
            evaluate_loss(model, (x[fold] - mean) / std, y[fold])
    assert run is not None
    return run


@correct
def clusters_sharpness_aware(bench: Bench) -> WatchedRun:
    """SAM: weights go up the gradient, come back, and step by the gradient found there."""
    torch.manual_seed(247)
    x, y, tx, ty = sets.clusters()
    model = Perceptron(16, 64, 64, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(12):
        model.train()
        for xb, yb in shuffled(x, y):
            fn.cross_entropy(model(xb), yb).backward()
            with torch.no_grad():
                norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
                moves = [0.05 * p.grad / (norm + 1e-12) for p in model.parameters()]
                for p, move in zip(model.parameters(), moves, strict=True):
                    p.add_(move)
            optimizer.zero_grad()
            fn.cross_entropy(model(xb), yb).backward()
            with torch.no_grad():
                for p, move in zip(model.parameters(), moves, strict=True):
                    p.sub_(move)
            optimizer.step()
            optimizer.zero_grad()
        evaluate_loss(model, tx, ty)
    return run


@correct
def beats_resumed(bench: Bench) -> WatchedRun:
    """The network and its optimizer come from a checkpoint of two epochs ago."""
    torch.manual_seed(248)
    x, y, tx, ty = sets.heartbeats()
    model = Tones(1, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(2):
        for xb, yb in shuffled(x, y):
            optimizer.zero_grad()
            fn.binary_cross_entropy_with_logits(model(xb)[:, 0], yb.float()).backward()
            optimizer.step()
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    checkpoint = torch.load(file, weights_only=True)
    model, optimizer = Tones(1, 8), None  # type: ignore[assignment]
    model.load_state_dict(checkpoint["model"])
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    optimizer.load_state_dict(checkpoint["optimizer"])
    run = bench.watch(model, optimizer)
    for _ in range(4):
        model.train()
        for xb, yb in shuffled(x, y):
            optimizer.zero_grad()
            fn.binary_cross_entropy_with_logits(model(xb)[:, 0], yb.float()).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            fn.binary_cross_entropy_with_logits(model(tx)[:, 0], ty.float())
        say(hits(model, tx, ty))
    return run


@correct
def strings_teacher_is_the_mean(bench: Bench) -> WatchedRun:
    """Mean teacher: half of the rows have no label, and are pulled to what the averaged network says."""
    torch.manual_seed(249)
    x, y, tx, ty = sets.orders()
    model = Reader()
    teacher = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    run = bench.watch(model, optimizer)
    for _ in range(14):
        model.train()
        for xb, yb in shuffled(x[:1000], y[:1000], size=40):
            free = x[torch.randint(1000, 1600, (20,))]
            loss = fn.cross_entropy(model(xb), yb)
            loss = loss + 0.5 * fn.mse_loss(model(free).softmax(1), teacher(free).softmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for slow, fast in zip(teacher.parameters(), model.parameters(), strict=True):
                    slow.lerp_(fast, 0.05)
        model.eval()
        with torch.no_grad():
            run.evaluate(model(tx), ty)
    later(lambda: hits(model, tx, ty))
    return run


@correct
def paths_judged_before_the_first_epoch(bench: Bench) -> WatchedRun:
    torch.manual_seed(251)
    x, y, tx, ty = sets.walkers()
    model = Attentive(4, 24, 0, 24, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    run = bench.watch(model, optimizer)
    evaluate_loss(model, tx, ty)
    for _ in range(10):
        model.train()
        for xb, yb in shuffled(x, y):
            optimizer.zero_grad()
            fn.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        evaluate_loss(model, tx, ty)
    return run


@correct
def moons_many_members(bench: Bench) -> WatchedRun:
    """An ensemble of five in one module, trained by the sum of its members' losses."""

    class Five(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.members = nn.ModuleList(Perceptron(10, 24, 24, 1) for _ in range(5))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([member(x) for member in self.members], 1)

    torch.manual_seed(253)
    x, y, tx, ty = sets.moons()
    model = Five()
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)
    run = bench.watch(model, optimizer)
    for _ in range(12):
        model.train()
        for xb, yb in shuffled(x, y):
            loss = fn.binary_cross_entropy_with_logits(model(xb), yb.float()[:, None].expand(-1, 5))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            say(((model(tx).mean(1) > 0).long() == ty).float().mean())
    return run


@correct
def tumours_standardized_inside(bench: Bench) -> WatchedRun:
    """Rows come in their own units: a normalization without parameters is the network's first layer."""
    torch.manual_seed(255)
    x, y, tx, ty = sets.tumours()
    model = nn.Sequential(nn.BatchNorm1d(30, affine=False), nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    with bench.watch(model, optimizer) as run:
        for _ in range(15):
            model.train()
            for xb, yb in shuffled(x, y, size=19):
                optimizer.zero_grad()
                fn.binary_cross_entropy_with_logits(model(xb)[:, 0], yb.float()).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                fn.binary_cross_entropy_with_logits(model(tx)[:, 0], ty.float())
            say(hits(model, tx, ty))
    return run


@correct
def spirals_random_features(bench: Bench) -> WatchedRun:
    """Random Fourier features: the first layer is frozen as drawn, as it is meant, and wide enough."""

    class Waves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Linear(2, 300)
            nn.init.normal_(self.project.weight, std=2.0)
            nn.init.uniform_(self.project.bias, 0, 6.28)
            self.project.requires_grad_(False)
            self.top = nn.Linear(300, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.top(self.project(x).cos())

    torch.manual_seed(256)
    x, y, tx, ty = sets.spirals()
    model = Waves()
    optimizer = torch.optim.Adam(model.top.parameters(), lr=1e-2)
    run = bench.watch(model, optimizer)
    for _ in range(15):
        model.train()
        for xb, yb in shuffled(x, y):
            optimizer.zero_grad()
            fn.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        evaluate_loss(model, tx, ty)
    return run
