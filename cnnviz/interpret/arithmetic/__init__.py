"""Worked numbers: the computation of any cell of any layer of one image, from patch and kernel to the result.

One module per kind of layer; a class registers itself with `base.register_arithmetic`. Covered are all layers
of our own models, and of torchvision's the convolutions, pooling, normalization, activations, additions and
concatenations that they share with ours. Attention, layer normalization and token layers raise
`NotCoveredError`.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cnnviz.interpret import InterpretError, NotCoveredError
from cnnviz.interpret.arithmetic.base import (
    Arithmetic,
    Cell,
    Contribution,
    Step,
    Window,
    Working,
    arithmetic_of,
    as_grid,
    is_covered,
)
from cnnviz.interpret.arithmetic.linear import VectorArithmetic
from cnnviz.interpret.hooks import LayerCall, last_operations, record_layers
from cnnviz.interpret.mosaic import Floats

__all__ = [
    "SOFTMAX",
    "Cell",
    "Contribution",
    "Inspection",
    "Payload",
    "Step",
    "Window",
    "Working",
    "inspect",
]


SOFTMAX = "softmax"
"""Name of the layer for the probabilities after the last layer, which is no module."""
LIMIT = 16_000_000
"""Default limit of a payload in bytes."""


@dataclass(frozen=True)
class Payload:
    """Data from which the browser computes cells itself: float32 arrays, C order, little-endian.

    `scope` says which cells: all of the `layer`; those of one `channel`, where the layer is too large; or
    none (`cell`), where the channel is too: then each is computed here on request. `output` is always
    present, of the layer or of the channel.
    """

    layer: str
    kind: str
    scope: Literal["layer", "channel", "cell"]
    channel: int | None
    """Channel of the arrays; None for all."""
    output_shape: tuple[int, int, int]
    settings: dict[str, Any]
    arrays: dict[str, tuple[tuple[int, ...], bytes]]
    """Shape and bytes by name."""
    note: str
    """The scope explained in a sentence; empty for the whole layer."""


class Inspection:
    """One recorded call of a layer; `at` computes any number of cells without running the model again."""

    def __init__(self, arithmetic: Arithmetic) -> None:
        self._arithmetic = arithmetic
        self.layer = arithmetic.call.layer
        self.kind = arithmetic.kind
        self.output: Floats = as_grid(arithmetic.call.output, self.layer)
        """`(C, H, W)`; a vector as `(F, 1, 1)`."""

    def at(self, channel: int, y: int = 0, x: int = 0) -> Working:
        """Return the worked computation of a cell; raises `InterpretError` for a cell out of range."""
        shape = self.output.shape
        if not all(0 <= index < size for index, size in zip((channel, y, x), shape, strict=True)):
            sizes = "×".join(map(str, shape))
            raise InterpretError(f"'{self.layer}' gives {sizes}; there is no cell ({channel}, {y}, {x}).")
        cell = Cell(channel, y, x)
        working = self._arithmetic.working(cell)
        return replace(working, layer=self.layer, actual=float(self.output[cell]))

    def payload(self, channel: int = 0, limit: int = LIMIT) -> Payload:
        """Return the data to compute cells without further requests, in at most `limit` bytes.

        That is the whole layer's; where it is larger, that of the cells of `channel`; where that is larger
        too, the channel's output only.
        """
        channel_output = self.output[channel : channel + 1]
        all_arrays = self._arithmetic.arrays(None) | {"output": self.output}
        if _bytes(all_arrays) <= limit:
            return self._payload("layer", None, all_arrays, "")
        channel_arrays = self._arithmetic.arrays(channel) | {"output": channel_output}
        if _bytes(channel_arrays) <= limit:
            note = f"The layer is too large to hand over; these are the cells of channel {channel}."
            return self._payload("channel", channel, channel_arrays, note)
        note = "The layer is too large to hand over; every cell has to be asked for."
        return self._payload("cell", channel, {"output": channel_output}, note)

    def _payload(
        self,
        scope: Literal["layer", "channel", "cell"],
        channel: int | None,
        arrays: dict[str, Floats],
        note: str,
    ) -> Payload:
        packed = {name: (a.shape, a.astype("<f4", order="C").tobytes()) for name, a in arrays.items()}
        height, width = self.output.shape[1:]
        shape = (len(self.output), height, width)
        settings = self._arithmetic.settings()
        return Payload(self.layer, self.kind, scope, channel, shape, settings, packed, note)


def _bytes(arrays: dict[str, Floats]) -> int:
    return sum(array.size * 4 for array in arrays.values())


def inspect(model: nn.Module, image: Tensor, layer: str) -> Inspection:
    """Run the model on one image `(C, H, W)` or `(1, C, H, W)` and record a layer's call.

    For a container it is the last operation between its children, such as an inception block's concatenation;
    `SOFTMAX` is the softmax of the model's output.

    Raises:
        UnknownLayerError: For a layer that does not exist.
        NotCoveredError: For a layer type that is not covered.
    """
    batch = image[None] if image.dim() == 3 else image
    if len(batch) != 1:
        raise InterpretError(f"Arithmetic is that of one image, not of {len(batch)}.")
    modules = dict(model.named_modules())
    if layer == SOFTMAX and SOFTMAX not in modules:
        return Inspection(arithmetic_of(_probabilities(model, batch)))
    module = modules.get(layer)
    if module is not None and module._modules and not is_covered(module):
        operation = last_operations(model, batch, [layer]).get(layer)
        if operation is None:
            raise NotCoveredError(f"'{layer}' computes nothing itself; look at the layers in it.")
        return Inspection(arithmetic_of(operation))
    arithmetic = arithmetic_of(record_layers(model, batch, [layer])[layer])
    if isinstance(arithmetic, VectorArithmetic):
        arithmetic.maps_shape = _flattened(model, batch, arithmetic.vector)
    return Inspection(arithmetic)


def _probabilities(model: nn.Module, batch: Tensor) -> LayerCall:
    logits = record_layers(model, batch, [""])[""].output
    softmax = nn.Softmax(dim=1).eval()
    return LayerCall(SOFTMAX, softmax, "", (logits,), softmax(logits))


def _flattened(model: nn.Module, batch: Tensor, vector: Floats) -> tuple[int, int, int] | None:
    """Return the shape `(C, H, W)` of the maps whose flattening is this vector; None where there are none."""
    names = [name for name, part in model.named_modules() if type(part) is nn.Flatten]
    if not names:
        return None
    flat = torch.from_numpy(vector)
    for flattening in record_layers(model, batch, names).values():
        if flattening.inputs[0].dim() == 4 and torch.equal(flattening.output[0].cpu().float(), flat):
            channels, height, width = flattening.inputs[0].shape[1:]
            return channels, height, width
    return None


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
