"""Learning-rate range test: a short training over exponentially growing rates, on a network of its own.

After Smith, "Cyclical learning rates for training neural networks", 2017, section 3.3, which grows the rate
linearly; growing it by a factor covers six powers of ten in as few steps.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from cnnviz.datasets import Dataset, Step
from cnnviz.datasets.spec import Progress, silent
from cnnviz.sentences import percent
from cnnviz.training.metrics import NonFiniteLossError
from cnnviz.training.recipe import Recipe
from cnnviz.training.run_logger import InMemoryLogger
from cnnviz.training.setup import build_training
from cnnviz.training.trainer import Trainer

LOWEST, HIGHEST = 1e-5, 10.0
STEPS, FEWEST = 200, 40
"""Steps of a test, and those of one that has to end in time."""
SECONDS = 60.0
"""What a test takes at most."""
SMOOTHING = 0.9
"""Of the exponential mean that is taken of the losses, its beginning corrected as Adam's is."""
DIVERGED = 3.0
"""Times the lowest smoothed loss at which larger rates have nothing more to tell."""
FALLEN = 0.02
"""Of the first loss: one that never fell by so much says nothing of which rate is good."""
NEARLY = 0.9
"""Of its whole fall: where the loss has come so far, larger rates bring little more."""
SAFETY = 5.0
"""The suggestion is that rate divided by this."""

RULE = (
    f"The suggestion is the smallest rate at which the smoothed loss had made {percent(NEARLY)} of its fall, "
    f"divided by {SAFETY:g}: beyond it the loss is about to rise, and a rate that suits some steps has to "
    "suit a run."
)


@dataclass(frozen=True)
class RateTest:
    """What a range test measured.

    Args:
        rates: Learning rate of each step, rising.
        losses: Training loss of each step's batch, before it, in nats.
        smoothed: Their exponential mean.
        suggestion: A rate by `RULE`, with one digit; None where the loss fell at no rate.
        seconds: What it took.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    seconds: float

    @property
    def sentence(self) -> str:
        """The suggestion, or why there is none."""
        if self.suggestion is None:
            return (
                f"At no rate from {LOWEST:g} to {self.rates[-1]:.2g} did the loss fall: look at the network, "
                "its initial weights and the scale of its images first."
            )
        fallen = self.rates[_nearly_fallen(self.smoothed)]
        return (
            f"At a rate of {fallen:.2g} the smoothed loss had made {percent(NEARLY)} of its fall; a fifth "
            f"of that rate, rounded, is {self.suggestion:g}."
        )


def find_rate(
    recipe: Recipe, dataset: Dataset, progress: Progress = silent, seconds: float = SECONDS
) -> RateTest:
    """Train a fresh copy of the recipe's network at rates from 1e-5 to 10, and suggest one.

    Nothing is kept of the copy: no run, no checkpoint. The same recipe gives the same losses, unless the
    machine is so slow that steps are left out. Only training images are read.

    Args:
        recipe: Everything but its learning rate, schedule and number of epochs counts.
        dataset: Its data.
        progress: Is called between steps, and may raise to cancel.
        seconds: What the steps may take.

    Raises:
        ValueError: For a recipe that cannot be trained, or steps too slow for a test of so many seconds.
    """
    fixed = recipe.changed({"schedule": "constant", "warmup_epochs": 0, "early_stopping": 0})
    setup = build_training(fixed.changed({"restore_best": False}), dataset)
    trainer = Trainer(
        setup.recipe, setup.model, setup.data_module, setup.side, InMemoryLogger(), macs=setup.macs,
        data_report=False,
    )  # fmt: skip
    return _test(trainer, progress, seconds)


def _test(trainer: Trainer, progress: Progress, seconds: float) -> RateTest:
    began = time.monotonic()
    rates: list[float] = []
    losses: list[float] = []
    steps, rate = STEPS, LOWEST
    while len(rates) < steps and rate <= HIGHEST * 1.000_001:
        progress(Step("Trying learning rates", len(rates), steps, "steps"))
        try:
            loss = trainer.step_at(rate)
        except NonFiniteLossError:
            break
        rates.append(rate)
        losses.append(loss)
        smoothed = smooth(losses)
        if smoothed[-1] > DIVERGED * min(smoothed):
            break
        if len(rates) == 2:  # The first step chose algorithms; from the second one knows how long they take.
            steps = _steps_in(seconds, (time.monotonic() - began) / 2)
        rate *= (HIGHEST / rate) ** (1 / max(1, steps - len(rates)))
    return _judged(rates, losses, time.monotonic() - began)


def _steps_in(seconds: float, each: float) -> int:
    """How many steps there is time for; raises `ValueError` where these are too few."""
    steps = min(STEPS, int(seconds / max(each, 1e-9)))
    if steps < FEWEST:
        raise ValueError(
            f"A step takes {each:.1f} s here, and a range test at least {FEWEST} of them: use a smaller "
            "batch or smaller images for it."
        )
    return steps


def smooth(losses: Sequence[float]) -> tuple[float, ...]:
    """The exponential mean of losses, its beginning corrected (Kingma and Ba, 2015)."""
    found, mean = [], 0.0
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return tuple(found)


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """The learning rate by `RULE`, with one digit; None where the loss did not fall."""
    if len(smoothed) < 2 or min(smoothed) > (1 - FALLEN) * smoothed[0]:
        return None
    return float(f"{rates[_nearly_fallen(smoothed)] / SAFETY:.0e}")


def _nearly_fallen(smoothed: Sequence[float]) -> int:
    enough = smoothed[0] - NEARLY * (smoothed[0] - min(smoothed))
    return next(place for place, loss in enumerate(smoothed) if loss <= enough)


def _judged(rates: list[float], losses: list[float], seconds: float) -> RateTest:
    if not rates:
        raise ValueError("The loss is no number at the first step already; Diagnose says where that begins.")
    smoothed = smooth(losses)
    return RateTest(tuple(rates), tuple(losses), smoothed, suggest(rates, smoothed), seconds)
