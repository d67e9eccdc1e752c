"""Which maps see which: a connection table as SVG."""

from __future__ import annotations

from collections.abc import Sequence

CELL = 24
LEFT, TOP = 58, 44


def connections_svg(table: Sequence[Sequence[int]], inputs: int, alt: str) -> str:
    """A grid with a column a map and a row an input map; a filled cell means that the map sees the input.

    `table[map]` lists the input maps that it sees. Colours are CSS variables of the page.
    """
    width, height = LEFT + CELL * len(table) + 4, TOP + CELL * inputs + 4
    return (
        f'<svg class="connections" viewBox="0 0 {width} {height}" role="img" aria-label="{alt}" '
        'xmlns="http://www.w3.org/2000/svg">'
        f'<text x="{LEFT}" y="14">maps of C3</text><text x="0" y="{TOP - 8}">S2</text>'
        f"{''.join(_head(column) for column in range(len(table)))}"
        f"{''.join(_row(table, source) for source in range(inputs))}</svg>"
    )


def connections_words(table: Sequence[Sequence[int]], inputs: int) -> str:
    """The table in a sentence, counted: how many maps see how many inputs."""
    sizes = sorted({len(sources) for sources in table})
    counts = [f"{sum(len(sources) == size for sources in table)} see {size}" for size in sizes]
    return f"Of {len(table)} maps over {inputs} inputs, {', '.join(counts)}."


def _head(column: int) -> str:
    return f'<text class="head" x="{LEFT + CELL * (column + 0.5)}" y="{TOP - 8}">{column}</text>'


def _row(table: Sequence[Sequence[int]], source: int) -> str:
    y = TOP + CELL * source
    cells = "".join(
        f'<rect class="{"seen" if source in sources else "unseen"}" x="{LEFT + CELL * column + 1}" '
        f'y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}" rx="3"/>'
        for column, sources in enumerate(table)
    )
    return f'<text class="head" x="{LEFT - 14}" y="{y + CELL / 2 + 4}">{source}</text>{cells}'
