"""Parameters by block and layer as a tree of areas. Plain data; the page draws it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cnnviz.analysis.types import Analysis, Kind, Row
from cnnviz.figures import numbers


@dataclass(frozen=True)
class Area:
    """A layer, or a block around `parts`; the area is `value` parameters."""

    name: str
    """Qualified name; what a click selects where it is a layer."""
    label: str
    value: int
    kind: Kind
    text: str
    parts: tuple[Area, ...] = ()

    def data(self) -> dict[str, Any]:
        """The tree as JSON-like data."""
        return {
            "name": self.name,
            "label": self.label,
            "value": self.value,
            "kind": self.kind,
            "text": self.text,
            "parts": [part.data() for part in self.parts],
        }


def parameter_tree(analysis: Analysis) -> Area:
    """Where the parameters of an architecture are, block within block; layers without any are left out."""
    rows = [row for row in analysis.rows if row.params]
    return _area("", analysis.title, rows, 0, analysis.total_params)


def treemap_alt(analysis: Analysis) -> str:
    """The picture in a sentence: the three largest layers and their shares."""
    largest = sorted(analysis.rows, key=lambda row: -row.params)[:3]
    shares = ", ".join(
        f"{row.name or '(model)'} {numbers.percent(row.params / analysis.total_params)}"
        for row in largest
        if row.params
    )
    return f"Parameters of {analysis.title} as areas. Largest: {shares or 'none, it has no parameters'}."


def _area(name: str, label: str, rows: list[Row], depth: int, total: int) -> Area:
    """The block called `name` around the rows below it; a block around a single part is that part."""
    parts = tuple(_part(name, prefix, members, depth, total) for prefix, members in _below(rows, name, depth))
    if len(parts) == 1 and depth:
        return replace(parts[0], label=f"{label}.{parts[0].label}")
    value = sum(part.value for part in parts)
    kind = max(parts, key=lambda part: part.value).kind if parts else "other"
    return Area(name, label, value, kind, _text(value, total), parts)


def _part(name: str, prefix: str, members: list[Row], depth: int, total: int) -> Area:
    label = prefix.rpartition(".")[2] if prefix != name else "(own)"
    if members[0].name == prefix and len(members) == 1:
        row = members[0]
        return Area(row.name, label, row.params, row.kind, _text(row.params, total))
    return _area(prefix, label, members, depth + 1, total)


def _text(value: int, total: int) -> str:
    return f"{numbers.exact(value)} parameters · {numbers.percent(value / (total or 1), 1)}"


def _below(rows: Iterable[Row], name: str, depth: int) -> list[tuple[str, list[Row]]]:
    """The rows in the block `name`, by the part that holds them: the first `depth + 1` parts of names."""
    blocks: dict[str, list[Row]] = {}
    for row in rows:
        prefix = name if row.name == name else ".".join(row.name.split(".")[: depth + 1])
        blocks.setdefault(prefix, []).append(row)
    return list(blocks.items())
