"""The line through a noisy one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def smooth(x: Floats, y: Floats, share: float) -> Floats:
    """The mean of each point's neighbourhood, taken twice, so that near points weigh more than far ones.

    The neighbourhood reaches `share` of the whole width to either side, and no farther to one side than there
    are points on the other. So the line neither lags behind, as a running mean does, nor leans at the ends;
    it ends on the last point itself.

    Args:
        x: Rising, `(N,)`.
        y: `(N,)`; what is no finite number stays out of every mean, and stays what it is.
        share: In [0, 0.5]; 0 gives `y` back.
    """
    real = np.isfinite(y)
    if share <= 0 or real.sum() < 3:
        return y.copy()
    at, values = x[real], y[real]
    reach = np.minimum(share * (at[-1] - at[0]), np.minimum(at - at[0], at[-1] - at))
    # A hair wider, so that rounding leaves no neighbour out on one side only.
    first = np.searchsorted(at, at - reach * (1 + 1e-9), side="left")
    last = np.searchsorted(at, at + reach * (1 + 1e-9), side="right")
    for _ in range(2):
        values = _means(values, first, last)
    found = y.copy()
    found[real] = values
    return found


def _means(values: Floats, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats:
    """The means of `values[first:last]`, within the bounds that rounding of the sums could leave."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means = (sums[last] - sums[first]) / (last - first)
    return np.asarray(np.clip(means, values.min(), values.max()), np.float64)
