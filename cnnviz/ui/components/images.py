"""Images of a page: SVG figures (scatter plot, panels, bars, treemap), sprite sheets, grids of images."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.figures.architecture import Area, Bars
from cnnviz.figures.side_by_side import SideBySide
from cnnviz.sentences import short_names
from cnnviz.ui.components import component, state_callback

# Scatter plot of all models, with hover, arrow keys and click.

SVG_FIGURES = Path(__file__).with_name("svg_figures")
LANDSCAPE_HEIGHT = 560
"""Height in pixels, reserved while the points are drawn."""


def landscape_chart(data: dict[str, Any], *, alt: str, key: str) -> str | None:
    """Draw the scatter plot of `cnnviz.figures.pareto.landscape`.

    Return the model just clicked, else None.
    """
    shown = data | {"alt": alt, "height": LANDSCAPE_HEIGHT}
    result = component(
        "landscape",
        SVG_FIGURES,
        css="landscape.css",
        js=("draw.js", "tip.js", "save.js", "figure_menu.js", "scale.js", "labels.js", "landscape.js"),
        html="landscape.html",
    )(key=key, data=shown, height=LANDSCAPE_HEIGHT, on_picked_change=lambda: None)
    picked: str | None = result.get("picked")
    return picked


# Inline drawings, without controls.


def miniature(markup: str, *, key: str) -> None:
    """Show trusted HTML with SVG, made by cnnviz alone: `st.html` drops all SVG."""
    component("miniature", SVG_FIGURES, css="miniature.css", js=("miniature.js",))(
        key=key, data=markup, height="content"
    )


# SVG that follows the page's theme and can be saved; `st.html` drops SVG.


def picture(svg: str, *, name: str, key: str, height: int) -> None:
    """Show an SVG of cnnviz.figures.

    Args:
        svg: The SVG, which is not checked.
        name: File name of a download.
        key: Key of the component.
        height: Height in pixels.
    """
    component("picture", SVG_FIGURES, css="picture.css", js=("save.js", "figure_menu.js", "picture.js"))(
        key=key, data={"svg": svg, "name": name}, height=height
    )


# Models side by side: totals stacked by kind, and profiles over depth, on shared scales.


def side_by_side_chart(figure: SideBySide, *, name: str, key: str) -> None:
    """Draw the figure; `name` is the file name of a download."""
    component(
        "side_by_side",
        SVG_FIGURES,
        css="panels.css",
        js=("draw.js", "tip.js", "save.js", "figure_menu.js", "panels.js"),
    )(key=key, data=figure.data() | {"name": name})


# Bars by layer, with click, hover and arrow keys.

LAYER_BARS_HEIGHT = 352
"""Height in pixels, reserved while the bars are drawn."""


def layer_bars_chart(bars: Bars, *, name: str, key: str, on_select: Callable[[str], None]) -> None:
    """Draw bars by layer.

    Args:
        bars: The bars.
        name: File name of a download.
        key: Key of the component.
        on_select: Called with the name of a clicked layer before the page runs again.
    """
    component(
        "layer_bars",
        SVG_FIGURES,
        css="bars.css",
        js=("draw.js", "tip.js", "save.js", "figure_menu.js", "bars.js"),
    )(
        key=key,
        data=bars.data() | {"name": name},
        height=LAYER_BARS_HEIGHT,
        on_selected_change=state_callback(key, "selected", on_select),
    )


# Treemap, with click, hover and arrow keys.

TREEMAP_HEIGHT = 460
"""Height in pixels, reserved while the areas are drawn."""


def treemap_chart(
    tree: Area, *, selected: str | None, alt: str, name: str, key: str, on_select: Callable[[str], None]
) -> None:
    """Draw a treemap.

    Args:
        tree: The root.
        selected: Name of the selected layer.
        alt: Alternative text.
        name: File name of a download.
        key: Key of the component.
        on_select: Called with the name of a clicked layer before the page runs again.
    """
    component(
        "treemap",
        SVG_FIGURES,
        css="treemap.css",
        js=("draw.js", "tip.js", "save.js", "figure_menu.js", "squarify.js", "treemap.js"),
    )(
        key=key,
        data={
            "tree": tree.data(),
            "caption": f"Each area is a layer's share of {tree.value:,} parameters.",
            "selected": selected,
            "alt": alt,
            "name": name,
            "height": TREEMAP_HEIGHT - 12,
        },
        height=TREEMAP_HEIGHT,
        on_selected_change=state_callback(key, "selected", on_select),
    )


# Class frequencies as bars, with click, hover and arrow keys.

MAX_CLASSES = 400
"""Maximum number of classes drawn; the table to download has all."""
CLASS_ROW, MAX_HEIGHT = 24, 420
"""Height in pixels of a class, and of all before they scroll."""
TOUCH_ROW, MAX_TOUCH_HEIGHT = 44, 44 * 24
"""The same where a finger points; only a long list scrolls inside the page."""
LEGEND = 28


def class_bars(
    classes: Sequence[str],
    parts: Mapping[str, Sequence[int]],
    *,
    key: str,
    chosen: str | None,
    on_choose: Callable[[str], None],
) -> None:
    """Draw one stacked bar per class, with a segment for each of `parts`: training, validation, test.

    Args:
        classes: Names of the classes.
        parts: Counts by class of each part.
        key: Key of the component.
        chosen: The selected class.
        on_choose: Called with the name of a clicked class before the page runs again; with an empty one if
            the
            selected class was clicked.
    """
    shown = min(len(classes), MAX_CLASSES)
    rows = [
        {"name": name, "short": short, "counts": [int(counts[i]) for counts in parts.values()]}
        for i, (name, short) in enumerate(zip(classes[:shown], short_names(classes[:shown]), strict=True))
    ]
    height = min(MAX_HEIGHT, CLASS_ROW * shown + 8)
    touched = min(MAX_TOUCH_HEIGHT, TOUCH_ROW * shown + 8)
    # The browser alone knows whether a finger points; the height is reserved before the bars are drawn.
    room = "".join(
        f"{side}: {touched + LEGEND}px !important; " for side in ("height", "min-height", "max-height")
    )
    boxes = f".st-key-{key}, .st-key-{key} .stBidiComponent"
    st.html(f"<style>@media (pointer: coarse) {{ {boxes} {{ {room}}} }}</style>")
    component("class_bars", SVG_FIGURES, css="class_bars.css", js=("class_bars.js",))(
        key=key,
        data={
            "rows": rows,
            "parts": list(parts),
            "chosen": chosen or "",
            "height": height,
            "touched": touched,
        },
        height=height + LEGEND,
        on_chosen_change=state_callback(key, "chosen", on_choose),
    )


# Sprite sheets: many small images packed into one PNG, from which a page shows each in a cell.

Pixels = NDArray[np.uint8]
LARGEST = 112
"""Default limit of a cell's longer side in pixels; larger images are downscaled to it."""
GAP = 1
"""Transparent pixels between cells, so that a browser that rescales the sheet does not blend neighbors."""


