"""A third set of re-expressed programs, on networks and data of their own, written before rules were changed.

Convolutions over signals, words in an embedding, branches side by side over two-channel textures, and sets of
points, trained by loops that count steps instead of epochs: batches from an endless stream, gradients cleared
by hand or accumulated, validation every so many steps. Faults that should cost accuracy were seen to do so
before any diagnosis was asked for; nothing else of these runs was looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
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

    data: str = "signals"
    width: int = 12
    depth: int = 2
    activation: str = "gelu"
    last: str = ""
    loss: str = "cross_entropy"
    optimizer: str = "adam"
    lr: float = 4e-3
    decay: float = 0.0
    batch: int = 24
    steps: int = 240
    every: int = 40
    """Steps from one validation to the next."""
    count: int = 640
    draw: Callable[[nn.Module], None] = lambda model: None
    """What weights are drawn by, instead of torch's default."""
    inputs: Callable[[Tensor], Tensor] = lambda values: values
    test_inputs: Callable[[Tensor], Tensor] | None = None
    labels: Callable[[Tensor], Tensor] = lambda labels: labels
    test_labels: Callable[[Tensor], Tensor] = lambda labels: labels
    dropout: float = 0.0
    norm: bool = False
    clear: str = "first"
    """When gradients are cleared: first, between (backward and step), or never."""
    train_mode: bool = True
    eval_mode: bool = True
    shuffle: bool = True
    one_batch: bool = False
    frozen: bool = False
    """Whether all but the last layer keep their first weights."""
    held: str = "all"
    """Which parameters the optimizer gets: all, body or a copy's."""
    listed: bool = False
    """Whether the hidden layers stand in a plain list, which registers none."""
    accumulate: int = 1
    divide: bool = True
    renew: bool = False
    """Whether the last layer is drawn anew at every validation."""
    decline: float = 1.0
    """What the rate is multiplied by after each step."""
    step: bool = True
    detach: bool = False


class Program(programs.Program):
    """A faulty program of this set, its cause, and the change that mends it."""

    setup = Setup


# Data.


def signals(count: int) -> tuple[Tensor, Tensor]:
    """Rising, falling, steady and swelling tones at any phase, `(N, 1, 48)`."""
    draw = torch.Generator().manual_seed(41)
    labels = torch.randint(0, 4, (count,), generator=draw)
    time = torch.linspace(0, 1, 48)
    slope = torch.tensor([14.0, -14.0, 0.0, 0.0])[labels, None]
    phase = 6.28 * torch.rand(count, 1, generator=draw)
    tone = (phase + 22 * time + slope * time * (time - 0.2)).sin()
    swell = torch.where(labels[:, None] == 3, 1.5 * (3.1416 * time).sin().square(), torch.ones(48))
    return (tone * swell + 0.2 * torch.randn(count, 48, generator=draw))[:, None], labels


def sentences(count: int) -> tuple[Tensor, Tensor]:
    """Sentences of twelve words from 60, `(N, 12)`; at least three of them tell which of five subjects."""
    draw = torch.Generator().manual_seed(42)
    labels = torch.randint(0, 5, (count,), generator=draw)
    words = torch.randint(30, 60, (count, 12), generator=draw)
    own = labels[:, None] * 6 + torch.randint(0, 6, (count, 12), generator=draw)
    told = torch.rand(count, 12, generator=draw) < 0.35
    told[:, :3] = True
    words = torch.where(told, own, words)
    places = torch.rand(count, 12, generator=draw).argsort(1)
    return words.gather(1, places), labels


def textures(count: int) -> tuple[Tensor, Tensor]:
    """Two channels of checks and lines of six kinds, `(N, 2, 16, 16)` in [0, 1]."""
    draw = torch.Generator().manual_seed(43)
    labels = torch.randint(0, 6, (count,), generator=draw)
    y, x = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    kinds = torch.stack([
        x // 2 % 2, y // 2 % 2, x // 4 % 2, y // 4 % 2, (x // 2 + y // 2) % 2, (x + y) // 3 % 2
    ]).float()  # fmt: skip
    images = torch.empty(count, 2, 16, 16)
    for row, label in enumerate(labels.tolist()):
        for channel in range(2):
            top, left = torch.randint(0, 8, (2,), generator=draw).tolist()
            images[row, channel] = kinds[label, top : top + 16, left : left + 16]
    noise = torch.rand(images.shape, generator=draw)
    return (0.2 + 0.4 * images + 0.4 * noise).clamp(0, 1), labels


