"""The page in its parts, top to bottom."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from cnnviz.analysis.types import Analysis
from cnnviz.figures.sprite_sheet import Sprite, sprite
from cnnviz.ui.components.pictures import Cell, Line, pictures
from cnnviz.ui.shared import attribution, model_input, notice
from cnnviz.ui.shared.attribution import (
    CSS,
    DEFAULT_OPACITY,
    AttributionResult,
    AttributionState,
    attribution_result,
    cells,
    choose_layer,
    painted,
    panel,
    png,
    strip_cells,
)
from cnnviz.ui.shared.inspect_header import inside_bar, onwards, question
from cnnviz.ui.shared.layer_strip import MOST, short, strip_layers
from cnnviz.ui.shared.model_input import Network, choices, network, shipped
from cnnviz.ui.shared.predictions import shares
from cnnviz.ui.shared.preprocessing import PreprocessedImage
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model, unless

# The bar on top: which network, which one beside it; share and download.

BESIDE = "why-beside"
NONE = ""


def why_bar(network: Network, asked: AttributionState) -> None:
    """Draw it."""
    with inside_bar(network):
        _beside(network, asked)


def _beside(network: Network, asked: AttributionState) -> None:
    named = {NONE: "nothing beside it"} | model_input.labels(choices())
    named.pop(network.reference, None)
    if asked.other is not None:
        named.setdefault(asked.other.reference, asked.other.loaded.name)
    st.session_state[BESIDE] = NONE if asked.other is None else asked.other.reference
    st.selectbox(
        "Beside it",
        list(named),
        format_func=lambda reference: named.get(reference, reference),
        key=BESIDE,
        on_change=lambda: change_without_model(against=st.session_state[BESIDE] or None),
        required=True,
        label_visibility="collapsed",
        placeholder="Type to find a network",
        width=330,
    )


def downloads(shown: Sequence[AttributionResult], asked: AttributionState) -> None:
    """Draw the menu of what can be taken along: pictures and values."""
    with st.popover("Download", icon=":material/download:", type="tertiary", key="why-download"):
        st.caption("The map over the picture, and its values as `cnnviz features` writes them.")
        for place, found in enumerate(shown):
            stem = f"{found.network.loaded.spec.name.replace('/', '-')}-{asked.method}"
            whose = f", {found.network.loaded.name}" if len(shown) > 1 else ""
            _button(f"Picture (PNG){whose}", partial(_picture, found, asked.opacity), f"{stem}.png", place)
            _button(f"Values (NPZ){whose}", partial(values, found), f"{stem}.npz", place)


def _button(label: str, data: partial[bytes], name: str, place: int) -> None:
    st.download_button(
        label, data, name, key=f"why-{place}-{name[-3:]}", on_click="ignore", type="tertiary",
        icon=":material/download:",
    )  # fmt: skip


def _picture(found: AttributionResult, opacity: int) -> bytes:
    return png(painted(found, opacity))


def values(found: AttributionResult) -> bytes:
    """A file of `attribution` `(H, W)` and `input` `(C, H, W)`, float32."""
    file = io.BytesIO()
    np.savez(file, attribution=found.attribution.values, input=found.ready.tensor[0].numpy())
    return file.getvalue()


# What to ask: by which method, for which class, at which layer, how strong the colours.

METHOD, CLASS, LAYER, OPACITY = "why-method", "why-class", "why-layer", "why-opacity"
OWN = -1
"""In the list of classes: what the network itself says."""
LOOK = {
    "gradcam": "Look whether the bright part is the thing itself, and not what it stands on.",
    "saliency": "Look for edges of the thing; speckle all over says that no part matters much.",
    "integrated-gradients": "Look for orange on the thing: blue pixels speak for another class.",
    "occlusion": "Look for the patch the answer depends on; blue says that covering it would help.",
}


def method_choice(asked: AttributionState) -> None:
    """Draw the choice of methods, and what the chosen one is in a sentence or two."""
    from cnnviz.interpret.attribution import MEANINGS, METHODS, TITLES

    st.session_state[METHOD] = asked.method
    st.segmented_control(
        "Method",
        METHODS,
        format_func=TITLES.__getitem__,
        key=METHOD,
        on_change=lambda: change_without_model(method=unless(st.session_state[METHOD], "gradcam")),
        required=True,
        label_visibility="collapsed",
    )
    st.caption(f"{MEANINGS[asked.method]} {LOOK[asked.method]}")


def settings(network: Network, asked: AttributionState, said: str) -> None:
    """Draw class, layer and opacity; `said` is what the network answers."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="why-settings"):
        _class(network, asked, said)
        if asked.method == "gradcam":
            _layer(network, asked)
        st.session_state[OPACITY] = asked.opacity
        st.slider(
            "Opacity of the map, %", 0, 100, key=OPACITY, step=5, width=220,
            on_change=lambda: change_without_model(
                opacity=unless(str(st.session_state[OPACITY]), str(DEFAULT_OPACITY))
            ),
        )  # fmt: skip


