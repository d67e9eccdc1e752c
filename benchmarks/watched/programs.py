"""Programs of kinds that people asked about in public, re-expressed: faulty, and with the proposed change.

The collections that fault localization for deep learning is measured on (DeepLocalize, NeuraLint, DeepFD,
Theia) took their programs from public questions: dense networks on tables and on flattened digits, small
convolutional ones, with a wrong last activation, loss, rate, initialization, data that are not scaled, and so
on. These were written from descriptions of such kinds, without a look at any of that code, and before the
rules were tried on them. A program's `change` is what a reader would do at the cause's fix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@dataclass(frozen=True)
class Setup:
    """Everything that a program decides."""

    data: str = "table"
    hidden: tuple[int, ...] = (32, 32)
    activation: str = "ReLU"
    last: str = ""
    loss: str = "cross_entropy"
    optimizer: str = "Adam"
    lr: float = 3e-3
    momentum: float = 0.0
    decay: float = 0.0
    batch: int = 16
    epochs: int = 12
    init: Callable[[nn.Module], None] = lambda model: None
    inputs: Callable[[Tensor], Tensor] = lambda images: images
    test_inputs: Callable[[Tensor], Tensor] | None = None
    labels: Callable[[Tensor], Tensor] = lambda labels: labels
    dropout: float = 0.0
    norm: bool = False
    zero_grad: bool = True
    step: bool = True
    train_mode: bool = True
    eval_mode: bool = True
    shuffle: bool = True
    rows: int = 600
    frozen: int = 0
    parameters: str = "all"
    schedule: float = 1.0
    detach: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Program:
    """A faulty program: its kind in the literature's words, the right cause, and the change that mends it."""

    setup: ClassVar[type[Any]] = Setup
    """The fields of a program; another set of programs has its own."""
    name: str
    kind: str
    cause: str
    fault: dict[str, Any]
    base: dict[str, Any] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    change: dict[str, Any] = field(default_factory=dict)
    """Settings instead of the faulty ones; the healthy ones where nothing else is said."""

    def faulty(self) -> Any:
        """As it was asked about."""
        return self.setup(**{**self.base, **self.fault})

    def healthy(self) -> Any:
        """The twin without the fault."""
        return self.setup(**self.base)

    def changed(self) -> Any:
        """With the change that the cause's fix proposes."""
        healthy = self.healthy()
        change = self.change or {name: getattr(healthy, name) for name in self.fault}
        return self.setup(**{**self.base, **self.fault, **change})


# Data, made on the spot.


def table(rows: int) -> tuple[Tensor, Tensor]:
    """Rows of eight measurements and three classes that no single measurement tells apart."""
    draw = torch.Generator().manual_seed(21)
    values = torch.randn(rows, 8, generator=draw)
    score = values[:, 0] * values[:, 1] + 0.6 * values[:, 2] - 0.4 * values[:, 3].square()
    edges = torch.quantile(score, torch.tensor([1 / 3, 2 / 3]))
    return values, torch.bucketize(score, edges)


def digits(rows: int) -> tuple[Tensor, Tensor]:
    """Seven-segment figures of ten classes, 14×14 in [0, 1], moved about and with noise."""
    draw = torch.Generator().manual_seed(22)
    segments = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
    lines = {"a": (0, 0, 1, 6), "b": (0, 5, 6, 1), "c": (5, 5, 6, 1), "d": (10, 0, 1, 6), "e": (5, 0, 6, 1),
             "f": (0, 0, 6, 1), "g": (5, 0, 1, 6)}  # fmt: skip
    labels = torch.randint(0, 10, (rows,), generator=draw)
    images = 0.25 * torch.rand(rows, 1, 14, 14, generator=draw)
    for row, label in enumerate(labels.tolist()):
        top, left = torch.randint(0, 4, (2,), generator=draw).tolist()
        for segment in segments[label]:
            y, x, height, width = lines[segment]
            images[row, 0, top + y : top + y + height, left + x : left + x + width] = 1.0
    return images[..., :14, :14], labels


