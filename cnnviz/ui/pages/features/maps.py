"""Maps, arithmetic and preprocessing views: values of layers for the selected image."""

from __future__ import annotations

import base64
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.analysis.types import Analysis
from cnnviz.figures import numbers
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.interpret.colormaps import Theme
from cnnviz.interpret.layer_names import SOFTMAX, Layer, field_of, selectable_layers, type_of
from cnnviz.interpret.mosaic import Floats, Order, Range, flag_channels, limits, order_channels
from cnnviz.ui.components.feature_maps import (
    ArithmeticView,
    MosaicView,
    arithmetic_packet,
    layer_arithmetic,
    mosaic_packet,
)
from cnnviz.ui.components.images import Cell, Line, Pixels, Sprite, pictures, sprite
from cnnviz.ui.pages.features.state import PageState, choose_layer
from cnnviz.ui.shared.inspection import predictions
from cnnviz.ui.shared.inspection.inspect_header import CELL, short, strip_image, strip_layers
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.inspection.predictions import PreprocessedImage, Shot, class_probabilities
from cnnviz.ui.shared.result_cache import RESULTS
from cnnviz.ui.shared.url_state import ROOT, change_without_model

if TYPE_CHECKING:
    from torch import Tensor

    from cnnviz.interpret.arithmetic import Inspection


def maps(network: Network, ready: PreprocessedImage, layer: str) -> Floats:
    """Return the layer's output, float32 `(C, H, W)`.

    Raises:
        ValueError: The output cannot be shown as maps.
    """
    if layer == SOFTMAX:
        return class_probabilities(network, ready)[:, None, None]
    return _maps(network.stamp, ready.digest, layer, network, ready)


@RESULTS.cached()
def _maps(stamp: str, digest: str, layer: str, _network: Network, _ready: PreprocessedImage) -> Floats:
    from cnnviz.interpret.hooks import feature_maps

    return feature_maps(_network.loaded.model, _ready.tensor, layer)


def view_packet(
    network: Network, ready: PreprocessedImage, layer: Layer, order: Order, reach: Range, chosen: int | None
) -> bytes:
    """Return the mosaic packet of a layer, with `chosen` enlarged.

    Raises:
        ValueError: The output cannot be shown as maps.
    """
    return _packet(network.stamp, ready.digest, layer.name, order, reach, chosen, network, ready, layer)


@RESULTS.cached()
def _packet(
    stamp: str,
    digest: str,
    name: str,
    order: Order,
    reach: Range,
    chosen: int | None,
    _network: Network,
    _ready: PreprocessedImage,
    _layer: Layer,
) -> bytes:
    values = maps(_network, _ready, name)
    low, high = limits(values, reach, network_range(_network, _ready) if reach == "network" else None)
    diverging = bool(low.min() < 0)
    if diverging:
        high = np.maximum(np.abs(low), np.abs(high))
        low = -high
    analysis = _network.analysis
    stem = f"{_network.loaded.spec.name}-{name or 'model'}-{_ready.name}"
    return mosaic_packet(
        MosaicView(
            name,
            values,
            order_channels(values, order),
            low,
            high,
            diverging,
            flag_channels(values, type_of(analysis, _layer)),
            "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in stem),
            _ready.seen,
            field_of(analysis, _layer),
            chosen=chosen,
        )
    )


def network_range(network: Network, ready: PreprocessedImage) -> tuple[float, float]:
    """Return the smallest and largest output value of all layers for the image."""
    return _network_range(network.stamp, ready.digest, network, ready)


@st.cache_data(max_entries=64, show_spinner=False)
def _network_range(
    stamp: str, digest: str, _network: Network, _ready: PreprocessedImage
) -> tuple[float, float]:
    from cnnviz.interpret import hooks
    from cnnviz.interpret.hooks import summarize_activations

    ranges = summarize_activations(_network.loaded.model, _ready.tensor, row_names(_network.analysis))
    low, high = hooks.network_range(ranges.values())
    return (low, high) if np.isfinite([low, high]).all() else (-1.0, 1.0)


def row_names(analysis: Analysis) -> list[str]:
    """Return the rows whose output in a prediction is maps or a vector."""
    return [row.name for row in analysis.predicting if row.outputs and 1 <= len(row.output_shape) <= 3]


# Strip of all layers as small images; a click selects one.


def strip(network: Network, ready: PreprocessedImage, page_state: PageState) -> None:
    """Draw one map per layer: the one with the largest variance."""
    known = selectable_layers(network.analysis)
    shown = strip_layers(network.analysis, known, page_state.layer.row)
    theme: Theme = "dark" if st.context.theme.type == "dark" else "light"
    sheet = _sheet(network.stamp, ready.digest, tuple(shown), theme, network, ready)
    cells = [Cell(short(name or ROOT), name or ROOT) for name in shown]
    pictures(
        sheet, [Line("", cells)], key="features-strip", name="", cell=CELL, captions=True,
        strip=True, alt=f"One map of each of {len(shown)} layers", chosen=page_state.layer.name or ROOT,
        on_choose=lambda name: choose_layer("" if name == ROOT else name),
    )  # fmt: skip
    rows = sum(1 for row in network.analysis.predicting if row.outputs)
    if len(shown) < rows:
        st.caption(f"{len(shown)} of {numbers.exact(rows)} layers; the list above has them all.")


