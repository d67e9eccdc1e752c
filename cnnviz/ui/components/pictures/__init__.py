"""Grid of small images in rows that wrap: one sprite sheet, each cell with tooltip and click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cnnviz.figures.sprite_sheet import Sprite
from cnnviz.sentences import short_names
from cnnviz.ui.components import component, sheet, state_callback

HERE = Path(__file__).parent
CAPTION = 20
"""Pixels below a cell for its caption."""


@dataclass(frozen=True)
class Cell:
    """One image: its title, and the value of a click."""

    title: str
    value: str = ""
    """Empty if it cannot be chosen."""


@dataclass(frozen=True)
class Line:
    """A labeled row of images."""

    label: str
    cells: Sequence[Cell]


def pictures(
    sprite: Sprite,
    lines: Sequence[Line],
    *,
    key: str,
    alt: str,
    name: str,
    cell: int,
    chosen: str = "",
    captions: bool = False,
    strip: bool = False,
    on_choose: Callable[[str], None] | None = None,
) -> None:
    """Show the cells of a sprite sheet in rows.

    Args:
        sprite: The images.
        lines: The rows, with as many cells in all as the sprite sheet has.
        key: Key of the component.
        alt: Alternative text.
        name: File name of the PNG download; empty for none.
        cell: Width of a cell in pixels.
        chosen: Value of the selected cell.
        captions: Whether titles are shown below the cells; otherwise as tooltips.
        strip: Whether a phone shows the cells in one row that scrolls sideways.
        on_choose: Called with the value of a clicked cell before the page runs again.
    """
    labels = short_names([line.label for line in lines])
    titles = short_names([cell.title for line in lines for cell in line.cells])
    component("pictures", HERE, css="pictures.css", js=("tip.js", "figure_menu.js", "pictures.js"))(
        key=key,
        data=sheet(sprite)
        | {
            "lines": [asdict(line) | {"short": short} for line, short in zip(lines, labels, strict=True)],
            "alt": alt,
            "name": name,
            "cell": cell,
            "chosen": chosen,
            "captions": titles if captions else None,
            "strip": strip,
        },
        on_chosen_change=state_callback(key, "chosen", on_choose),
    )
