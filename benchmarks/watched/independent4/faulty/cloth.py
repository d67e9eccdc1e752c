"""Six kinds of cloth, in loops as those of `picture_loops`."""

from __future__ import annotations

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, optim
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty, hits, later, say
from benchmarks.watched.independent4.faulty.picture import (
    loaders,
    test,
    train_one_epoch,
)
from benchmarks.watched.independent4.nets import Lenet, Separable
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("input-scale", right=[("lambda cloth: cloth, 30", "lambda cloth: cloth / 128 - 1, 30")])
def cloth_in_bytes(bench: Bench) -> WatchedRun:
    torch.manual_seed(53)
    train, held = loaders(sets.weaves(), lambda cloth: cloth, 30)
    model = Lenet(1, 20, 6)
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer)
    for _ in range(6):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty(
    "training-in-eval-mode",
    right=[
        ("test(model, held, criterion)\n    for", "for"),
        ("optimizer.zero_grad()", "model.train(); optimizer.zero_grad()"),
    ],
)
def cloth_after_a_first_test(bench: Bench) -> WatchedRun:
    """The test before the first epoch leaves the network in evaluation mode, and nothing turns it back."""
    torch.manual_seed(54)
    train, held = loaders(sets.weaves(), lambda cloth: cloth / 40 - 2, 30)
    model = Separable()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer)
    test(model, held, criterion)
    for _ in range(5):
        for images, labels in train:
            optimizer.zero_grad()
            criterion(model(images), labels).backward()
            optimizer.step()
        test(model, held, criterion)
    return run


@faulty("evaluation-mode", right=[("# model.eval()", "model.eval()")])
def cloth_judged_kind_by_kind(bench: Bench) -> WatchedRun:
    """Batch statistics of a test batch that holds one kind of cloth."""
    torch.manual_seed(56)
    x, y, tx, ty = sets.weaves()
    x, tx = x / 128 - 1, tx / 128 - 1
    model = Separable()
    optimizer = optim.AdamW(model.parameters(), lr=4e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for images, labels in DataLoader(TensorDataset(x, y), 30, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        # model.eval()
        right = 0
        with torch.no_grad():
            for kind in range(6):
                out = model(tx[ty == kind])
                run.evaluate(out, ty[ty == kind])
                right += int((out.argmax(1) == kind).sum())
        say(right / len(ty))
    return run


@faulty("batch-norm-unsettled", right=[("layer.momentum = 0.002", "layer.momentum = 0.1")])
def cloth_with_slow_statistics(bench: Bench) -> WatchedRun:
    torch.manual_seed(57)
    train, held = loaders(sets.weaves(), lambda cloth: cloth / 64 - 1, 30)
    model = Separable()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.002
    optimizer = optim.AdamW(model.parameters(), lr=4e-3)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer)
    for _ in range(5):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("constant-input", right=[(".clamp(0, 1)", "")])
def cloth_clipped_to_white(bench: Bench) -> WatchedRun:
    """Bytes are clipped to [0, 1] as if they were fractions: nearly every pixel is 1."""
    torch.manual_seed(64)
    train, held = loaders(sets.weaves(), lambda cloth: (cloth / 1.0).clamp(0, 1) / 128, 30)
    model = Separable()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=4e-3)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty(
    "over-fitting-augmentation",
    "over-fitting-data",
    "over-fitting-model",
    right=[("loaders(parts, still, 30", "loaders(parts, moved, 30"), ("range(40)", "range(100)")],
)
def cloth_always_the_same_piece(bench: Bench) -> WatchedRun:
    def still(cloth: Tensor) -> Tensor:
        return cloth / 64 - 2

    def moved(cloth: Tensor) -> Tensor:
        top, left = torch.randint(0, 20, (2,)).tolist()
        return still(cloth.roll((top, left), (1, 2)))

    torch.manual_seed(68)
    x, y, tx, ty = sets.weaves()
    parts = x[:150], y[:150], tx, ty
    train, held = loaders(parts, still, 30, test=still)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(400, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 6)
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    run = bench.watch(model, optimizer)
    for _ in range(40):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("dead-relu", "rate-too-high", "initialisation", right=[("model.conv1.bias.data -= 4", "pass")])
def cloth_first_layer_is_off(bench: Bench) -> WatchedRun:
    torch.manual_seed(69)
    train, held = loaders(sets.weaves(), lambda cloth: cloth / 128 - 1, 30)
    model = Lenet(1, 20, 6)
    model.conv1.bias.data -= 4
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        train_one_epoch(model, train, criterion, optimizer)
    later(lambda: hits(model, torch.cat([b[0] for b in held]), torch.cat([b[1] for b in held])))
    return run
