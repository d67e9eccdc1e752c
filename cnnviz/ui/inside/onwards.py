"""Where to go next from a page that looks inside: the same network, picture and layer, seen otherwise."""

from __future__ import annotations

import streamlit as st

from cnnviz import models
from cnnviz.ui import chrome, url_state
from cnnviz.ui.inside.blocks import blocks_of
from cnnviz.ui.inside.weights import Network


def onwards(network: Network, here: str, layer: str | None = None) -> None:
    """Draw links to every other page that has something to show of the network.

    `here` is the page's own name; `layer` what is chosen, by its name in the architecture's table.
    """
    whose = {"weights": network.reference}
    named = url_state.layer_text(layer)
    with st.container(horizontal=True, gap="xsmall", key="next-steps"):
        if here != "features":
            chrome.link(
                "features", "What every layer makes of it", icon=":material/visibility:", layer=named, **whose
            )
            chrome.link(
                "features", "How the picture goes in", icon=":material/input:", view="input", layer=named,
                **whose,
            )  # fmt: skip
        if here != "why":
            seen = layer if layer in _cells(network) else None
            chrome.link("why", "Why it says so", icon=":material/center_focus_strong:", layer=seen, **whose)
        if here != "inception" and (blocks := blocks_of(network)):
            inner = any(f"{layer}.".startswith(f"{block.name}.") for block in blocks)
            chrome.link(
                "inception", "Its inception blocks", icon=":material/call_split:",
                layer=layer if inner else None, **whose,
            )  # fmt: skip
        chrome.link("predict", "Ask it about many pictures", icon=":material/checklist:", layer=None, **whose)
        _elsewhere(network, named)


def _elsewhere(network: Network, layer: str | None) -> None:
    loaded = network.loaded
    if loaded.spec.name not in models.specs():
        return
    chrome.link(
        "architecture", "What this layer costs" if layer else "What it costs", icon=":material/schema:",
        model=loaded.spec.name, layer=layer, **form(network),
    )  # fmt: skip
    chrome.link(
        "train", "Train this network", icon=":material/play_arrow:", model=loaded.spec.name, layer=layer
    )


def form(network: Network) -> dict[str, str | None]:
    """Classes, size and options of the network where they are not its model's own, as parameters."""
    loaded = network.loaded
    spec, options = loaded.spec, {} if loaded.options is None else loaded.options.changed()
    own = spec.input_shape[1:]
    found = url_state.Selection(
        spec,
        None if len(loaded.classes) == spec.classes else len(loaded.classes),
        None if loaded.side == own else loaded.side,
        options=options,
    ).parameters()
    return {"classes": None, "size": None} | {k: v for k, v in found.items() if k != "model"}


def _cells(network: Network) -> tuple[str, ...]:
    from cnnviz.interpret.gradcam import layers_with_cells

    return layers_with_cells(network.analysis)
