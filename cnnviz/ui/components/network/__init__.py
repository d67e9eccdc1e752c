"""Network view: a whole network with all its feature maps on one screen; a click opens a layer.

Two components: `network_view` draws, and `network_arrays` sends large arrays that stay the same (weights,
once per network) apart from what changes (the image). Pointer events are not sent to the server; only a
kernel that the browser does not have yet is requested.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.inference.weights.layer_program import LayerProgram
from cnnviz.interpret.colormaps import DIVERGING, SEQUENTIAL
from cnnviz.ui.components import SHARED, component, packet, read

__all__ = ["NetworkView", "kernel_slot", "network_arrays", "network_packet", "network_view", "quantized"]

HERE = Path(__file__).parent
SCRIPTS = (
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

    component("network", HERE, css="network.css", js=SCRIPTS)(
        key=key, data=view, height="content", on_kernel_change=wanted
    )


def network_arrays(slot: str, arrays: Mapping[str, NDArray[Any]], *, key: str) -> None:
    """Send arrays to the browser under a name, by which every component of the window finds them."""
    component("network_arrays", HERE, js=("packet.js", "arrays.js"))(
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
        "worker": read(HERE, "forward.js", "convolution.js", "worker.js"),
        "kernel": base64.b64encode(kernel).decode(),
    }
