"""What is planted, by functions from the strengths of a part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from benchmarks.diagnosis_runs import data
from benchmarks.diagnosis_runs.networks import GLOROT, HE
from benchmarks.diagnosis_runs.setups import Plant, Setup, with_norm
from benchmarks.diagnosis_runs.strengths import Strengths
from cnnviz.models.layers import Init


def of_start(how: Strengths) -> list[Plant]:
    """Weights and activations, layer by layer."""

    def deep(function: str = "relu", init: Init = HE) -> Callable[[Setup], Setup]:
        return lambda s: s.but(
            replace(s.net.deeper(how.deeper), function=function, init=init), lr=_rate(s, 0.4)
        )

    def drowned(s: Setup) -> Setup:
        layer, bias = how.drowned
        return s.but(replace(_he(s).net, special={layer: Init(weights="he", bias=bias)}))

    return [
        Plant(("initialisation",), deep(init=how.small), deep()),
        Plant(("initialisation", "exploding-gradients"), deep(init=how.large), deep(), word="large"),
        Plant(
            ("exploding-gradients",), deep("tanh", how.large), deep("tanh", GLOROT), also=("initialisation",)
        ),
        Plant(("vanishing-gradients",), deep("sigmoid", Init()), deep()),
        Plant(("dead-relu",), drowned, _he, also=("initialisation",)),
    ]


def of_steps(how: Strengths) -> list[Plant]:
    """Input and steps: what any recipe can be given."""
    factor, share = how.ended
    return [
        Plant(("input-scale",), lambda s: s.but(scale=how.scale)),
        Plant(("rate-too-high",), lambda s: s.but(lr=_rate(s, how.high))),
        Plant(("rate-too-high",), lambda s: s.but(optimiser="adam", lr=how.high_adam), word="adam"),
        Plant(("rate-too-high", "non-finite"), lambda s: s.but(optimiser="sgd", lr=how.infinite)),
        Plant(("rate-too-low",), lambda s: s.but(lr=_rate(s, how.low))),
        Plant(("too-few-steps",), lambda s: s.but(epochs=1, limit=how.begun)),
        Plant(
            ("schedule-ended",),
            lambda s: s.but(schedule="step", step_epochs=1, step_factor=factor, lr=_rate(s, share)),
            lambda s: s.but(lr=_rate(s, share)),
        ),
        Plant(("batch-too-large",), lambda s: s.but(batch_size=how.large_batch)),
        Plant(("batch-too-small",), lambda s: s.but(batch_size=how.small_batch, epochs=2)),
        Plant(("weight-decay",), lambda s: _decayed(s, how)),
    ]


def of_data(how: Strengths) -> list[Plant]:
    """What is wrong with the images and their labels, whatever reads them."""
    images, part = how.leaked
    return [
        Plant(
            ("over-fitting-data",),
            lambda s: s.but(limit=how.by_heart, epochs=_many(s, how.by_heart)),
            also=_KINDS,
        ),
        Plant(("labels-shuffled",), lambda s: s.flawed("a", data.shuffled), mendable=False),
        Plant(("labels-noisy",), lambda s: _noisy(s, how), mendable=False),
        Plant(("classes-unbalanced",), lambda s: _unbalanced(s, how), mendable=False),
        Plant(("classes-missing",), lambda s: _missing(s, how), mendable=False),
        Plant(
            ("data-enlarged",),
            lambda s: s.flawed(f"f{how.enlarged}", data.enlarged(how.enlarged)),
            mendable=False,
        ),
        Plant(
            ("leakage",),
            lambda s: _little(s, images).flawed(f"h{part}", data.leaked(part)),
            lambda s: _little(s, images),
            mendable=False,
            flatters=True,
        ),
    ]


def of_network(how: Strengths) -> list[Plant]:
    """What needs another network, or one that fits."""
    few = how.unchanged

    def unchanged(s: Setup) -> Setup:
        return s.flawed("m2", data.moved(2)).but(limit=few, epochs=_many(s, few))

    return [
        Plant(("rate-too-low",), lambda s: with_norm(s).but(lr=_rate(s, 1 / 1000)), with_norm, word="norm"),
        Plant(("dropout",), lambda s: _dropout(s, how.dropout)),
        Plant(
            ("over-fitting-augmentation",),
            unchanged,
            lambda s: unchanged(s).but(flip=_flip(s), pad_crop=3),
            also=_KINDS,
        ),
        Plant(
            ("over-fitting-model",),
            lambda s: s.flawed("m3", data.moved(3)).but(how.wide, epochs=8),
            lambda s: s.flawed("m3", data.moved(3)).but(epochs=8),
            also=_KINDS,
        ),
        Plant(("under-fitting",), lambda s: s.but(how.narrow)),
        Plant(
            ("data-channels",),
            lambda s: replace(s.flawed("e", data.tinted), grey=True),
            lambda s: s.flawed("e", data.tinted),
        ),
        Plant(
            ("evaluation-mode",),
            lambda s: replace(with_norm(_dropout(s, how.judged_dropout)), training_mode=True),
            lambda s: with_norm(_dropout(s, how.judged_dropout)),
            mendable=False,
        ),
    ]


def of_two(how: Strengths) -> list[Plant]:
    """Two causes at once, neither of which brings about the other."""
    every = [
        Plant(("dropout", "classes-missing"), lambda s: _missing(_dropout(s, 0.9), how), mendable=False),
        Plant(
            ("rate-too-low", "classes-unbalanced"),
            lambda s: _unbalanced(s.but(lr=_rate(s, 1 / 1000)), how),
            mendable=False,
        ),
        Plant(
            ("labels-noisy", "weight-decay"),
            lambda s: s.but(weight_decay=0.1).flawed("b0.5", data.noisy(0.5)),
            mendable=False,
        ),
        Plant(
            ("rate-too-low", "classes-missing"),
            lambda s: _missing(s.but(lr=_rate(s, how.low)), how),
            mendable=False,
        ),
        Plant(("labels-noisy", "dropout"), lambda s: _noisy(_dropout(s, how.dropout), how), mendable=False),
        Plant(
            ("input-scale", "classes-unbalanced"),
            lambda s: _unbalanced(s.but(scale=how.scale), how),
            mendable=False,
        ),
    ]
    return [plant for plant in every if plant.name in how.pairs]


OPTIONS: dict[str, list[Plant]] = {
    "small-alexnet": [
        Plant(("initialisation",), lambda s: _option(s, init="article"), word="article"),
        Plant(("dropout",), lambda s: _option(s, dropout=0.9)),
    ],
    "small-googlenet-32": [Plant(("dropout",), lambda s: _option(s, dropout=0.9))],
}
"""What can be planted in registered models by their own options."""

_KINDS = ("over-fitting-data", "over-fitting-augmentation", "over-fitting-model")


def _rate(setup: Setup, times: float) -> float:
    return float(setup.values["lr"]) * times


def _many(setup: Setup, images: int) -> int:
    """Epochs of `images` that make some 400 steps."""
    return max(1, 400 * int(setup.values["batch_size"]) // max(images, int(setup.values["batch_size"])))


def _flip(setup: Setup) -> str:
    """Whether its images keep their class in a mirror."""
    return "random" if setup.source in ("cifar", "photos", "fashion") else "none"


def _he(setup: Setup) -> Setup:
    return setup.but(replace(setup.net, function="relu", init=HE))


def _dropout(setup: Setup, part: float) -> Setup:
    return setup.but(replace(setup.net, dropout=part))


def _decayed(setup: Setup, how: Strengths) -> Setup:
    return setup.but(weight_decay=how.decay_adamw if setup.values["optimiser"] == "adamw" else how.decay)


def _little(setup: Setup, images: int) -> Setup:
    return setup.but(epochs=_many(setup, images)).flawed(f"g{images}", data.first(images))


def _noisy(setup: Setup, how: Strengths) -> Setup:
    return setup.flawed(f"b{how.noisy}", data.noisy(how.noisy))


def _unbalanced(setup: Setup, how: Strengths) -> Setup:
    ratio, common = how.unbalanced
    return setup.flawed("c", data.unbalanced(ratio, common))


def _missing(setup: Setup, how: Strengths) -> Setup:
    return setup.flawed("d", data.missing(*how.missing))


def _option(setup: Setup, **values: str | float) -> Setup:
    return setup.but(options={**setup.values["options"], **values})
