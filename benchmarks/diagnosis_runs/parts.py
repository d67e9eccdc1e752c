"""The parts of the bench: rules are tuned on some and judged on those that they have not met.

No two parts share a network of their own, data that is planted in, or the strengths of what is planted. Two
have been used for tuning, and so have `blind` to `blind-4` since each was scored once; `blind-5` was first
diagnosed by rules that had not met it. `every` holds healthy runs only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

from benchmarks.diagnosis_runs import crossing, plants, strengths
from benchmarks.diagnosis_runs.networks import (
    BROAD,
    CONES,
    FIVES,
    FUNNEL,
    HE,
    LEAKY,
    LENET,
    LONG,
    MEAN,
    SMOOTH,
    SQUEEZED,
    STRIDES,
    TALL,
    THREES,
    VGG,
)
from benchmarks.diagnosis_runs.setups import Plant, Setup, with_norm
from benchmarks.diagnosis_runs.strengths import Strengths

_SGD = {"optimiser": "nesterov", "lr": 0.02, "batch_size": 32, "epochs": 10}
_ADAM = {"optimiser": "adam", "lr": 3e-3, "batch_size": 50, "epochs": 7}
_QUICK = {"optimiser": "adam", "lr": 1e-3, "batch_size": 50}


@dataclass(frozen=True)
class Part:
    """What is trained together, and diagnosed before or after rules were changed."""

    strengths: Strengths | None = None
    """None where nothing is planted."""
    bases: tuple[Setup, ...] = ()
    """Healthy setups that plants are put into."""
    registered: tuple[Setup, ...] = ()
    """Healthy setups of registered models."""
    planted: tuple[Setup, ...] = ()
    """Registered models that plants are put into: those that a recipe can hold."""
    left_out: Set[tuple[str, str]] = frozenset()
    """Base and plant that make no sense together."""
    quickest: tuple[str, ...] = ()
    """Bases so large that they get only `_QUICKEST` plants."""
    seed: int = 0
    """The first of its seeds."""


def _model(name: str, source: str, **values: object) -> Setup:
    return Setup(name, source, None, {"model": name, "options": {}, **_QUICK, **values})


_LARGE = ("small-alexnet-signs", "small-googlenet-32-glyphs", "resnet18-32-fashion")
"""Models so large that runs take long: they get the plants that differ most, and each a short run."""
_QUICKEST = {
    "rate-too-high", "rate-too-high+non-finite", "rate-too-low", "too-few-steps", "batch-too-large",
    "weight-decay", "labels-noisy", "classes-missing", "dropout", "initialisation-article",
}  # fmt: skip
_MANY_STEPS = ("batch-too-small", "over-fitting-data", "leakage")
"""What takes hundreds of steps."""
PARTS = {
    "tune": Part(
        strengths.TUNE,
        bases=(
            Setup("lenet-digits", "digits", LENET, _SGD),
            Setup("fives-cifar", "cifar", FIVES, _SGD | {"epochs": 5, "schedule": "cosine"}),
        ),
        registered=(
            _model("lenet5", "digits", **_SGD),
            _model("lenet5", "digits", options={"activation": "tanh"}, epochs=10),
        ),
        left_out={("lenet-digits", "data-enlarged")},  # Its content is 8×8 as it comes.
    ),
    "test": Part(
        strengths.TEST,
        bases=(
            Setup("tall-mnist", "mnist", TALL, _SGD | {"lr": 0.03, "epochs": 6, "schedule": "cosine"}),
            Setup("threes-gratings", "gratings", THREES, _ADAM),
            Setup(
                "threes-mnist",
                "mnist",
                replace(THREES, init=HE),
                _ADAM | {"optimiser": "sgd", "epochs": 6, "lr": 0.03},
            ),
        ),
        registered=(
            _model("small-alexnet", "gratings", options={"init": "he"}, size=16, epochs=3),
            _model("small-googlenet-32", "gratings", size=16, epochs=3),
            _model("resnet18-32", "mnist", size=8, limit=1500, epochs=2),
            _model("lenet5", "mnist", size=28, epochs=6),
        ),
    ),
    "blind": Part(
        strengths.BLIND,
        bases=(
            Setup("mean-fashion", "fashion", MEAN, _SGD | {"batch_size": 40, "epochs": 8}),
            Setup("vgg-signs", "signs", VGG, _SGD | {"batch_size": 50, "schedule": "cosine"}),
            Setup(
                "broad-glyphs",
                "glyphs",
                BROAD,
                _SGD | {"optimiser": "adamw", "lr": 1.5e-3, "weight_decay": 0.01},
            ),
            Setup(
                "leaky-photos",
                "photos",
                LEAKY,
                _SGD | {"optimiser": "sgd", "schedule": "one-cycle", "batch_size": 48},
            ),
        ),
        registered=(
            _model("lenet5", "signs", options={"pooling": "average", "init": "he"}, size=28, epochs=8),
            _model("lenet5-1998", "fashion", size=32, epochs=6),
        ),
        planted=(
            _model("lenet5", "fashion", options={"pooling": "average"}, size=28, epochs=6),
            _model(
                "small-alexnet", "signs", options={"init": "he", "normalisation": "batch"}, size=16, epochs=6
            ),
            _model("small-googlenet-32", "glyphs", size=16, limit=1000, epochs=4),
            _model("resnet18-32", "fashion", size=8, limit=1000, epochs=3),
        ),
        quickest=_LARGE,
        seed=30,
    ),
    "blind-2": Part(
        strengths.BLIND_2,
        bases=(
            Setup("smooth-clocks", "clocks", SMOOTH, _ADAM | {"lr": 2e-3, "epochs": 8}),
            Setup(
                "long-small-digits",
                "small-digits",
                LONG,
                _SGD | {"optimiser": "sgd", "lr": 0.05, "batch_size": 40, "schedule": "cosine"},
            ),
        ),
        registered=(_model("lenet5", "clocks", options={"activation": "tanh"}, size=28, epochs=8),),
        left_out={
            ("long-small-digits", "data-enlarged"),
            ("long-small-digits", "data-channels"),  # So bright that tints are cut off, which grey shows.
        },
        seed=60,
    ),
    "blind-3": Part(
        strengths.BLIND_3,
        bases=(
            Setup("cones-numerals", "numerals", CONES, _SGD | {"lr": 0.03, "batch_size": 25, "epochs": 7}),
            Setup(
                "squeezed-tiles",
                "tiles",
                SQUEEZED,
                _SGD
                | {"optimiser": "adamw", "lr": 2e-3, "weight_decay": 0.01, "batch_size": 36, "epochs": 9}
                | {"schedule": "cosine"},
            ),
        ),
        registered=(_model("lenet5", "tiles", size=28, epochs=8),),
        seed=90,
    ),
    "blind-4": Part(
        strengths.BLIND_4,
        bases=(Setup("strides-halos", "halos", STRIDES, _ADAM | {"batch_size": 30, "epochs": 8}),),
        planted=(
            _model(
                "lenet5",
                "views",
                options={"pooling": "average", "init": "he"},
                size=20,
                epochs=6,
                optimiser="adamw",
                lr=3e-3,
                weight_decay=0.01,
                batch_size=64,
            ),
            _model("lenet5-1998", "faint", optimiser="sgd", lr=0.005, batch_size=32, epochs=6),
            _model(
                "small-googlenet-32",
                "stamps",
                options={"dropout": 0.1},
                size=12,
                limit=1000,
                epochs=4,
                optimiser="nesterov",
                lr=0.02,
                batch_size=25,
                schedule="one-cycle",
            ),
            _model(
                "small-alexnet",
                "garments",
                options={"init": "he", "dropout": 0.3},
                size=15,
                limit=1000,
                epochs=4,
                lr=5e-4,
                batch_size=40,
            ),
        ),
        left_out={
            (base, plant)
            for base in ("small-googlenet-32-stamps", "small-alexnet-garments")
            for plant in _MANY_STEPS
        },
        seed=120,
    ),
    "blind-5": Part(
        strengths.BLIND_5,
        bases=(Setup("funnel-pairs", "pairs", FUNNEL, _SGD | {"lr": 0.03, "batch_size": 40, "epochs": 10}),),
        planted=(
            _model("lenet5-1998", "coats", optimiser="sgd", lr=0.003, batch_size=25, epochs=6),
            _model("lenet5", "notes", options={"activation": "tanh"}, size=16, epochs=10, lr=2e-3),
            _model(
                "small-alexnet",
                "boots",
                options={"init": "he", "normalisation": "batch"},
                size=13,
                limit=800,
                epochs=5,
                batch_size=32,
            ),
            _model(
                "small-googlenet-32",
                "pairs",
                size=14,
                limit=1000,
                epochs=5,
                optimiser="nesterov",
                lr=0.03,
                batch_size=25,
                schedule="one-cycle",
            ),
        ),
        registered=(
            _model("lenet5-1998", "notes", options={"init": "default"}, epochs=14),
            _model("lenet5", "coats", size=28, epochs=6),
            _model("small-alexnet", "notes", options={"init": "he"}, size=16, epochs=8, lr=5e-4),
            _model("small-googlenet-32", "boots", size=13, epochs=4),
        ),
        left_out={
            (base, plant)
            for base in ("small-alexnet-boots", "small-googlenet-32-pairs")
            for plant in _MANY_STEPS
        },
        seed=180,
    ),
    "every": Part(registered=tuple(crossing.setups()), seed=150),
}
_NORM_MAKES_UP_FOR = {
    "initialisation", "initialisation+exploding-gradients-large", "exploding-gradients",
    "vanishing-gradients", "dead-relu", "input-scale", "input-scale+classes-unbalanced",
    "rate-too-low-norm",
}  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A run to come, and the one it is measured against."""

    plant: Plant
    base: str
    spoiled: Setup
    twin: Setup
    seed: int

    @property
    def name(self) -> str:
        """`CAUSE-MODEL-DATA-SEED`, a file's name."""
        return f"{self.plant.name}-{self.base}-{self.seed}"

    @property
    def twin_name(self) -> str:
        """The healthy run's; plants that share a twin share its name."""
        return f"twin-{self.base}-{marked(self.twin)}-{self.seed}"


