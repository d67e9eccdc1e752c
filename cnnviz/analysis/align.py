"""The alignment under a difference: which row of one architecture stands for which of the other.

Of all pairings that keep both orders and pair only rows of one kind, the one with the greatest score is
taken: equal rows score most, rows that carry weights more than others, and neighbours that stay neighbours
a little extra, so that an activation stays with its convolution; among changed ones, those alike in size and
at about the same depth. It is the dynamic programme of Needleman and Wunsch (1970) with free gaps, one numpy
row at a time.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from cnnviz.analysis.marks import Mark, mark
from cnnviz.analysis.types import Kind, Row

IMPORTANCE = {
    "type": 3, "kernel": 4, "out": 2, "stride": 2, "padding": 0, "groups": 1, "rest": 1, "params": 1,
}  # fmt: skip
"""How much each part of a row weighs in how alike two rows are, in the order of `mark`.

Padding says nothing: it mostly follows from the kernel.
"""
GRADED = ("kernel", "out")
"""Parts that are the more alike the nearer their sizes are; the others are equal or not."""
WEIGHTS: dict[Kind, int] = {
    "conv": 4, "fc": 4, "attention": 4, "pool": 3, "norm": 2, "activation": 1, "other": 1,
}  # fmt: skip
EQUAL, BASE, ALIKE, DEPTH = 100, 20, 45, 20
"""Score, times the kind's weight, of an equal pair; and of a changed one, `BASE` with parts of the others."""
TOGETHER, NAMED = 10, 1
"""What two pairs in a row add, and two equal names: less than an equal pair has over a changed one."""
FORBIDDEN = -(2**24)

Scores = NDArray[np.int32]


def align(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[int, int]]:
    """Indices of the paired rows, rising on both sides; swapping the sides gives the same pairs, swapped."""
    marks_a, marks_b = [mark(row) for row in a], [mark(row) for row in b]
    # Where two pairings score the same, which is found depends on the order of the sides: fix it.
    if (len(marks_a), repr(marks_a)) > (len(marks_b), repr(marks_b)):
        return [(i, j) for j, i in _with_ends(b, a, marks_b, marks_a)]
    return _with_ends(a, b, marks_a, marks_b)


def _with_ends(
    a: Sequence[Row], b: Sequence[Row], marks_a: list[Mark], marks_b: list[Mark]
) -> list[tuple[int, int]]:
    """Pair what both begin and end with at once, and the middle by score."""
    shorter = min(len(a), len(b))
    head = _common(marks_a, marks_b, shorter)
    tail = _common(marks_a[::-1], marks_b[::-1], shorter - head)
    middle = _best(a[head : len(a) - tail], b[head : len(b) - tail])
    return [
        *((i, i) for i in range(head)),
        *((head + i, head + j) for i, j in middle),
        *((len(a) - n, len(b) - n) for n in range(tail, 0, -1)),
    ]


def _common(a: list[Mark], b: list[Mark], limit: int) -> int:
    return next((i for i in range(limit) if a[i] != b[i]), limit)


def _best(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[int, int]]:
    """The pairs of greatest score.

    `last` is the best score that ends in a pair at a cell, `best` the best up to it; only where each came
    from is kept, a byte a cell.
    """
    if not a or not b:
        return []
    table = _Table(a, b)
    last = np.full(len(b) + 1, FORBIDDEN, np.int32)
    best = np.zeros(len(b) + 1, np.int32)
    came = np.zeros((len(a), len(b)), np.uint8)
    for i in range(len(a)):
        follows = last[:-1] + TOGETHER >= best[:-1]
        paired = table.row(i) + np.where(follows, last[:-1] + TOGETHER, best[:-1])
        reached = np.maximum.accumulate(np.maximum(paired, best[1:]))
        came[i] = (paired == reached) + 2 * (best[1:] == reached) + 4 * follows
        last[1:], best[1:] = np.maximum(paired, FORBIDDEN), reached
    return _trace(came)


def _trace(came: NDArray[np.uint8]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    i, j = came.shape[0] - 1, came.shape[1] - 1
    follows = False
    while i >= 0 and j >= 0:
        code = int(came[i, j])
        if follows or code & 1:
            pairs.append((i, j))
            follows = bool(code & 4)
            i, j = i - 1, j - 1
        elif code & 2:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


class _Table:
    """The score of pairing a row of one side with each of the other, made a line at a time."""

    def __init__(self, a: Sequence[Row], b: Sequence[Row]) -> None:
        codes: list[dict[Hashable, int]] = [{} for _ in IMPORTANCE]

        def coded(rows: Sequence[Row]) -> Scores:
            parts = [zip(mark(row), codes, strict=True) for row in rows]
            return np.array(
                [[code.setdefault(part, len(code)) for part, code in row] for row in parts], np.int32
            )

        self.a, self.b = coded(a), coded(b)
        names: dict[str, int] = {}
        self.names_a, self.names_b = (
            np.array([names.setdefault(row.name, len(names)) for row in rows]) for rows in (a, b)
        )
        self.partners_a, self.partners_b = (
            [_partner(row) for row in a],
            np.array([_partner(row) for row in b]),
        )
        self.weights = [WEIGHTS[row.kind] for row in a]
        self.known: dict[bytes, tuple[NDArray[np.bool_], Scores]] = {}
        self.sizes_a, self.sizes_b = (np.array([_sizes(row) for row in rows]) for rows in (a, b))
        parts = IMPORTANCE | dict.fromkeys(GRADED, 0)
        self.exact = np.array(list(parts.values()), np.float64)
        self.graded = np.array([IMPORTANCE[part] for part in GRADED], np.float64)
        self.depth_a, self.depth_b = ((np.arange(len(rows)) + 0.5) / len(rows) for rows in (a, b))

    def row(self, i: int) -> Scores:
        """Scores of row `i` with every row of the other side, `FORBIDDEN` where they cannot be a pair."""
        key = self.a[i].tobytes()
        if key not in self.known:
            self.known[key] = self._made(i)
        equal, alike = self.known[key]
        near = (DEPTH * (1 - np.abs(self.depth_b - self.depth_a[i]))).astype(np.int32)
        scores = np.where(equal, EQUAL, BASE + alike + near) * self.weights[i]
        scores += NAMED * (self.names_b == self.names_a[i])
        return np.where(self.partners_b == self.partners_a[i], scores, FORBIDDEN).astype(np.int32)

    def _made(self, i: int) -> tuple[NDArray[np.bool_], Scores]:
        """Which rows equal row `i`, and how alike each is, up to `ALIKE`."""
        same = self.b == self.a[i]
        smaller, larger = np.minimum(self.sizes_b, self.sizes_a[i]), np.maximum(self.sizes_b, self.sizes_a[i])
        alike = same @ self.exact + (smaller / larger) @ self.graded
        return same.all(axis=1), (alike * ALIKE / sum(IMPORTANCE.values())).astype(np.int32)


def _sizes(row: Row) -> tuple[float, float]:
    """The mean side of the kernel and the width, 1 where a row has none."""
    kernel, out = row.settings.get("kernel", 1), row.settings.get("out", 1)
    sides = kernel if isinstance(kernel, list | tuple) else [kernel]
    return float(sum(sides) / max(1, len(sides))) or 1.0, float(out) if isinstance(out, int) else 1.0


def _partner(row: Row) -> str:
    """What rows that may stand for each other share. A dropout is no flatten, though both are "other"."""
    return row.type if row.kind == "other" else row.kind
