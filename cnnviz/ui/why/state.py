"""What the page is asked to show, from its URL: method, class, layer, opacity, the network beside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import streamlit as st

from cnnviz.ui import url_state
from cnnviz.ui.inside import weights
from cnnviz.ui.inside.address import put
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.url_state import quoted

if TYPE_CHECKING:
    from cnnviz.interpret.attribution import Method

PREFERRED = "small-googlenet-32"
"""Of the models that ship trained, the one that reads photographs: answers hang on a part of a picture."""
DEFAULT_OPACITY = 55
"""Per cent of the map over the picture."""


@dataclass(frozen=True)
class Asked:
    """What to show."""

    method: Method
    target: int | None
    """The class by its number in the first network; None for what each network says itself."""
    target_name: str | None
    layer: str | None
    """Grad-CAM's in the first network; None for the last convolutional block's output."""
    opacity: int
    other: Network | None
    """The network beside."""
    problems: tuple[str, ...]


def current(network: Network) -> Asked:
    """What the page's URL asks for; what is wrong in it is said."""
    from cnnviz.interpret.attribution import METHODS

    said: list[str] = []
    method, wrong = url_state.choice("method", METHODS, "gradcam")
    said += [wrong] if wrong else []
    target = _whole("class", len(network.loaded.classes) - 1, said)
    opacity = _whole("opacity", 100, said)
    return Asked(
        cast("Method", method),
        target,
        None if target is None else network.loaded.classes[target],
        _layer(network, said),
        DEFAULT_OPACITY if opacity is None else opacity,
        _other(st.query_params.get("against"), said),
        tuple(said),
    )


def choose_layer(name: str) -> None:
    """Look at a layer with Grad-CAM, for use in callbacks."""
    put(layer=name, method=None)


def _whole(name: str, most: int, said: list[str]) -> int | None:
    text = st.query_params.get(name)
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,7}", text) and int(text) <= most:
        return int(text)
    said.append(f"“{name}” cannot be {quoted(text)}, only a whole number from 0 to {most:,}.")
    return None


def _layer(network: Network, said: list[str]) -> str | None:
    from cnnviz.interpret.gradcam import layers_with_cells

    name = st.query_params.get("layer")
    if name is None or name in layers_with_cells(network.analysis):
        return name
    said.append(
        f"{quoted(name)} leaves no grid of cells in {network.loaded.name}, so Grad-CAM looks at the last "
        "convolutional block's output."
    )
    return None


def _other(reference: str | None, said: list[str]) -> Network | None:
    if not reference:
        return None
    found = weights.other(reference)
    if found is None:
        said.append(f"There are no weights {quoted(reference)} to put beside.")
    return found