def marked(setup: Setup) -> str:
    """Eight letters that differ where setups do."""
    told = repr((setup.plan, sorted(setup.values.items()), setup.dataset, setup.grey, setup.training_mode))
    return f"{zlib.crc32(told.encode()):08x}"


def failing(name: str) -> Iterator[Planned]:
    """Every spoiled run of a part."""
    part = PARTS[name]
    if part.strengths is None:
        return
    for seed, base in enumerate((*part.bases, *part.planted), part.seed):
        called = base.name if base.plan else f"{base.name}-{base.source}"
        for plant in _plants(part.strengths, base):
            slow = called in part.quickest and plant.name not in _QUICKEST
            if not slow and (called, plant.name) not in part.left_out:
                yield Planned(plant, called, plant.spoil(base), plant.twin(base), seed)


def healthy(name: str) -> Iterator[tuple[str, Setup, int]]:
    """Runs with nothing wrong, beside the twins: (name, setup, seed)."""
    part = PARTS[name]
    for base in part.bases:
        for word, setup in _ways(base):
            yield f"healthy-{word}-{base.name}-{part.seed + 2}", setup, part.seed + 2
    for seed, setup in enumerate((*part.planted, *part.registered), part.seed + 10):
        yield f"healthy-{setup.name}-{setup.source}-{seed}", setup, seed


