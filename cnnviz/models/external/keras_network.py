"""Torch modules of a Keras network, channels first: torch's own layers where they exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class KerasNetwork(nn.Module):
    """Network of layers that are called in a given order.

    Args:
        layers: Modules by name; a dotted name is nested in container modules.
        steps: For each call the layer's name (empty for the identity) and the indices of the results that are
            its inputs; 0 is the image.
    """

    def __init__(self, layers: Mapping[str, nn.Module], steps: Sequence[tuple[str, tuple[int, ...]]]) -> None:
        super().__init__()
        for name, layer in layers.items():
            *containers, leaf = name.split(".")
            container: nn.Module = self
            for part in containers:
                if part not in container._modules:
                    container._modules[part] = nn.Module()
                inner = container._modules[part]
                assert inner is not None
                container = inner
            container._modules[leaf] = layer
        self._steps = list(steps)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(N, C, H, W)` to logits.

        Or to probabilities where the configuration ends with softmax.
        """
        modules = dict(self.named_modules())
        results = [images]
        for name, sources in self._steps:
            inputs = [results[index] for index in sources]
            results.append(modules[name](*inputs) if name else inputs[0])
        return results[-1]


class Join(nn.Module):
    """Merge of tensors: sum, difference, product, mean, maximum, or concatenation along the channels."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self.how = operation

    def forward(self, *inputs: Tensor) -> Tensor:
        """Merge the tensors."""
        if self.how == "concatenate":
            return torch.cat(inputs, 1)
        result = inputs[0]
        for operand in inputs[1:]:
            if self.how == "multiply":
                result = result * operand
            elif self.how == "subtract":
                result = result - operand
            elif self.how == "maximum":
                result = torch.maximum(result, operand)
            else:
                result = result + operand
        return result / len(inputs) if self.how == "average" else result


class GlobalPool(nn.Module):
    """Global mean or maximum of each channel."""

    def __init__(self, kind: str, keep: bool) -> None:
        super().__init__()
        self.pool = nn.AdaptiveMaxPool2d(1) if kind == "max" else nn.AdaptiveAvgPool2d(1)
        self.keep = keep

    def forward(self, maps: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, C)`, or to `(N, C, 1, 1)` with `keep`."""
        pooled: Tensor = self.pool(maps)
        return pooled if self.keep else pooled.flatten(1)


class Rescaling(nn.Module):
    """Scale and offset for every value."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, values: Tensor) -> Tensor:
        """Apply scale and offset."""
        return values * self.scale + self.offset


def convolution(
    channels: int, filters: int, kernel: tuple[int, int], stride: tuple[int, int], pads: Sequence[int],
    dilation: tuple[int, int], groups: int, bias: bool,
) -> nn.Module:  # fmt: skip
    """Build a convolution; asymmetric padding, as in Keras's `same`, becomes a padding layer before it."""
    symmetric = pads[0] == pads[1] and pads[2] == pads[3]
    padding = (pads[2], pads[0]) if symmetric else (0, 0)
    conv = nn.Conv2d(channels, filters, kernel, stride, padding, dilation, groups, bias)
    return conv if symmetric else nn.Sequential(nn.ZeroPad2d((pads[0], pads[1], pads[2], pads[3])), conv)


def pooling(kind: str, kernel: tuple[int, int], stride: tuple[int, int], pads: Sequence[int]) -> nn.Module:
    """Build a pooling layer; asymmetric padding becomes a layer before it (lowest float for max pooling)."""
    symmetric = pads[0] == pads[1] and pads[2] == pads[3]
    padding = (pads[2], pads[0]) if symmetric else (0, 0)
    if kind == "max":
        pool: nn.Module = nn.MaxPool2d(kernel, stride, padding)
        fill = torch.finfo(torch.float32).min
    else:
        pool, fill = nn.AvgPool2d(kernel, stride, padding, count_include_pad=False), 0.0
    if symmetric:
        return pool
    return nn.Sequential(nn.ConstantPad2d((pads[0], pads[1], pads[2], pads[3]), fill), pool)
