"""All layers as a strip of small pictures: detail turns into meaning. A click chooses one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.sprite import Pixels, Sprite, sprite
from cnnviz.interpret.colours import Theme
from cnnviz.ui.components.pictures import Cell, Line, pictures
from cnnviz.ui.features.state import Asked, choose_layer, every_layer
from cnnviz.ui.inside.layer_strip import CELL, picture, short, strip_layers
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.result_cache import RESULTS
from cnnviz.ui.url_state import ROOT

if TYPE_CHECKING:
    from torch import Tensor


def strip(network: Network, ready: Prepared, asked: Asked) -> None:
    """Draw one map a layer: the one that varies most."""
    known = every_layer(network.analysis)
    shown = strip_layers(network.analysis, known, asked.layer.row)
    theme: Theme = "dark" if st.context.theme.type == "dark" else "light"
    sheet = _sheet(network.stamp, ready.digest, tuple(shown), theme, network, ready)
    cells = [Cell(short(name or ROOT), name or ROOT) for name in shown]
    pictures(
        sheet, [Line("", cells)], key="features-strip", name="", cell=CELL, captions=True,
        alt=f"One map of each of {len(shown)} layers", chosen=asked.layer.name or ROOT,
        on_choose=lambda name: choose_layer("" if name == ROOT else name),
    )  # fmt: skip
    rows = sum(1 for row in network.analysis.predicting if row.outputs)
    if len(shown) < rows:
        st.caption(f"{len(shown)} of {numbers.exact(rows)} layers; the list above has them all.")


@RESULTS.cached()
def _sheet(
    stamp: str, digest: str, layers: tuple[str, ...], theme: Theme, _network: Network, _ready: Prepared
) -> Sprite:
    from cnnviz.interpret.activations import reduced
    from cnnviz.interpret.maps import as_maps

    side = (_ready.tensor.shape[-2], _ready.tensor.shape[-1])

    def small(_: str, values: Tensor) -> Pixels:
        return picture(as_maps(values[0], side), theme)

    found = reduced(_network.loaded.model, _ready.tensor, layers, small)
    return sprite(np.stack([found[name] for name in layers]))
