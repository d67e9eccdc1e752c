"""Costs by layer as plain data that a page draws: three rows of bars, and a treemap."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from cnnviz.analysis.types import KIND_TITLES, Analysis, Group, Kind, Row, grouped
from cnnviz.figures import numbers

MAX_COLUMNS = 150
"""Maximum number of columns by default; more layers are drawn as groups of neighbors."""


@dataclass(frozen=True)
class Measure:
    """One row of bars: its title, unit, and total as text."""

    title: str
    unit: str
    total: str


@dataclass(frozen=True)
class Column:
    """One layer, or a group of neighbors.

    `select` is the layer that a click selects; `heights` are fractions of each measure's maximum.
    """

    select: str
    label: str
    short: str
    """The label for narrow space: its last components."""
    kind: Kind
    note: str
    """Layer type and shapes, or the number of layers in the group."""
    heights: tuple[float, float, float]
    texts: tuple[str, str, str]
    """Exact values with their shares of the totals."""
    chosen: bool


@dataclass(frozen=True)
class Bars:
    """The bar chart: measures, columns, number of layers and alternative text."""

    measures: tuple[Measure, ...]
    columns: tuple[Column, ...]
    layers: int
    alt: str

    @property
    def grouped(self) -> bool:
        """Whether some columns represent several layers."""
        return len(self.columns) < self.layers

    def data(self) -> dict[str, Any]:
        """Return the chart as JSON-serializable data."""
        return asdict(self)


def layer_bars(analysis: Analysis, batch: int, selected: str | None, everything: bool = False) -> Bars:
    """Build the bar chart of an architecture.

    Args:
        analysis: The analyzed model.
        batch: Batch size for the activation memory.
        selected: Name of the selected layer.
        everything: Draw one column per layer, whatever their number.
    """
    rows = [row for row in analysis.rows if row.params or row.macs or row.outputs]
    columns = grouped(rows, len(rows) if everything else MAX_COLUMNS)
    values = [_values(group, batch) for group in columns]
    totals = tuple(sum(column) for column in zip(*values, strict=True)) or (0, 0, 0)
    tops = tuple(max(column) or 1 for column in zip(*values, strict=True)) or (1, 1, 1)
    drawn = tuple(
        _column(group, value, totals, tops, selected) for group, value in zip(columns, values, strict=True)
    )
    return Bars(_measures(analysis, batch), drawn, len(rows), _in_words(analysis, drawn))


def _values(group: Group, batch: int) -> tuple[int, int, int]:
    """Return parameters, multiply-adds and activation bytes of a group."""
    return group.params, group.macs, sum(row.activation_bytes(batch) for row in group.rows)


def _measures(analysis: Analysis, batch: int) -> tuple[Measure, ...]:
    images = "1 image" if batch == 1 else f"{batch:,} images"
    return (
        Measure("Parameters", "what is learned", numbers.short(analysis.total_params)),
        Measure("Compute", "multiply-adds (MACs)", numbers.macs(analysis.macs)),
        Measure("Memory", f"activations, {images}", numbers.mib(analysis.forward_bytes(batch))),
    )


def _column(
    group: Group,
    value: tuple[int, int, int],
    totals: tuple[int, ...],
    tops: tuple[int, ...],
    selected: str | None,
) -> Column:
    heights = tuple(v / top for v, top in zip(value, tops, strict=True))
    texts = tuple(
        f"{text} · {numbers.percent(v / total, 1)}" if v else text
        for text, v, total in zip(_describe(value), value, totals, strict=True)
    )
    alone = len(group.rows) == 1
    row = group.rows[0] if alone else max(group.rows, key=lambda row: (row.macs, row.params, row.outputs))
    label = (row.name if alone else group.name) or "(model)"
    return Column(
        select=row.name,
        label=label,
        short=shortened(label),
        kind=group.kind,
        note=_note(row) if alone else f"{len(group.rows)} layers, mostly {KIND_TITLES[group.kind]}",
        heights=(heights[0], heights[1], heights[2]),
        texts=(texts[0], texts[1], texts[2]),
        chosen=any(member.name == selected for member in group.rows),
    )


def shortened(name: str, most: int = 16) -> str:
    """Abbreviate a qualified name to the last components that fit in `most` characters: `…self_attention`.

    At least one component is kept. If the first one ends in a number, the number is kept, since blocks repeat
    the rest: `3a…branch3.conv`.
    """
    parts = name.split(".")
    short = parts[-1]
    for part in reversed(parts[:-1]):
        if len(part) + 1 + len(short) > most:
            number = re.search(r"\d\w*$", parts[0])
            return f"{number.group() if number else ''}…{short}"
        short = f"{part}.{short}"
    return short


def _describe(value: tuple[int, int, int]) -> tuple[str, str, str]:
    params, macs, size = value
    return (
        f"{numbers.exact(params)} parameters",
        f"{numbers.exact(macs)} multiply-adds",
        numbers.mib(size),
    )


def _note(row: Row) -> str:
    return f"{row.type} · {numbers.shape(row.input_shape)} → {numbers.shape(row.output_shape)}"


def _in_words(analysis: Analysis, columns: tuple[Column, ...]) -> str:
    """Describe the bars in words: the layers with the most parameters, multiply-adds and memory."""
    named: list[Callable[[Column], float]] = [
        lambda column: column.heights[0],
        lambda column: column.heights[1],
        lambda column: column.heights[2],
    ]
    most, hardest, widest = (max(columns, key=height).label if columns else "none" for height in named)
    return (
        f"Bars by layer of {analysis.title}, from input to output. Most parameters: {most}; "
        f"most multiply-adds: {hardest}; most memory: {widest}."
    )


# Treemap of parameters by block and layer.


@dataclass(frozen=True)
class Area:
    """Treemap node: a layer, or a block that contains `parts`; its area is `value` parameters."""

    name: str
    """Qualified name; selected on click if it is a layer."""
    label: str
    value: int
    kind: Kind
    text: str
    parts: tuple[Area, ...] = ()

    def data(self) -> dict[str, Any]:
        """Return the tree as JSON-serializable data."""
        return {
            "name": self.name,
            "label": self.label,
            "value": self.value,
            "kind": self.kind,
            "text": self.text,
            "parts": [part.data() for part in self.parts],
        }


def parameter_tree(analysis: Analysis) -> Area:
    """Build the treemap of an architecture's parameters by block; layers without parameters are left out."""
    rows = [row for row in analysis.rows if row.params]
    return _area("", analysis.title, rows, 0, analysis.total_params)


def treemap_alt(analysis: Analysis) -> str:
    """Describe the treemap in words: the three largest layers and their shares."""
    largest = sorted(analysis.rows, key=lambda row: -row.params)[:3]
    shares = ", ".join(
        f"{row.name or '(model)'} {numbers.percent(row.params / analysis.total_params)}"
        for row in largest
        if row.params
    )
    return f"Parameters of {analysis.title} as areas. Largest: {shares or 'none, it has no parameters'}."


def _area(name: str, label: str, rows: list[Row], depth: int, total: int) -> Area:
    """Build the block called `name` from the rows below it.

    A block with a single part is replaced by that part.
    """
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
    """Group the rows of the block `name` by the first `depth + 1` components of their names."""
    blocks: dict[str, list[Row]] = {}
    for row in rows:
        prefix = name if row.name == name else ".".join(row.name.split(".")[: depth + 1])
        blocks.setdefault(prefix, []).append(row)
    return list(blocks.items())
