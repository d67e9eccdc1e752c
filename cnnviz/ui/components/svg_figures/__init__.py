"""SVG figures as components: models scatter plot, miniatures, drawings, panels, bars, treemap, class bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.figures.layer_bars import Area, Bars
from cnnviz.figures.side_by_side import SideBySide
from cnnviz.sentences import short_names
from cnnviz.ui.components import component, state_callback

# Scatter plot of all models, with hover, arrow keys and click.

HERE = Path(__file__).parent
LANDSCAPE_HEIGHT = 560
"""Height in pixels, reserved while the points are drawn."""


def landscape_chart(data: dict[str, Any], *, alt: str, key: str) -> str | None:
    """Draw the scatter plot of `cnnviz.figures.pareto.landscape`.

    Return the model just clicked, else None.
    """
    shown = data | {"alt": alt, "height": LANDSCAPE_HEIGHT}
    result = component(
        "landscape",
        HERE,
        css="landscape.css",
        js=("draw.js", "tip.js", "save.js", "figure_menu.js", "scale.js", "labels.js", "landscape.js"),
        html="landscape.html",
    )(key=key, data=shown, height=LANDSCAPE_HEIGHT, on_picked_change=lambda: None)
    picked: str | None = result.get("picked")
    return picked


# Inline drawings, without controls.


def miniature(markup: str, *, key: str) -> None:
    """Show trusted HTML with SVG, made by cnnviz alone: `st.html` drops all SVG."""
    component("miniature", HERE, css="miniature.css", js=("miniature.js",))(
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
    component("picture", HERE, css="picture.css", js=("save.js", "figure_menu.js", "picture.js"))(
        key=key, data={"svg": svg, "name": name}, height=height
    )


# Models side by side: totals stacked by kind, and profiles over depth, on shared scales.


def side_by_side_chart(figure: SideBySide, *, name: str, key: str) -> None:
    """Draw the figure; `name` is the file name of a download."""
    component(
        "side_by_side",
        HERE,
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
        "layer_bars", HERE, css="bars.css", js=("draw.js", "tip.js", "save.js", "figure_menu.js", "bars.js")
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
        HERE,
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
    component("class_bars", HERE, css="class_bars.css", js=("class_bars.js",))(
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
