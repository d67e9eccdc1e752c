"""A second set of re-expressed programs, of other structure, written before rules were changed for the first.

Recurrent networks over sequences, residual networks over color images, and points in the plane, trained by
loops that are written otherwise than in `programs`: gradients cleared after the step, judged in a pass of
their own whose loss is computed, two parameter groups, RMSprop, AdamW and SGD with Nesterov's momentum. Each
program is a fault of a kind from the literature's collections, with its cure and a healthy twin.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.watched import programs
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@dataclass(frozen=True)
class Setup:
    """What a program decides."""

    data: str = "plane"
    depth: int = 2
    width: int = 24
    activation: str = "relu"
    last: str = ""
    loss: str = "cross_entropy"
    optimizer: str = "adamw"
    lr: float = 4e-3
    decay: float = 0.0
    batch: int = 20
    epochs: int = 10
    count: int = 600
    gain: float = 1.0
    """What freshly drawn weights are multiplied by."""
    shift: float = 0.0
    """What is added to the biases of hidden layers."""
    inputs: Callable[[Tensor], Tensor] = lambda values: values
    test_inputs: Callable[[Tensor], Tensor] | None = None
    labels: Callable[[Tensor], Tensor] = lambda labels: labels
    dropout: float = 0.0
    norm: bool = False
    clear: bool = True
    train_mode: bool = True
    eval_mode: bool = True
    shuffle: bool = True
    frozen: bool = False
    """Whether all but the last layer keep their first weights."""
    held: str = "all"
    """Which parameters the optimizer gets: all, body or head."""
    schedule: str = ""
    detach: bool = False
    one_batch: bool = False


class Program(programs.Program):
    """A faulty program of this set, its cause, and the change that mends it."""

    setup = Setup


# Data.


def plane(count: int) -> tuple[Tensor, Tensor]:
    """Points of four arms of a spiral, `(N, 2)`."""
    draw = torch.Generator().manual_seed(31)
    labels = torch.randint(0, 4, (count,), generator=draw)
    along = torch.rand(count, generator=draw)
    angle = 2.5 * along + labels * torch.pi / 2 + 0.12 * torch.randn(count, generator=draw)
    radius = 0.3 + 1.7 * along
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1), labels


def sequences(count: int) -> tuple[Tensor, Tensor]:
    """Noisy waves of three shapes at any phase, `(N, 16, 2)`."""
    draw = torch.Generator().manual_seed(32)
    labels = torch.randint(0, 3, (count,), generator=draw)
    time = torch.arange(16.0)[None] * 0.7 + 6.28 * torch.rand(count, 1, generator=draw)
    wave = time.sin()
    shapes = torch.stack([wave, wave.sign(), wave.abs() * 2 - 1.27])
    chosen = shapes[labels, torch.arange(count)]
    both = torch.stack([chosen, time.cos()], 2)
    return both + 0.15 * torch.randn(both.shape, generator=draw), labels


def pictures(count: int) -> tuple[Tensor, Tensor]:
    """A cross, square, bar, corner or disc of any color anywhere, `(N, 3, 12, 12)` in [0, 1]."""
    draw = torch.Generator().manual_seed(33)
    y, x = torch.meshgrid(torch.arange(5), torch.arange(5), indexing="ij")
    shapes = torch.stack([
        (y == 2) | (x == 2), (y > 3) | (y < 1) | (x > 3) | (x < 1), (y == 2) | (y == 3), (y == 4) | (x == 0),
        (y - 2) ** 2 + (x - 2) ** 2 <= 4,
    ]).float()  # fmt: skip
    labels = torch.randint(0, 5, (count,), generator=draw)
    images = 0.25 * torch.rand(count, 3, 12, 12, generator=draw)
    for row, label in enumerate(labels.tolist()):
        top, left = torch.randint(0, 8, (2,), generator=draw).tolist()
        color = 0.4 + 0.6 * torch.rand(3, 1, 1, generator=draw)
        images[row, :, top : top + 5, left : left + 5] += color * shapes[label]
    return images.clamp(0, 1), labels


DATA = {"plane": (plane, 4), "sequences": (sequences, 3), "pictures": (pictures, 5)}


# Networks.


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "relu": functional.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh
    }  # fmt: skip
    return functions[name]


class Plane(nn.Module):
    """Fully connected layers, with names of their own."""

    def __init__(self, setup: Setup, classes: int) -> None:
        super().__init__()
        self.act = _activation(setup.activation)
        sizes = [2, *[setup.width] * setup.depth]
        self.body = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(b) for b in sizes[1:]) if setup.norm else None
        self.drop, self.head = nn.Dropout(setup.dropout), nn.Linear(setup.width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(N, classes)`."""
        for place, layer in enumerate(self.body):
            x = layer(x)
            x = self.act(x if self.norms is None else self.norms[place](x))
        out: Tensor = self.head(self.drop(x))
        return out


