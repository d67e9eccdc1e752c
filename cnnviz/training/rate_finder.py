"""Learning-rate range test: a short training of a separate network at exponentially growing rates.

After Smith, "Cyclical learning rates for training neural networks", 2017, section 3.3, which grows the rate
linearly; exponential growth covers six orders of magnitude in as few steps.
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
STEPS, MIN_STEPS = 200, 40
"""Number of steps of a test, and the minimum if time is short."""
SECONDS = 60.0
"""Maximum duration of a test."""
SMOOTHING = 0.9
"""Decay of the exponential moving average of losses, with bias correction as in Adam."""
DIVERGED = 3.0
"""The test ends once the smoothed loss exceeds its minimum by this factor."""
FALLEN = 0.02
"""Minimum relative decrease of the loss; otherwise there is no suggestion."""
NEARLY = 0.9
"""Fraction of the total decrease at which the rate is read off: larger rates gain little more."""
SAFETY = 5.0
"""The suggestion is that rate divided by this."""

RULE = (
    f"The suggestion is the smallest rate at which the smoothed loss had made {percent(NEARLY)} of its fall, "
    f"divided by {SAFETY:g}: beyond it the loss is about to rise, and a rate that suits some steps has to "
    "suit a run."
)


@dataclass(frozen=True)
class RateTest:
    """Result of a range test.

    Args:
        rates: Learning rate of each step, increasing.
        losses: Training loss of each step's batch before the update, in nats.
        smoothed: Exponential moving average of the losses.
        suggestion: A rate by `RULE`, with one significant digit; None if the loss never fell.
        seconds: Duration of the test.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None
    seconds: float

    @property
    def sentence(self) -> str:
        """The suggestion, or the reason why there is none."""
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
    """Train a new copy of the recipe's network at rates from 1e-5 to 10, and suggest a rate.

    The copy is discarded: no run, no checkpoint. The same recipe gives the same losses, unless the machine is
    so slow that steps are left out. Only training images are read.

    Args:
        recipe: Learning rate, schedule and number of epochs are ignored.
        dataset: Its data.
        progress: Called between steps; may raise to cancel.
        seconds: Maximum duration of the steps.

    Raises:
        ValueError: The recipe cannot be trained, or its steps are too slow for a test of this duration.
    """
    fixed = recipe.changed({"schedule": "constant", "warmup_epochs": 0, "early_stopping": 0})
    setup = build_training(fixed.changed({"restore_best": False}), dataset)
    trainer = Trainer(
        setup.recipe, setup.model, setup.data_module, setup.side, InMemoryLogger(), macs=setup.macs,
        data_report=False,
    )  # fmt: skip
    try:
        return _test(trainer, progress, seconds)
    finally:
        setup.data_module.close()


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
        if len(rates) == 2:  # The first step includes autotuning, so the time per step is known after two.
            steps = _steps_in(seconds, (time.monotonic() - began) / 2)
        rate *= (HIGHEST / rate) ** (1 / max(1, steps - len(rates)))
    return _result(rates, losses, time.monotonic() - began)


def _steps_in(seconds: float, seconds_each: float) -> int:
    """Return the number of steps that fit into `seconds`; raise `ValueError` if they are too few."""
    steps = min(STEPS, int(seconds / max(seconds_each, 1e-9)))
    if steps < MIN_STEPS:
        raise ValueError(
            f"A step takes {seconds_each:.1f} s here, and a range test at least {MIN_STEPS} of them: use a "
            "smaller batch or smaller images for it."
        )
    return steps


def smooth(losses: Sequence[float]) -> tuple[float, ...]:
    """Compute the exponential moving average of losses with bias correction (Kingma and Ba, 2015)."""
    averages, mean = [], 0.0
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        averages.append(mean / (1 - SMOOTHING**number))
    return tuple(averages)


def suggest(rates: Sequence[float], smoothed: Sequence[float]) -> float | None:
    """Return the learning rate by `RULE`, with one significant digit; None if the loss did not fall."""
    if len(smoothed) < 2 or min(smoothed) > (1 - FALLEN) * smoothed[0]:
        return None
    return float(f"{rates[_nearly_fallen(smoothed)] / SAFETY:.0e}")


def _nearly_fallen(smoothed: Sequence[float]) -> int:
    threshold = smoothed[0] - NEARLY * (smoothed[0] - min(smoothed))
    return next(index for index, loss in enumerate(smoothed) if loss <= threshold)


def _result(rates: list[float], losses: list[float], seconds: float) -> RateTest:
    if not rates:
        raise ValueError("The loss is no number at the first step already; Diagnose says where that begins.")
    smoothed = smooth(losses)
    return RateTest(tuple(rates), tuple(losses), smoothed, suggest(rates, smoothed), seconds)
