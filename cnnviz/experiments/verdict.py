"""The verdict of an experiment: paired statistics, and sentences that are never surer than the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

# What paired runs can tell: a mean difference and how far chance alone could move it.

CONFIDENCE = 0.95
"""Chance that an interval made this way holds the true difference; for several arms, that all of them do."""


class Interval(NamedTuple):
    """A mean difference with the half width of its interval; None where there is nothing to judge it by."""

    mean: float
    half: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Its lower end."""
        return None if self.half is None else self.mean - self.half

    @property
    def high(self) -> float | None:
        """Its upper end."""
        return None if self.half is None else self.mean + self.half

    @property
    def apart(self) -> bool:
        """Whether zero lies outside: chance alone would rarely make such a difference."""
        return self.half is not None and abs(self.mean) > self.half


MOST_PAIRS = 1_000
"""Pairs beyond which nobody would go on."""


def pairs_needed(difference: Interval) -> int | None:
    """Estimate how many pairs would show a difference of the measured size, were it the true one.

    The half width falls with the square root of the number of pairs; that t quantiles fall too is left out,
    so that the estimate is rather too large. None where there is no interval, where 0 lies outside already,
    and where more than `MOST_PAIRS` would be needed.
    """
    if difference.half is None or difference.apart or difference.mean == 0:
        return None
    needed = math.ceil(difference.n * (difference.half / difference.mean) ** 2)
    return needed if needed <= MOST_PAIRS else None


def paired(differences: Sequence[float], comparisons: int = 1) -> Interval:
    """The mean of paired differences with its t interval.

    Of n differences with mean m and standard deviation s (n - 1 in the denominator), the interval is
    m ± t·s/√n, t being the 1 - α/2 quantile of Student's distribution with n - 1 degrees of freedom
    (Student, "The probable error of a mean", Biometrika 6, 1908). Of k comparisons with one base each has
    α = 0.05/k, so that all of them hold with at least 95 % chance (Dunn, "Multiple comparisons among
    means", JASA 56, 1961, after Bonferroni). It takes differences to be spread normally, which few seeds
    can neither show nor deny.

    One difference gives no interval, nor do differences without any spread: accuracy comes in whole
    images, so that equal differences say that the data are coarse and not that chance has no part.

    Args:
        differences: One for each pair of runs; finite numbers, at least one.
        comparisons: How many arms are compared with the base.

    Raises `ValueError` for no differences and for fewer than one comparison.
    """
    n = len(differences)
    if n == 0 or comparisons < 1:
        raise ValueError("An interval needs at least one difference and one comparison.")
    mean = math.fsum(differences) / n
    if n == 1:
        return Interval(mean, None, n)
    if max(differences) - min(differences) <= 1e-12 * max(abs(d) for d in differences):
        return Interval(mean, None, n)
    from scipy.stats import ttest_1samp  # a second, which only needs whoever has runs to compare

    level = 1 - (1 - CONFIDENCE) / comparisons
    interval = ttest_1samp(differences, 0.0).confidence_interval(level)
    return Interval(mean, float(interval.high - interval.low) / 2, n)


def sampling_error(accuracy: float, images: int) -> float:
    """Standard error of an accuracy on so many independent test images: √(p(1 - p)/n), of the binomial."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


# What one run of an experiment reached: below both the answer and the sentences that tell it.


class Outcome(BaseModel):
    """One run: what it reached, or why it counts for nothing."""

    model_config = ConfigDict(frozen=True)

    seed: int
    run: int | None
    """Its number; None where there is no run, and in a recorded result."""
    status: str
    """The run's state, or `missing`."""
    accuracy: float | None
    """On the test images after the last epoch, in [0, 1]; None unless the run finished with one."""
    training: float | None = None
    seconds: float | None = None
    why: str = ""
    """What it failed with."""


GOES_ON = frozenset(("queued", "starting", "running", "stopping"))


def describe_condition(name: str, difference: Interval | None, epochs: str) -> str:
    """What one arm shows, such as `normalising: +11.2 ± 1.9 points at 5 epochs, n = 5`."""
    if difference is None:
        return f"{name}: nothing to compare yet."
    n, half = difference.n, difference.half
    if half is None and n == 1:
        return (
            f"{name}: {points(difference.mean)} points {epochs}, n = 1; one pair of runs gives no interval, "
            "so this may be chance."
        )
    if half is None:
        return (
            f"{name}: {points(difference.mean)} points {epochs} in each of {n} pairs; without any spread "
            "there is no interval."
        )
    digits = decimals(half)
    measured = f"{points(difference.mean, digits)} ± {100 * half:.{digits}f} points {epochs}, n = {n}"
    if difference.apart:
        return f"{name}: {measured}."
    low, high = max(-1.0, difference.mean - half), min(1.0, difference.mean + half)
    fits = f"anything from {points(low, digits)} to {points(high, digits)} fits these runs"
    return f"{name}: not statistically distinguishable: {measured}; {fits}."


