"""What is planted. Strengths come in pairs: one for the tuning half, one for the test half."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from benchmarks.diagnosis_runs import data
from benchmarks.diagnosis_runs.networks import Plan
from benchmarks.diagnosis_runs.setups import Plant, Setup, with_norm
from cnnviz.models.layers import Init

TUNING, TEST = 0, 1
HE = Init(weights="he", bias=0.0)
GLOROT = Init(weights="glorot", bias=0.0)


def of_signal(half: int) -> list[Plant]:
    """Weights, input, activations, and the steps that are made."""

    def pick(tuning: float, test: float) -> float:
        return (tuning, test)[half]

    def deep(function: str = "relu", init: Init = HE) -> Callable[[Setup], Setup]:
        extra = int(pick(4, 3))
        return lambda s: s.but(replace(s.net.deeper(extra), function=function, init=init), lr=_rate(s, 0.4))

    small = Init(weights="normal", std=pick(0.01, 0.005), bias=pick(1.0, 0.5))
    large = Init(weights="normal", std=pick(0.4, 0.5), bias=0.0)
    drowned = Init(weights="he", bias=pick(-15, -20))
    return [
        Plant(("initialisation",), deep(init=small), deep()),
        Plant(("initialisation", "exploding-gradients"), deep(init=large), deep(), word="large"),
        Plant(("exploding-gradients",), deep("tanh", large), deep("tanh", GLOROT), also=("initialisation",)),
        Plant(("vanishing-gradients",), deep("sigmoid", Init()), deep()),
        Plant(("input-scale",), lambda s: s.but(scale="raw")),
        Plant(
            ("dead-relu",),
            lambda s: s.but(replace(s.net, init=HE, special={"conv2": drowned})),
            lambda s: s.but(replace(s.net, init=HE)),
            also=("initialisation",),
        ),
        Plant(("rate-too-high",), lambda s: s.but(lr=_rate(s, pick(20, 30)))),
        Plant(("rate-too-high",), lambda s: s.but(optimiser="adam", lr=pick(0.2, 0.3)), word="adam"),
        Plant(("rate-too-high", "non-finite"), lambda s: s.but(optimiser="sgd", lr=pick(300, 500))),
        Plant(("rate-too-low",), lambda s: s.but(lr=_rate(s, pick(1 / 1000, 1 / 2000)))),
        Plant(("rate-too-low",), lambda s: with_norm(s).but(lr=_rate(s, 1 / 1000)), with_norm, word="norm"),
        Plant(("too-few-steps",), lambda s: s.but(epochs=1, limit=int(pick(320, 400)))),
        Plant(
            ("schedule-ended",),
            lambda s: s.but(
                schedule="step", step_epochs=1, step_factor=pick(0.02, 0.01), lr=s.values["lr"] / 4
            ),
            lambda s: s.but(lr=s.values["lr"] / 4),
        ),
        Plant(("batch-too-large",), lambda s: s.but(batch_size=int(pick(4096, 2048)))),
        Plant(("batch-too-small",), lambda s: s.but(batch_size=int(pick(1, 2)), epochs=2)),
    ]


def of_generalisation(half: int) -> list[Plant]:
    """What is held back or learned by heart, and what is wrong with the data."""

    def pick(tuning: float, test: float) -> float:
        return (tuning, test)[half]

    flat = Plan("wide", (), (1024,))
    tiny = Plan("tiny", ((1, 3, True), (1, 3, True), (2, 3, True)))
    few = int(pick(600, 500))
    return [
        Plant(("weight-decay",), lambda s: s.but(weight_decay=pick(0.3, 0.5))),
        Plant(("dropout",), lambda s: s.but(replace(s.net, dropout=pick(0.9, 0.95)))),
        Plant(
            ("over-fitting-data",), lambda s: s.but(limit=int(pick(60, 80)), epochs=_many(s, 60)), also=_KINDS
        ),
        Plant(
            ("over-fitting-augmentation",),
            lambda s: s.but(limit=few, epochs=_many(s, few)),
            lambda s: s.but(limit=few, epochs=_many(s, few), flip=_flip(s), pad_crop=2),
            also=_KINDS,
        ),
        Plant(
            ("over-fitting-model",),
            lambda s: s.but(flat, epochs=8),
            lambda s: s.but(epochs=8),
            also=_KINDS,
        ),
        Plant(("under-fitting",), lambda s: s.but(tiny)),
        Plant(("labels-shuffled",), lambda s: s.flawed("a", data.shuffled), mendable=False),
        Plant(("labels-noisy",), lambda s: _noisy(s, pick(0.5, 0.6)), mendable=False),
        Plant(("classes-unbalanced",), lambda s: s.flawed("c", data.unbalanced(50)), mendable=False),
        Plant(("classes-missing",), lambda s: s.flawed("d", data.missing(3, 6, 8)), mendable=False),
        Plant(
            ("data-channels",),
            lambda s: replace(s.flawed("e", data.tinted), grey=True),
            lambda s: s.flawed("e", data.tinted),
        ),
        Plant(("data-enlarged",), lambda s: _enlarged(s, int(pick(4, 5))), mendable=False),
        Plant(
            ("evaluation-mode",),
            lambda s: replace(_dropped(s), training_mode=True),
            lambda s: _dropped(s),
            mendable=False,
        ),
        Plant(
            ("leakage",),
            lambda s: _leaked(s, pick(1.0, 0.8)),
            lambda s: _little(s),
            mendable=False,
            flatters=True,
        ),
    ]


def of_two(half: int) -> list[Plant]:
    """Two causes at once, neither of which brings about the other."""
    return [
        Plant(
            ("dropout", "classes-missing"),
            lambda s: s.but(replace(s.net, dropout=0.9)).flawed("d", data.missing(3, 6, 8)),
            mendable=False,
        ),
        Plant(
            ("rate-too-low", "classes-unbalanced"),
            lambda s: s.but(lr=_rate(s, 1 / 1000)).flawed("c", data.unbalanced(50)),
            mendable=False,
        ),
        Plant(
            ("labels-noisy", "weight-decay"),
            lambda s: _noisy(s.but(weight_decay=0.1), 0.5),
            mendable=False,
        ),
    ]


_KINDS = ("over-fitting-data", "over-fitting-augmentation", "over-fitting-model")


def _rate(setup: Setup, times: float) -> float:
    return float(setup.values["lr"]) * times


def _many(setup: Setup, images: int) -> int:
    """Epochs of `images` that make some 400 steps."""
    return max(1, 400 * int(setup.values["batch_size"]) // max(images, int(setup.values["batch_size"])))


def _flip(setup: Setup) -> str:
    """Whether its images keep their class in a mirror."""
    return "random" if setup.source in ("cifar", "shapes") else "none"


def _dropped(setup: Setup) -> Setup:
    return with_norm(setup.but(replace(setup.net, dropout=0.75)))


def _little(setup: Setup) -> Setup:
    return setup.but(epochs=20).flawed("g", data.first(300))


def _noisy(setup: Setup, part: float) -> Setup:
    return setup.flawed(f"b{part}", data.noisy(part))


def _enlarged(setup: Setup, side: int) -> Setup:
    return setup.flawed(f"f{side}", data.enlarged(side))


def _leaked(setup: Setup, part: float) -> Setup:
    return _little(setup).flawed(f"h{part}", data.leaked(part))
