"""Small pictures in lines that wrap: one image for all, a cell for each to be pointed at and chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cnnviz.figures.sprite_sheet import Sprite
from cnnviz.ui.components.shared import component, says, sheet

HERE = Path(__file__).parent
CAPTION = 20
"""Pixels below a cell for its caption."""


@dataclass(frozen=True)
class Cell:
    """One picture: what it is called, and what choosing it says."""

    title: str
    value: str = ""
    """Empty for what cannot be chosen."""


@dataclass(frozen=True)
class Line:
    """Pictures that belong together; `label` stands before them."""

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
    on_choose: Callable[[str], None] | None = None,
) -> None:
    """Show the cells of `sprite` in the order of `lines`.

    Args:
        sprite: The pictures.
        lines: As many cells together as the sprite has.
        key: Unique on the page.
        alt: What is to be seen, in words.
        name: What the downloaded PNG is called; empty for none.
        cell: Width of a cell in pixels of the page.
        chosen: The value of the cell that is chosen.
        captions: Whether titles stand below the cells; otherwise the pointer tells them.
        on_choose: Called, before the page runs again, with the value of a cell that was clicked.
    """
    component("pictures", HERE, css="pictures.css", js=("tip.js", "figure_menu.js", "pictures.js"))(
        key=key,
        data=sheet(sprite)
        | {
            "lines": [asdict(line) for line in lines],
            "alt": alt,
            "name": name,
            "cell": cell,
            "chosen": chosen,
            "captions": captions,
        },
        on_chosen_change=says(key, "chosen", on_choose),
    )
