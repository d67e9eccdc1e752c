"""Architecture diff: the rows of two analyses, aligned and marked as same, changed, added or removed.

A different name alone is no change, nor is a consequence of an earlier layer: the size of the maps. A
different number of input channels counts where it changes the layer's own parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cnnviz.analysis.types import Analysis, Kind, Row

# Row identity, separate from the alignment, whose numpy the first page does not need.

CONSEQUENCES = frozenset({"in", "features", "weights"})
"""Settings determined by an earlier layer."""
OWN = ("kernel", "out", "stride", "padding", "groups")
"""Settings that are compared individually; the others count together."""

Mark = tuple[Hashable, ...]


def row_key(row: Row) -> Mark:
    """Compute the identity of a row: type, own settings and parameters, without name and shapes."""
    settings = {key: repr(plain(value)) for key, value in row.settings.items() if key not in CONSEQUENCES}
    compared = [settings.pop(key, "") for key in OWN]
    return (f"{row.kind} {row.type}", *compared, tuple(sorted(settings.items())), row.params)


def plain(value: Any) -> Any:
    """Normalize a setting: `[3, 3]` becomes 3."""
    if isinstance(value, list | tuple):
        return value[0] if value and all(side == value[0] for side in value) else tuple(value)
    return value


# Alignment of the two row sequences.
#
# Among all alignments that preserve both orders and pair only rows of one kind, the one with the highest
# score is selected: equal rows score most, rows with weights more than others, and pairs that directly follow
# each other get a small bonus, so that an activation stays with its convolution; among changed rows, those of
# similar size and depth. The algorithm is the dynamic programming of Needleman and Wunsch (1970) with free
# gaps, one numpy row at a time.

IMPORTANCE = {
    "type": 3, "kernel": 4, "out": 2, "stride": 2, "padding": 0, "groups": 1, "rest": 1, "params": 1,
}  # fmt: skip
"""Weight of each part of a row in the similarity of two rows, in the order of `row_key`.

Padding has none: it mostly follows from the kernel.
"""
GRADED = ("kernel", "out")
"""Parts whose similarity is graded by size; the others are equal or not."""
WEIGHTS: dict[Kind, int] = {
    "conv": 4, "fc": 4, "attention": 4, "pool": 3, "norm": 2, "activation": 1, "other": 1,
}  # fmt: skip
EQUAL, BASE, ALIKE, DEPTH = 100, 20, 45, 20
"""Scores, multiplied by the kind's weight: of an equal pair.

Of a changed pair, `BASE` plus its similarity.
"""
TOGETHER, NAMED = 10, 1
"""Bonus for consecutive pairs and for equal names: less than the gap between equal and changed."""
FORBIDDEN = -(2**24)

Scores = NDArray[np.int32]


def align(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[int, int]]:
    """Return the index pairs of the alignment, ascending on both sides; symmetric in its arguments."""
    marks_a, marks_b = [row_key(row) for row in a], [row_key(row) for row in b]
    # Ties depend on the order of the arguments, so it is normalized.
    if (len(marks_a), repr(marks_a)) > (len(marks_b), repr(marks_b)):
        return [(i, j) for j, i in _with_ends(b, a, marks_b, marks_a)]
    return _with_ends(a, b, marks_a, marks_b)


def _with_ends(
    a: Sequence[Row], b: Sequence[Row], marks_a: list[Mark], marks_b: list[Mark]
) -> list[tuple[int, int]]:
    """Pair the common prefix and suffix directly, and the rows between by score."""
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
    """Return the alignment with the highest score.

    `last` is the best score that ends in a pair at a cell, `best` the best up to it. For backtracking only
    the directions are stored, one byte per cell.
    """
    if not a or not b:
        return []
    table = _Table(a, b)
    last = np.full(len(b) + 1, FORBIDDEN, np.int32)
    best = np.zeros(len(b) + 1, np.int32)
    backtrack = np.zeros((len(a), len(b)), np.uint8)
    for i in range(len(a)):
        follows = last[:-1] + TOGETHER >= best[:-1]
        paired = table.row(i) + np.where(follows, last[:-1] + TOGETHER, best[:-1])
        reached = np.maximum.accumulate(np.maximum(paired, best[1:]))
        backtrack[i] = (paired == reached) + 2 * (best[1:] == reached) + 4 * follows
        last[1:], best[1:] = np.maximum(paired, FORBIDDEN), reached
    return _trace(backtrack)


def _trace(backtrack: NDArray[np.uint8]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    i, j = backtrack.shape[0] - 1, backtrack.shape[1] - 1
    follows = False
    while i >= 0 and j >= 0:
        code = int(backtrack[i, j])
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
    """Pairing scores of each row of one side with all rows of the other, computed on demand."""

    def __init__(self, a: Sequence[Row], b: Sequence[Row]) -> None:
        codes: list[dict[Hashable, int]] = [{} for _ in IMPORTANCE]

        def coded(rows: Sequence[Row]) -> Scores:
            parts = [zip(row_key(row), codes, strict=True) for row in rows]
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
        """Return the scores of row `i` with every row of the other side, `FORBIDDEN` for different kinds."""
        key = self.a[i].tobytes()
        if key not in self.known:
            self.known[key] = self._made(i)
        equal, alike = self.known[key]
        near = (DEPTH * (1 - np.abs(self.depth_b - self.depth_a[i]))).astype(np.int32)
        scores = np.where(equal, EQUAL, BASE + alike + near) * self.weights[i]
        scores += NAMED * (self.names_b == self.names_a[i])
        return np.where(self.partners_b == self.partners_a[i], scores, FORBIDDEN).astype(np.int32)

    def _made(self, i: int) -> tuple[NDArray[np.bool_], Scores]:
        """Return which rows equal row `i`, and the similarity of each, up to `ALIKE`."""
        equal = self.b == self.a[i]
        smaller, larger = np.minimum(self.sizes_b, self.sizes_a[i]), np.maximum(self.sizes_b, self.sizes_a[i])
        alike = equal @ self.exact + (smaller / larger) @ self.graded
        return equal.all(axis=1), (alike * ALIKE / sum(IMPORTANCE.values())).astype(np.int32)


def _sizes(row: Row) -> tuple[float, float]:
    """Return the mean side of the kernel and the output width, 1 where a row has none."""
    kernel, out = row.settings.get("kernel", 1), row.settings.get("out", 1)
    sides = kernel if isinstance(kernel, list | tuple) else [kernel]
    return float(sum(sides) / max(1, len(sides))) or 1.0, float(out) if isinstance(out, int) else 1.0


def _partner(row: Row) -> str:
    """Return the key that paired rows share: the kind, or the type where the kind is "other"."""
    return row.type if row.kind == "other" else row.kind


Status = Literal["same", "changed", "added", "removed"]
DEFAULTS = {"padding": 0, "stride": 1, "dilation": 1, "groups": 1, "ceil": False}
"""Value of a setting that a row does not list."""
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff: a row of each side, or of one side only; `details` describe the change."""

    status: Status
    a: Row | None
    b: Row | None
    details: tuple[str, ...] = ()

    @property
    def row(self) -> Row:
        """The row after the change, or the removed one."""
        row = self.b or self.a
        assert row is not None
        return row


