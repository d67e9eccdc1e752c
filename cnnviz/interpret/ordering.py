"""In which order channels are shown."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cnnviz.interpret.errors import InterpretError
from cnnviz.interpret.maps import Floats

Order = Literal["index", "activity", "spread", "similarity"]
ORDERS: tuple[Order, ...] = get_args(Order)
CELLS = 1024
"""How many cells of a map similarity is judged by, at most."""


def ordered(maps: Floats, order: Order = "index") -> NDArray[np.int64]:
    """The channels of maps `(C, H, W)` as a permutation of 0 … C − 1, int64 `(C,)`.

    `activity`: by falling mean magnitude. `spread`: by falling standard deviation. `similarity`: by
    average-linkage clustering of 1 − correlation, so that alike maps stand side by side; constant maps
    last. Ties keep their order.
    Raises `InterpretError` for another order.
    """
    flat = np.nan_to_num(maps.reshape(len(maps), -1), posinf=0.0, neginf=0.0)
    if order == "index":
        return np.arange(len(maps))
    if order == "activity":
        return np.argsort(-np.abs(flat).mean(1), kind="stable")
    if order == "spread":
        return np.argsort(-flat.std(1), kind="stable")
    if order == "similarity":
        return _by_similarity(flat)
    raise InterpretError(f"Channels are ordered by {', '.join(ORDERS[:-1])} or {ORDERS[-1]}, not {order!r}.")


def _by_similarity(flat: Floats) -> NDArray[np.int64]:
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if flat.shape[1] == 1:
        return np.argsort(-flat[:, 0], kind="stable")
    some = flat[:, :: -(-flat.shape[1] // CELLS)]
    centred = some - some.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    varies = np.flatnonzero(length > 1e-6 * np.abs(some).max(initial=1e-30))
    constant = np.setdiff1d(np.arange(len(flat)), varies)
    if len(varies) < 3:
        return np.concatenate([varies, constant])
    unit = centred[varies] / length[varies, None]
    distance = np.clip(1 - unit @ unit.T, 0, 2)
    np.fill_diagonal(distance, 0)
    leaves = leaves_list(linkage(squareform(distance, checks=False), "average"))
    return np.concatenate([varies[leaves], constant])
