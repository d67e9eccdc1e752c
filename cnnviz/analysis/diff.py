"""The difference of two architectures, layer by layer: what is the same, what changed, what came, what went.

Names alone are no change, nor is what merely follows from an earlier layer: the size of the maps that pass
through. The width that comes in counts where it changes the layer's own parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cnnviz.analysis.marks import CONSEQUENCES, OWN, mark, plain
from cnnviz.analysis.types import Analysis, Row

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
        found = Counter(change.status for change in self.changes)
        return {status: found[status] for status in STATUSES}

    @property
    def differences(self) -> tuple[Change, ...]:
        """The lines that are not the same."""
        return tuple(change for change in self.changes if change.status != "same")


def diff(a: Analysis, b: Analysis) -> Diff:
    """Align the rows of `a` with those of `b`; swapping the two swaps added and removed and nothing else."""
    return diff_rows(a.rows, b.rows)


def diff_rows(a: Sequence[Row], b: Sequence[Row]) -> Diff:
    """The same for rows alone, as of a part of an architecture."""
    from cnnviz.analysis.align import align

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
            yield f"{_called(key, b)} {_words(before)} → {_words(after)}"
    if a.params != b.params and a.input_shape[:1] != b.input_shape[:1]:
        unit = "maps" if len(b.input_shape) == 3 else "values"
        yield f"takes {a.input_shape[0]:,} → {b.input_shape[0]:,} {unit}"


def _called(key: str, row: Row) -> str:
    if key == "out":
        return "units" if row.kind == "fc" else "maps"
    return key.replace("_", " ")


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "×".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
