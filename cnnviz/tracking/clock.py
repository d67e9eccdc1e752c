"""Time spent in training: what lies between pauses, crashes and resumptions, without what lies in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnviz.tracking.records import StatusChange
from cnnviz.tracking.sampling import Floats
from cnnviz.tracking.states import Status

_TRAINING = frozenset((Status.RUNNING, Status.STOPPING))


def elapsed(changes: Sequence[StatusChange], times: Floats) -> Floats:
    """Seconds in training up to each of `times` (since 1970), `(N,)`; the waiting in between counts nothing.

    What was made void by a resumption counts: the time was spent.

    Args:
        changes: The run's `history`.
        times: Moments, rising.
    """
    moments, spent, begun = [0.0], [0.0], None
    for change in changes:
        working = change.new in _TRAINING
        if working and begun is None:
            begun = change.time
            moments.append(begun)
            spent.append(spent[-1])
        elif not working and begun is not None:
            moments.append(max(change.time, begun))
            spent.append(spent[-1] + max(0.0, change.time - begun))
            begun = None
    if begun is not None and len(times):
        latest = max(begun, float(times[-1]))
        moments.append(latest)
        spent.append(spent[-1] + latest - begun)
    return np.asarray(np.interp(times, moments, spent), np.float64)
