"""Stratified, seeded choices: each class gives its share, and the same seed gives the same images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cnnviz.datasets.spec import DataError, Labels


class Indices(NamedTuple):
    """Two disjoint, ascending choices of rows, int64."""

    kept: Labels
    taken: Labels


def take(labels: Labels, count: int, seed: int) -> Indices:
    """Take `count` rows of `labels` `(N,)`, from every class in proportion, and keep the others.

    Each class gives its share to within one image (largest remainders). As long as there is another way, no
    class gives all it has. Raises `DataError` unless 0 <= count <= N.
    """
    if not 0 <= count <= len(labels):
        raise DataError(f"{count:,} of {len(labels):,} images cannot be taken.")
    found, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    quotas = _quotas(sizes, count)
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for position in range(len(found)):
        rows = np.flatnonzero(inverse == position)
        chosen[random.permutation(rows)[: quotas[position]]] = True
    return Indices(np.flatnonzero(~chosen), np.flatnonzero(chosen))


def _quotas(sizes: Labels, count: int) -> Labels:
    """Largest remainders; of equal remainders, the earlier class's."""
    exact = sizes * (count / max(sizes.sum(), 1))
    quotas = np.floor(exact + 1e-9).astype(np.int64)
    # The last image of a class is given only when nothing else is left to give.
    order = np.lexsort((quotas - exact, quotas + 1 >= sizes))
    quotas[order[quotas[order] < sizes[order]][: count - quotas.sum()]] += 1
    return np.asarray(quotas)


def hold_out(labels: Labels, fraction: float, seed: int) -> Indices:
    """Keep most of `labels` `(N,)` for training and take a stratified `fraction` out; 0 takes nothing.

    Raises `DataError` for a fraction outside [0, 1), or one that would leave nothing on either side.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"A part to hold out is from 0 to under 1, not {fraction:g}.")
    if fraction == 0:
        return take(labels, 0, seed)
    count = round(len(labels) * fraction)
    if not 0 < count < len(labels):
        raise DataError(
            f"{fraction:.3g} of {len(labels):,} images is {count:,}: nothing would be left on one side; "
            "choose another part, or 0 for none."
        )
    return take(labels, count, seed)


def limit(labels: Labels, count: int | None, seed: int) -> Labels:
    """At most `count` rows of `labels` `(N,)`, stratified, ascending; None leaves all of them.

    Raises `DataError` for a limit below one.
    """
    if count is not None and count < 1:
        raise DataError(f"A limit of training images is at least 1, not {count:,}.")
    if count is None or count >= len(labels):
        return np.arange(len(labels))
    return take(labels, count, seed).taken