def clouds(count: int) -> tuple[Tensor, Tensor]:
    """Sets of 16 points of a sphere, disc, stick, helix or box, `(N, 16, 3)`."""
    draw = torch.Generator().manual_seed(44)
    labels = torch.randint(0, 5, (count,), generator=draw)
    loose = torch.randn(count, 16, 3, generator=draw)
    sphere = loose / loose.norm(dim=2, keepdim=True)
    disc = loose * torch.tensor([0.8, 0.8, 0.05])
    along = 2 * torch.rand(count, 16, 1, generator=draw) - 1
    stick = along * torch.tensor([0.1, 0.2, 1.4])
    helix = torch.cat([(5 * along).cos(), (5 * along).sin(), along], 2)
    box = 1.2 * (2 * torch.rand(count, 16, 3, generator=draw) - 1)
    shapes = torch.stack([sphere, disc, stick, helix, box])
    points = shapes[labels, torch.arange(count)]
    return points + 0.08 * torch.randn(points.shape, generator=draw), labels


DATA = {
    "signals": (signals, 4),
    "sentences": (sentences, 5),
    "textures": (textures, 6),
    "clouds": (clouds, 5),
}


# Networks.

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU, "relu": nn.ReLU, "elu": nn.ELU, "leaky": lambda: nn.LeakyReLU(0.1),
    "sigmoid": nn.Sigmoid, "softplus": nn.Softplus,
}  # fmt: skip


