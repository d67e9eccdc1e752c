"""Network whose layers are computed by another process.

Hooks see their outputs, but there are no gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float32]


class Computing(Protocol):
    """Backend that computes a network's tensors: the child process of an ONNX file, a notebook's process."""

    def run(self, images: Floats, tensors: Sequence[str]) -> list[Floats]:
        """Compute the named tensors for images `(N, C, H, W)`; raise `ValueError` in one sentence."""
        ...

    def weights(self, names: Sequence[str]) -> list[Floats]:
        """Return weights by name."""
        ...

    def ping(self) -> None:
        """Raise `ValueError` in one sentence where the backend can no longer compute."""
        ...


class GivenLayer(nn.Module):
    """Placeholder of a layer: returns the output computed elsewhere, so that a forward hook sees it."""

    def forward(self, given: Tensor, result: Tensor) -> Tensor:
        """Return the precomputed output."""
        return result


class GivenConv2d(nn.Conv2d):
    """Placeholder of a convolution that holds its weights, so that filters can be shown."""

    def forward(self, given: Tensor, result: Tensor) -> Tensor:  # type: ignore[override]
        """Return the precomputed output."""
        return result


class GivenLinear(nn.Linear):
    """Placeholder of a fully connected layer that holds its weights."""

    def forward(self, given: Tensor, result: Tensor) -> Tensor:  # type: ignore[override]
        """Return the precomputed output."""
        return result


class OutsideNetwork(nn.Module):
    """Network computed by a backend: maps images `(N, C, H, W)` to logits `(N, classes)`.

    Args:
        computing: Backend; copies of the network share it.
        layers: Input and output tensor of each layer.
        output: Name of the logits' tensor.
        weighted: Layers with weights, by name.
    """

    without_gradients = "It is computed outside of PyTorch, so it has no gradients"

    def __init__(
        self,
        computing: Computing,
        layers: Mapping[str, tuple[str, str]],
        output: str,
        weighted: Mapping[str, nn.Module],
    ) -> None:
        super().__init__()
        self.computing, self.output = computing, output
        self.layers_computed = dict(layers)
        # Containers first: a block can itself be a layer, for the operations between its children.
        for name in sorted(layers, key=lambda name: name.count(".")):
            if not set(name) & {":", "@"}:  # operations and repeated calls are no modules
                _place(self, name, weighted.get(name) or GivenLayer())

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits, and the tensors of layers that have hooks."""
        hooked = dict(self._hooked())
        wanted = {name: self.layers_computed[name] for name in hooked}
        names = list(
            dict.fromkeys((*(tensor for pair in wanted.values() for tensor in pair if tensor), self.output))
        )
        arrays = self.computing.run(images.detach().cpu().float().numpy(), names)
        values = {name: torch.from_numpy(np.array(value)) for name, value in zip(names, arrays, strict=True)}
        for name, (source, result) in wanted.items():
            hooked[name](values.get(source, images), values[result])
        return values[self.output].flatten(1)

    def record(self, images: Tensor, layers: Iterable[str]) -> dict[str, tuple[Tensor, Tensor]]:
        """Return inputs and outputs of layers, also of those that are no modules (`relu@2`, `block:add`)."""
        pairs = {name: self.layers_computed[name] for name in layers if name in self.layers_computed}
        names = list(dict.fromkeys(tensor for pair in pairs.values() for tensor in pair if tensor))
        if not names:
            return {}
        arrays = self.computing.run(images.detach().cpu().float().numpy(), names)
        values = {name: torch.from_numpy(np.array(value)) for name, value in zip(names, arrays, strict=True)}
        return {
            name: (values.get(source, images), values[result]) for name, (source, result) in pairs.items()
        }

    def _hooked(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the layers that have forward hooks."""
        for name, module in self.named_modules():
            if name in self.layers_computed and (module._forward_hooks or module._forward_pre_hooks):
                yield name, module


def _place(network: nn.Module, name: str, layer: nn.Module) -> None:
    """Set a layer at a dotted name, creating container modules where needed."""
    *containers, leaf = name.split(".")
    for part in containers:
        if part not in network._modules:
            network._modules[part] = nn.Module()
        inner = network._modules[part]
        assert inner is not None
        network = inner
    network._modules[leaf] = layer


def convolution(
    arrays: Sequence[Floats],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> nn.Module:
    """Build a placeholder convolution with weight `(out, in / groups, kH, kW)` and an optional bias."""
    weight = arrays[0]
    layer = GivenConv2d(
        weight.shape[1] * groups, weight.shape[0], (weight.shape[2], weight.shape[3]), stride, padding,
        dilation, groups, len(arrays) > 1, device="meta",
    )  # fmt: skip
    return _filled(layer, arrays)


def linear(arrays: Sequence[Floats]) -> nn.Module:
    """Build a placeholder fully connected layer with weight `(out, in)` and an optional bias."""
    out_features, in_features = arrays[0].shape
    return _filled(GivenLinear(in_features, out_features, len(arrays) > 1, device="meta"), arrays)


def _filled(layer: nn.Module, arrays: Sequence[Floats]) -> nn.Module:
    for name, array in zip(("weight", "bias"), arrays, strict=False):
        layer._parameters[name] = nn.Parameter(torch.from_numpy(np.array(array)), requires_grad=False)
    return layer
