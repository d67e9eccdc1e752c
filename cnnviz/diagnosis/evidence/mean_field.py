"""What becomes of a signal in a network that has learned nothing yet, by arithmetic alone.

Weights drawn by chance with mean 0 make each output of a layer a sum of many small, independent terms:
normally spread, whatever the images are. So two numbers a layer are enough: how large its outputs are, and
how far they differ from image to image (Poole et al., "Exponential expressivity in deep neural networks
through transient chaos", 2016; for ReLU, He et al., "Delving deep into rectifiers", 2015). Imports no torch.
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
    """A layer whose effect on a signal is not known here."""


@dataclass(frozen=True)
class Signal:
    """Values on their way: their mean square, and how far they differ from image to image.

    `signal` is the standard deviation over images of one value, root mean square over values; so it is never
    more than the root of `square`.
    """

    square: float
    signal: float


@dataclass(frozen=True)
class Passed:
    """What a layer with weights does to a signal."""

    name: str
    inputs: float
    """How many values one output sums, padding left out."""
    std: float
    """Standard deviation of its weights."""
    bias: float
    """Mean of its biases."""
    entering: Signal
    spread: float
    """Standard deviation of its outputs over everything: images, places, units."""
    signal: float
    """Of its outputs, from image to image."""

    @property
    def gain(self) -> float:
        """What a signal is multiplied by: σ·√n."""
        return self.std * math.sqrt(self.inputs)


def propagated(layers: LayerList, entering: Signal) -> tuple[Passed, ...]:
    """What reaches every convolution and fully connected layer of fresh weights, in order, without dropout.

    Pooling is taken to change nothing: it takes the largest of neighbours, which lifts values somewhat.

    Args:
        layers: A chain of convolutions, fully connected layers, ReLU, LRN, pooling and dropout.
        entering: The images as the network reads them.

    Raises `UnknownArithmeticError` for other layers, and `ValueError` where the layers do not fit.
    """
    return tuple(_passed(layers, entering))


def _passed(layers: LayerList, now: Signal) -> Iterator[Passed]:
    bias = 0.0
    for step in layers.steps():
        layer, shape, out = step.layer, step.input_shape, step.output_shape
        if shape is None or out is None:
            raise ValueError(f"Layer '{step.name}' does not fit: {step.problem or 'nothing reaches it'}.")
        if isinstance(layer, Conv | Linear):
            summed = _summed(step.name, layer, shape, out, now)
            yield summed
            bias = summed.bias
            now = Signal(summed.spread**2 + bias**2, summed.signal)
        elif isinstance(layer, Activation) and layer.function == "relu":
            now = rectified(now, bias)
        elif isinstance(layer, LocalResponseNorm):
            by = damping(layer, now.square)
            now = Signal(now.square * by**2, now.signal * by)
        elif not isinstance(layer, Pool | Dropout | Flatten):
            raise UnknownArithmeticError(
                "The arithmetic knows convolutions, fully connected layers, ReLU, LRN, pooling and dropout, "
                f"but '{step.name}' is none of them."
            )


def damping(layer: LocalResponseNorm, square: float) -> float:
    """What LRN multiplies values of that mean square by: (k + α·x²)^-β, α in torch's convention."""
    return float((layer.k + layer.alpha * square) ** -layer.beta)


def _summed(name: str, layer: Conv | Linear, shape: AnyShape, out: AnyShape, now: Signal) -> Passed:
    fan, inside = fan_in(layer, shape), 1.0
    if isinstance(layer, Conv):
        sides = zip(
            shape[1:], out[1:], pair(layer.kernel), pair(layer.stride), pair(layer.padding), strict=True
        )
        inside = math.prod(_inside(*side) for side in sides)
    std, bias, bias_std = _start(layer.init, fan, _fan_out(layer, out))
    gain = std * math.sqrt(fan * inside)
    spread = math.sqrt(gain**2 * now.square + bias_std**2)
    return Passed(name, fan * inside, std, bias, now, spread, gain * now.signal)


def _inside(side: int, out: int, kernel: int, stride: int, padding: int) -> float:
    """Part of a window's places along one axis that lie on the map and not in the padding, on average."""
    starts = np.arange(out) * stride - padding
    within = np.minimum(starts + kernel, side) - np.maximum(starts, 0)
    return float(within.mean() / kernel)


def _fan_out(layer: Conv | Linear, out: AnyShape) -> int:
    return out[0] if isinstance(layer, Linear) else out[0] * math.prod(pair(layer.kernel))


def _start(init: Init, fan: int, out: int) -> tuple[float, float, float]:
    """Standard deviation of the weights; mean and standard deviation of the biases."""
    std = init.deviation(fan, out)
    return (std, init.bias, 0.0) if init.bias is not None else (std, 0.0, 1 / math.sqrt(3 * fan))


def rectified(before: Signal, mean: float) -> Signal:
    """What a ReLU leaves of normally spread values of that mean.

    Where a value is far above 0 for all images, its signal passes whole; where it is far below, nothing does.
    """
    spread = math.sqrt(max(before.square - mean**2, 0.0))
    if spread == 0:
        kept = max(mean, 0.0)
        return replace(before, square=kept**2, signal=before.signal if kept else 0.0)
    at = mean / spread
    density = math.exp(-(at**2) / 2) / math.sqrt(2 * math.pi)
    square = spread**2 * ((at**2 + 1) * float(ndtr(at)) + at * density)
    signal = min(before.signal, spread)
    if signal == 0:
        return Signal(square, 0.0)
    common = math.sqrt(max(spread**2 - signal**2, 0.0))
    passing = float((_passing((mean + common * _U) / signal) * _CHANCE).sum())
    return Signal(square, signal * math.sqrt(passing))


def _passing(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of max(0, at + ε) with ε of N(0, 1): from 0, always off, to 1, always on."""
    near = np.clip(at, -_FAR, _FAR)
    share, density = ndtr(near), np.exp(-(near**2) / 2) / math.sqrt(2 * math.pi)
    mean = near * share + density
    found = (near**2 + 1) * share + near * density - mean**2
    return np.clip(np.where(at > _FAR, 1.0, np.where(at < -_FAR, 0.0, found)), 0.0, 1.0)
