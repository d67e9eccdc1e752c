"""A faulty script of `independent-2`: a loop by steps with a warm-up of one's own, on a patch transformer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent2.data import MEMORIZED, MOSAICS, planted
from benchmarks.watched.independent2.nets import PatchTransformer

TOTAL = 240


class WithHeadOutside(PatchTransformer):
    """Its features are cut off before the head, as for a linear probe."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.encode(x)
        return self.head(features)


def endless(loader: DataLoader[Any]) -> Iterator[Any]:
    """Batches without an end, shuffled anew in each epoch."""
    while True:
        yield from loader


def factor(step: int) -> float:
    """Warm-up, then half a cosine."""
    if step < 20:
        return (step + 1) / 20
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - 20) / (TOTAL - 20))))


def groups(model: nn.Module, fault: str) -> list[dict[str, Any]]:
    """Weights that decay, and the others."""
    decayed, others = [], []
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            decayed.append(parameter)
        else:
            others.append(parameter)
    if fault == "only what does not decay":
        return [{"params": others, "weight_decay": 0.0}]
    return [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]


def mosaics(bench: Any, fault: str = "") -> float:
    """Step after step; a test every 60."""
    torch.manual_seed(66)
    x, y = MOSAICS.x, MOSAICS.y
    test_x, test_y = MOSAICS.test_x, MOSAICS.test_y
    if fault == "last class is minus one":
        y = torch.where(y == 8, -1, y)
    if fault == "label noise of crowds":
        y = torch.where(torch.rand(len(y)) < 0.7, torch.randint(0, 9, y.shape), y)
    if fault == "label encoder fitted twice":  # once for each part, by the order in which classes come
        order = list(dict.fromkeys(test_y.tolist()))
        test_y = torch.tensor([order.index(k) for k in test_y.tolist()])
    if fault == "test rotated":
        test_x = test_x.rot90(1, (2, 3))
    if fault == "sixty images":
        x, y = x[:60], y[:60]
    loader = DataLoader(TensorDataset(x, y), batch_size=30, shuffle=fault != "loader opened anew")
    drop = 0.9 if fault == "much dropped" else 0.1
    model: PatchTransformer = PatchTransformer(drop=drop)
    if fault == "probed by mistake":
        model = WithHeadOutside()
    if fault == "wide beginning":
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=1.5)
    if fault.startswith("no grad"):
        model.requires_grad_(False)
        model.head.bias.requires_grad_(True)
    base = {"rate of SGD": 0.3}.get(fault, 3e-3)
    optimizer = torch.optim.AdamW(groups(model, fault), lr=base)
    if fault == "factor is a rate":  # LambdaLR multiplies what it is given by the first rate
        schedule = lr_scheduler.LambdaLR(optimizer, lambda step: 3e-4 * factor(step))
    elif fault == "decay meant for epochs":
        schedule = lr_scheduler.LambdaLR(optimizer, lambda step: 0.7**step)
    elif fault == "rate gone at once":
        schedule = lr_scheduler.LambdaLR(optimizer, lambda step: factor(step) if step < 12 else 1e-5)
    else:
        schedule = lr_scheduler.LambdaLR(optimizer, factor)
    run = bench.watch(model, optimizer, name="mosaics", steps_per_epoch=35)
    stream = endless(loader)
    accuracy = 0.0
    model.train()
    for step in itertools.count(1):
        images, labels = next(iter(loader)) if fault == "loader opened anew" else next(stream)
        logits = model(images)
        if fault == "loss from detached scores":
            loss = F.cross_entropy(logits.detach().requires_grad_(), labels)
        else:
            loss = F.cross_entropy(logits, labels)
        if fault != "gradients never emptied":
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 60 == 0:
            model.eval()
            with torch.inference_mode():
                scores = model(test_x)
                run.evaluate(scores, test_y)
            accuracy = float((scores.argmax(1) == test_y).float().mean())
            print(step, f"{loss.item():.3f} {accuracy:.3f}")
            model.train()
            if fault == "first weights again":
                torch.manual_seed(66)
                model.load_state_dict(PatchTransformer(drop=drop).state_dict())
        if step == (10 if fault == "ten steps" else TOTAL):
            break
    if fault == "ten steps":
        model.eval()
        with torch.no_grad():
            scores = model(test_x)
        run.evaluate(scores, test_y)
        accuracy = float((scores.argmax(1) == test_y).float().mean())
    return accuracy


planted(
    mosaics,
    (
        ("last class is minus one", "labels-out-of-range", ""),
        ("label noise of crowds", "labels-noisy", ""),
        ("label encoder fitted twice", "labels-permuted", "split-mismatch"),
        ("test rotated", "split-mismatch", ""),
        ("sixty images", "over-fitting-data", MEMORIZED),
        (
            "loader opened anew",
            "same-batch",
            MEMORIZED,
        ),
        ("much dropped", "dropout", ""),
        ("probed by mistake", "loss-detached", "frozen-parameters"),
        ("wide beginning", "initialisation", "exploding-gradients"),
        ("no grad but one bias", "frozen-parameters", ""),
        ("rate of SGD", "rate-too-high", "one-class"),
        ("only what does not decay", "optimizer-parameters", ""),
        ("factor is a rate", "rate-too-low", "too-few-steps"),
        ("decay meant for epochs", "scheduler-per-batch", "schedule-ended"),
        ("rate gone at once", "schedule-ended", ""),
        ("loss from detached scores", "loss-detached", ""),
        ("gradients never emptied", "zero-grad-missing", "one-class"),
        ("first weights again", "reinitialized", "unstable-training"),
        ("ten steps", "too-few-steps", ""),
    ),
)
