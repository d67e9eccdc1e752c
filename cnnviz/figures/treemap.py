"""Parameters by block and layer as a tree of areas. Plain data; the page draws it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
    value = sum(row.params for row in rows)
    if len(rows) == 1 and rows[0].name.count(".") < depth + 1:
        return _leaf(rows[0], label, total)
    parts = tuple(
        _area(part, part.rpartition(".")[2] or "(own)", members, depth + 1, total)
        if any(row.name != name for row in members)
        else _leaf(members[0], "(own)", total)
        for part, members in _by_prefix(rows, name, depth + 1).items()
    )
    kind = max(parts, key=lambda part: part.value).kind if parts else "other"
    return Area(name, label, value, kind, _text(value, total), parts)


def _leaf(row: Row, label: str, total: int) -> Area:
    return Area(row.name, label, row.params, row.kind, _text(row.params, total))


def _text(value: int, total: int) -> str:
    return f"{numbers.exact(value)} parameters · {numbers.percent(value / (total or 1), 1)}"


def _by_prefix(rows: Iterable[Row], name: str, depth: int) -> dict[str, list[Row]]:
    """The rows below `name`, by the first `depth` parts of their names."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        prefix = name if row.name == name else ".".join(row.name.split(".")[:depth])
        found.setdefault(prefix, []).append(row)
    return found
