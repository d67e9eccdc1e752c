"""Interactive module graph with collapsible blocks; layout and drawing are done in the browser."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.analysis.types import KIND_TITLES, KINDS, Graph
from cnnviz.figures.numbers import shape
from cnnviz.figures.plotly_theme import kind_variables
from cnnviz.ui.components import read, register

__all__ = ["module_graph"]

# The graph's data for the browser: names once, everything else by number.

MODEL = -1
"""Number of the model itself, which contains the outermost containers."""


def payload(graph: Graph) -> dict[str, Any]:
    """Convert a graph to the browser's data, with an `id` that is equal for equal graphs only.

    `containers` are `[name, type, parent, repeats]` with parents first, the last two as numbers (-1: none);
    `nodes` are `[row, label, kind, container, shape, training only]`; `edges` are pairs of nodes, flattened.

    Raises:
        ValueError: An edge leads to a node that does not exist, or nodes are not numbered in order.
    """
    _check(graph)
    numbers = {name: number for number, name in enumerate(container_names(graph))}
    blocks = {block.name: block for block in graph.blocks}
    containers = []
    for name in numbers:
        block = blocks.get(name)
        parent = numbers.get(name.rpartition(".")[0], MODEL)
        repeat_of = numbers.get(block.repeat_of, MODEL) if block else MODEL
        containers.append([name, block.type if block else "", parent, repeat_of])
    kinds = {kind: number for number, kind in enumerate(KINDS)}
    nodes = [
        [
            node.row,
            node.label,
            kinds[node.kind],
            numbers.get(node.container, MODEL),
            shape(node.output_shape),
            int(node.training_only),
        ]
        for node in graph.nodes
    ]
    drawn = {
        "kinds": list(KINDS),
        "titles": dict(KIND_TITLES),
        "containers": containers,
        "nodes": nodes,
        "edges": [end for edge in graph.edges for end in edge],
    }
    text = json.dumps(drawn, ensure_ascii=False, separators=(",", ":"))
    return drawn | {"id": hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}


def container_names(graph: Graph) -> list[str]:
    """Return the qualified names of all containers that hold nodes, in order, each after its parent."""
    names: dict[str, None] = {}
    for node in graph.nodes:
        parts = node.container.split(".") if node.container else []
        for depth in range(1, len(parts) + 1):
            names[".".join(parts[:depth])] = None
    return list(names)


def _check(graph: Graph) -> None:
    count = len(graph.nodes)
    if any(node.id != position for position, node in enumerate(graph.nodes)):
        raise ValueError("the nodes of a graph must be numbered from 0 in their order")
    if any(not 0 <= end < count for edge in graph.edges for end in edge):
        raise ValueError(f"an edge of the graph leads to a node that is not among its {count}")


# Mounting the component.

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
"""Maximum number of boxes in the initial view: as many as are legible on a laptop's screen."""


def module_graph(
    graph: Graph,
    *,
    selected: str | None,
    key: str,
    height: int = 640,
    title: str = "",
    on_pick: Callable[[str], None] | None = None,
) -> str | None:
    """Draw a module graph and return the row whose node was just clicked, None in every other run.

    Blocks are opened and closed in the browser alone. Open blocks and the viewport are kept across reruns,
    and for each model until the browser's tab is closed.

    Args:
        graph: The graph.
        selected: Name of the highlighted row. When it changes, the blocks around it are opened.
        key: Key of the component; graphs with different keys have independent views.
        height: Height in pixels.
        title: The model's title, for screen readers and the name of the downloaded file.
        on_pick: Called with the row's name before the page runs again, to write the selection to the URL.

    Raises:
        ValueError: The graph's edges do not fit its nodes.
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
    return register("graph", html=read(HERE, "graph.html"), css=styles(), js=script())


def script() -> str:
    """Return the component's JavaScript as one module."""
    return read(HERE, *(f"{part}.js" for part in SCRIPTS))


def styles() -> str:
    """Return the style sheet, with the colors of layer kinds."""
    return f"svg {{ {kind_variables()} }}\n{read(HERE, 'graph.css', 'touch.css')}"
