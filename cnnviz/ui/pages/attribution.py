"""Attribution page: method, class and layer, the attribution of one or two networks, Grad-CAM by layer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from cnnviz.analysis.types import Analysis
from cnnviz.ui.components.images import Cell, Line, Sprite, pictures, sprite
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.inspection import attribution, model_input
from cnnviz.ui.shared.inspection.attribution import (
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
from cnnviz.ui.shared.inspection.inspect_header import (
    MAX_STRIP_LAYERS,
    choose_image,
    inside_bar,
    next_links,
    short,
    strip_layers,
)
from cnnviz.ui.shared.inspection.model_input import Network, choices, network, shipped
from cnnviz.ui.shared.inspection.predictions import PreprocessedImage, class_probabilities
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import change_without_model, pick, unless

# The bar on top: network, compared network; share and download.

BESIDE = "why-beside"
NONE = ""


def attribution_bar(network: Network, attribution_state: AttributionState) -> None:
    """Draw the bar."""
    with inside_bar(network):
        _beside(network, attribution_state)


def _beside(network: Network, attribution_state: AttributionState) -> None:
    named = {NONE: "nothing beside it"} | model_input.labels(choices())
    named.pop(network.reference, None)
    if attribution_state.other is not None:
        named.setdefault(attribution_state.other.reference, attribution_state.other.loaded.name)
    shown = st.session_state[BESIDE] = (
        NONE if attribution_state.other is None else attribution_state.other.reference
    )
    st.selectbox(
        "Beside it",
        list(named),
        format_func=lambda reference: named.get(reference, reference),
        key=BESIDE,
        on_change=partial(
            pick, BESIDE, named, shown, lambda name: change_without_model(against=name or None)
        ),
        required=True,
        label_visibility="collapsed",
        placeholder="Type to find a network",
        width=330,
    )


def downloads(shown: Sequence[AttributionResult], attribution_state: AttributionState) -> None:
    """Draw the menu of downloads: images and values."""
    with st.popover("Download", icon=":material/download:", type="tertiary", key="why-download"):
        st.caption("The map over the image, and its values as `cnnviz features` writes them.")
        for index, attribution in enumerate(shown):
            stem = f"{attribution.network.loaded.spec.name.replace('/', '-')}-{attribution_state.method}"
            suffix = f", {attribution.network.loaded.name}" if len(shown) > 1 else ""
            _button(
                f"Image (PNG){suffix}",
                partial(_picture, attribution, attribution_state.opacity),
                f"{stem}.png",
                index,
            )
            _button(f"Values (NPZ){suffix}", partial(values, attribution), f"{stem}.npz", index)


def _button(label: str, data: partial[bytes], name: str, index: int) -> None:
    st.download_button(
        label, data, name, key=f"why-{index}-{name[-3:]}", on_click="ignore", type="tertiary",
        icon=":material/download:",
    )  # fmt: skip


def _picture(result: AttributionResult, opacity: int) -> bytes:
    return png(painted(result, opacity))


def values(result: AttributionResult) -> bytes:
    """Return an NPZ file of `attribution` `(H, W)` and `input` `(C, H, W)`, float32."""
    file = io.BytesIO()
    np.savez(file, attribution=result.attribution.values, input=result.ready.tensor[0].numpy())
    return file.getvalue()


# Settings: method, class, layer, opacity.

METHOD, CLASS, LAYER, OPACITY = "why-method", "why-class", "why-layer", "why-opacity"
OWN = -1
"""Value of the class list for the network's own prediction."""
LOOK = {
    "gradcam": "Look whether the bright part is the thing itself, and not what it stands on.",
    "saliency": "Look for edges of the thing; speckle all over says that no part matters much.",
    "guided-backprop": "Compare another class: where nothing changes, it shows the image, not the class.",
    "smoothgrad": "Look for what is left of the saliency: parts that matter whatever the noise.",
    "integrated-gradients": "Look for orange on the thing: blue pixels speak for another class.",
    "occlusion": "Look for the patch the answer depends on; blue says that covering it would help.",
}


def method_choice(attribution_state: AttributionState) -> None:
    """Draw the choice of methods, and a description of the selected one."""
    from cnnviz.interpret.attribution import MEANINGS, METHODS, TITLES

    st.session_state[METHOD] = attribution_state.method
    st.segmented_control(
        "Method",
        METHODS,
        format_func=TITLES.__getitem__,
        key=METHOD,
        on_change=lambda: change_without_model(method=unless(st.session_state[METHOD], "gradcam")),
        required=True,
        label_visibility="collapsed",
    )
    st.caption(f"{MEANINGS[attribution_state.method]} {LOOK[attribution_state.method]}")


