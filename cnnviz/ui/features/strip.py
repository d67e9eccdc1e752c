"""All layers as a strip of small pictures: detail turns into meaning. A click chooses one."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.analysis.types import Analysis
from cnnviz.figures import numbers
from cnnviz.figures.sprite import Pixels, Sprite, sprite
from cnnviz.interpret.colours import DIVERGING, SEQUENTIAL, Theme, paint
from cnnviz.interpret.maps import Floats
from cnnviz.ui.components.pictures import Cell, Line, pictures
from cnnviz.ui.features.state import Asked, choose_layer, every_layer
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.result_cache import RESULTS
from cnnviz.ui.url_state import ROOT

if TYPE_CHECKING:
    from torch import Tensor

MOST = 26
SIDE, CELL, LETTERS = 48, 58, 9


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


def short(name: str, letters: int = LETTERS) -> str:
    """A layer's name as it fits under a cell: of a long one the end, which tells it from the others."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def strip_layers(analysis: Analysis, known: Collection[str], chosen: str) -> list[str]:
    """The rows to show: all known ones where they are few, else the outermost blocks; and the chosen one."""
    rows = [row.name for row in analysis.predicting if row.name in known and row.outputs]
    for depth in range(8, 0, -1):
        some = [name for name in rows if name.count(".") < depth]
        if len(some) <= MOST:
            break
    else:
        some = [some[int(place)] for place in np.linspace(0, len(some) - 1, MOST)]
    wanted = {*some, chosen}
    return [name for name in rows if name in wanted]


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


def picture(maps: Floats, theme: Theme) -> Pixels:
    """The map that varies most, or a vector as a block, in colour: uint8 `(3, SIDE, SIDE)`."""
    count, height, width = maps.shape
    if height * width == 1:
        across = int(np.ceil(np.sqrt(count)))
        one: Floats = np.zeros((across, across), np.float32)
        one.ravel()[:count] = maps.ravel()
    else:
        one = maps[int(np.nan_to_num(maps).reshape(count, -1).std(1).argmax())]
    low, high = float(np.nanmin(one)), float(np.nanmax(one))
    end = max(abs(low), abs(high))
    colours = paint(one, -end, end, DIVERGING[theme]) if low < 0 else paint(one, low, high, SEQUENTIAL)
    rows, columns = (np.arange(SIDE) * length // SIDE for length in one.shape)
    return np.ascontiguousarray(colours[rows][:, columns].transpose(2, 0, 1))
