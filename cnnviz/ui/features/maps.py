"""Values of layers for the chosen picture: one forward pass, kept small and bounded."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.analysis.types import Analysis
from cnnviz.interpret.maps import Floats
from cnnviz.interpret.marks import marks
from cnnviz.interpret.mosaic import Range, limits
from cnnviz.interpret.names import Layer
from cnnviz.interpret.ordering import Order, ordered
from cnnviz.ui.components.mosaic import MosaicView, mosaic_packet
from cnnviz.ui.features.state import SOFTMAX, field_of, type_of
from cnnviz.ui.inside.answers import shares
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.result_cache import RESULTS


def maps(network: Network, ready: Prepared, layer: str) -> Floats:
    """What the layer gives, float32 `(C, H, W)`; raises `ValueError` for what cannot be shown as maps."""
    if layer == SOFTMAX:
        return shares(network, ready)[:, None, None]
    return _maps(network.stamp, ready.digest, layer, network, ready)


@RESULTS.cached()
def _maps(stamp: str, digest: str, layer: str, _network: Network, _ready: Prepared) -> Floats:
    from cnnviz.interpret.activations import maps_of

    return maps_of(_network.loaded.model, _ready.tensor, layer)


def view_packet(
    network: Network, ready: Prepared, layer: Layer, order: Order, reach: Range, chosen: int | None
) -> bytes:
    """The mosaic of a layer, `chosen` enlarged; raises `ValueError` for what cannot be shown as maps."""
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
    _ready: Prepared,
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
            ordered(values, order),
            low,
            high,
            diverging,
            marks(values, type_of(analysis, _layer)),
            "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in stem),
            _ready.seen,
            field_of(analysis, _layer),
            chosen=chosen,
        )
    )


def network_range(network: Network, ready: Prepared) -> tuple[float, float]:
    """Smallest and largest value that any layer gives for the picture."""
    return _network_range(network.stamp, ready.digest, network, ready)


@st.cache_data(max_entries=64, show_spinner=False)
def _network_range(stamp: str, digest: str, _network: Network, _ready: Prepared) -> tuple[float, float]:
    from cnnviz.interpret import strip
    from cnnviz.interpret.activations import summaries

    found = summaries(_network.loaded.model, _ready.tensor, row_names(_network.analysis))
    low, high = strip.network_range(found.values())
    return (low, high) if np.isfinite([low, high]).all() else (-1.0, 1.0)


def row_names(analysis: Analysis) -> list[str]:
    """The rows that give maps or a vector in a prediction."""
    return [row.name for row in analysis.predicting if row.outputs and 1 <= len(row.output_shape) <= 3]
