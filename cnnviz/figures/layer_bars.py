"""Costs by layer: rows of bars and a treemap. Plain data; the page draws it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from cnnviz.analysis.types import KIND_TITLES, Analysis, Group, Kind, Row, grouped
from cnnviz.figures import numbers

MOST_COLUMNS = 150
"""More layers than this are drawn as groups of neighbours, unless all are asked for."""


@dataclass(frozen=True)
class Measure:
    """One row of bars: how it is called, its total as text, and how one value is told."""

    title: str
    unit: str
    total: str


@dataclass(frozen=True)
class Column:
    """One layer, or neighbours: what a click selects, how it is labelled, and its share of each maximum."""

    select: str
    label: str
    short: str
    """The label where there is little room: its last parts."""
    kind: Kind
    note: str
    """What it is, in a few words: its type and shapes, or how many layers it stands for."""
    heights: tuple[float, float, float]
    texts: tuple[str, str, str]
    """The exact figures with their shares of the totals."""
    chosen: bool


@dataclass(frozen=True)
class Bars:
    """The whole figure."""

    measures: tuple[Measure, ...]
    columns: tuple[Column, ...]
    layers: int
    alt: str

    @property
    def grouped(self) -> bool:
        """Whether some columns stand for several layers."""
        return len(self.columns) < self.layers

    def data(self) -> dict[str, Any]:
        """The figure as JSON-like data."""
        return asdict(self)


def layer_bars(analysis: Analysis, batch: int, selected: str | None, everything: bool = False) -> Bars:
    """The bars of an architecture; `everything` draws one column a layer however many there are."""
    rows = [row for row in analysis.rows if row.params or row.macs or row.outputs]
    columns = grouped(rows, len(rows) if everything else MOST_COLUMNS)
    values = [_values(group, batch) for group in columns]
    totals = tuple(sum(column) for column in zip(*values, strict=True)) or (0, 0, 0)
    tops = tuple(max(column) or 1 for column in zip(*values, strict=True)) or (1, 1, 1)
    drawn = tuple(
        _column(group, value, totals, tops, selected) for group, value in zip(columns, values, strict=True)
    )
    return Bars(_measures(analysis, batch), drawn, len(rows), _in_words(analysis, drawn))


def _values(group: Group, batch: int) -> tuple[int, int, int]:
    """Parameters, multiply-adds and bytes of activations."""
    return group.params, group.macs, sum(row.activation_bytes(batch) for row in group.rows)


def _measures(analysis: Analysis, batch: int) -> tuple[Measure, ...]:
    images = "1 image" if batch == 1 else f"{batch:,} images"
    return (
        Measure("Parameters", "what is learnt", numbers.short(analysis.total_params)),
        Measure("Arithmetic", "multiply-adds", numbers.macs(analysis.macs)),
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
    """The last parts of a qualified name, as many as fit and at least one: `…self_attention`.

    Where the first part is numbered its number stays, since blocks repeat the rest: `3a…branch3.conv`.
    """
    parts = name.split(".")
    kept = parts[-1]
    for part in reversed(parts[:-1]):
        if len(part) + 1 + len(kept) > most:
            number = re.search(r"\d\w*$", parts[0])
            return f"{number.group() if number else ''}…{kept}"
        kept = f"{part}.{kept}"
    return kept


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
    """What the eye sees, for who cannot: where each of the three is largest."""
    named: list[Callable[[Column], float]] = [
        lambda column: column.heights[0],
        lambda column: column.heights[1],
        lambda column: column.heights[2],
    ]
    most, hardest, widest = (max(columns, key=by).label if columns else "none" for by in named)
    return (
        f"Bars by layer of {analysis.title}, from input to output. Most parameters: {most}; "
        f"most multiply-adds: {hardest}; most memory: {widest}."
    )


# Parameters by block and layer as a tree of areas. Plain data; the page draws it.


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