def settings(network: Network, attribution_state: AttributionState, predicted: str) -> None:
    """Draw class, layer and opacity; `predicted` is the network's own prediction."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="why-settings"):
        _class(network, attribution_state, predicted)
        if attribution_state.method == "gradcam":
            _layer(network, attribution_state)
        st.session_state[OPACITY] = attribution_state.opacity
        st.slider(
            "Opacity of the map, %", 0, 100, key=OPACITY, step=5, width=220,
            on_change=lambda: change_without_model(
                opacity=unless(str(st.session_state[OPACITY]), str(DEFAULT_OPACITY))
            ),
        )  # fmt: skip


def _class(network: Network, attribution_state: AttributionState, predicted: str) -> None:
    names = network.loaded.classes
    options = [OWN, *range(len(names))]
    shown = st.session_state[CLASS] = OWN if attribution_state.target is None else attribution_state.target
    st.selectbox(
        "Attribution for class",
        options,
        format_func=lambda index: f"its answer: {predicted}" if index == OWN else names[index],
        key=CLASS,
        on_change=partial(pick, CLASS, options, shown, _choose_class),
        width=230,
    )


def _choose_class(index: int) -> None:
    change_without_model(**{"class": unless(str(index), str(OWN))})


def _layer(network: Network, attribution_state: AttributionState) -> None:
    from cnnviz.interpret.attribution import default_layer

    known = cells(network)
    if not known:
        return
    try:
        own = default_layer(network.analysis)
    except ValueError:
        own = known[-1]
    st.session_state[LAYER] = attribution_state.layer or own
    st.selectbox(
        "at the layer",
        known,
        format_func=lambda name: f"{name} (last block)" if name == own else name,
        key=LAYER,
        on_change=lambda: change_without_model(layer=unless(st.session_state[LAYER], own)),
        width=260,
        help=notice.escape(
            "Grad-CAM weighs the maps of this layer. Early layers see detail, late ones things."
        ),
    )


# Grad-CAM layer by layer, as a strip of small images; a click selects the layer.

SIDE, CELL, LETTERS = 96, 76, 13


def strip(result: AttributionResult, key: str, choosable: bool) -> None:
    """Draw the strip for the class of `result`."""
    network = result.network
    known = _layers(network.analysis, cells(network), result.attribution.layer)
    if not known:
        return
    cells_ = [Cell(short(name, LETTERS), name if choosable else "") for name in known]
    st.caption("Grad-CAM from the first layers to the last: detail turns into meaning." + _click(choosable))
    pictures(
        _sheet(network.stamp, result.ready.digest, result.attribution.target, tuple(known), result),
        [Line("", cells_)], key=key, cell=CELL, captions=True, chosen=result.attribution.layer,
        alt=f"Grad-CAM for {result.target} at each of {len(known)} layers", on_choose=choose_layer,
        name=f"{network.loaded.spec.name.replace('/', '-')}-grad-cam-by-layer",
    )  # fmt: skip


def _layers(analysis: Analysis, known: Sequence[str], chosen: str) -> list[str]:
    """Return every convolution, or every block if there are many."""
    kinds = {row.name: row.kind for row in analysis.predicting}
    layers = [name for name in known if kinds[name] == "conv" or name == chosen]
    return layers if len(layers) <= MAX_STRIP_LAYERS else strip_layers(analysis, known, chosen)


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


def attribution_page() -> None:
    """Draw the page for its URL."""
    st.html(CSS)
    current = network([attribution.PREFERRED] if shipped(attribution.PREFERRED) else ())
    attribution_state = attribution.current(current)
    attribution_bar(current, attribution_state)
    about = choose_image(current, attribution_state.problems)
    method_choice(attribution_state)
    settings(
        current,
        attribution_state,
        current.loaded.classes[int(class_probabilities(current, about.ready).argmax())],
    )
    asking = [(current, about.ready)]
    if attribution_state.other is not None:
        asking.append((attribution_state.other, about.to(attribution_state.other)))
    _panels(asking, attribution_state)
    next_links(current, "attribution", attribution_state.layer)


def _panels(asking: list[tuple[Network, PreprocessedImage]], attribution_state: AttributionState) -> None:
    shown: list[AttributionResult] = []
    columns = st.columns(len(asking), gap="large") if len(asking) > 1 else [st.container()]
    for index, (column, (model, ready)) in enumerate(zip(columns, asking, strict=True)):
        with column:
            reasons = _reasons(model, ready, attribution_state, first=index == 0)
            if reasons is None:
                continue
            shown.append(reasons)
            panel(reasons, attribution_state, named=len(asking) > 1)
            if attribution_state.method == "gradcam":
                strip(reasons, f"why-strip-{index}", choosable=index == 0)
    if shown:
        downloads(shown, attribution_state)


def _reasons(
    network: Network, ready: PreprocessedImage, attribution_state: AttributionState, first: bool
) -> AttributionResult | None:
    try:
        return attribution_result(network, ready, attribution_state, first)
    except ValueError as error:
        st.info(notice.escape(str(error)), icon=":material/info:")
        return None