@dataclass(frozen=True)
class Sprite:
    """Sprite sheet: `count` cells of `height`×`width` pixels, `columns` per row, `GAP` pixels apart."""

    png: bytes
    count: int
    columns: int
    height: int
    width: int

    @property
    def lines(self) -> int:
        """Number of rows of cells."""
        return math.ceil(self.count / self.columns)


def sprite(images: Pixels, columns: int | None = None, largest: int = LARGEST) -> Sprite:
    """Pack images into one PNG.

    Args:
        images: uint8 `(N, C, H, W)` with N ≥ 1 and C 1 or 3.
        columns: Cells per row; by default as many as make the sheet about square.
        largest: Limit of a cell's longer side in pixels; larger images are downscaled.
    """
    cells = _reduced(images, largest).transpose(0, 2, 3, 1)
    count, height, width, channels = cells.shape
    across = min(columns or math.ceil(math.sqrt(count)), count)
    lines = math.ceil(count / across)
    sheet = np.zeros((lines * (height + GAP), across * (width + GAP), 4), dtype=np.uint8)
    for number, cell in enumerate(cells):
        top, left = number // across * (height + GAP), number % across * (width + GAP)
        sheet[top : top + height, left : left + width, :3] = cell
        sheet[top : top + height, left : left + width, 3] = 255
    grey = channels == 1
    return Sprite(_png(sheet[..., [0, 3]] if grey else sheet), count, across, height, width)


def _reduced(images: Pixels, largest: int) -> Pixels:
    """Downscale the images to a longer side of at most `largest`, bilinear with antialiasing."""
    longer = max(images.shape[2:])
    if longer <= largest:
        return images
    from PIL import Image

    size = tuple(max(1, round(side * largest / longer)) for side in (images.shape[3], images.shape[2]))
    kind = "L" if images.shape[1] == 1 else "RGB"
    small = []
    for image in images:
        plain = image[0] if kind == "L" else np.ascontiguousarray(image.transpose(1, 2, 0))
        resized = np.asarray(Image.fromarray(plain).resize((size[0], size[1]), Image.Resampling.BILINEAR))
        small.append(resized[None] if kind == "L" else resized.transpose(2, 0, 1))
    return np.stack(small)


def _png(sheet: Pixels) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def sheet(sprite: Sprite) -> dict[str, Any]:
    """Convert a sprite sheet to the data of a component's script."""
    return {
        "png": base64.b64encode(sprite.png).decode(),
        "columns": sprite.columns,
        "rows": sprite.lines,
        "size": [sprite.height, sprite.width],
        "gap": GAP,
    }


# Grid of small images in rows that wrap: one sprite sheet, each cell with tooltip and click.

PICTURES = Path(__file__).with_name("pictures")
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
    component("pictures", PICTURES, css="pictures.css", js=("tip.js", "figure_menu.js", "pictures.js"))(
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
