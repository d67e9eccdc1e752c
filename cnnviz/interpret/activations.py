"""What chosen layers give for images: exactly what a plain forward hook on a fresh model would see."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from torch import Tensor, nn

from cnnviz.interpret.colormaps import Theme
from cnnviz.interpret.hooks import Seen, Watch, twin
from cnnviz.interpret.mosaic import Floats, Mosaic, as_maps, mosaic, ordered

T = TypeVar("T")


def activations(model: nn.Module, images: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
    """The outputs of `layers`, as copies that nothing later changes; batch first, shapes as the layers give.

    Args:
        model: In evaluation mode; it is left as it is.
        images: `(N, C, H, W)`, as the model takes them.
        layers: Names as in `cnnviz.interpret.layer_names`: the architecture table's rows, and more.

    Raises:
        UnknownLayerError: for a layer that is not there or not reached.
        ValueError: for a model in training mode.
    """
    return reduced(model, images, layers, lambda name, values: values)


def reduced(
    model: nn.Module, images: Tensor, layers: Collection[str], keep: Callable[[str, Tensor], T]
) -> dict[str, T]:
    """The same, but of each output only what `keep(layer, values)` returns is held: memory stays bounded."""
    return _Reducing(twin(model), layers, keep).run(images)


def maps_of(model: nn.Module, image: Tensor, layer: str) -> Floats:
    """What `layer` gives for one image `(C, H, W)` or `(1, C, H, W)`, as float32 maps `(C′, H′, W′)`."""
    batch = image[None] if image.dim() == 3 else image
    return as_maps(activations(model, batch, [layer])[layer][0], (batch.shape[-2], batch.shape[-1]))


@dataclass(frozen=True, slots=True)
class Summary:
    """A layer's output for one image in figures, one value a channel, float32 `(C,)`."""

    layer: str
    shape: tuple[int, int, int]
    mean: Floats
    spread: Floats
    """Standard deviation over the cells."""
    low: Floats
    high: Floats
    zeros: Floats
    """Part of the cells that are exactly 0, from 0 to 1."""

    @property
    def dead(self) -> tuple[int, ...]:
        """Channels that are exactly 0 everywhere."""
        return tuple(np.flatnonzero((self.low == 0) & (self.high == 0)).tolist())


def summaries(model: nn.Module, image: Tensor, layers: Collection[str]) -> dict[str, Summary]:
    """A `Summary` of each layer for one image `(1, C, H, W)`, in one pass that holds no layer's output."""
    side = (image.shape[-2], image.shape[-1])
    return reduced(model, image, layers, lambda layer, values: summary(layer, as_maps(values[0], side)))


def summary(layer: str, maps: Floats) -> Summary:
    """The figures of maps `(C, H, W)`."""
    flat = maps.reshape(len(maps), -1)
    shape = (maps.shape[0], maps.shape[1], maps.shape[2])
    figures = flat.mean(1), flat.std(1), flat.min(1), flat.max(1), (flat == 0).mean(1).astype(np.float32)
    return Summary(layer, shape, *figures)


class _Reducing(Watch):
    def __init__(self, model: nn.Module, layers: Collection[str], keep: Callable[[str, Tensor], Any]) -> None:
        super().__init__(model, layers)
        self._reduce = keep

    def keep(self, seen: Seen) -> Any:
        return self._reduce(seen.layer, seen.output)

    def takes_inputs(self) -> bool:
        return False


# All layers at a glance: of each, the maps that are most active, small.

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
    lows = [float(glance.low.min()) for glance in glances]
    highs = [float(one.high.max()) for one in glances]
    return min(lows), max(highs)