def _class(network: Network, asked: AttributionState, said: str) -> None:
    names = network.loaded.classes
    st.session_state[CLASS] = OWN if asked.target is None else asked.target
    st.selectbox(
        "Attribution for class",
        [OWN, *range(len(names))],
        format_func=lambda place: f"its answer: {said}" if place == OWN else names[place],
        key=CLASS,
        on_change=lambda: change_without_model(**{"class": unless(str(st.session_state[CLASS]), str(OWN))}),
        width=230,
    )


def _layer(network: Network, asked: AttributionState) -> None:
    from cnnviz.interpret.attribution import default_layer

    known = cells(network)
    if not known:
        return
    try:
        own = default_layer(network.analysis)
    except ValueError:
        own = known[-1]
    st.session_state[LAYER] = asked.layer or own
    st.selectbox(
        "at the layer",
        known,
        format_func=lambda name: f"{name} (last block)" if name == own else name,
        key=LAYER,
        on_change=lambda: change_without_model(layer=unless(st.session_state[LAYER], own)),
        width=260,
        help=notice.plain(
            "Grad-CAM weighs the maps of this layer. Early layers see detail, late ones things."
        ),
    )


# Grad-CAM at layer after layer, as a strip of small pictures; a click looks at that layer.

SIDE, CELL, LETTERS = 96, 76, 13


def strip(found: AttributionResult, key: str, choosable: bool) -> None:
    """Draw it for the class that `found` is about."""
    network = found.network
    known = _layers(network.analysis, cells(network), found.attribution.layer)
    if not known:
        return
    cells_ = [Cell(short(name, LETTERS), name if choosable else "") for name in known]
    st.caption("Grad-CAM from the first layers to the last: detail turns into meaning." + _click(choosable))
    pictures(
        _sheet(network.stamp, found.ready.digest, found.attribution.target, tuple(known), found),
        [Line("", cells_)], key=key, cell=CELL, captions=True, chosen=found.attribution.layer,
        alt=f"Grad-CAM for {found.target} at each of {len(known)} layers", on_choose=choose_layer,
        name=f"{network.loaded.spec.name.replace('/', '-')}-grad-cam-by-layer",
    )  # fmt: skip


def _layers(analysis: Analysis, known: Sequence[str], chosen: str) -> list[str]:
    """Every convolution; where these are many, every block."""
    kinds = {row.name: row.kind for row in analysis.predicting}
    found = [name for name in known if kinds[name] == "conv" or name == chosen]
    return found if len(found) <= MOST else strip_layers(analysis, known, chosen)


def _click(choosable: bool) -> str:
    return " Click one to look there." if choosable else ""


@RESULTS.cached()
def _sheet(
    stamp: str, digest: str, target: int, layers: tuple[str, ...], _found: AttributionResult
) -> Sprite:
    from cnnviz.interpret.deletion_check import overlay

    ready = _found.ready
    maps = strip_cells(stamp, digest, target, layers, _found.network, ready)
    rows, columns = (np.arange(SIDE) * length // SIDE for length in ready.seen.shape[:2])
    small = np.broadcast_to(ready.seen, (*ready.seen.shape[:2], 3))[rows][:, columns]
    images = [overlay(np.ascontiguousarray(small), maps[name], 0.6).transpose(2, 0, 1) for name in layers]
    return sprite(np.stack(images))


def why() -> None:
    """Draw it for the page's URL."""
    st.html(CSS)
    current = network([attribution.PREFERRED] if shipped(attribution.PREFERRED) else ())
    asked = attribution.current(current)
    why_bar(current, asked)
    about = question(current, asked.problems)
    method_choice(asked)
    settings(current, asked, current.loaded.classes[int(shares(current, about.ready).argmax())])
    asking = [(current, about.ready)]
    if asked.other is not None:
        asking.append((asked.other, about.to(asked.other)))
    _panels(asking, asked)
    onwards(current, "attribution", asked.layer)


def _panels(asking: list[tuple[Network, PreprocessedImage]], asked: AttributionState) -> None:
    shown: list[AttributionResult] = []
    columns = st.columns(len(asking), gap="large") if len(asking) > 1 else [st.container()]
    for place, (column, (one, ready)) in enumerate(zip(columns, asking, strict=True)):
        with column:
            reasons = _reasons(one, ready, asked, first=place == 0)
            if reasons is None:
                continue
            shown.append(reasons)
            panel(reasons, asked, named=len(asking) > 1)
            if asked.method == "gradcam":
                strip(reasons, f"why-strip-{place}", choosable=place == 0)
    if shown:
        downloads(shown, asked)


def _reasons(
    one: Network, ready: PreprocessedImage, asked: AttributionState, first: bool
) -> AttributionResult | None:
    try:
        return attribution_result(one, ready, asked, first)
    except ValueError as error:
        st.info(notice.plain(str(error)), icon=":material/info:")
        return None
