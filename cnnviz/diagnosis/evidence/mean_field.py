"""Mean-field signal propagation at initialization, computed without running the network. Imports no torch.

With random zero-mean weights each output of a layer is a sum of many small independent terms: normally
distributed, whatever the images. Two numbers per layer therefore suffice: the size of its outputs, and how
far they differ between images (Poole et al., "Exponential expressivity in deep neural networks through
transient chaos", 2016; for ReLU, He et al., "Delving deep into rectifiers", 2015).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from cnnviz.models.layer_list_edit import fan_in
from cnnviz.models.layers import (
    Activation,
    Conv,
    Dropout,
    Flatten,
    Init,
    LayerList,
    Linear,
    LocalResponseNorm,
    Pool,
)
from cnnviz.models.layers.base import AnyShape, pair

_U: NDArray[np.float64] = np.linspace(-8, 8, 4001)
_CHANCE: NDArray[np.float64] = np.exp(-(_U**2) / 2) / np.exp(-(_U**2) / 2).sum()
_FAR = 8.0
"""Standard deviations beyond which a unit is always on, or always off."""


class UnknownArithmeticError(ValueError):
    """A layer whose effect on a signal is not implemented."""


@dataclass(frozen=True)
class Signal:
    """Activations: their mean square, and how far they differ between images.

    `signal` is the standard deviation over images of one value, root mean square over values; it never
    exceeds the root of `square`.
    """

    square: float
    signal: float


@dataclass(frozen=True)
class LayerPropagation:
    """Signal propagation through a layer with weights."""

    name: str
    inputs: float
    """Number of inputs summed per output, padding excluded."""
    std: float
    """Standard deviation of the weights."""
    bias: float
    """Mean of the biases."""
    entering: Signal
    spread: float
    """Standard deviation of the outputs over images, positions and units."""
    signal: float
    """Standard deviation of the outputs between images."""

    @property
    def gain(self) -> float:
        """Factor on the signal: σ·√n."""
        return self.std * math.sqrt(self.inputs)


def propagate(layers: LayerList, entering: Signal) -> tuple[LayerPropagation, ...]:
    """Compute the signal at every convolution and fully connected layer at initialization, without dropout.

    Pooling is treated as the identity: max pooling raises values somewhat.

    Args:
        layers: A sequence of convolutions, fully connected layers, ReLU, LRN, pooling and dropout.
        entering: The model input.

    Raises:
        UnknownArithmeticError: For other layers.
        ValueError: Where the layers do not fit together.
    """
    return tuple(_propagate_layers(layers, entering))


def _propagate_layers(layers: LayerList, now: Signal) -> Iterator[LayerPropagation]:
    bias = 0.0
    for step in layers.steps():
        layer, shape, out = step.layer, step.input_shape, step.output_shape
        if shape is None or out is None:
            raise ValueError(f"Layer '{step.name}' does not fit: {step.problem or 'nothing reaches it'}.")
        if isinstance(layer, Conv | Linear):
            summed = _weighted_layer(step.name, layer, shape, out, now)
            yield summed
            bias = summed.bias
            now = Signal(summed.spread**2 + bias**2, summed.signal)
        elif isinstance(layer, Activation) and layer.function == "relu":
            now = after_relu(now, bias)
        elif isinstance(layer, LocalResponseNorm):
            by = lrn_factor(layer, now.square)
            now = Signal(now.square * by**2, now.signal * by)
        elif not isinstance(layer, Pool | Dropout | Flatten):
            raise UnknownArithmeticError(
                "The arithmetic knows convolutions, fully connected layers, ReLU, LRN, pooling and dropout, "
                f"but '{step.name}' is none of them."
            )


def lrn_factor(layer: LocalResponseNorm, square: float) -> float:
    """Return LRN's factor for values of that mean square: (k + α·x²)^−β, α in torch's convention."""
    return float((layer.k + layer.alpha * square) ** -layer.beta)


def _weighted_layer(
    name: str, layer: Conv | Linear, shape: AnyShape, out: AnyShape, now: Signal
) -> LayerPropagation:
    fan, inside = fan_in(layer, shape), 1.0
    if isinstance(layer, Conv):
        sides = zip(
            shape[1:], out[1:], pair(layer.kernel), pair(layer.stride), pair(layer.padding), strict=True
        )
        inside = math.prod(_unpadded_fraction(*side) for side in sides)
    std, bias, bias_std = _init_statistics(layer.init, fan, _fan_out(layer, out))
    gain = std * math.sqrt(fan * inside)
    spread = math.sqrt(gain**2 * now.square + bias_std**2)
    return LayerPropagation(name, fan * inside, std, bias, now, spread, gain * now.signal)


def _unpadded_fraction(side: int, out: int, kernel: int, stride: int, padding: int) -> float:
    """Return the mean fraction of a window's positions along one axis that are not padding."""
    starts = np.arange(out) * stride - padding
    within = np.minimum(starts + kernel, side) - np.maximum(starts, 0)
    return float(within.mean() / kernel)


def _fan_out(layer: Conv | Linear, out: AnyShape) -> int:
    return out[0] if isinstance(layer, Linear) else out[0] * math.prod(pair(layer.kernel))


def _init_statistics(init: Init, fan: int, out: int) -> tuple[float, float, float]:
    """Return the standard deviation of the weights, and mean and standard deviation of the biases."""
    std = init.deviation(fan, out)
    return (std, init.bias, 0.0) if init.bias is not None else (std, 0.0, 1 / math.sqrt(3 * fan))


def after_relu(before: Signal, mean: float) -> Signal:
    """Return the signal after a ReLU, of normally distributed values of that mean.

    Where a value is far above 0 for all images, its signal passes unchanged; where it is far below, not at
    all.
    """
    spread = math.sqrt(max(before.square - mean**2, 0.0))
    if spread == 0:
        mean_after = max(mean, 0.0)
        return replace(before, square=mean_after**2, signal=before.signal if mean_after else 0.0)
    at = mean / spread
    density = math.exp(-(at**2) / 2) / math.sqrt(2 * math.pi)
    square = spread**2 * ((at**2 + 1) * float(ndtr(at)) + at * density)
    signal = min(before.signal, spread)
    if signal == 0:
        return Signal(square, 0.0)
    common = math.sqrt(max(spread**2 - signal**2, 0.0))
    passing = float((_passed_variance((mean + common * _U) / signal) * _CHANCE).sum())
    return Signal(square, signal * math.sqrt(passing))


def _passed_variance(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance of max(0, at + ε), ε ~ N(0, 1): from 0, always off, to 1, always on."""
    clipped = np.clip(at, -_FAR, _FAR)
    share, density = ndtr(clipped), np.exp(-(clipped**2) / 2) / math.sqrt(2 * math.pi)
    mean = clipped * share + density
    variance = (clipped**2 + 1) * share + clipped * density - mean**2
    return np.clip(np.where(at > _FAR, 1.0, np.where(at < -_FAR, 0.0, variance)), 0.0, 1.0)
