"""Activations of chosen layers, as a plain forward hook would record them, and their statistics."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from torch import Tensor, nn

from cnnviz.interpret.hooks import ActivationRecorder, LayerCall, shared_copy
from cnnviz.interpret.mosaic import Floats, as_maps

T = TypeVar("T")


def activations(model: nn.Module, images: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
    """Record the outputs of `layers`, as copies that nothing later changes.

    Args:
        model: In evaluation mode; it is not changed.
        images: Model input, `(N, C, H, W)`.
        layers: Names as in `cnnviz.interpret.layer_names`: rows of the layer table, and the operations within
            them.

    Returns:
        Layer outputs by name, batch first, in the layers' own shapes.

    Raises:
        UnknownLayerError: For a layer that does not exist or that the forward pass does not reach.
        ValueError: For a model in training mode.
    """
    return reduce_activations(model, images, layers, lambda name, values: values)


def reduce_activations(
    model: nn.Module, images: Tensor, layers: Collection[str], reduce: Callable[[str, Tensor], T]
) -> dict[str, T]:
    """Record `keep(layer, output)` of each layer in place of the output itself, which bounds memory.

    Otherwise as `activations`.
    """
    return _ReducingRecorder(shared_copy(model), layers, reduce).run(images)


def feature_maps(model: nn.Module, image: Tensor, layer: str) -> Floats:
    """Return the feature maps `(C′, H′, W′)` of `layer`, for one image `(C, H, W)` or `(1, C, H, W)`."""
    batch = image[None] if image.dim() == 3 else image
    return as_maps(activations(model, batch, [layer])[layer][0], (batch.shape[-2], batch.shape[-1]))


@dataclass(frozen=True, slots=True)
class ActivationSummary:
    """Statistics of a layer's output for one image, one value per channel, float32 `(C,)`."""

    layer: str
    shape: tuple[int, int, int]
    mean: Floats
    spread: Floats
    """Standard deviation over the cells of a map."""
    low: Floats
    high: Floats
    zeros: Floats
    """Sparsity: fraction of a map's cells that are exactly 0, from 0 to 1."""

    @property
    def dead(self) -> tuple[int, ...]:
        """Indices of the channels that are exactly 0 in every cell."""
        return tuple(np.flatnonzero((self.low == 0) & (self.high == 0)).tolist())


def summarize_activations(
    model: nn.Module, image: Tensor, layers: Collection[str]
) -> dict[str, ActivationSummary]:
    """Compute the `ActivationSummary` of each layer for one image `(1, C, H, W)`, in one pass.

    No layer's output is kept.
    """
    side = (image.shape[-2], image.shape[-1])
    return reduce_activations(
        model, image, layers, lambda layer, values: summarize_maps(layer, as_maps(values[0], side))
    )


def summarize_maps(layer: str, maps: Floats) -> ActivationSummary:
    """Compute the statistics of feature maps `(C, H, W)`."""
    flat = maps.reshape(len(maps), -1)
    shape = (maps.shape[0], maps.shape[1], maps.shape[2])
    figures = flat.mean(1), flat.std(1), flat.min(1), flat.max(1), (flat == 0).mean(1).astype(np.float32)
    return ActivationSummary(layer, shape, *figures)


class _ReducingRecorder(ActivationRecorder):
    def __init__(
        self, model: nn.Module, layers: Collection[str], reduce: Callable[[str, Tensor], Any]
    ) -> None:
        super().__init__(model, layers)
        self._reduce = reduce

    def reduce(self, call: LayerCall) -> Any:
        return self._reduce(call.layer, call.output)

    def copies_inputs(self) -> bool:
        return False


def network_range(summaries: Collection[ActivationSummary]) -> tuple[float, float]:
    """Return the smallest and largest value of all layers, for the color range `network`."""
    lows = [float(summary.low.min()) for summary in summaries]
    highs = [float(summary.high.max()) for summary in summaries]
    return min(lows), max(highs)
