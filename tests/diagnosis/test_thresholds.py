"""Where rules begin: on one side of each threshold a cause is found, on the other it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, Finding, Points, rules
from cnnviz.diagnosis.evidence import DataQuality, Neighbours, NeighboursOfTest, Repeats
from cnnviz.diagnosis.evidence.learning_curves import NEARLY_THERE, WELL
from cnnviz.models.layers import Init
from cnnviz.training import Recipe
from tests.diagnosis import test_rules_of_data as of_data
from tests.diagnosis.networks import FLAT, run

STUCK: dict[str, Any] = {"losses": FLAT, "accuracy": 0.1}
LARGE = Init(weights="normal", std=0.4, bias=0.0)
WANDERS = (2.4, 2.8, 2.2, 2.15, 2.1, 2.15, *(2.1, 2.1, 2.15, 2.15) * 2)


def grown(share: float, start: float = 900.0) -> Evidence:
    """Logits that differ from image to image so many times as much as pixels do, and a first loss."""
    return run(losses=(start, *FLAT[1:]), accuracy=0.1, signals=(1, 2, 4, share), init=LARGE)


def widened(spread: float) -> Evidence:
    return run(**STUCK, signals=(8, *(spread,) * 3), kind="Tanh", init=LARGE)


def shrunk(share: float, mean: float = 0.0) -> Evidence:
    weak = Init(weights="normal", std=0.01)
    return run(**STUCK, signals=(0.5, 0.2, 0.1, share), means=(0, 0, 0, mean), init=weak)


def thrown(moved: float, learned: float, **recipe: Any) -> Evidence:
    """Early steps so long, and a loss that neither falls nor blew up."""
    return run(losses=WANDERS, accuracy=0.1 + 0.9 * learned, updates=(moved,) * 3, recipe=recipe)


def leaked(share: float) -> Evidence:
    pairs = Repeats(test=round(1_000 * share), validation=0, train=0, conflicting=0)
    return of_data.run(0.9, 0.85, quality=DataQuality(neighbours=of_data.SOUND, repeats=pairs))


def alike(share: float) -> Evidence:
    near = {"share": share, "threshold": 4.0, "images": 500}
    return of_data.run(0.9, 0.85, probes={"duplicates": {"exact": leaked(0).quality.repeats, "near": near}})


def surest(share: float) -> Evidence:
    """Of all answers 60 % are right, of the surest fifth so many."""
    sure = {"validation": {"accuracy": 0.6, "share": share, "images": 800}}
    return of_data.run(0.6, 0.58, probes={"label-agreement": {"confident": sure}})


def mislabelled(wrong: float) -> Evidence:
    """By neighbors: r = 1 − 10/9 of what is wrong; 2,000 images let the difference err by a point."""
    size = {"chance": 0.1, "images": 2_000, "each": 5}
    within = Neighbours(share=0.1 + 0.4 * (1 - wrong / 0.9), **size)
    tested = NeighboursOfTest(share=0.5, nearer=0.5, **size)
    counts = (100,) * 10
    return of_data.run(
        0.1,
        0.1,
        quality=DataQuality(neighbours=within, neighbours_of_test=tested, test_counts=counts),
    )


def decayed(half: float) -> Evidence:
    """Decay that halves a weight in so many steps: ln 2 · 0.1 / (0.05 · λ) = 1.386 / λ."""
    return of_data.run(0.2, 0.2, recipe=Recipe(lr=0.05, momentum=0.9, weight_decay=1.3863 / half))


def adam_decayed(decay: float) -> Evidence:
    return of_data.run(0.2, 0.2, recipe=Recipe(optimiser="adam", lr=1e-3, weight_decay=decay))


def exploded(times: float) -> Evidence:
    """Gradients so many times as large as weights: a step of SGD is rate · gradient."""
    return run(**STUCK, updates=(0.05 * times, 0.02, 1e-3), recipe={"lr": 0.05, "momentum": 0.0})


def slowed(rate: float) -> Evidence:
    """For five sixths of the run the rate is so much of its largest, and the loss stays at what it was."""
    evidence = run(losses=(2.4, 1.9, *(1.69,) * 10), accuracy=0.4)
    steps = evidence.curves["train/loss"].steps
    rates = Points(steps=steps, values=(0.05, 0.05, *(0.05 * rate,) * 10))
    return evidence.model_copy(update={"curves": evidence.curves | {"lr": rates}})


def ended(at: float, end: float = 1.69) -> Evidence:
    """The rate is gone at a loss of `at`, which then falls to `end`."""
    evidence = run(losses=(2.4, at, *(end,) * 10), accuracy=0.4)
    steps = evidence.curves["train/loss"].steps
    rates = Points(steps=steps, values=(0.05, 0.05, *(1e-4,) * 10))
    return evidence.model_copy(update={"curves": evidence.curves | {"lr": rates}})


def few_steps(each: float) -> Evidence:
    """Ten epochs of so many steps, in batches of 512."""
    step = 10 * round(each)
    return run(losses=(2.3, 2.28, 2.25), accuracy=0.2, step=step, recipe={"batch_size": 512})


def narrow(values: float) -> Evidence:
    """A layer of so many values between the pixels and ten classes."""
    thin = of_data.layer("conv1", "conv", 20, (1, 1, round(values)))
    return of_data.run(0.5, 0.5, layers=(thin, of_data.TINY[1]), params=60_000)


def gap(learnt: float, held: float, risen: float) -> Evidence:
    """Known so well in training and elsewhere; the held-out loss ends at so many times its least."""
    evidence = of_data.run(learnt, held, data=of_data.data(validation=2_000, test=2_000))
    loss = Points(steps=(20, 100, 150, 200), values=(2.0, 1.0, risen, risen))
    return evidence.model_copy(update={"curves": evidence.curves | {"val/loss": loss}})


HALF = (NEARLY_THERE + WELL) / 2 * 0.9 + 0.1
"""An accuracy over ten classes that is good enough for strong dropout, and not for extreme."""


def dropped(rate: float, held: float) -> Evidence:
    """Dropout of so much before the last layer, and images known so well."""
    return of_data.run(held, held, recipe=Recipe(layers=of_data.chain(rate)))


BOTH_SIDES: dict[str, tuple[str, Callable[[float], Evidence], float, float]] = {
    "logits of a standard deviation of five": ("initialisation", grown, 5.5, 4.5),
    "a first loss of three times guessing": ("initialisation", lambda loss: grown(99, loss), 8.0, 6.0),
    "tanh fed four times the spread": ("initialisation", widened, 4.5, 3.5),
    "a thousandth of the signal": ("initialisation", shrunk, 0.8e-3, 1.2e-3),
    "a hundredth tells images apart": ("initialisation", lambda mean: shrunk(0.05, mean), 5.5, 4.5),
    "gradients ten times the weights": ("exploding-gradients", exploded, 11.0, 9.0),
    "Adam's early steps": ("rate-too-high", lambda far: thrown(far, 0.2, optimiser="adam"), 0.35, 0.25),
    "wild steps": ("rate-too-high", lambda far: thrown(far, 0.4), 0.1, 0.08),
    "hardly learned": ("rate-too-high", lambda learned: thrown(0.04, learned), 0.2, 0.3),
    "one test image in a hundred": ("leakage", leaked, 0.011, 0.009),
    "one test image in ten, nearly": ("leakage", alike, 0.12, 0.08),
    "a fifth of the labels, beyond accident": ("labels-noisy", mislabelled, 0.27, 0.25),
    "surest answers": ("labels-noisy", surest, 0.65, 0.7),
    "decay within 150 steps": ("weight-decay", decayed, 140.0, 160.0),
    "a twentieth of a layer in a whole run": (
        "rate-too-low",
        lambda moved: run(**STUCK, updates=(moved,) * 3),
        1.2e-4,
        1.3e-4,
    ),
    "a rate for eight times the batch": (
        "batch-too-small",
        lambda lr: run(**STUCK, recipe={"batch_size": 1, "momentum": 0.9, "lr": lr}),
        3.3e-3,
        2.9e-3,
    ),
    "twenty steps an epoch": ("batch-too-large", few_steps, 19, 21),
    "a twentieth of the rate": ("schedule-ended", slowed, 0.04, 0.06),
    "half of the loss came off later": ("schedule-ended", lambda at: ended(at, 0.9), 1.7, 1.9),
    "ten values for ten classes": ("under-fitting", narrow, 9, 11),
    "a held-out loss that turned": ("over-fitting-augmentation", lambda up: gap(0.9, 0.7, up), 1.15, 1.05),
    "known by heart": ("over-fitting-augmentation", lambda at: gap(at, at - 0.13, 1.0), 0.98, 0.96),
    "decay of Adam": ("weight-decay", adam_decayed, 0.022, 0.018),
    "three quarters dropped": ("dropout", lambda rate: dropped(rate, 0.3), 0.75, 0.74),
    "so much dropped that half known is too little": (
        "dropout",
        lambda rate: dropped(rate, HALF),
        0.85,
        0.84,
    ),
}


@pytest.mark.parametrize("what", BOTH_SIDES)
def test_a_cause_is_found_on_one_side_and_not_on_the_other(what: str) -> None:
    cause, made, beyond, before = BOTH_SIDES[what]
    found = [isinstance(rules()[cause].apply(made(value)), Finding) for value in (beyond, before)]
    assert found == [True, False]