class Pooled(nn.Module):
    """The largest along the last axis or axes."""

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C)` from `(N, C, …)`."""
        return x.flatten(2).amax(2)


def tones(setup: Setup) -> list[nn.Module]:
    """Dilated convolutions over a signal."""
    layers: list[nn.Module] = []
    for place in range(setup.depth):
        before = setup.width if place else 1
        layers.append(nn.Conv1d(before, setup.width, 5, padding=2 * 2**place, dilation=2**place))
        layers += [nn.GroupNorm(2, setup.width)] if setup.norm else []
        layers.append(ACTIVATIONS[setup.activation]())
    return [*layers, Pooled()]


class Words(nn.Module):
    """The mean of the words' vectors, and a layer that mixes them."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.vectors, self.norm = nn.Embedding(60, setup.width), nn.LayerNorm(setup.width)
        self.mix, self.act = nn.Linear(setup.width, setup.width), ACTIVATIONS[setup.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """`(N, width)` from `(N, 12)` numbers of words."""
        mean: Tensor = self.norm(self.vectors(x).mean(1))
        out: Tensor = mean + self.act(self.mix(mean))
        return out


class Branches(nn.Module):
    """Convolutions of three sizes side by side, put one after another."""

    def __init__(self, before: int, setup: Setup) -> None:
        super().__init__()
        sides = (1, 3, 5)
        self.parts = nn.ModuleList(nn.Conv2d(before, setup.width // 3, s, padding=s // 2) for s in sides)
        self.norm = nn.BatchNorm2d(setup.width) if setup.norm else nn.Identity()
        self.act = ACTIVATIONS[setup.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """`(N, width, H, W)`."""
        out: Tensor = self.act(self.norm(torch.cat([part(x) for part in self.parts], 1)))
        return out


class Points(nn.Module):
    """The same layers for each point, then the largest over points."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        sizes = [3, *[setup.width] * setup.depth]
        layers = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        self.layers = layers if setup.listed else nn.ModuleList(layers)
        self.act = ACTIVATIONS[setup.activation]()

    def forward(self, x: Tensor) -> Tensor:
        """`(N, width)` from `(N, 16, 3)`."""
        for layer in self.layers:
            x = self.act(layer(x))
        return x.amax(1)


class Classifier(nn.Module):
    """A body, dropout, a last layer, and what is done to its outputs."""

    def __init__(self, setup: Setup, classes: int) -> None:
        super().__init__()
        branches = [Branches(setup.width if place else 2, setup) for place in range(setup.depth)]
        bodies: dict[str, Callable[[], nn.Module]] = {
            "signals": lambda: nn.Sequential(*tones(setup)), "sentences": lambda: Words(setup),
            "textures": lambda: nn.Sequential(*branches, Pooled()), "clouds": lambda: Points(setup),
        }  # fmt: skip
        self.body = bodies[setup.data]()
        self.drop, self.score = nn.Dropout(setup.dropout), nn.Linear(setup.width, classes)
        self.last = setup.last

    def forward(self, x: Tensor) -> Tensor:
        """Outputs `(N, classes)`."""
        scores: Tensor = self.score(self.drop(self.body(x)))
        if self.last:
            ends: dict[str, Callable[[Tensor], Tensor]] = {
                "softmax": lambda s: s.softmax(-1), "sigmoid": torch.sigmoid, "relu6": functional.relu6
            }  # fmt: skip
            scores = ends[self.last](scores)
        return scores


def network(setup: Setup) -> Classifier:
    """The network that a setup describes."""
    torch.manual_seed(6)
    model = Classifier(setup, DATA[setup.data][1])
    with torch.no_grad():
        setup.draw(model)
    if setup.frozen:
        model.body.requires_grad_(False)
    return model


def _weights(change: Callable[[Tensor], object]) -> Callable[[nn.Module], None]:
    def draw(model: nn.Module) -> None:
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "norm" not in name:
                change(parameter)

    return draw


def _sunk(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if name.startswith("body") and name.endswith("bias") and "norm" not in name:
            parameter.fill_(-15.0)


# The loop.


def loss_of(setup: Setup, scores: Tensor, labels: Tensor) -> Tensor:
    """The loss of a batch."""
    if setup.loss == "nll":
        return functional.nll_loss(scores, labels)
    if setup.loss.startswith("bce"):
        target = functional.one_hot(labels, scores.shape[1]).float()
        scores = scores.softmax(1) if setup.loss == "bce_of_probabilities" else scores
        return functional.binary_cross_entropy_with_logits(scores, target)
    if setup.data == "clouds":
        return functional.cross_entropy(scores, labels, reduction="none").mean()
    return nn.CrossEntropyLoss(label_smoothing=0.05 if setup.data == "signals" else 0.0)(scores, labels)


def _optimizer(setup: Setup, model: Classifier) -> torch.optim.Optimizer:
    of = network(setup) if setup.held == "copy" else model.body if setup.held == "body" else model
    parameters, decay = list(of.parameters()), setup.decay
    if setup.optimizer == "sgd":
        return torch.optim.SGD(parameters, setup.lr, momentum=0.9, weight_decay=decay)
    kinds = {"adam": torch.optim.Adam, "nadam": torch.optim.NAdam, "adagrad": torch.optim.Adagrad}
    return kinds[setup.optimizer](parameters, lr=setup.lr, weight_decay=decay)  # type: ignore[operator]


def _stream(setup: Setup, labels: Tensor) -> Iterator[Tensor]:
    """Rows of batch after batch, without an end."""
    drawn = torch.Generator().manual_seed(9)
    while True:
        order = torch.randperm(len(labels), generator=drawn)
        order = order if setup.shuffle else labels.argsort(stable=True)
        for start in range(0, len(labels) - setup.batch + 1, setup.batch):
            yield order[start : start + setup.batch]


def run(bench: Bench, setup: Setup) -> tuple[WatchedRun, float]:
    """Run a program; its watched run, and its accuracy on its test part, judged as it should be."""
    make, _ = DATA[setup.data]
    values, labels = make(setup.count + 300)
    held_out = (setup.test_inputs or setup.inputs)(values[setup.count :])
    truth = setup.test_labels(labels[setup.count :])
    values, labels = setup.inputs(values[: setup.count]), setup.labels(labels[: setup.count])
    model = network(setup)
    optimizer = _optimizer(setup, model)
    watched = bench.watch(model, optimizer)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, setup.decline)
    stream = _stream(setup, labels)
    first_rows = next(stream)
    for number in range(1, setup.steps + 1):
        model.train(setup.train_mode)
        if setup.clear == "first":
            for parameter in model.parameters():
                parameter.grad = None
        for _ in range(setup.accumulate):
            rows = first_rows if setup.one_batch else next(stream)
            scores = model(values[rows])
            if setup.detach:
                scores = torch.from_numpy(scores.detach().numpy().copy()).requires_grad_()
            loss = loss_of(setup, scores, labels[rows])
            (loss / setup.accumulate if setup.divide else loss).backward()
        if setup.clear == "between":
            optimizer.zero_grad()
        if setup.step:
            optimizer.step()
        if setup.decline != 1.0:
            schedule.step()
        if number % setup.every == 0:
            model.train(not setup.eval_mode)
            with torch.inference_mode():
                for part, right in zip(held_out.split(75), truth.split(75), strict=True):
                    if setup.data in ("sentences", "clouds"):
                        watched.evaluate(model(part), right)
                    else:
                        loss_of(setup, model(part), right)
            if setup.renew:
                model.score.reset_parameters()
    model.eval()
    with torch.no_grad():
        return watched, float((model(held_out).argmax(1) == truth).float().mean())


def _mixed(labels: Tensor) -> Tensor:
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(4))]


def _centered(values: Tensor) -> Tensor:
    return (values - 0.6) / 0.25


TONES = {"data": "signals"}
WORDS = {"data": "sentences", "width": 16, "lr": 1e-2, "optimizer": "nadam", "steps": 200}
CHECKS = {"data": "textures", "activation": "leaky", "inputs": _centered, "lr": 5e-3, "steps": 200}
CLOUDS = {"data": "clouds", "activation": "elu", "width": 24, "lr": 5e-3}
SGD = {"optimizer": "sgd", "lr": 0.03}
P = Program
PROGRAMS = (
    P("softmax-in-forward-tones", "wrong last activation", "output-activation", {"last": "softmax"}, TONES),
    P("sigmoid-in-forward-words", "wrong last activation", "output-activation", {"last": "sigmoid"}, WORDS),
    P("relu6-in-forward-clouds", "wrong last activation", "output-activation", {"last": "relu6"}, CLOUDS),
    P("nll-of-probabilities-checks", "wrong loss", "loss-mismatch", {"loss": "nll", "last": "softmax"},
      CHECKS, ("output-activation",)),
    P("nll-of-scores-clouds", "wrong loss", "loss-mismatch", {"loss": "nll"}, CLOUDS),
    P("bce-of-probabilities-words", "wrong loss", "loss-mismatch", {"loss": "bce_of_probabilities"},
      {**WORDS, "loss": "bce"}, ("output-activation",)),
    P("nadam-rate-of-3-clouds", "learning rate", "rate-too-high", {"lr": 3.0},
      {**CLOUDS, "optimizer": "nadam"}, ("one-class", "exploding-gradients"), {"lr": 5e-3}),
    P("momentum-rate-of-20-checks", "learning rate", "rate-too-high", {"lr": 20.0}, {**CHECKS, **SGD},
      ("dead-relu", "one-class", "non-finite", "exploding-gradients"), {"lr": 0.03}),
    P("adagrad-rate-of-1e-6-clouds", "learning rate", "rate-too-low", {"lr": 1e-6},
      {**CLOUDS, "optimizer": "adagrad", "lr": 0.03}, ("under-fitting",)),
    P("momentum-rate-of-2e-5-tones", "learning rate", "rate-too-low", {"lr": 2e-5}, {**TONES, **SGD},
      ("under-fitting",)),
    P("normal-weights-tones", "weight initialization", "initialisation",
      {"draw": _weights(lambda w: nn.init.normal_(w, 0, 3.0))}, {**TONES, **SGD, "depth": 3},
      ("rate-too-high", "exploding-gradients", "over-fitting-data")),
    P("weights-of-0.001-checks", "weight initialization", "initialisation",
      {"draw": _weights(lambda w: nn.init.normal_(w, 0, 1e-3))}, {**CHECKS, **SGD, "depth": 3},
      ("vanishing-gradients", "one-class")),
    P("equal-weights-clouds", "weight initialization", "initialisation",
      {"draw": _weights(lambda w: nn.init.constant_(w, 0.05))}, CLOUDS, ("one-class", "under-fitting")),
    P("biases-of-minus-15-tones", "dying ReLU", "dead-relu", {"draw": _sunk},
      {**TONES, "activation": "relu"}, ("initialisation", "one-class")),
    P("sigmoid-seven-deep-clouds", "vanishing gradient", "vanishing-gradients", {"activation": "sigmoid"},
      {**CLOUDS, "depth": 7, "lr": 2e-3, "steps": 400}, ("one-class",), {"activation": "elu"}),
    P("bytes-checks", "data not normalized", "input-scale", {"inputs": lambda v: (255 * v).round()},
      {**CHECKS, **SGD}, ("rate-too-high", "dead-relu", "non-finite", "exploding-gradients")),
    P("millimetres-clouds", "data not normalized", "input-scale", {"inputs": lambda v: 1000 * v + 3000},
      {**CLOUDS, **SGD}, ("rate-too-high", "one-class", "non-finite", "exploding-gradients")),
    P("centered-and-divided-checks", "data normalized twice", "scaled-twice",
      {"inputs": lambda v: _centered(v) / 255}, {**CHECKS, **SGD},
      ("rate-too-low", "input-scale", "under-fitting", "one-class")),
    P("test-signals-amplified", "data differ", "split-mismatch", {"test_inputs": lambda v: 40 * v - 8},
      TONES),
    P("test-clouds-elsewhere", "data differ", "split-mismatch", {"test_inputs": lambda v: v + 9}, CLOUDS),
    P("frozen-body-tones", "frozen layers", "frozen-parameters", {"frozen": True}, {**TONES, "width": 6},
      ("under-fitting",)),
    P("frozen-body-clouds", "frozen layers", "frozen-parameters", {"frozen": True},
      {**CLOUDS, "width": 10, "lr": 1e-2, "steps": 360}, ("under-fitting",)),
    P("body-alone-is-stepped-checks", "wrong optimizer argument", "optimizer-parameters", {"held": "body"},
      CHECKS),
    P("parameters-of-a-copy-words", "wrong optimizer argument", "optimizer-parameters", {"held": "copy"},
      WORDS),
    P("layers-in-a-list-clouds", "wrong API call", "optimizer-parameters", {"listed": True},
      {**CLOUDS, "width": 10, "lr": 1e-2, "steps": 360}, ("under-fitting",)),
    P("never-cleared-clouds", "missing API call", "zero-grad-missing", {"clear": "never"},
      {**CLOUDS, **SGD}),
    P("never-cleared-words", "missing API call", "zero-grad-missing", {"clear": "never"}, WORDS),
    P("cleared-before-the-step-tones", "wrong API call", "zero-grad-misplaced", {"clear": "between"}, TONES),
    P("judged-in-training-mode-checks", "missing API call", "evaluation-mode", {"eval_mode": False},
      {**CHECKS, "norm": True, "dropout": 0.3}),
    P("trained-in-evaluation-mode-checks", "missing API call", "training-in-eval-mode",
      {"train_mode": False}, {**CHECKS, "norm": True}),
    P("sorted-by-class-clouds", "data not shuffled", "not-shuffled", {"shuffle": False}, {**CLOUDS, **SGD},
      ("unstable-training", "one-class")),
    P("one-batch-for-ever-clouds", "wrong API call", "same-batch", {"one_batch": True}, CLOUDS,
      ("over-fitting-data",)),
    P("labels-dealt-out-tones", "labels", "labels-shuffled", {"labels": _mixed}, {**TONES, "steps": 400},
      ("labels-noisy", "over-fitting-data")),
    P("labels-dealt-out-clouds", "labels", "labels-shuffled", {"labels": _mixed}, {**CLOUDS, "steps": 400},
      ("labels-noisy", "over-fitting-data")),
    P("test-labels-numbered-otherwise-checks", "labels", "labels-permuted",
      {"test_labels": lambda y: torch.tensor([3, 0, 5, 1, 2, 4])[y]}, CHECKS),
    P("labels-from-one-words", "labels", "labels-out-of-range", {"labels": lambda y: y + 1}, WORDS),
    P("last-layer-anew-tones", "wrong API call", "reinitialized", {"renew": True}, TONES),
    P("rate-declines-every-batch-words", "schedule", "scheduler-per-batch", {"decline": 0.8},
      {**WORDS, **SGD}, ("schedule-ended",)),
    P("accumulated-undivided-checks", "wrong API call", "gradient-accumulation-scale", {"divide": False},
      {**CHECKS, **SGD, "accumulate": 8, "batch": 8, "steps": 80, "every": 20, "lr": 0.12},
      ("rate-too-high", "dead-relu", "unstable-training")),
    P("decay-of-2-clouds", "regularization", "weight-decay", {"decay": 2.0}, {**CLOUDS, **SGD},
      ("under-fitting", "one-class")),
    P("dropout-of-0.98-checks", "dropout", "dropout", {"dropout": 0.98}, CHECKS, ("under-fitting",)),
    P("detached-by-numpy-words", "wrong API call", "loss-detached", {"detach": True}, WORDS,
      ("optimizer-never-steps",)),
    P("no-step-checks", "missing API call", "optimizer-never-steps", {"step": False}, CHECKS),
    P("ten-steps-tones", "too few steps", "too-few-steps", {"steps": 10, "every": 5, "batch": 64}, TONES,
      ("under-fitting", "rate-too-low", "batch-too-large")),
)  # fmt: skip
