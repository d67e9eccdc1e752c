"""Figures of an architecture: costs by layer as bars and as a treemap, receptive field, connection table.

Bars and treemap are plain data that a page draws, the other two are SVG.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from xml.sax.saxutils import quoteattr

from cnnviz.analysis.types import KIND_TITLES, Analysis, Group, Kind, ReceptiveField, Row, grouped
from cnnviz.figures import numbers

# Bars by layer.

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


# Receptive field of a layer drawn on the input, as SVG.

SIDE = 220
"""Longer side of the drawn input, in SVG units."""
MARGIN = 30
FINEST_GRID = 64
"""Inputs up to this many pixels a side show a grid line at every pixel."""


def center_cell(field: ReceptiveField, input_size: tuple[int, int]) -> tuple[int, int]:
    """Return the cell (row, column) whose receptive field is nearest to the center of the input.

    It is computed from the field alone, because the axes of the feature maps differ between layers.
    """
    vertical, horizontal = (
        max(0, round((side / 2 - size / 2 - start) / jump)) if jump else 0
        for side, size, start, jump in zip(input_size, field.size, field.start, field.jump, strict=True)
    )
    return vertical, horizontal


def visible_field(row: Row, input_size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the center cell's receptive field as `(top, left, bottom, right)` in input pixels.

    It may extend into the padding.
    """
    field = row.receptive_field
    if field.whole:
        return 0.0, 0.0, float(input_size[0]), float(input_size[1])
    top, left = (
        start + cell * jump
        for start, cell, jump in zip(field.start, center_cell(field, input_size), field.jump, strict=True)
    )
    return top, left, top + field.size[0], left + field.size[1]


def receptive_words(row: Row, input_size: tuple[int, int]) -> str:
    """Describe a layer's receptive field in one or two sentences."""
    field = row.receptive_field
    if field.whole:
        return "Every output sees the whole input."
    height, width = field.size
    words = f"One output sees {height:g}×{width:g} pixels of the input"
    if field.jump[0] == field.jump[1] and field.jump != (1, 1):
        words += f", its neighbor those {field.jump[0]:g} further on"
    top, left, bottom, right = visible_field(row, input_size)
    if top < 0 or left < 0 or bottom > input_size[0] or right > input_size[1]:
        return f"{words}. It is wider than the image: what lies outside is padding, zeros."
    return f"{words}."


def receptive_svg(row: Row, input_size: tuple[int, int], alt: str) -> str:
    """Draw the input with the center cell's receptive field; the part in the padding is dashed.

    The field is colored by the CSS variable of the layer's kind, so that it follows the page's theme.
    """
    height, width = input_size
    scale = SIDE / max(height, width)
    drawn_height, drawn_width = height * scale, width * scale
    top, left, bottom, right = (
        _clamp(edge * scale, side)
        for edge, side in zip(
            visible_field(row, input_size),
            (drawn_height, drawn_width, drawn_height, drawn_width),
            strict=True,
        )
    )
    inner = (max(0.0, left), max(0.0, top), min(drawn_width, right), min(drawn_height, bottom))
    frame = f"{-MARGIN} {-MARGIN} {drawn_width + 2 * MARGIN:.1f} {drawn_height + 2 * MARGIN:.1f}"
    ink = f"var(--kind-{row.kind})"
    return (
        f'<svg class="receptive" viewBox="{frame}" role="img" aria-label={quoteattr(alt)} '
        'xmlns="http://www.w3.org/2000/svg">'
        f"{_rect('input', (0, 0, drawn_width, drawn_height))}"
        f"{_grid(height, width, scale)}"
        f"{_rect('beyond', (left, top, right, bottom), f'stroke: {ink}')}"
        f"{_rect('field', inner, f'fill: {ink}; stroke: {ink}')}"
        f'<text x="0" y="{drawn_height + 18:.1f}">input {height}×{width}</text></svg>'
    )


def _rect(name: str, box: tuple[float, float, float, float], style: str = "") -> str:
    left, top, right, bottom = box
    styled = f' style="{style}"' if style else ""
    return (
        f'<rect class="{name}"{styled} x="{left:.1f}" y="{top:.1f}" '
        f'width="{right - left:.1f}" height="{bottom - top:.1f}"/>'
    )


def _clamp(edge: float, side: float) -> float:
    """Clamp an edge to the drawing: a field much larger than the input is cut off at the margin."""
    return min(max(edge, 4.0 - MARGIN), side + MARGIN - 4.0)


def _grid(height: int, width: int, scale: float) -> str:
    """Draw grid lines: at every pixel of small inputs, every 32 pixels of large ones."""
    step = 1 if max(height, width) <= FINEST_GRID else 32
    lines = [f"M{x * scale:.1f} 0V{height * scale:.1f}" for x in range(step, width, step)] + [
        f"M0 {y * scale:.1f}H{width * scale:.1f}" for y in range(step, height, step)
    ]
    return f'<path class="grid" d="{"".join(lines)}"/>' if lines else ""


# Connection table of LeNet-5's C3 as SVG.

CELL = 24
TABLE_LEFT, TABLE_TOP = 58, 44


def connections_svg(table: Sequence[Sequence[int]], inputs: int, alt: str) -> str:
    """Draw a grid with a column per map and a row per input map; a filled cell is a connection.

    Args:
        table: `table[map]` lists the connected input maps.
        inputs: Number of input maps.
        alt: Alternative text.
    """
    width, height = TABLE_LEFT + CELL * len(table) + 4, TABLE_TOP + CELL * inputs + 4
    return (
        f'<svg class="connections" viewBox="0 0 {width} {height}" role="img" aria-label="{alt}" '
        'xmlns="http://www.w3.org/2000/svg">'
        f'<text x="{TABLE_LEFT}" y="14">maps of C3</text><text x="0" y="{TABLE_TOP - 8}">S2</text>'
        f"{''.join(_column_head(column) for column in range(len(table)))}"
        f"{''.join(_input_row(table, source) for source in range(inputs))}</svg>"
    )


def connections_words(table: Sequence[Sequence[int]], inputs: int) -> str:
    """Describe the table in a sentence: how many maps are connected to how many inputs."""
    sizes = sorted({len(sources) for sources in table})
    counts = [f"{sum(len(sources) == size for sources in table)} see {size}" for size in sizes]
    return f"Of {len(table)} maps over {inputs} inputs, {', '.join(counts)}."


def _column_head(column: int) -> str:
    return f'<text class="head" x="{TABLE_LEFT + CELL * (column + 0.5)}" y="{TABLE_TOP - 8}">{column}</text>'


def _input_row(table: Sequence[Sequence[int]], source: int) -> str:
    y = TABLE_TOP + CELL * source
    cells = "".join(
        f'<rect class="{"seen" if source in sources else "unseen"}" x="{TABLE_LEFT + CELL * column + 1}" '
        f'y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}" rx="3"/>'
        for column, sources in enumerate(table)
    )
    return f'<text class="head" x="{TABLE_LEFT - 14}" y="{y + CELL / 2 + 4}">{source}</text>{cells}'
