"""All layers at a glance: of each, the maps that are most active, small."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn

from cnnviz.interpret.activations import Summary, reduced, summary
from cnnviz.interpret.colours import Theme
from cnnviz.interpret.maps import as_maps
from cnnviz.interpret.mosaic import Mosaic, mosaic
from cnnviz.interpret.ordering import ordered

CHANNELS = 6
SIDE = 48


@dataclass(frozen=True)
class Glance:
    """One layer of the strip."""

    summary: Summary
    mosaic: Mosaic


def strip(
    model: nn.Module,
    image: Tensor,
    layers: Collection[str],
    channels: int = CHANNELS,
    side: int = SIDE,
    theme: Theme = "light",
) -> dict[str, Glance]:
    """A `Glance` of each layer for one image `(1, C, H, W)`, from one pass; no layer's output is held.

    Each shows its `channels` most active maps one above the other, of `side` cells at most, the colours
    spanning the layer.
    """
    size = (image.shape[-2], image.shape[-1])
    return reduced(model, image, layers, functools.partial(_glance, (size, channels, side, theme)))


def _glance(look: tuple[tuple[int, int], int, int, Theme], layer: str, values: Tensor) -> Glance:
    size, channels, side, theme = look
    maps = as_maps(values[0], size)
    shown = ordered(maps, "activity")[:channels]
    return Glance(summary(layer, maps), mosaic(maps, shown, "layer", theme=theme, columns=1, side=side))


def network_range(glances: Collection[Summary]) -> tuple[float, float]:
    """Smallest and largest value of all layers: what the colour range `network` spans."""
    lows = [float(one.low.min()) for one in glances]
    highs = [float(one.high.max()) for one in glances]
    return min(lows), max(highs)