def brief(name: str, difference: Interval | None) -> str:
    """One condition in a list: `normalising: +11.2 ± 1.9 points`.

    Where the interval holds 0: `dropout: not statistically distinguishable (−1.7 ± 2.6)`.
    """
    if difference is None:
        return f"{name}: nothing yet"
    if difference.half is None:
        return f"{name}: {points(difference.mean)} points, no interval"
    digits = decimals(difference.half)
    measured = f"{points(difference.mean, digits)} ± {100 * difference.half:.{digits}f}"
    return (
        f"{name}: {measured} points"
        if difference.apart
        else f"{name}: not statistically distinguishable ({measured})"
    )


def decided(differences: Sequence[Interval | None]) -> bool:
    """Check whether at least one condition can be told from the baseline."""
    return any(difference is not None and difference.apart for difference in differences)


def inconclusive_text(differences: Sequence[Interval | None]) -> str:
    """Say that nothing can be told apart, and how many seeds would show the largest measured difference."""
    known = [one for one in differences if one is not None and one.half is not None]
    if not known or decided(known):
        return ""
    needed = pairs_needed(max(known, key=lambda one: abs(one.mean) / (one.half or 1.0)))
    seeds = f"about {needed:,} seeds" if needed is not None else f"more than {MOST_PAIRS:,} seeds"
    return f"Inconclusive: a difference of the measured size would need {seeds}."


def verdict(sentences: Sequence[str], outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """All arms in one text, which says how much of the experiment it rests on."""
    every = [outcome for condition in outcomes.values() for outcome in condition]
    there = sum(outcome.accuracy is not None for outcome in every)
    if there == len(every):
        return " ".join(sentences)
    goes_on = any(outcome.status in GOES_ON for outcome in every)
    so_far = "So far" if goes_on else "Incomplete"
    text = " ".join(sentences) if _comparable(outcomes) else "nothing to compare yet."
    return f"{so_far}, {there} of {len(every)} runs: {text}"


def notes(
    outcomes: Mapping[str, Sequence[Outcome]],
    differences: Sequence[Interval | None],
    base: float | None,
    images: int | None,
) -> tuple[str, ...]:
    """What else a reader has to know: what is left out, how intervals were made, what they do not cover."""
    sentences = [_left_out(name, condition) for name, condition in outcomes.items()]
    if len(differences) > 1:
        sentences.append(
            f"{len(differences)} arms are compared with one base: each interval is widened (Bonferroni) so "
            "that all of them hold together with 95 % chance."
        )
    if any(difference is not None and difference.n == 2 for difference in differences):
        sentences.append("Two pairs say little of how much chance does: hence the wide interval.")
    if base is not None and images:
        error = 100 * sampling_error(base, images)
        sentences.append(
            f"The intervals are over seeds, on the same {images:,} test images. On other images as many, the "
            f"base's accuracy itself would vary by about {error:.1f} points (standard error)."
        )
    return tuple(filter(None, sentences))


def epochs_text(epochs: Sequence[int]) -> str:
    """`at 5 epochs` where all arms have as many."""
    if len(set(epochs)) > 1:
        return "at the end"
    return f"at {epochs[0]:,} epoch{'s' if epochs[0] > 1 else ''}"


def points(fraction: float, digits: int = 1) -> str:
    """A difference of accuracies in percentage points, with its sign: `+11.2`, `−0.3`, `0.0`."""
    text = f"{100 * fraction:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def decimals(half: float) -> int:
    """Digits after the point that let a half width not look like nothing."""
    return 1 if half >= 0.001 else 2


def _comparable(outcomes: Mapping[str, Sequence[Outcome]]) -> bool:
    """Whether any seed has finished both in the base, which comes first, and in another arm."""
    base, *conditions = outcomes.values()
    return any(
        a.accuracy is not None and b.accuracy is not None
        for condition in conditions
        for a, b in zip(base, condition, strict=True)
    )


def _left_out(name: str, outcomes: Sequence[Outcome]) -> str:
    """What of an arm will not count, and why; seeds with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.accuracy is None and outcome.status not in GOES_ON:
            who = f"{outcome.seed}" if outcome.run is None else f"{outcome.seed} (run {outcome.run})"
            reasons.setdefault(_reason(outcome), []).append(who)
    if not reasons:
        return ""
    text = "; ".join(
        f"seed{'s' if len(who) > 1 else ''} {', '.join(who)}: {reason}" for reason, who in reasons.items()
    )
    return f"Left out of “{name}”, {sum(map(len, reasons.values()))} of {len(outcomes)}: {text}."


def _reason(outcome: Outcome) -> str:
    if outcome.status == "finished":
        return "finished without a test accuracy"
    if outcome.status == "missing":
        return "no run, never queued or deleted"
    return outcome.status + (f" ({outcome.why.rstrip('.')})" if outcome.why else "")
