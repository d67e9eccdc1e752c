"""A faulty script of `independent-2`: a recurrent network, `run_epoch(train=…)`, on strokes of a pen."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.optim import lr_scheduler

from benchmarks.watched.independent2.data import CURVES, planted
from benchmarks.watched.independent2.nets import CurveGRU


def curves(bench: Any, fault: str = "") -> float:
    """Classify strokes."""
    if fault.startswith("frequency"):
        return frequency(bench, spread=fault.endswith("spread"))
    torch.manual_seed(68)
    drop = 0.8 if "tested" in fault else 0.2
    model = CurveGRU(drop=drop)
    if fault == "recurrent weights of six":
        for name, parameter in model.gru.named_parameters():
            if "weight" in name:
                nn.init.normal_(parameter, std=6.0)
    rate = {"rate of two": 2.0}.get(fault, 0.01)
    learned: Any = model.parameters()
    if fault == "only the lift is learned":
        learned = model.lift.parameters()
    optimizer: torch.optim.Optimizer = torch.optim.Adam(learned, lr=rate)
    if fault == "rate of a paper on SGD":
        optimizer = torch.optim.SGD(model.parameters(), lr=2e-4)
    scheduler = lr_scheduler.StepLR(optimizer, 1, gamma={"gamma of a thousandth": 1e-3}.get(fault, 0.85))
    run = bench.watch(model, optimizer, name="curves")
    mean, std = CURVES.x.mean(), CURVES.x.std()
    x, test_x = (CURVES.x - mean) / std, (CURVES.test_x - mean) / std
    if fault == "time runs backward in the test":
        test_x = (CURVES.test_x.flip(2) - mean) / std * 0.5
    if fault == "input filled before reading":  # the array was allocated, and reading it failed silently
        x, test_x = torch.zeros_like(x), torch.zeros_like(test_x)
    guessed = torch.randint(0, 12, CURVES.y.shape)
    trusted = torch.rand(len(guessed)) < (0.2 if fault == "tags of users" else 1.1)
    y = torch.where(trusted, CURVES.y, guessed)

    def run_epoch(train: bool) -> float:
        model.train(train or fault == "tested without eval")
        images, labels = (x, y) if train else (test_x, CURVES.test_y)
        order = torch.randperm(len(labels)) if train else torch.arange(len(labels))
        if train and fault == "list grouped by figure":
            order = labels.argsort(stable=True)
        scores = []
        with contextlib.nullcontext() if train else torch.no_grad():
            for index in order.split(25 if train else 150):
                logits = model(images[index])
                loss = F.cross_entropy(logits, labels[index])
                if fault == "graph cut for memory":
                    loss = loss.detach().requires_grad_()
                if train:
                    optimizer.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if fault != "stepped by the scheduler":
                        optimizer.step()
                    if fault in ("stepped by the scheduler", "scheduler moved in"):
                        scheduler.step()
                else:
                    scores.append(logits)
        if train:
            return 0.0
        logits = torch.cat(scores)
        run.evaluate(logits, labels)
        return float((logits.argmax(1) == labels).float().mean())

    for epoch in range(6):
        run_epoch(train=True)
        if fault not in ("stepped by the scheduler", "scheduler moved in"):
            scheduler.step()
        print(epoch, f"{run_epoch(train=False):.3f}")
    return run_epoch(train=False)


def frequency(bench: Any, spread: bool) -> float:
    """How often the pen goes up and down, as one number by squared error: `(N, 1)` against `(N,)`, or not."""
    torch.manual_seed(69)
    net, times, test_times = CurveGRU(1), CURVES.y % 4, CURVES.test_y % 4
    adam = torch.optim.Adam(net.parameters(), 0.01)
    bench.watch(net, adam, name="frequency")
    criterion = nn.MSELoss()
    for _ in range(8):
        net.train()
        for index in torch.randperm(len(times)).split(25):
            guess = net(CURVES.x[index])
            loss = criterion(guess if spread else guess.squeeze(-1), times[index].float())
            adam.zero_grad()
            loss.backward()
            adam.step()
    net.eval()
    with torch.no_grad():
        return float((net(CURVES.test_x)[:, 0].round() == test_times).float().mean())


planted(
    curves,
    (
        ("frequency spread", "loss-mismatch", "one-class"),
        ("tested without eval", "evaluation-mode", ""),
        ("recurrent weights of six", "initialisation", "exploding-gradients"),
        ("rate of two", "rate-too-high", ""),
        ("only the lift is learned", "optimizer-parameters", ""),
        ("rate of a paper on SGD", "rate-too-low", "too-few-steps one-class"),
        ("gamma of a thousandth", "schedule-ended", ""),
        ("time runs backward in the test", "split-mismatch", ""),
        ("input filled before reading", "constant-input", "one-class"),
        ("tags of users", "labels-noisy", ""),
        ("list grouped by figure", "not-shuffled", ""),
        ("graph cut for memory", "loss-detached", "one-class"),
        ("stepped by the scheduler", "optimizer-never-steps", "one-class"),
        ("scheduler moved in", "scheduler-per-batch", "schedule-ended one-class"),
    ),
    twins={"frequency spread": "frequency", "tested without eval": "tested with eval"},
)
