"""Receptive field of a layer drawn on the input, as SVG."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from cnnviz.analysis.types import ReceptiveField, Row

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