@RESULTS.cached()
def _sheet(
    stamp: str,
    digest: str,
    layers: tuple[str, ...],
    theme: Theme,
    _network: Network,
    _ready: PreprocessedImage,
) -> Sprite:
    from cnnviz.interpret.hooks import reduce_activations
    from cnnviz.interpret.mosaic import as_maps

    side = (_ready.tensor.shape[-2], _ready.tensor.shape[-1])

    def small(_: str, values: Tensor) -> Pixels:
        return strip_image(as_maps(values[0], side), theme)

    images = reduce_activations(_network.loaded.model, _ready.tensor, layers, small)
    return sprite(np.stack([images[name] for name in layers]))


# Arithmetic of the layer's cells.

LIMIT = 6_000_000
"""Maximum bytes sent to the browser; of larger layers only a channel, or a cell, is sent."""
ARITHMETIC_CELL = "features-cell"


def arithmetic(network: Network, ready: PreprocessedImage, page_state: PageState) -> None:
    """Draw the arithmetic of the layer.

    Raises:
        ValueError: This kind of layer is not supported.
    """
    inspection = _inspection(network.stamp, ready.digest, page_state.layer.name, network, ready)
    count = len(inspection.output)
    channel = min(page_state.channel, count - 1) if page_state.channel is not None else _loudest(inspection)
    units = network.loaded.classes if _names_classes(network, page_state, count) else ()
    layer_arithmetic(
        _arithmetic_packet(
            network.stamp,
            ready.digest,
            page_state.layer.name,
            channel,
            _cell(page_state),
            inspection,
            tuple(units),
        ),
        key="features-arithmetic",
        on_ask=_ask,
    )


def _ask(channel: int, y: int, x: int) -> None:
    st.session_state[ARITHMETIC_CELL] = (st.query_params.get("layer"), y, x)
    change_without_model(channel=str(max(0, channel)))


def _cell(page_state: PageState) -> tuple[int, int] | None:
    layer, y, x = st.session_state.get(ARITHMETIC_CELL, (None, 0, 0))
    return (y, x) if layer == page_state.layer.name else None


def _loudest(inspection: Inspection) -> int:
    """Return the channel with the largest magnitude."""
    return int(abs(inspection.output).reshape(len(inspection.output), -1).max(1).argmax())


def _names_classes(network: Network, page_state: PageState, count: int) -> bool:
    last = [row.name for row in network.analysis.predicting if row.outputs][-1:]
    return count == len(network.loaded.classes) and page_state.layer.name in (SOFTMAX, "", *last)


@RESULTS.cached()
def _inspection(
    stamp: str, digest: str, layer: str, _network: Network, _ready: PreprocessedImage
) -> Inspection:
    from cnnviz.interpret.arithmetic import inspect

    return inspect(_network.loaded.model, _ready.tensor, layer)


@RESULTS.cached()
def _arithmetic_packet(
    stamp: str,
    digest: str,
    layer: str,
    channel: int,
    cell: tuple[int, int] | None,
    _inspection: Inspection,
    units: tuple[str, ...],
) -> bytes:
    payload = _inspection.payload(channel, LIMIT)
    height, width = _inspection.output.shape[1:]
    y, x = (min(max(0, cell[0]), height - 1), min(max(0, cell[1]), width - 1)) if cell else (0, 0)
    working = _inspection.at(channel, y, x) if payload.scope == "cell" else None
    name = f"{layer or 'model'}-arithmetic"
    return arithmetic_packet(ArithmeticView(payload, channel, name, (y, x) if cell else None, working, units))


# Preprocessing steps and their settings.

CSS = Path(__file__).with_name("steps.css")
LABELS = {
    "oriented": "turn upright",
    "invert": "light and dark exchanged",
    "centre": "centered as MNIST's digits",
    "fit": "other proportions",
    "resample": "filter",
    "background": "behind transparency",
    "scale": "numbers",
}


def preprocessing_steps(ready: PreprocessedImage, own: Preprocessing) -> None:
    """Draw the preprocessing steps of the image, and their settings.

    `own` is the network's own preprocessing.
    """
    current = ready.how
    st.html(CSS)
    st.html(f'<div class="steps">{"".join(map(_step, ready.shots))}</div>')
    st.caption("What the network was trained on went the same way. Change a step, and see what that does.")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="prep"):
        for name in predictions.SWITCHES:
            _switch(name, current, own)
        for name in predictions.CHOICES:
            _choice(name, current, own)
        if current != own:
            st.button("As trained", key="prep-reset", on_click=partial(change_without_model, prep=None))


def _step(shot: Shot) -> str:
    height, width = shot.size
    source = f"data:image/png;base64,{base64.b64encode(shot.png).decode()}"
    alt = f"The image, {shot.name}"
    return (
        f'<figure><div class="frame"><img src="{source}" alt="{escape(alt)}"></div>'
        f"<figcaption><b>{escape(shot.name)}</b> <span>{width}×{height}</span><p>{escape(shot.text)}</p>"
        "</figcaption></figure>"
    )


def _switch(name: str, current: Preprocessing, own: Preprocessing) -> None:
    key = f"prep-{name}"
    st.session_state[key] = getattr(current, name)
    explanation = type(own).model_fields[name].description
    st.toggle(LABELS[name], key=key, help=explanation, on_change=_changed, args=(name, key, current, own))


def _choice(name: str, current: Preprocessing, own: Preprocessing) -> None:
    possible = predictions.values(name, own)
    if len(possible) < 2:
        return
    key = f"prep-{name}"
    st.session_state[key] = getattr(current, name)
    explanation = type(own).model_fields[name].description
    st.selectbox(
        LABELS[name], possible, key=key, help=explanation, width=132, on_change=_changed,
        args=(name, key, current, own),
    )  # fmt: skip


def _changed(name: str, key: str, current: Preprocessing, own: Preprocessing) -> None:
    predictions.change(name, st.session_state[key], current, own)
