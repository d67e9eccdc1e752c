"""The difference of two architectures, layer by layer: what is the same, what changed, what came, what went.

Names alone are no change, nor is what merely follows from an earlier layer: the size of the maps that pass
through. The width that comes in counts where it changes the layer's own parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cnnviz.analysis.types import Analysis, Kind, Row

# What makes two rows the same layer; apart from the alignment, whose numpy the first page needs not.

CONSEQUENCES = frozenset({"in", "features", "weights"})
"""Settings that an earlier layer decides."""
OWN = ("kernel", "out", "stride", "padding", "groups")
"""Settings that are compared one by one; the rest count together."""

Mark = tuple[Hashable, ...]


def mark(row: Row) -> Mark:
    """What makes two rows the same layer: type, own settings, parameters; not names nor shapes."""
    settings = {key: repr(plain(value)) for key, value in row.settings.items() if key not in CONSEQUENCES}
    compared = [settings.pop(key, "") for key in OWN]
    return (f"{row.kind} {row.type}", *compared, tuple(sorted(settings.items())), row.params)


def plain(value: Any) -> Any:
    """A setting without its spelling: `[3, 3]` is 3."""
    if isinstance(value, list | tuple):
        return value[0] if value and all(side == value[0] for side in value) else tuple(value)
    return value


# The alignment under a difference: which row of one architecture stands for which of the other.
#
# Of all pairings that keep both orders and pair only rows of one kind, the one with the greatest score is
# taken: equal rows score most, rows that carry weights more than others, and neighbours that stay
# neighbours a little extra, so that an activation stays with its convolution; among changed ones, those
# alike in size and at about the same depth. It is the dynamic programme of Needleman and Wunsch (1970) with
# free gaps, one numpy row at a time.

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
        equal = self.b == self.a[i]
        smaller, larger = np.minimum(self.sizes_b, self.sizes_a[i]), np.maximum(self.sizes_b, self.sizes_a[i])
        alike = equal @ self.exact + (smaller / larger) @ self.graded
        return equal.all(axis=1), (alike * ALIKE / sum(IMPORTANCE.values())).astype(np.int32)


def _sizes(row: Row) -> tuple[float, float]:
    """The mean side of the kernel and the width, 1 where a row has none."""
    kernel, out = row.settings.get("kernel", 1), row.settings.get("out", 1)
    sides = kernel if isinstance(kernel, list | tuple) else [kernel]
    return float(sum(sides) / max(1, len(sides))) or 1.0, float(out) if isinstance(out, int) else 1.0


def _partner(row: Row) -> str:
    """What rows that may stand for each other share. A dropout is no flatten, though both are "other"."""
    return row.type if row.kind == "other" else row.kind


Status = Literal["same", "changed", "added", "removed"]
UNTOLD = {"padding": 0, "stride": 1, "dilation": 1, "groups": 1, "ceil": False}
"""What a setting is where a row leaves it out."""
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a difference: a row of each side, or of one alone; `details` say what changed."""

    status: Status
    a: Row | None
    b: Row | None
    details: tuple[str, ...] = ()

    @property
    def row(self) -> Row:
        """The row after the change, or the one that went."""
        row = self.b or self.a
        assert row is not None
        return row


@dataclass(frozen=True, slots=True)
class Diff:
    """Every row of both architectures exactly once, each side's in its order."""

    changes: tuple[Change, ...]

    @property
    def counts(self) -> dict[Status, int]:
        """How many lines there are of each status."""
        counter = Counter(change.status for change in self.changes)
        return {status: counter[status] for status in STATUSES}

    @property
    def differences(self) -> tuple[Change, ...]:
        """The lines that are not the same."""
        return tuple(change for change in self.changes if change.status != "same")


def diff(a: Analysis, b: Analysis) -> Diff:
    """Align the rows of `a` with those of `b`; swapping the two swaps added and removed and nothing else."""
    return diff_rows(a.rows, b.rows)


def diff_rows(a: Sequence[Row], b: Sequence[Row]) -> Diff:
    """The same for rows alone, as of a part of an architecture."""
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
    if mark(a) == mark(b):
        return Change("same", a, b)
    return Change("changed", a, b, tuple(_details(a, b)) or (f"parameters {a.params:,} → {b.params:,}",))


def _details(a: Row, b: Row) -> Iterator[str]:
    if a.type != b.type:
        yield f"{a.type} → {b.type}"
    # Two types have settings of their own, which are not each other's.
    join = set.union if a.type == b.type else set.intersection
    keys = join(set(a.settings), set(b.settings)) - CONSEQUENCES
    for key in sorted(keys, key=lambda key: (OWN.index(key) if key in OWN else len(OWN), key)):
        before, after = (plain(row.settings.get(key, UNTOLD.get(key))) for row in (a, b))
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
