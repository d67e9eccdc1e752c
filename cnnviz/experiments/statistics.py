"""What paired runs can tell: a mean difference and how far chance alone could move it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

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
