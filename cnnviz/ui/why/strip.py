"""Grad-CAM at layer after layer, as a strip of small pictures; a click looks at that layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from cnnviz.analysis.types import Analysis
from cnnviz.figures.sprite import Sprite, sprite
from cnnviz.ui.components.pictures import Cell, Line, pictures
from cnnviz.ui.inside.layer_strip import MOST, short, strip_layers
from cnnviz.ui.result_cache import RESULTS
from cnnviz.ui.why.found import Found, cells, strip_cells
from cnnviz.ui.why.state import choose_layer

SIDE, CELL, LETTERS = 96, 76, 13


def strip(found: Found, key: str, choosable: bool) -> None:
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
def _sheet(stamp: str, digest: str, target: int, layers: tuple[str, ...], _found: Found) -> Sprite:
    from cnnviz.interpret.regions import overlay

    ready = _found.ready
    maps = strip_cells(stamp, digest, target, layers, _found.network, ready)
    rows, columns = (np.arange(SIDE) * length // SIDE for length in ready.seen.shape[:2])
    small = np.broadcast_to(ready.seen, (*ready.seen.shape[:2], 3))[rows][:, columns]
    images = [overlay(np.ascontiguousarray(small), maps[name], 0.6).transpose(2, 0, 1) for name in layers]
    return sprite(np.stack(images))
