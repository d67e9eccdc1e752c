"""Mounts the module graph in a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.analysis.types import Graph
from cnnviz.figures.palette import kind_variables
from cnnviz.ui.components.graph.payload import payload
from cnnviz.ui.components.shared import read

HERE = Path(__file__).parent
SCRIPTS = (
    "model",
    "visible",
    "ranks",
    "columns",
    "place",
    "layout",
    "first",
    "draw",
    "view",
    "keys",
    "download",
    "scene",
    "main",
)
"""The parts of the JavaScript, in the order in which they need each other."""
BUDGET = 48
"""Boxes that the first view may show: what is legible on a laptop's screen at once."""


def module_graph(
    graph: Graph,
    *,
    selected: str | None,
    key: str,
    height: int = 640,
    title: str = "",
    on_pick: Callable[[str], None] | None = None,
) -> str | None:
    """Draw `graph` and return the name of the row whose node was just clicked, None in every other run.

    Blocks open and close in the browser alone. What is open and where one looks is kept across reruns, and
    for each model until the browser's tab is closed.

    Args:
        graph: What to draw; raises `ValueError` if its edges do not fit its nodes.
        selected: Name of the row to highlight. When it changes, the blocks around it are opened.
        key: Streamlit's key; graphs with different keys are opened and moved independently.
        height: Pixels reserved for it.
        title: The model's title, for screen readers and the name of the downloaded file.
        on_pick: Called with the row's name before the page runs again, to write the selection to the URL.
    """
    data = _drawn(graph) | {
        "place": key,
        "selected": selected,
        "budget": BUDGET,
        "height": height,
        "title": f"Module graph of {title}" if title else "Module graph",
        "file": re.sub(r"\W+", "-", f"{title} graph".lower()).strip("-"),
    }

    def picked() -> None:
        if on_pick is not None and (row := st.session_state[key].get("picked")) is not None:
            on_pick(row)

    result = _component()(key=key, data=data, height=height, on_picked_change=picked)
    row: str | None = result.get("picked")
    return row


@lru_cache(maxsize=48)
def _drawn(graph: Graph) -> dict[str, Any]:
    return payload(graph)


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component(
        "cnnviz.graph", html=read(HERE, "graph.html"), css=styles(), js=script()
    )


def script() -> str:
    """The JavaScript of the component, as one module."""
    return read(HERE, *(f"{part}.js" for part in SCRIPTS))


def styles() -> str:
    """The style sheet, with the colours of the kinds."""
    return f"svg {{ {kind_variables()} }}\n{read(HERE, 'graph.css')}"