@dataclass(frozen=True, slots=True)
class Diff:
    """Diff of two architectures: every row of both exactly once, each side in its order."""

    changes: tuple[Change, ...]

    @property
    def counts(self) -> dict[Status, int]:
        """Number of lines by status."""
        counter = Counter(change.status for change in self.changes)
        return {status: counter[status] for status in STATUSES}

    @property
    def differences(self) -> tuple[Change, ...]:
        """The lines whose status is not `same`."""
        return tuple(change for change in self.changes if change.status != "same")


def diff(a: Analysis, b: Analysis) -> Diff:
    """Compute the diff of two analyses; swapping the arguments only swaps added and removed."""
    return diff_rows(a.rows, b.rows)


def diff_rows(a: Sequence[Row], b: Sequence[Row]) -> Diff:
    """Compute the diff of two row sequences, such as parts of an architecture."""
    changes: list[Change] = []
    i = j = 0
    for next_i, next_j in [*align(a, b), (len(a), len(b))]:
        changes += [Change("removed", row, None) for row in a[i:next_i]]
        changes += [Change("added", None, row) for row in b[j:next_j]]
        if next_i < len(a):
            changes.append(_compared(a[next_i], b[next_j]))
        i, j = next_i + 1, next_j + 1
    return Diff(tuple(changes))


def _compared(a: Row, b: Row) -> Change:
    if row_key(a) == row_key(b):
        return Change("same", a, b)
    return Change("changed", a, b, tuple(_details(a, b)) or (f"parameters {a.params:,} → {b.params:,}",))


def _details(a: Row, b: Row) -> Iterator[str]:
    if a.type != b.type:
        yield f"{a.type} → {b.type}"
    # Rows of different types are compared by their common settings only.
    join = set.union if a.type == b.type else set.intersection
    keys = join(set(a.settings), set(b.settings)) - CONSEQUENCES
    for key in sorted(keys, key=lambda key: (OWN.index(key) if key in OWN else len(OWN), key)):
        before, after = (plain(row.settings.get(key, DEFAULTS.get(key))) for row in (a, b))
        if before != after:
            yield f"{_called(key, b)} {_text(before)} → {_text(after)}"
    if a.params != b.params and a.input_shape[:1] != b.input_shape[:1]:
        unit = "maps" if len(b.input_shape) == 3 else "values"
        yield f"takes {a.input_shape[0]:,} → {b.input_shape[0]:,} {unit}"


def _called(key: str, row: Row) -> str:
    if key == "out":
        return "units" if row.kind == "fc" else "maps"
    return key.replace("_", " ")


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
