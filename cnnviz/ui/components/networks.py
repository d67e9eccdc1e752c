"""Whole networks on one screen: the module graph of an architecture, and all feature maps of an image."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.analysis.types import KIND_TITLES, KINDS, Graph
from cnnviz.figures.numbers import shape
from cnnviz.figures.plotly_theme import kind_variables
from cnnviz.inference.weights.layer_program import LayerProgram
from cnnviz.interpret.colormaps import DIVERGING, SEQUENTIAL
from cnnviz.ui.components import SHARED, component, packet, read, register

# Module graph with collapsible blocks; layout and drawing are done in the browser. Its data: names once,
# everything else by number.

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


GRAPH = Path(__file__).with_name("graph")
GRAPH_SCRIPTS = (
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
    return register("graph", html=read(GRAPH, "graph.html"), css=styles(), js=script())


def script() -> str:
    """Return the component's JavaScript as one module."""
    return read(GRAPH, *(f"{part}.js" for part in GRAPH_SCRIPTS))


def styles() -> str:
    """Return the style sheet, with the colors of layer kinds."""
    return f"svg {{ {kind_variables()} }}\n{read(GRAPH, 'graph.css', 'touch.css')}"


# Network view: a whole network with all its feature maps on one screen; a click opens a layer. Two
# components: `network_view` draws, and `network_arrays` sends large arrays that stay the same (weights,
# once per network) apart from what changes (the image). Pointer events are not sent to the server; only a
# kernel that the browser does not have yet is requested.

NETWORK = Path(__file__).with_name("network")
NETWORK_SCRIPTS = (
    "packet.js", "canvas.js", "forward.js", "stages.js", "compute.js", "layout.js", "maps.js", "overview.js",
    "describe.js", "pointer.js", "terms.js", "panels.js", "softmax_view.js", "written.js", "layer.js",
    "player.js", "transition.js", "main.js",
)  # fmt: skip

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NetworkView:
    """A network and an image, for drawing.

    Attributes:
        name: Display name of the network.
        stamp: Changes whenever the network does.
        program: Layers with `from` and `shape`, the last of them softmax.
        macs: Multiply-adds for one image.
        classes: Names, in the order of the logits.
        image: float32 `(C, H, W)`, the network's input.
        picture: uint8 `(H, W, C)`, the image before normalization.
        digest: Changes whenever the image does.
        outputs: Every layer's output if the server computes them; None if the browser does.
        opened: The layer that is open initially, and its map; None for the whole network.
    """

    name: str
    stamp: str
    program: LayerProgram
    macs: int
    classes: Sequence[str]
    image: Floats
    picture: NDArray[np.uint8]
    digest: str
    outputs: Sequence[Floats] | None = None
    opened: tuple[str, int | None] | None = None


def network_view(view: bytes, *, key: str, on_kernel: Callable[[int, int], None]) -> None:
    """Draw a view that `network_packet` made.

    `on_kernel` is called with the layer and map of a missing kernel.
    """

    def wanted() -> None:
        layer, _, channel = str(st.session_state[key].get("kernel")).partition(":")
        if layer.isdecimal() and channel.isdecimal():
            on_kernel(int(layer), int(channel))

    component("network", NETWORK, css="network.css", js=NETWORK_SCRIPTS)(
        key=key, data=view, height="content", on_kernel_change=wanted
    )


def network_arrays(slot: str, arrays: Mapping[str, NDArray[Any]], *, key: str) -> None:
    """Send arrays to the browser under a name, by which every component of the window finds them."""
    component("network_arrays", NETWORK, js=("packet.js", "arrays.js"))(
        key=key, data=packet({"slot": slot}, arrays), height="content"
    )


def network_packet(view: NetworkView) -> bytes:
    """Serialize the view for `main.js`."""
    facts: dict[str, Any] = {
        "name": view.name,
        "stamp": _short(view.stamp),
        "weights": weights_slot(view.stamp),
        "mode": "browser" if view.outputs is None else "server",
        "macs": view.macs,
        "program": view.program.facts(),
        "classes": list(view.classes),
        "picture": view.digest,
        **(worker_facts() if view.outputs is None else {}),
        "open": None if view.opened is None else {"name": view.opened[0], "channel": view.opened[1]},
    }
    arrays: dict[str, NDArray[Any]] = {
        "input": view.image, "picture": view.picture, "sequential": SEQUENTIAL,
        "light": DIVERGING["light"], "dark": DIVERGING["dark"],
    }  # fmt: skip
    if view.outputs is not None:
        arrays |= quantized(view.outputs)
    return packet(facts, arrays)


def quantized(outputs: Sequence[Floats]) -> dict[str, NDArray[Any]]:
    """Quantize outputs to 8 bits: `bytes`, and `low` and `step` per channel (value = low + step · byte)."""
    parts, lows, steps = [], [], []
    for values in outputs:
        flat = np.nan_to_num(values.reshape(len(values), -1))
        low = flat.min(1)
        step = (flat.max(1) - low) / 255
        scaled = (flat - low[:, None]) / np.where(step > 0, step, 1)[:, None]
        parts.append(scaled.round().astype(np.uint8).ravel())
        lows.append(low)
        steps.append(step)
    joined = {"low": np.concatenate(lows), "step": np.concatenate(steps)}
    return {
        "bytes": np.concatenate(parts),
        **{name: part.astype(np.float32) for name, part in joined.items()},
    }


def weights_slot(stamp: str) -> str:
    """Return the name under which a network's weights are sent to the browser."""
    return f"weights:{_short(stamp)}"


def kernel_slot(stamp: str, layer: int, channel: int) -> str:
    """Return the name under which one map's kernel is sent."""
    return f"{_short(stamp)}:{layer}:{channel}"


def _short(stamp: str) -> str:
    return hashlib.blake2b(stamp.encode(), digest_size=9).hexdigest()


@cache
def worker_facts() -> dict[str, str]:
    """Return the script of the web worker that runs the network, and its compiled convolution in base64."""
    kernel = (SHARED / "convolution.wasm").read_bytes()
    return {
        "worker": read(NETWORK, "forward.js", "convolution.js", "worker.js"),
        "kernel": base64.b64encode(kernel).decode(),
    }
