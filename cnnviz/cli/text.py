"""Plain text for terminals: aligned columns and numbers people can read."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

WIDEST = 100
"""Characters of a line, in a terminal that has as many."""
LEAST = 24
"""Characters of a wrapped column; narrower it would be a ladder."""


def width() -> int:
    """Characters that a line of prose may have."""
    return min(WIDEST, shutil.get_terminal_size().columns)


def table(head: Sequence[str], lines: Sequence[Sequence[object]], right: frozenset[str] = frozenset()) -> str:
    """Columns under `head`, aligned by width; those named in `right` stand to the right."""
    cells = [list(head), *([_cell(value) for value in line] for line in lines)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    text = [
        "  ".join(
            value.rjust(width) if name in right else value.ljust(width)
            for value, width, name in zip(line, widths, head, strict=True)
        ).rstrip()
        for line in cells
    ]
    text.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(text)


def fitted(head: Sequence[str], lines: Sequence[Sequence[object]], right: frozenset[str], widest: int) -> str:
    """Columns as in `table`, the last one wrapped so that lines have at most `widest` characters."""
    before = sum(max(len(_cell(line[at])) for line in [head, *lines]) + 2 for at in range(len(head) - 1))
    room = max(widest - before, LEAST)
    rows: list[Sequence[object]] = []
    for *first, last in lines:
        part, *more = textwrap.wrap(_cell(last), room) or [""]
        rows += [(*first, part), *((*([""] * len(first)), one) for one in more)]
    return table(head, rows, right)


def notes(rows: Sequence[tuple[str, str]], widest: int) -> str:
    """A name a line, with its sentence beside it, wrapped to `widest` characters in all."""
    indent = max(len(name) for name, _ in rows) + 2
    return "\n".join(
        textwrap.fill(words, widest, initial_indent=name.ljust(indent), subsequent_indent=" " * indent)
        for name, words in rows
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def short(count: float, unit: str = "") -> str:
    """Three significant digits with a prefix: `58.3 M`, `1.18 G`."""
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size * 0.9995:
            return f"{count / size:#.3g} {prefix}{unit}".replace(". ", " ")
    return f"{count:g} {unit}".rstrip()
