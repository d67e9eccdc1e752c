"""Layer strip: one small image per layer; which layers, their labels, and the image of a map."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from cnnviz.analysis.types import Analysis
from cnnviz.figures.sprite_sheet import Pixels
from cnnviz.interpret.colormaps import DIVERGING, SEQUENTIAL, Theme, apply_colormap
from cnnviz.interpret.mosaic import Floats

MOST = 26
SIDE, CELL, LETTERS = 48, 58, 9


def short(name: str, letters: int = LETTERS) -> str:
    """Shorten a layer's name to its last letters, which distinguish it from the others."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def strip_layers(analysis: Analysis, known: Collection[str], chosen: str) -> list[str]:
    """Return the layers to show: all known ones if they are few, else the outermost blocks.

    And the chosen one.
    """
    rows = [row.name for row in analysis.predicting if row.name in known and row.outputs]
    for depth in range(8, 0, -1):
        layers = [name for name in rows if name.count(".") < depth]
        if len(layers) <= MOST:
            break
    else:
        layers = [layers[int(index)] for index in np.linspace(0, len(layers) - 1, MOST)]
    selected = {*layers, chosen}
    return [name for name in rows if name in selected]


def strip_image(maps: Floats, theme: Theme) -> Pixels:
    """Color the map with the largest variance, or a vector as a square: uint8 `(3, SIDE, SIDE)`."""
    count, height, width = maps.shape
    if height * width == 1:
        across = int(np.ceil(np.sqrt(count)))
        values: Floats = np.zeros((across, across), np.float32)
        values.ravel()[:count] = maps.ravel()
    else:
        values = maps[int(np.nan_to_num(maps).reshape(count, -1).std(1).argmax())]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    end = max(abs(low), abs(high))
    colours = (
        apply_colormap(values, -end, end, DIVERGING[theme])
        if low < 0
        else apply_colormap(values, low, high, SEQUENTIAL)
    )
    rows, columns = (np.arange(SIDE) * length // SIDE for length in values.shape)
    return np.ascontiguousarray(colours[rows][:, columns].transpose(2, 0, 1))