class Recurrent(nn.Module):
    """A recurrent layer, of whose last state a linear one says the class."""

    def __init__(self, setup: Setup, classes: int) -> None:
        super().__init__()
        self.body = nn.GRU(2, setup.width, num_layers=setup.depth, batch_first=True)
        self.drop, self.head = nn.Dropout(setup.dropout), nn.Linear(setup.width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(N, classes)`."""
        out: Tensor = self.head(self.drop(self.body(x)[0][:, -1]))
        return out


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, width: int, setup: Setup) -> None:
        super().__init__()
        self.act = _activation(setup.activation)
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width) if setup.norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the same shape."""
        return self.act(x + self.second(self.act(self.norm(self.first(x)))))


class Residual(nn.Module):
    """A stem, blocks, the largest of each map, and a linear layer."""

    def __init__(self, setup: Setup, classes: int) -> None:
        super().__init__()
        self.act = _activation(setup.activation)
        self.body = nn.Sequential(
            nn.Conv2d(3, setup.width, 3, padding=1), *(Block(setup.width, setup) for _ in range(setup.depth))
        )
        self.drop, self.head = nn.Dropout(setup.dropout), nn.Linear(setup.width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores `(N, classes)`."""
        out: Tensor = self.head(self.drop(self.act(self.body(x)).amax((2, 3))))
        return out


class Ended(nn.Module):
    """A network with a function after its last layer."""

    def __init__(self, inner: nn.Module, last: str) -> None:
        super().__init__()
        self.inner, self.last = inner, last

    def forward(self, x: Tensor) -> Tensor:
        """What comes after the function."""
        scores: Tensor = self.inner(x)
        return scores.softmax(1) if self.last == "softmax" else _activation(self.last)(scores)


def network(setup: Setup) -> nn.Module:
    """The network that a setup describes."""
    torch.manual_seed(3)
    kind = {"plane": Plane, "sequences": Recurrent, "pictures": Residual}[setup.data]
    model = kind(setup, DATA[setup.data][1])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.mul_(setup.gain)
            elif setup.shift and name.endswith("bias") and not name.startswith(("head", "norms")):
                parameter.fill_(setup.shift)
    if setup.frozen:
        model.body.requires_grad_(False)
    return Ended(model, setup.last) if setup.last else model


# The loop.


def loss_of(setup: Setup, scores: Tensor, labels: Tensor) -> Tensor:
    """The loss of a batch."""
    if setup.loss == "nll":
        return nn.NLLLoss()(scores, labels)
    if setup.loss == "nll_log_softmax":
        return nn.NLLLoss()(scores.log_softmax(1), labels)
    if setup.loss == "cross_entropy_of_log_probabilities_exp":
        return nn.CrossEntropyLoss()(scores.log_softmax(1).exp(), labels)
    return nn.CrossEntropyLoss()(scores, labels)


def _optimizer(setup: Setup, model: nn.Module) -> torch.optim.Optimizer:
    inner = model.inner if isinstance(model, Ended) else model
    body, head = list(inner.body.parameters()), list(inner.head.parameters())  # type: ignore[union-attr]
    norms = list(inner.norms.parameters()) if isinstance(inner, Plane) and inner.norms is not None else []
    groups = [{"params": body + norms}, {"params": head}]
    groups = {"all": groups, "body": groups[:1], "head": groups[1:]}[setup.held]
    if setup.optimizer == "sgd":
        return torch.optim.SGD(groups, setup.lr, momentum=0.9, nesterov=True, weight_decay=setup.decay)
    if setup.optimizer == "plain":
        return torch.optim.SGD(groups, setup.lr, weight_decay=setup.decay)
    if setup.optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, setup.lr, weight_decay=setup.decay)
    return torch.optim.AdamW(groups, setup.lr, weight_decay=setup.decay)


def run(bench: Bench, setup: Setup) -> tuple[WatchedRun, float]:
    """Run a program; its watched run, and its accuracy on the test part, judged as it should be."""
    make, _ = DATA[setup.data]
    values, labels = make(setup.count + 300)
    held_out, truth = values[setup.count :], labels[setup.count :]
    held_out = (setup.test_inputs or setup.inputs)(held_out)
    values, labels = setup.inputs(values[: setup.count]), setup.labels(labels[: setup.count])
    model = network(setup)
    optimizer = _optimizer(setup, model)
    watched = bench.watch(model, optimizer)
    steps = len(values) // setup.batch * setup.epochs
    scheduler = (
        torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.8)
        if setup.schedule == "step"
        else torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    )
    drawn = torch.Generator().manual_seed(8)
    for _ in range(setup.epochs):
        model.train(setup.train_mode)
        order = torch.randperm(len(values), generator=drawn) if setup.shuffle else labels.argsort(stable=True)
        for rows in order.split(setup.batch):
            rows = order[: setup.batch] if setup.one_batch else rows
            scores = model(values[rows])
            if setup.detach:
                scores = torch.tensor(scores.tolist(), requires_grad=True)
            loss_of(setup, scores, labels[rows]).backward()
            optimizer.step()
            if setup.clear:
                optimizer.zero_grad()
            if setup.schedule:
                scheduler.step()
        model.train(not setup.eval_mode)
        with torch.no_grad():
            for part, right in zip(held_out.split(100), truth.split(100), strict=True):
                loss_of(setup, model(part), right)
    model.eval()
    with torch.no_grad():
        return watched, float((model(held_out).argmax(1) == truth).float().mean())


def _centered(values: Tensor) -> Tensor:
    return (values - 0.25) / 0.25


def _mixed(labels: Tensor) -> Tensor:
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(2))]


PLANE = {"data": "plane", "epochs": 16, "width": 32}
WAVES = {"data": "sequences", "depth": 1, "width": 20, "lr": 1e-2, "epochs": 10}
SHAPES = {"data": "pictures", "depth": 1, "width": 12, "epochs": 10, "inputs": _centered, "lr": 6e-3}
SGD = {"optimizer": "sgd", "lr": 0.05}
P = Program
PROGRAMS = (
    P("softmax-in-forward-waves", "wrong last activation", "output-activation", {"last": "softmax"}, WAVES),
    P("relu-at-the-end-shapes", "wrong last activation", "output-activation", {"last": "relu"}, SHAPES,
      ("dead-relu",)),
    P("exp-of-log-softmax-plane", "wrong loss", "output-activation",
      {"loss": "cross_entropy_of_log_probabilities_exp"}, PLANE),
    P("nll-of-scores-waves", "wrong loss", "loss-mismatch", {"loss": "nll"},
      {**WAVES, "loss": "nll_log_softmax"}),
    P("rmsprop-rate-of-1", "learning rate", "rate-too-high", {"lr": 1.0},
      {**PLANE, "optimizer": "rmsprop", "lr": 2e-3}, ("dead-relu", "one-class", "exploding-gradients"),
      {"lr": 2e-3}),
    P("nesterov-rate-of-5", "learning rate", "rate-too-high", {"lr": 5.0}, {**SHAPES, **SGD},
      ("dead-relu", "one-class", "non-finite", "exploding-gradients"), {"lr": 0.05}),
    P("adamw-rate-of-3e-7", "learning rate", "rate-too-low", {"lr": 3e-7}, WAVES, ("under-fitting",)),
    P("plain-rate-of-3e-5", "learning rate", "rate-too-low", {"lr": 3e-5},
      {**SHAPES, "optimizer": "plain", "lr": 0.1, "epochs": 14}, ("under-fitting",)),
    P("weights-times-40-plane", "weight initialization", "initialisation", {"gain": 40.0},
      {**PLANE, **SGD, "epochs": 20}, ("rate-too-high", "exploding-gradients", "dead-relu")),
    P("weights-times-25-tanh", "saturated units", "initialisation", {"gain": 25.0},
      {**PLANE, **SGD, "activation": "tanh", "epochs": 20}, ("vanishing-gradients", "rate-too-high")),
    P("weights-over-300-deep", "weight initialization", "initialisation", {"gain": 1 / 300},
      {**PLANE, **SGD, "depth": 4, "epochs": 20}, ("vanishing-gradients", "one-class")),
    P("weights-of-zero-shapes", "weight initialization", "initialisation", {"gain": 0.0}, SHAPES,
      ("one-class",)),
    P("biases-of-minus-20-plane", "dying ReLU", "dead-relu", {"shift": -20.0}, PLANE, ("initialisation",)),
    P("sigmoid-ten-deep-plane", "vanishing gradient", "vanishing-gradients", {"activation": "sigmoid"},
      {**PLANE, **SGD, "depth": 10, "norm": True, "epochs": 20}, ("one-class",), {"activation": "relu"}),
    P("standardized-and-divided-shapes", "data normalized twice", "scaled-twice",
      {"inputs": lambda v: _centered(v) / 255}, {**SHAPES, **SGD},
      ("rate-too-low", "input-scale", "under-fitting")),
    P("raw-bytes-shapes", "data not normalized", "input-scale", {"inputs": lambda v: (255 * v).round()},
      {**SHAPES, **SGD}, ("rate-too-high", "dead-relu", "non-finite")),
    P("test-in-bytes-shapes", "data differ", "split-mismatch", {"test_inputs": lambda v: 255 * v}, SHAPES),
    P("test-not-centered-waves", "data differ", "split-mismatch", {"test_inputs": lambda v: v + 6}, WAVES),
    P("frozen-body-shapes", "frozen layers", "frozen-parameters", {"frozen": True},
      {**SHAPES, "width": 6}, ("under-fitting",)),
    P("frozen-body-plane", "frozen layers", "frozen-parameters", {"frozen": True},
      {**PLANE, "width": 12}, ("under-fitting",)),
    P("only-the-body-is-stepped", "wrong optimizer argument", "optimizer-parameters", {"held": "body"},
      PLANE),
    P("never-cleared-waves", "missing API call", "zero-grad-missing", {"clear": False}, {**WAVES, **SGD}),
    P("judged-in-training-mode-plane", "missing API call", "evaluation-mode", {"eval_mode": False},
      {**PLANE, "norm": True}),
    P("trained-in-evaluation-mode-shapes", "missing API call", "training-in-eval-mode",
      {"train_mode": False}, {**SHAPES, "norm": True}),
    P("sorted-by-class-waves", "data not shuffled", "not-shuffled", {"shuffle": False}, {**WAVES, **SGD},
      ("unstable-training",)),
    P("one-batch-for-ever-shapes", "wrong API call", "same-batch", {"one_batch": True}, SHAPES,
      ("over-fitting-data",)),
    P("labels-dealt-out-waves", "labels", "labels-shuffled", {"labels": _mixed}, {**WAVES, "epochs": 16},
      ("labels-noisy", "over-fitting-data")),
    P("a-new-tensor-of-the-scores", "wrong API call", "loss-detached", {"detach": True}, PLANE,
      ("optimizer-never-steps",)),
    P("step-schedule-in-the-batch-loop", "schedule", "scheduler-per-batch", {"schedule": "step"},
      {**PLANE, **SGD}, ("schedule-ended",)),
    P("decay-of-3-shapes", "regularization", "weight-decay", {"decay": 3.0},
      {**SHAPES, "optimizer": "plain", "lr": 0.1, "epochs": 14}, ("under-fitting", "one-class")),
    P("dropout-of-0.97-plane", "dropout", "dropout", {"dropout": 0.97}, PLANE, ("under-fitting",)),
)  # fmt: skip
