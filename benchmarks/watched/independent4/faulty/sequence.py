"""Strings of tokens and paths of points: GRUs and transformers, epochs in functions and plain loops."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty, hits, say
from benchmarks.watched.independent4.nets import Attentive, Reader, Tones
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


def epoch_of(count: int, size: int) -> list[Tensor]:
    return list(torch.randperm(count).split(size))


def validate(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    model.eval()
    with torch.no_grad():
        logits = model(inputs)
        functional.cross_entropy(logits, labels)
    reached = (logits.argmax(1) == labels).float().mean().item()
    say(reached)
    return reached


@faulty(
    "scheduler-per-batch",
    "rate-too-low",
    right=[
        ("            decay.step()", "            pass"),
        ("        validate(", "        decay.step()\n        validate("),
    ],
)
def strings_exponential_by_batch(bench: Bench) -> WatchedRun:
    torch.manual_seed(74)
    x, y, tx, ty = sets.orders()
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    run = bench.watch(model, optimizer, name="strings")
    for _ in range(8):
        model.train()
        for rows in epoch_of(len(x), 40):
            loss = functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            decay.step()
        validate(model, tx, ty)
    return run


@faulty(
    "scheduler-per-batch",
    "rate-too-low",
    right=[
        ("            plan.step()", "            pass"),
        ("        model.eval()", "        plan.step()\n        model.eval()"),
    ],
)
def beats_milestones_by_batch(bench: Bench) -> WatchedRun:
    torch.manual_seed(75)
    x, y, tx, ty = sets.heartbeats()
    model = Tones(1, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    plan = torch.optim.lr_scheduler.MultiStepLR(optimizer, [6, 8], 0.1)
    criterion = nn.BCEWithLogitsLoss()
    run = bench.watch(model, optimizer)
    for _ in range(10):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            criterion(model(x[rows]).flatten(), y[rows].float()).backward()
            optimizer.step()
            plan.step()
        model.eval()
        with torch.no_grad():
            criterion(model(tx).flatten(), ty.float())
        say(hits(model, tx, ty))
    return run


@faulty(
    "gradient-accumulation-scale",
    "rate-too-high",
    "unstable-training",
    "dead-relu",
    "one-class",
    right=[
        (
            "criterion(model(x[rows]).flatten(), y[rows].float())",
            "(criterion(model(x[rows]).flatten(), y[rows].float()) / 10)",
        )
    ],
)
def beats_ten_small_batches(bench: Bench) -> WatchedRun:
    torch.manual_seed(77)
    x, y, tx, ty = sets.heartbeats()
    model = Tones(1, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.15, momentum=0.9)
    criterion = nn.BCEWithLogitsLoss()
    run = bench.watch(model, optimizer)
    seen = 0
    for _ in range(10):
        model.train()
        for rows in epoch_of(len(x), 8):
            criterion(model(x[rows]).flatten(), y[rows].float()).backward()
            seen += 1
            if seen % 10 == 0:
                optimizer.step()
                optimizer.zero_grad()
        model.eval()
        with torch.no_grad():
            criterion(model(tx).flatten(), ty.float())
        say(hits(model, tx, ty))
    return run


@faulty("too-few-steps", "rate-too-low", right=[("range(1)", "range(10)")])
def strings_one_epoch(bench: Bench) -> WatchedRun:
    torch.manual_seed(78)
    x, y, tx, ty = sets.orders()
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=1.5e-3)
    run = bench.watch(model, optimizer)
    for _ in range(1):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        validate(model, tx, ty)
    return run


@faulty("schedule-ended", "rate-too-low", "too-few-steps", right=[("total_steps = 40", "total_steps = 320")])
def strings_linear_to_nothing(bench: Bench) -> WatchedRun:
    """The schedule was written for the short trial before."""
    torch.manual_seed(80)
    x, y, tx, ty = sets.orders()
    total_steps = 40
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    plan = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / total_steps))
    run = bench.watch(model, optimizer, steps_per_epoch=40)
    for _ in range(8):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            plan.step()
        validate(model, tx, ty)
    return run


@faulty("loss-detached", "frozen-parameters", right=[(".detach()", "")])
def strings_features_cut_off(bench: Bench) -> WatchedRun:
    """Outputs are detached before the loss, which gets a graph from a regularizer alone."""
    torch.manual_seed(81)
    x, y, tx, ty = sets.orders()
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for rows in epoch_of(len(x), 40):
            out = model(x[rows]).detach()
            loss = functional.cross_entropy(out, y[rows]) + 1e-4 * model.fc.weight.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        validate(model, tx, ty)
    return run


@faulty("initialisation", "vanishing-gradients", right=[("nn.init.zeros_(parameter)", "pass")])
def strings_all_weights_zero(bench: Bench) -> WatchedRun:
    torch.manual_seed(87)
    x, y, tx, ty = sets.orders()
    model = Reader()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        validate(model, tx, ty)
    return run


@faulty("rate-too-high", "one-class", "unstable-training", right=[("lr=0.1)", "lr=0.002)")])
def strings_transformer_at_a_tenth(bench: Bench) -> WatchedRun:
    torch.manual_seed(88)
    x, y, tx, ty = sets.orders()
    model = Attentive(width=24, depth=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        validate(model, tx, ty)
    return run


@faulty(
    "frozen-parameters",
    right=[("model.gru.requires_grad_(False)", "pass"), ("model.embed.requires_grad_(False)", "pass")],
)
def strings_body_frozen(bench: Bench) -> WatchedRun:
    torch.manual_seed(90)
    x, y, tx, ty = sets.orders()
    model = Reader()
    model.embed.requires_grad_(False)
    model.gru.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(7):
        model.train()
        for rows in epoch_of(len(x), 40):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        validate(model, tx, ty)
    return run