def data_of(name: str, rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test values and labels."""
    values, labels = table(rows + 300) if name == "table" else digits(rows + 300)
    return values[:rows], labels[:rows], values[rows:], labels[rows:]


def network(setup: Setup) -> nn.Module:
    """The network that a setup describes."""
    torch.manual_seed(setup.seed)
    classes = 3 if setup.data == "table" else 10
    act = partial(getattr(nn, setup.activation)) if setup.activation else nn.Identity
    parts: list[nn.Module] = []
    if setup.data == "images":
        width = 1
        for wide in setup.hidden:
            parts += [nn.Conv2d(width, wide, 3, padding=1), *([nn.BatchNorm2d(wide)] if setup.norm else [])]
            parts += [act(), nn.MaxPool2d(2)]
            width = wide
        side = 14 // 2 ** len(setup.hidden)
        parts += [nn.Flatten(), nn.Dropout(setup.dropout), nn.Linear(width * side * side, classes)]
    else:
        width = 8 if setup.data == "table" else 196
        parts.append(nn.Flatten())
        for wide in setup.hidden:
            parts += [nn.Linear(width, wide), *([nn.BatchNorm1d(wide)] if setup.norm else []), act()]
            parts.append(nn.Dropout(setup.dropout))
            width = wide
        parts.append(nn.Linear(width, classes))
    if setup.last:
        parts.append(nn.Softmax(1) if setup.last == "Softmax" else getattr(nn, setup.last)())
    model = nn.Sequential(*parts)
    setup.init(model)
    for layer in [part for part in model if any(True for _ in part.parameters())][: setup.frozen]:
        layer.requires_grad_(False)
    return model


def loss_of(setup: Setup, outputs: Tensor, labels: Tensor) -> Tensor:
    """The loss of a batch."""
    if setup.loss == "mse":
        return functional.mse_loss(outputs, labels.float().expand(outputs.shape[1], -1).T)
    if setup.loss == "nll":
        return functional.nll_loss(outputs, labels)
    if setup.loss == "bce_twice":
        one_hot = functional.one_hot(labels, outputs.shape[1]).float()
        return functional.binary_cross_entropy_with_logits(torch.sigmoid(outputs), one_hot)
    if setup.loss == "bce":
        one_hot = functional.one_hot(labels, outputs.shape[1]).float()
        return functional.binary_cross_entropy_with_logits(outputs, one_hot)
    return functional.cross_entropy(outputs, labels)


def batches(setup: Setup, values: Tensor, labels: Tensor, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch."""
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(100 + epoch))
    order = order if setup.shuffle else labels.argsort(stable=True)
    for start in range(0, len(values) - setup.batch + 1, setup.batch):
        chosen = order[start : start + setup.batch]
        yield values[chosen], labels[chosen]


def run(bench: Bench, setup: Setup) -> tuple[WatchedRun, float]:
    """Run a program; its watched run, and its accuracy on the test rows, judged as it should be."""
    values, labels, test_values, test_labels = data_of(setup.data, setup.rows)
    own_test = (setup.test_inputs or setup.inputs)(test_values)
    values, labels = setup.inputs(values), setup.labels(labels)
    model = network(setup)
    trained = list(model.parameters())
    if setup.parameters == "last":
        trained = list(model[-1].parameters())  # type: ignore[index]
    elif setup.parameters == "another":
        trained = list(network(setup).parameters())
    kind = getattr(torch.optim, setup.optimizer)
    more = {"momentum": setup.momentum} if setup.optimizer in ("SGD", "RMSprop") else {}
    optimizer = kind(trained, lr=setup.lr, weight_decay=setup.decay, **more)
    watched = bench.watch(model, optimizer)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, setup.schedule)
    model.train(setup.train_mode)
    for epoch in range(setup.epochs):
        model.train(setup.train_mode)
        for inputs, targets in batches(setup, values, labels, epoch):
            if setup.zero_grad:
                optimizer.zero_grad()
            outputs = model(inputs)
            if setup.detach:
                outputs = outputs.detach().requires_grad_()
            loss = loss_of(setup, outputs, targets)
            loss.backward()
            if setup.step:
                optimizer.step()
            if setup.schedule != 1.0:
                scheduler.step()
        model.train(not setup.eval_mode)
        with torch.no_grad():
            watched.evaluate(model(own_test), test_labels)
    model.eval()
    with torch.no_grad():
        score = float((model(own_test).argmax(1) == test_labels).float().mean())
    return watched, score


