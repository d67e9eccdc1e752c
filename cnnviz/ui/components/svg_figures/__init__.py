"""SVG figures as components: models as points, miniatures, drawings, panels, bars, treemap, class bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnviz.figures.layer_bars import Area, Bars
from cnnviz.figures.side_by_side import SideBySide
from cnnviz.ui.components.shared import component, says

# All models as points that can be pointed at, walked with the arrow keys, and opened.

HERE = Path(__file__).parent
LANDSCAPE_HEIGHT = 560
"""Pixels, kept free while the points are drawn."""


def landscape_chart(data: dict[str, Any], *, alt: str, key: str) -> str | None:
    """Draw what `cnnviz.figures.pareto` made; the name of the model just clicked, else None."""
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


# Drawings inside a line of text or a card: shown as they are, without controls of their own.


def miniature(markup: str, *, key: str) -> None:
    """Show `markup`: HTML with SVG, made by cnnviz alone and not checked. `st.html` drops all SVG."""
    component("miniature", HERE, css="miniature.css", js=("miniature.js",))(
        key=key, data=markup, height="content"
    )


# A drawn picture: SVG that follows the page's theme and can be saved, where `st.html` takes SVG out.


def picture(svg: str, *, name: str, key: str, height: int) -> None:
    """Show `svg`, drawn by cnnviz.figures, `height` pixels high; a download of it is called `name`."""
    component("picture", HERE, css="picture.css", js=("save.js", "figure_menu.js", "picture.js"))(
        key=key, data={"svg": svg, "name": name}, height=height
    )


# Models side by side: totals stacked by kind, and profiles over the depth, on shared scales.


def side_by_side_chart(figure: SideBySide, *, name: str, key: str) -> None:
    """Draw the figure; `name` is what a download of the picture is called."""
    component(
        "side_by_side",
        HERE,
        css="panels.css",
        js=("draw.js", "tip.js", "save.js", "figure_menu.js", "panels.js"),
    )(key=key, data=figure.data() | {"name": name})


# Bars by layer that can be clicked, pointed at and walked with the arrow keys.

LAYER_BARS_HEIGHT = 352
"""Pixels, kept free while the bars are drawn."""


def layer_bars_chart(bars: Bars, *, name: str, key: str, on_select: Callable[[str], None]) -> None:
    """Draw the bars; `on_select` is called, before the page runs again, with the name of a clicked layer.

    `name` is what a download of the picture is called.
    """
    component(
        "layer_bars", HERE, css="bars.css", js=("draw.js", "tip.js", "save.js", "figure_menu.js", "bars.js")
    )(
        key=key,
        data=bars.data() | {"name": name},
        height=LAYER_BARS_HEIGHT,
        on_selected_change=says(key, "selected", on_select),
    )


# Areas that can be clicked, pointed at and walked with the arrow keys.

TREEMAP_HEIGHT = 460
"""Pixels, kept free while the areas are drawn."""


def treemap_chart(
    tree: Area, *, selected: str | None, alt: str, name: str, key: str, on_select: Callable[[str], None]
) -> None:
    """Draw the tree; `on_select` is called, before the page runs again, with the name of a clicked layer.

    `alt` is the picture in words, `name` what a download of it is called.
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
        on_selected_change=says(key, "selected", on_select),
    )


# How many images each class has, as bars that can be clicked, pointed at and walked with the arrow keys.

MAX_CLASSES = 400
"""Classes drawn; more are left to the table that is downloaded."""
CLASS_ROW, MAX_HEIGHT = 24, 420
"""Pixels: of a class, and of all before they scroll."""


def class_bars(
    classes: Sequence[str],
    parts: Mapping[str, Sequence[int]],
    *,
    key: str,
    chosen: str | None,
    on_choose: Callable[[str], None],
) -> None:
    """Draw a bar a class, one length of it for each of `parts`: training, validation, test.

    `on_choose` is called, before the page runs again, with the name of a class that was clicked; empty where
    that was the one chosen already.
    """
    shown = min(len(classes), MAX_CLASSES)
    rows = [
        {"name": name, "counts": [int(counts[i]) for counts in parts.values()]}
        for i, name in enumerate(classes[:shown])
    ]
    height = min(MAX_HEIGHT, CLASS_ROW * shown + 8) + 28
    component("class_bars", HERE, css="class_bars.css", js=("class_bars.js",))(
        key=key,
        data={"rows": rows, "parts": list(parts), "chosen": chosen or "", "height": height - 28},
        height=height,
        on_chosen_change=says(key, "chosen", on_choose),
    )