def _plants(how: Strengths, base: Setup) -> Iterator[Plant]:
    every = [*plants.of_steps(how), *plants.of_data(how)]
    if base.plan is None:
        yield from [*every, *plants.OPTIONS.get(base.name, [])]
        return
    for plant in [*plants.of_start(how), *every, *plants.of_network(how), *plants.of_two(how)]:
        if not (base.plan.norm and plant.name in _NORM_MAKES_UP_FOR):
            yield plant


def _ways(base: Setup) -> Iterator[tuple[str, Setup]]:
    net = base.net
    ways = {
        "plain": base,
        "norm": base if net.norm else with_norm(base),
        "tanh": base.but(replace(net, function="tanh")),
        "dropout": base.but(replace(net, dropout=0.2)),
        "decay": base.but(weight_decay=5e-4),
        "cosine": base.but(schedule="cosine"),
        "one-cycle": base.but(schedule="one-cycle", warmup_epochs=0),
        "unit": base.but(scale="unit"),
        "adamw": base.but(optimiser="adamw", lr=1e-3, weight_decay=1e-2),
        "batch": base.but(batch_size=128, lr=base.values["lr"] * 2),
        "augmented": base.but(pad_crop=1),
    }
    yield from ((word, way) for word, way in ways.items() if word == "plain" or marked(way) != marked(base))
