"""What is planted where: every run of a part, spoiled, twin or healthy, with its name and its seed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.diagnosis_runs import further_plants, plants
from benchmarks.diagnosis_runs.blocks import BlockPlan
from benchmarks.diagnosis_runs.further import Further
from benchmarks.diagnosis_runs.parts.part import Part
from benchmarks.diagnosis_runs.setups import Plant, Setup, with_norm
from benchmarks.diagnosis_runs.strengths import Strengths

_QUICKEST = {
    "rate-too-high", "rate-too-high+non-finite", "rate-too-low", "too-few-steps", "batch-too-large",
    "weight-decay", "labels-noisy", "classes-missing", "dropout", "initialisation-article",
}  # fmt: skip
_NORM_MAKES_UP_FOR = {
    "initialisation", "initialisation+exploding-gradients-large", "exploding-gradients",
    "vanishing-gradients", "dead-relu", "input-scale", "input-scale+classes-unbalanced",
    "rate-too-low-norm",
}  # fmt: skip
_LARGEST = {"rate-too-high", "labels-noisy"}
"""What torchvision's networks get beside their normalization."""
_DEEP = {
    "output-activation-relu", "constant-input-equal", "split-mismatch-rotated", "unexplained-mean",
    "unexplained-scattered", "augmentation-too-strong-pad", "augmentation-too-strong-cutout",
}  # fmt: skip
"""What the deepest network gets beside `_QUICKEST`."""

_WAYS = 13
"""Healthy setups of one base in the newest parts."""


@dataclass(frozen=True)
class Planned:
    """A run to come, and the one it is measured against."""

    plant: Plant
    base: str
    spoiled: Setup
    twin: Setup
    seed: int
    taught: bool = False
    """Whether it counts only beside a twin that has learned."""

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


def failing(part: Part) -> Iterator[Planned]:
    """Every spoiled run of a part."""
    if part.strengths is None:
        return
    if part.further is not None:
        yield from _in_turn(part, part.strengths, part.further)
        return
    for seed, base in enumerate((*part.bases, *part.planted), part.seed):
        called = base.name if base.plan else f"{base.name}-{base.source}"
        for plant in _plants(part.strengths, base):
            slow = called in part.quickest and plant.name not in _QUICKEST
            if not slow and (called, plant.name) not in part.left_out:
                yield Planned(plant, called, plant.spoil(base), plant.twin(base), seed)


def healthy(part: Part) -> Iterator[tuple[str, Setup, int]]:
    """Runs with nothing wrong, beside the twins: (name, setup, seed)."""
    for number, base in enumerate(part.bases):
        for word, setup in _ways(base) if part.further is None else _further_ways(part, number):
            yield f"healthy-{word}-{base.name}-{part.seed + 2}", setup, part.seed + 2
    for seed, setup in enumerate((*part.planted, *part.registered), part.seed + 10):
        yield f"healthy-{setup.name.replace('/', '-')}-{setup.source}-{seed}", setup, seed


def _in_turn(part: Part, how: Strengths, further: Further) -> Iterator[Planned]:
    """Each plant in the next base that can hold it, what is new in two; registered models get their own."""
    groups = (
        (1, [*plants.of_start(how), *plants.of_steps(how), *plants.of_data(how), *plants.of_network(how)]),
        (1, [*plants.of_two(how), *further_plants.of_further_pairs(further, how)]),
        (2, further_plants.of_output(further)),
        (1, further_plants.of_images(further)),
        (2, further_plants.of_course(further)),
        (1, further_plants.of_splits(further)),
        (1, [*further_plants.of_norm(further), *further_plants.of_nobody_knows(further)]),
        (1, further_plants.of_tiny(further)),
    )
    seeds = {base.name: seed for seed, base in enumerate(part.bases, part.seed)}
    turn = 0
    for times, group in groups:
        for plant in group:
            if plant.name in part.without:
                continue
            able = [base for base in part.bases if _can_hold(base, plant, part)]
            for base in (
                able[(turn + again) % len(able)] for again in range(1 if part.once else min(times, len(able)))
            ):
                yield Planned(plant, base.name, plant.spoil(base), plant.twin(base), seeds[base.name], True)
            turn += 1
    for seed, base in enumerate(part.planted, part.seed + len(part.bases)):
        own = [*plants.of_steps(how), *plants.of_data(how)]
        chosen = [plant for plant in own if plant.name in _LARGEST]
        called = f"{base.name.replace('/', '-')}-{base.source}"
        for plant in [*chosen, *further_plants.of_norm_option(further)]:
            if (called, plant.name) not in part.left_out:
                yield Planned(plant, called, plant.spoil(base), plant.twin(base), seed, True)


def _can_hold(base: Setup, plant: Plant, part: Part) -> bool:
    net = base.net
    settled = net.norm or (isinstance(net, BlockPlan) and net.block in ("residual", "inception", "separable"))
    if settled and plant.name in _NORM_MAKES_UP_FOR:
        return False
    if base.name in part.quickest and plant.name not in _QUICKEST | _DEEP:
        return False
    return (base.name, plant.name) not in part.left_out


def _further_ways(part: Part, number: int) -> Iterator[tuple[str, Setup]]:
    """Every other of the ways to set a base up well, so that bases next to each other get other ones."""
    base = part.bases[number]
    lr, epochs = float(base.values["lr"]), int(base.values["epochs"])
    adaptive = base.values["optimiser"] in ("adam", "adamw")
    more = {
        "smoothing": base.but(label_smoothing=0.1),
        "cutout": base.but(cutout=max(2, base.side // 5)),
        "jitter": base.but(colour_jitter=0.2),
        "warm-up": base.but(warmup_epochs=1, schedule="cosine"),
        "step": base.but(
            schedule="step", step_epochs=max(1, base.values["epochs"] * 2 // 3), step_factor=0.2
        ),
        "slower": base.but(lr=lr / 2, epochs=epochs + 2),
        "faster": base.but(lr=lr * 1.5, schedule="cosine"),
        "bold": base.but(lr=lr * (3 if adaptive else 2.5), schedule="constant"),
        "no-validation": base.but(validation=0.0),
        "sgd": base.but(optimiser="sgd", lr=lr if not adaptive else 0.05, momentum=0.9),
        "small-batch": base.but(batch_size=16, lr=lr / 2, epochs=max(3, epochs // 2)),
        "much-validation": base.but(validation=0.3),
    }
    every = [*_ways(base), *more.items()]
    if base.name in part.quickest:
        every = every[::8]
    chosen = [every[0], *every[1 + number % 2 :: 2]]
    if part.once:
        chosen = [every[0], *every[1 + number :: 5]]
    seen: set[str] = set()
    for word, setup in chosen[:_WAYS]:
        if marked(setup) not in seen:
            seen.add(marked(setup))
            yield word, setup


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