# Initializations.


def _each(model: nn.Module, change: Callable[[Tensor, Tensor | None], None]) -> None:
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                change(part.weight, part.bias)


def zeros(model: nn.Module) -> None:
    """All weights 0."""
    _each(model, lambda weight, bias: weight.zero_())  # type: ignore[arg-type,return-value]


def large(model: nn.Module) -> None:
    """Weights from a standard normal distribution, times 3."""
    torch.manual_seed(1)
    _each(model, lambda weight, bias: weight.normal_(0, 3))  # type: ignore[arg-type,return-value]


def tiny(model: nn.Module) -> None:
    """Weights with a standard deviation of 0.0005."""
    torch.manual_seed(1)
    _each(model, lambda weight, bias: weight.normal_(0, 5e-4))  # type: ignore[arg-type,return-value]


def negative(model: nn.Module) -> None:
    """Biases of −30 in hidden layers, so that no unit is ever above 0."""
    hidden = [part for part in model.modules() if isinstance(part, nn.Linear | nn.Conv2d)][:-1]
    for part in hidden:
        nn.init.constant_(part.bias, -30.0)  # type: ignore[arg-type]


def standard(values: Tensor) -> Tensor:
    """Pixels standardized."""
    return (values - 0.35) / 0.35


DENSE = {"data": "digits", "hidden": (64,), "epochs": 8, "lr": 2e-3, "inputs": standard}
CONV = {"data": "images", "hidden": (8, 16), "epochs": 5, "lr": 4e-3, "inputs": standard}
SGD = {"optimizer": "SGD", "lr": 0.1}
P = Program
PROGRAMS = (
    P("softmax-then-cross-entropy-table", "wrong last activation", "output-activation", {"last": "Softmax"}),
    P("softmax-then-cross-entropy-dense", "wrong last activation", "output-activation", {"last": "Softmax"},
      DENSE),
    P("sigmoid-then-cross-entropy", "wrong last activation", "output-activation", {"last": "Sigmoid"}, DENSE),
    P("relu-then-cross-entropy", "wrong last activation", "output-activation", {"last": "ReLU"}, CONV,
      ("dead-relu",)),
    P("tanh-then-cross-entropy", "wrong last activation", "output-activation", {"last": "Tanh"}, DENSE),
    P("nll-of-logits", "wrong loss", "loss-mismatch", {"loss": "nll"}, DENSE),
    P("nll-of-softmax", "wrong loss", "loss-mismatch", {"loss": "nll", "last": "Softmax"}, CONV),
    P("sigmoid-twice", "wrong loss", "loss-mismatch", {"loss": "bce_twice"}, {**DENSE, "loss": "bce"},
      ("output-activation",)),
    P("rate-of-3-adam", "learning rate", "rate-too-high", {"lr": 3.0}, DENSE, ("dead-relu", "one-class"),
      {"lr": 3e-3}),
    P("rate-of-20-sgd", "learning rate", "rate-too-high", {"lr": 20.0}, {**CONV, **SGD},
      ("dead-relu", "non-finite", "one-class"), {"lr": 0.1}),
    P("rate-of-1e-6-adam", "learning rate", "rate-too-low", {"lr": 1e-6}, DENSE, ("under-fitting",),
      {"lr": 2e-3}),
    P("rate-of-1e-5-sgd", "learning rate", "rate-too-low", {"lr": 1e-5}, {**CONV, **SGD}, ("under-fitting",),
      {"lr": 0.1}),
    P("rate-of-1e-4-sgd-table", "learning rate", "rate-too-low", {"lr": 1e-4}, SGD, ("under-fitting",),
      {"lr": 0.1}),
    P("pixels-to-255-dense", "data not normalized", "input-scale", {"inputs": lambda x: 255 * x},
      {**DENSE, **SGD}, ("rate-too-high", "dead-relu", "non-finite")),
    P("table-in-thousands", "data not normalized", "input-scale", {"inputs": lambda x: 1000 * x + 5000},
      SGD, ("rate-too-high", "dead-relu", "non-finite", "one-class")),
    P("divided-by-255-twice", "data normalized twice", "scaled-twice",
      {"inputs": lambda x: standard(x) / 255}, {**CONV, **SGD},
      ("rate-too-low", "input-scale", "under-fitting")),
    P("weights-of-zero", "weight initialization", "initialisation", {"init": zeros}, DENSE),
    P("weights-of-zero-conv", "weight initialization", "initialisation", {"init": zeros}, CONV),
    P("weights-too-large", "weight initialization", "initialisation", {"init": large}, {**DENSE, **SGD},
      ("rate-too-high", "exploding-gradients")),
    P("weights-too-small-deep", "weight initialization", "initialisation", {"init": tiny},
      {**DENSE, **SGD, "hidden": (64, 64, 64)}, ("vanishing-gradients",)),
    P("bias-below-zero", "dying ReLU", "dead-relu", {"init": negative}, DENSE, ("initialisation",)),
    P("sigmoid-eight-deep", "vanishing gradient", "vanishing-gradients", {"activation": "Sigmoid"},
      {**DENSE, **SGD, "hidden": (48,) * 8, "epochs": 10, "norm": True}, (), {"activation": "ReLU"}),
    P("tanh-large-weights", "saturated units", "initialisation", {"init": large},
      {**DENSE, **SGD, "activation": "Tanh"}, ("vanishing-gradients", "rate-too-high")),
    P("dropout-of-0.95", "dropout", "dropout", {"dropout": 0.95}, {**DENSE, "epochs": 12},
      ("under-fitting",)),
    P("decay-of-1", "regularization", "weight-decay", {"decay": 1.0}, {**DENSE, **SGD}, ("under-fitting",)),
    P("one-epoch", "too few epochs", "too-few-steps", {"epochs": 1, "batch": 200}, DENSE,
      ("under-fitting", "rate-too-low", "batch-too-large")),
    P("gradients-never-cleared", "missing API call", "zero-grad-missing", {"zero_grad": False},
      {**DENSE, **SGD}),
    P("gradients-never-cleared-table", "missing API call", "zero-grad-missing", {"zero_grad": False}),
    P("no-step", "missing API call", "optimizer-never-steps", {"step": False}, CONV),
    P("judged-in-training-mode", "missing API call", "evaluation-mode", {"eval_mode": False},
      {**DENSE, "dropout": 0.4}),
    P("trained-in-eval-mode", "missing API call", "training-in-eval-mode", {"train_mode": False},
      {**CONV, "norm": True}),
    P("parameters-of-another", "wrong optimizer argument", "optimizer-parameters", {"parameters": "another"},
      DENSE),
    P("rows-in-order-of-class", "data not shuffled", "not-shuffled", {"shuffle": False}, {**DENSE, **SGD},
      ("unstable-training",)),
    P("labels-random", "labels", "labels-shuffled",
      {"labels": lambda y: y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]},
      {**DENSE, "epochs": 20}, ("labels-noisy", "over-fitting-data")),
    P("cut-off-from-the-graph", "wrong API call", "loss-detached", {"detach": True}, DENSE,
      ("optimizer-never-steps",)),
    P("rate-decays-every-batch", "schedule", "scheduler-per-batch", {"schedule": 0.7}, {**DENSE, **SGD},
      ("schedule-ended",)),
    P("test-rows-not-scaled", "data differ", "split-mismatch", {"test_inputs": lambda x: 255 * x}, DENSE),
    P("all-but-the-last-frozen", "frozen layers", "frozen-parameters", {"frozen": 2},
      {**CONV}, ("under-fitting",)),
)  # fmt: skip
