"""How many images each class has, as bars that can be clicked, pointed at and walked with the arrow keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.ui.components.shared import read, says, styles

HERE = Path(__file__).parent
MOST = 400
"""Classes drawn; more are left to the table that is downloaded."""
ROW, TALLEST = 24, 420
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
    shown = min(len(classes), MOST)
    rows = [
        {"name": name, "counts": [int(counts[i]) for counts in parts.values()]}
        for i, name in enumerate(classes[:shown])
    ]
    height = min(TALLEST, ROW * shown + 8) + 28
    _component()(
        key=key,
        data={"rows": rows, "parts": list(parts), "chosen": chosen or "", "height": height - 28},
        height=height,
        on_chosen_change=says(key, "chosen", on_choose),
    )


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.class_bars",
        html='<div class="host"></div>',
        css=styles(HERE, "class_bars.css"),
        js=read(HERE, "class_bars.js"),
    )
