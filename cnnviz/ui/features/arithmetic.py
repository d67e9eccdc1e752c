"""The arithmetic of the layer: any cell of it, following the pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.ui.components.arithmetic import ArithmeticView, arithmetic_packet, layer_arithmetic
from cnnviz.ui.features.state import SOFTMAX, Asked
from cnnviz.ui.inside.address import put
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.interpret.arithmetic import Inspection

LIMIT = 6_000_000
"""Bytes that are sent to the browser; of larger layers a channel is, or a cell."""
CELL = "features-cell"


def arithmetic(network: Network, ready: Prepared, asked: Asked) -> None:
    """Draw it; raises `ValueError` for a kind of layer whose arithmetic is not worked out."""
    inspection = _inspection(network.stamp, ready.digest, asked.layer.name, network, ready)
    count = len(inspection.output)
    channel = min(asked.channel, count - 1) if asked.channel is not None else _loudest(inspection)
    units = network.loaded.classes if _names_classes(network, asked, count) else ()
    layer_arithmetic(
        _packet(
            network.stamp, ready.digest, asked.layer.name, channel, _cell(asked), inspection, tuple(units)
        ),
        key="features-arithmetic",
        on_ask=_ask,
    )


def _ask(channel: int, y: int, x: int) -> None:
    st.session_state[CELL] = (st.query_params.get("layer"), y, x)
    put(channel=str(max(0, channel)))


def _cell(asked: Asked) -> tuple[int, int] | None:
    layer, y, x = st.session_state.get(CELL, (None, 0, 0))
    return (y, x) if layer == asked.layer.name else None


def _loudest(inspection: Inspection) -> int:
    """The channel with the largest magnitude."""
    return int(abs(inspection.output).reshape(len(inspection.output), -1).max(1).argmax())


def _names_classes(network: Network, asked: Asked, count: int) -> bool:
    last = [row.name for row in network.analysis.predicting if row.outputs][-1:]
    return count == len(network.loaded.classes) and asked.layer.name in (SOFTMAX, "", *last)


@RESULTS.cached()
def _inspection(stamp: str, digest: str, layer: str, _network: Network, _ready: Prepared) -> Inspection:
    from cnnviz.interpret.arithmetic import inspect

    return inspect(_network.loaded.model, _ready.tensor, layer)


@RESULTS.cached()
def _packet(
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
