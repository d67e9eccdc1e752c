"""Weights of convolutions and fully connected layers, as mosaics and histograms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cnnviz.interpret import InterpretError
from cnnviz.interpret.colormaps import GAP, Bytes, Theme
from cnnviz.interpret.layer_names import unknown
from cnnviz.interpret.mosaic import Floats, Mosaic, mosaic
from cnnviz.models.modules import PartialConv2d

SHOWN = 2**26
"""Most weights of a dense layer after expansion of groups, missing connections included."""


@dataclass(frozen=True)
class Weights:
    """A layer's weights, expanded to all pairs of channels; a missing connection is 0 and not `present`."""

    layer: str
    values: Floats
    """`(out, in, kernel height, kernel width)`."""
    present: NDArray[np.bool_]
    """`(out, in)`: whether the output channel reads the input channel."""
    bias: Floats | None

    @property
    def magnitude(self) -> float:
        """Largest absolute finite value: the end of a color map that is symmetric around zero."""
        finite = self.values[np.isfinite(self.values)]
        return float(np.abs(finite).max(initial=0))


def layers_with_filters(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers whose weights can be shown: convolutions and fully connected layers."""
    names: list[str] = []
    for name, module in model.named_modules():
        nested = any(name.startswith(f"{parent}.") for parent in names)
        if isinstance(module, nn.Conv2d | nn.Linear | PartialConv2d) and not nested:
            names.append(name)
    return tuple(names)


def weights_of(model: nn.Module, layer: str, maps: tuple[int, int, int] | None = None) -> Weights:
    """Return the weights of a convolution or a fully connected layer.

    Groups and the partially connected C3 of LeNet-5 (1998) are expanded to all channels. A fully connected
    layer has 1×1 kernels, or `(H, W)` kernels where it reads flattened `maps` `(C, H, W)`.

    Raises:
        UnknownLayerError: For a layer that does not exist.
        InterpretError: For a layer without such weights, for `maps` of another size than its input, or for
            more weights than `SHOWN`.
    """
    modules = dict(model.named_modules())
    if layer not in modules:
        raise unknown(layer, layers_with_filters(model))
    module = modules[layer]
    if isinstance(module, PartialConv2d):
        return partial_weights(layer, module)
    if isinstance(module, nn.Conv2d):
        return _convolution(layer, module)
    if isinstance(module, nn.Linear):
        return _linear(layer, module, maps)
    names = ", ".join(layers_with_filters(model)[:5])
    raise InterpretError(
        f"'{layer}' is a {type(module).__name__}, which has no filters; these have: {names}."
    )


def _array(tensor: torch.Tensor) -> Floats:
    return tensor.detach().cpu().float().numpy()


def _bias(module: nn.Module) -> Floats | None:
    bias = module._parameters.get("bias")
    return None if bias is None else _array(bias)


def _convolution(layer: str, module: nn.Conv2d) -> Weights:
    kernel = _array(module.weight)
    out, inputs = module.out_channels, module.in_channels
    height, width = kernel.shape[2:]
    bias = _bias(module)
    if module.groups == 1:
        return Weights(layer, kernel, np.ones((out, inputs), bool), bias)
    _check_size(layer, out * inputs * height * width)
    values = np.zeros((out, inputs, height, width), np.float32)
    present = np.zeros((out, inputs), bool)
    group_in, group_out = inputs // module.groups, out // module.groups
    for group in range(module.groups):
        rows, columns = (
            slice(group * group_out, (group + 1) * group_out),
            slice(group * group_in, (group + 1) * group_in),
        )
        values[rows, columns], present[rows, columns] = kernel[rows], True
    return Weights(layer, values, present, bias)


def partial_weights(layer: str, module: PartialConv2d) -> Weights:
    """Return the weights of LeNet-5's C3, whose kernels are spread over several grouped convolutions."""
    convs = [cast(nn.Conv2d, conv) for conv in module.convs.values()]
    kernels = [kernel for conv in convs for kernel in _array(conv.weight)]
    inputs = 1 + max(max(connected) for connected in module.connections)
    values = np.zeros((len(kernels), inputs, *kernels[0].shape[1:]), np.float32)
    present = np.zeros(values.shape[:2], bool)
    for out, (connected, kernel) in enumerate(zip(module.connections, kernels, strict=True)):
        values[out, list(connected)], present[out, list(connected)] = kernel, True
    bias = np.concatenate([_array(cast(torch.Tensor, conv.bias)) for conv in convs])
    return Weights(layer, values, present, bias)


def _linear(layer: str, module: nn.Linear, maps: tuple[int, int, int] | None) -> Weights:
    channels, height, width = maps or (module.in_features, 1, 1)
    if channels * height * width != module.in_features:
        raise InterpretError(
            f"'{layer}' reads {module.in_features:,} values, not maps of {channels}×{height}×{width}."
        )
    values = _array(module.weight).reshape(module.out_features, channels, height, width)
    return Weights(layer, values, np.ones(values.shape[:2], bool), _bias(module))


def _check_size(layer: str, count: int) -> None:
    if count > SHOWN:
        raise InterpretError(f"The weights of '{layer}', spread out, are too many to show ({count:,}).")


def draw_first_layer(weights: Weights, zoom: int = 1, theme: Theme = "light") -> Mosaic:
    """Draw a first layer's kernels: in color for three input channels, else with the diverging color map.

    In color, gray is zero and the layer's largest magnitude reaches full color, so that kernels compare.

    Raises:
        InterpretError: For a layer with neither one nor three input channels.
    """
    inputs = weights.values.shape[1]
    if inputs == 1:
        return by_input(weights, 0, zoom, theme)
    if inputs != 3:
        raise InterpretError(f"'{weights.layer}' reads {inputs} channels; only three make a color image.")
    plain = mosaic(weights.values[:, 0], scale="diverging", theme=theme, zoom=zoom)
    pixels = plain.pixels.copy()
    scaled = weights.values / (2 * (weights.magnitude or 1)) + 0.5
    colors = np.clip(np.nan_to_num(scaled) * 255, 0, 255).round().astype(np.uint8).transpose(0, 2, 3, 1)
    for channel in plain.channels:
        top, left, bottom, right = plain.box(channel)
        pixels[top:bottom, left:right] = colors[channel].repeat(zoom, 0).repeat(zoom, 1)
    return _with_limits(plain, pixels, weights.magnitude)


def by_input(
    weights: Weights,
    channel: int,
    zoom: int = 1,
    theme: Theme = "light",
    magnitude: float | None = None,
) -> Mosaic:
    """Draw, for one input channel, the kernel of each output channel; missing connections are gaps.

    `magnitude` is the end of the color map, for comparing two runs; the layer's own where None.

    Raises:
        InterpretError: For a channel out of range.
    """
    _check_channel(channel, weights.values.shape[1], "input")
    return _diverging(
        weights, weights.values[:, channel], weights.present[:, channel], (zoom, theme, magnitude)
    )


def by_output(
    weights: Weights,
    channel: int,
    zoom: int = 1,
    theme: Theme = "light",
    magnitude: float | None = None,
) -> Mosaic:
    """Draw, for one output channel, its kernel over each input channel; otherwise as `by_input`."""
    _check_channel(channel, weights.values.shape[0], "output")
    return _diverging(weights, weights.values[channel], weights.present[channel], (zoom, theme, magnitude))


def _check_channel(channel: int, count: int, side: str) -> None:
    if not 0 <= channel < count:
        raise InterpretError(f"The layer has {side} channels 0 to {count - 1}, not {channel}.")


def _diverging(
    weights: Weights,
    kernels: Floats,
    present: NDArray[np.bool_],
    options: tuple[int, Theme, float | None],
) -> Mosaic:
    zoom, theme, magnitude = options
    limit = weights.magnitude if magnitude is None else magnitude
    drawn = mosaic(
        kernels, colour_range="network", network=(-limit, limit), scale="diverging", theme=theme, zoom=zoom
    )
    pixels = drawn.pixels.copy()
    for channel in np.flatnonzero(~present).tolist():
        top, left, bottom, right = drawn.box(channel)
        pixels[top:bottom, left:right] = GAP[theme]
    return _with_limits(drawn, pixels, limit)


def _with_limits(drawn: Mosaic, pixels: Bytes, limit: float) -> Mosaic:
    ends = np.full(len(drawn.low), limit, np.float32)
    return replace(drawn, pixels=pixels, low=-ends, high=ends)


@dataclass(frozen=True)
class Histogram:
    """Histogram of a layer's weights; `edges` has one value more than `counts`."""

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    mean: float
    spread: float
    zeros: int
    """Weights that are exactly 0, missing connections not counted."""


def histogram(weights: Weights, bins: int = 51, magnitude: float | None = None) -> Histogram:
    """Compute the histogram of a layer's weights, in `bins` from −magnitude to +magnitude.

    Missing connections do not count; values outside, with a smaller `magnitude`, go into the outermost bins.
    An odd number of bins has one centered on zero.
    """
    values = weights.values[weights.present].ravel()
    finite = values[np.isfinite(values)].astype(np.float64)
    limit = (weights.magnitude if magnitude is None else magnitude) or 1.0
    counts, edges = np.histogram(np.clip(finite, -limit, limit), bins, (-limit, limit))
    mean, spread = (float(finite.mean()), float(finite.std())) if finite.size else (0.0, 0.0)
    return Histogram(counts.astype(np.int64), edges, mean, spread, int((finite == 0).sum()))
