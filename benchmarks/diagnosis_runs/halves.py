"""The runs of both halves: rules may be tuned on one and are judged on the other.

They share no network, no data, and no strength of a plant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.diagnosis_runs import plants
from benchmarks.diagnosis_runs.networks import FIVES, LENET, TALL, THREES, Plan
from benchmarks.diagnosis_runs.plants import HE, TEST, TUNING
from benchmarks.diagnosis_runs.setups import Plant, Setup, with_norm

HALVES = {"tune": TUNING, "test": TEST}

_SGD = {"optimiser": "nesterov", "lr": 0.02, "batch_size": 32, "epochs": 10}
_ADAM = {"optimiser": "adam", "lr": 3e-3, "batch_size": 50, "epochs": 7}
BASES: dict[int, tuple[Setup, ...]] = {
    TUNING: (
        Setup("lenet-digits", "digits", LENET, _SGD),
        Setup("fives-cifar", "cifar", FIVES, _SGD | {"epochs": 5, "schedule": "cosine"}),
    ),
    TEST: (
        Setup("tall-mnist", "mnist", TALL, _SGD | {"lr": 0.03, "epochs": 6, "schedule": "cosine"}),
        Setup("threes-gratings", "gratings", THREES, _ADAM),
        Setup(
            "threes-mnist",
            "mnist",
            replace(THREES, init=HE),
            _ADAM | {"optimiser": "sgd", "epochs": 6, "lr": 0.03},
        ),
    ),
}
"""Healthy setups that plants are put into."""

_LEFT_OUT = {
    ("lenet-digits", "data-enlarged"),  # Its content is 8×8 as it comes.
}


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
    import zlib

    told = repr((setup.plan, sorted(setup.values.items()), setup.dataset, setup.grey, setup.training_mode))
    return f"{zlib.crc32(told.encode()):08x}"


def failing(half: str) -> Iterator[Planned]:
    """Every spoiled run of a half."""
    number = HALVES[half]
    every = [*plants.of_signal(number), *plants.of_generalisation(number), *plants.of_two(number)]
    for seed, base in enumerate(BASES[number]):
        for plant in every:
            if (base.name, plant.name) not in _LEFT_OUT:
                yield Planned(plant, base.name, plant.spoil(base), plant.twin(base), seed)


def healthy(half: str) -> Iterator[tuple[str, Setup, int]]:
    """Runs with nothing wrong, beside the twins: (name, setup, seed)."""
    for base in BASES[HALVES[half]]:
        for word, setup in _ways(base):
            yield f"healthy-{word}-{base.name}-2", setup, 2
    for seed, (name, source, values) in enumerate(_REGISTERED[HALVES[half]], 10):
        yield f"healthy-{name}-{source}-{seed}", Setup(name, source, None, {"model": name, **values}), seed


def _ways(base: Setup) -> Iterator[tuple[str, Setup]]:
    net: Plan = base.net
    yield "plain", base
    yield "norm", with_norm(base)
    yield "tanh", base.but(replace(net, function="tanh"))
    yield "dropout", base.but(replace(net, dropout=0.2))
    yield "decay", base.but(weight_decay=5e-4)
    yield "cosine", base.but(schedule="cosine")
    yield "one-cycle", base.but(schedule="one-cycle", warmup_epochs=0)
    yield "unit", base.but(scale="unit")
    yield "adamw", base.but(optimiser="adamw", lr=1e-3, weight_decay=1e-2)
    yield "batch", base.but(batch_size=128, lr=base.values["lr"] * 2)


_QUICK = {"optimiser": "adam", "lr": 1e-3, "batch_size": 50}
_REGISTERED: dict[int, tuple[tuple[str, str, dict[str, object]], ...]] = {
    TUNING: (
        ("lenet5", "digits", {**_SGD}),
        ("lenet5", "digits", {**_QUICK, "options": {"activation": "tanh"}, "epochs": 10}),
    ),
    TEST: (
        ("small-alexnet", "gratings", {**_QUICK, "options": {"init": "he"}, "size": 16, "epochs": 3}),
        ("small-googlenet-32", "gratings", {**_QUICK, "size": 16, "epochs": 3}),
        ("resnet18-32", "mnist", {**_QUICK, "size": 8, "limit": 1500, "epochs": 2}),
        ("lenet5", "mnist", {**_QUICK, "size": 28, "epochs": 6}),
    ),
}
