"""Verdict of an experiment: paired statistics, and sentences that claim no more than the data support."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

# Paired t intervals.

CONFIDENCE = 0.95
"""Confidence level; for several conditions, of all their intervals together."""


class Interval(NamedTuple):
    """Mean difference with the half width of its confidence interval; None if there is no interval."""

    mean: float
    half: float | None
    n: int

    @property
    def low(self) -> float | None:
        """Lower bound."""
        return None if self.half is None else self.mean - self.half

    @property
    def high(self) -> float | None:
        """Upper bound."""
        return None if self.half is None else self.mean + self.half

    @property
    def apart(self) -> bool:
        """Return whether the interval excludes zero: the difference is statistically distinguishable."""
        return self.half is not None and abs(self.mean) > self.half


MAX_PAIRS = 1_000
"""Maximum number of pairs that is worth suggesting."""


def pairs_needed(difference: Interval) -> int | None:
    """Estimate how many pairs would show a difference of the measured size, if it were the true one.

    The half width decreases with the square root of the number of pairs; the decrease of t quantiles is
    ignored, so the estimate is rather too large. None without an interval, if it already excludes 0, and if
    more than `MAX_PAIRS` would be needed.
    """
    if difference.half is None or difference.apart or difference.mean == 0:
        return None
    needed = math.ceil(difference.n * (difference.half / difference.mean) ** 2)
    return needed if needed <= MAX_PAIRS else None


def paired(differences: Sequence[float], comparisons: int = 1) -> Interval:
    """Compute the mean of paired differences with its t interval.

    Of n differences with mean m and standard deviation s (n - 1 in the denominator), the interval is m ±
    t·s/√n, t being the 1 - α/2 quantile of Student's distribution with n - 1 degrees of freedom (Student,
    "The probable error of a mean", Biometrika 6, 1908). Of k comparisons with one baseline each has α =
    0.05/k, so that all of them hold with a confidence of at least 95 % (Dunn, "Multiple comparisons among
    means", JASA 56, 1961, after Bonferroni). The differences are assumed to be normally distributed, which
    few seeds can neither confirm nor refute.

    A single difference has no interval, nor have differences without any spread: accuracy is a multiple of
    1/images, so equal differences indicate coarse data rather than the absence of chance.

    Args:
        differences: One per pair of runs; finite, at least one.
        comparisons: Number of conditions compared with the baseline.

    Raises:
        ValueError: No differences, or fewer than one comparison.
    """
    n = len(differences)
    if n == 0 or comparisons < 1:
        raise ValueError("An interval needs at least one difference and one comparison.")
    mean = math.fsum(differences) / n
    if n == 1:
        return Interval(mean, None, n)
    if max(differences) - min(differences) <= 1e-12 * max(abs(d) for d in differences):
        return Interval(mean, None, n)
    # Late, and not scipy.stats, whose import takes a second and stays with 50 MB.
    from scipy.special import stdtrit

    tail = (1 - CONFIDENCE) / comparisons / 2
    error = statistics.stdev(differences) / math.sqrt(n)
    return Interval(mean, float(stdtrit(n - 1, 1 - tail)) * error, n)


def sampling_error(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy on independent test images: √(p(1 - p)/n) (binomial)."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


# Outcomes and sentences.


class Outcome(BaseModel):
    """Outcome of one run: its accuracy, or the reason why it does not count."""

    model_config = ConfigDict(frozen=True)

    seed: int
    run: int | None
    """Id of the run; None if there is none, and in a recorded result."""
    status: str
    """Status of the run, or `missing`."""
    accuracy: float | None
    """Test accuracy after the last epoch, in [0, 1]; None unless the run finished with one."""
    training: float | None = None
    seconds: float | None = None
    why: str = ""
    """Error message."""


GOES_ON = frozenset(("queued", "starting", "running", "stopping"))


def describe_condition(name: str, difference: Interval | None, epochs: str) -> str:
    """Describe the result of a condition: `normalising: +11.2 ± 1.9 points at 5 epochs, n = 5`."""
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
    """Describe a condition briefly: `normalising: +11.2 ± 1.9 points`.

    If the interval contains 0: `dropout: not statistically distinguishable (−1.7 ± 2.6)`.
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
    """Return whether at least one condition is statistically distinguishable from the baseline."""
    return any(difference is not None and difference.apart for difference in differences)


def inconclusive_text(differences: Sequence[Interval | None]) -> str:
    """Return a message with the number of seeds needed, if no condition is distinguishable."""
    intervals = [interval for interval in differences if interval is not None and interval.half is not None]
    if not intervals or decided(intervals):
        return ""
    needed = pairs_needed(max(intervals, key=lambda interval: abs(interval.mean) / (interval.half or 1.0)))
    seeds = f"about {needed:,} seeds" if needed is not None else f"more than {MAX_PAIRS:,} seeds"
    return f"Inconclusive: a difference of the measured size would need {seeds}."


def verdict(sentences: Sequence[str], outcomes: Mapping[str, Sequence[Outcome]]) -> str:
    """Join the sentences of all conditions, after a note on how complete the experiment is."""
    all_outcomes = [outcome for condition in outcomes.values() for outcome in condition]
    finished = sum(outcome.accuracy is not None for outcome in all_outcomes)
    if finished == len(all_outcomes):
        return " ".join(sentences)
    goes_on = any(outcome.status in GOES_ON for outcome in all_outcomes)
    so_far = "So far" if goes_on else "Incomplete"
    text = " ".join(sentences) if _comparable(outcomes) else "nothing to compare yet."
    return f"{so_far}, {finished} of {len(all_outcomes)} runs: {text}"


def notes(
    outcomes: Mapping[str, Sequence[Outcome]],
    differences: Sequence[Interval | None],
    base: float | None,
    images: int | None,
) -> tuple[str, ...]:
    """Return notes on excluded runs, the method of the intervals, and what they do not cover."""
    sentences = [_left_out(name, condition) for name, condition in outcomes.items()]
    if len(differences) > 1:
        sentences.append(
            f"{len(differences)} conditions are compared with one baseline: each interval is widened "
            "(Bonferroni) so that all of them hold together with 95 % chance."
        )
    if any(difference is not None and difference.n == 2 for difference in differences):
        sentences.append("Two pairs say little of how much chance does: hence the wide interval.")
    if base is not None and images:
        error = 100 * sampling_error(base, images)
        sentences.append(
            f"The intervals are over seeds, on the same {images:,} test images. With another {images:,} test "
            f"images, the baseline's accuracy would vary by about {error:.1f} points (standard error)."
        )
    return tuple(filter(None, sentences))


def epochs_text(epochs: Sequence[int]) -> str:
    """Return `at 5 epochs` if all conditions have as many, else `at the end`."""
    if len(set(epochs)) > 1:
        return "at the end"
    return f"at {epochs[0]:,} epoch{'s' if epochs[0] > 1 else ''}"


def points(fraction: float, digits: int = 1) -> str:
    """Format a difference of accuracies in percentage points with its sign: `+11.2`, `−0.3`, `0.0`."""
    text = f"{100 * fraction:+.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def decimals(half: float) -> int:
    """Return the number of decimals that shows a half width as nonzero."""
    return 1 if half >= 0.001 else 2


def _comparable(outcomes: Mapping[str, Sequence[Outcome]]) -> bool:
    """Return whether any seed has finished both in the baseline, which comes first, and in a condition."""
    base, *conditions = outcomes.values()
    return any(
        a.accuracy is not None and b.accuracy is not None
        for condition in conditions
        for a, b in zip(base, condition, strict=True)
    )


def _left_out(name: str, outcomes: Sequence[Outcome]) -> str:
    """Describe the excluded runs of a condition by reason; seeds with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.accuracy is None and outcome.status not in GOES_ON:
            entry = f"{outcome.seed}" if outcome.run is None else f"{outcome.seed} (run {outcome.run})"
            reasons.setdefault(_reason(outcome), []).append(entry)
    if not reasons:
        return ""
    text = "; ".join(
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}: {reason}"
        for reason, seeds in reasons.items()
    )
    return f"Left out of “{name}”, {sum(map(len, reasons.values()))} of {len(outcomes)}: {text}."


def _reason(outcome: Outcome) -> str:
    if outcome.status == "finished":
        return "finished without a test accuracy"
    if outcome.status == "missing":
        return "no run, never queued or deleted"
    return outcome.status + (f" ({outcome.why.rstrip('.')})" if outcome.why else "")
