"""Modules missing from torch: Inception and residual blocks, and the layers of LeNet-5 (1998).

Imports torch, so no module that lists models may import it.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz.models.layers.base import AnyShape, slide

Norm = Literal["none", "batch"]


class Inception(nn.Module):
    """Inception block with 1×1 reductions (figure 2b); it outputs `one + three + five + pool` channels.

    `three_reduce` and `five_reduce` are the channels before the 3×3 and the 5×5. A ReLU follows every
    convolution; with `norm="batch"` there is a batch normalization between the two and the convolution has no
    bias.
    """

    def __init__(
        self,
        in_channels: int,
        one: int,
        three_reduce: int,
        three: int,
        five_reduce: int,
        five: int,
        pool: int,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.branch1 = _branch(_convolution("conv", in_channels, one, 1, norm))
        self.branch3 = _branch(
            _convolution("reduce", in_channels, three_reduce, 1, norm),
            _convolution("conv", three_reduce, three, 3, norm),
        )
        self.branch5 = _branch(
            _convolution("reduce", in_channels, five_reduce, 1, norm),
            _convolution("conv", five_reduce, five, 5, norm),
        )
        self.branch_pool = _branch(_pooling(), _convolution("conv", in_channels, pool, 1, norm))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, one + three + five + pool, H, W)`."""
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)], dim=1)


class NaiveInception(nn.Module):
    """Inception block without reductions (figure 2a): the pooling branch keeps every channel.

    It outputs `one + three + five + in_channels` channels.
    """

    def __init__(self, in_channels: int, one: int, three: int, five: int) -> None:
        super().__init__()
        self.branch1 = _branch(_convolution("conv", in_channels, one, 1))
        self.branch3 = _branch(_convolution("conv", in_channels, three, 3))
        self.branch5 = _branch(_convolution("conv", in_channels, five, 5))
        self.branch_pool = _branch(_pooling())

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, one + three + five + in_channels, H, W)`."""
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)], dim=1)


def _branch(*parts: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, module) for part in parts for name, module in part.items()))


def _convolution(
    name: str, in_channels: int, out: int, kernel: int, norm: Norm = "none"
) -> dict[str, nn.Module]:
    """Build a size-preserving convolution with its norm and ReLU, which have no name prefix after `conv`."""
    after = "" if name == "conv" else f"{name}_"
    parts: dict[str, nn.Module] = {
        name: nn.Conv2d(in_channels, out, kernel, padding=kernel // 2, bias=norm == "none")
    }
    if norm == "batch":
        parts[f"{after}norm"] = nn.BatchNorm2d(out)
    parts[f"{after}relu"] = nn.ReLU()
    return parts


def _pooling() -> dict[str, nn.Module]:
    return {"pool": nn.MaxPool2d(3, stride=1, padding=1)}


# GoogLeNet with its auxiliary classifiers (Szegedy et al., 2014, section 5).


class GoogLeNetOutputs(NamedTuple):
    """Outputs in training mode: three tensors of logits, each `(N, classes)`."""

    logits: Tensor
    aux1: Tensor
    aux2: Tensor


class Auxiliary(nn.Sequential):
    """Auxiliary classifier on an intermediate block: maps `(N, C, H, W)` to logits `(N, classes)`.

    `shape` is the block's `(C, H, W)`; its height and width must be at least 5.
    """

    def __init__(self, shape: AnyShape, classes: int) -> None:
        height, width = slide(shape, "Average pooling", 5, 3, 0)
        super().__init__(
            OrderedDict[str, nn.Module](
                pool=nn.AvgPool2d(5, 3),
                conv=nn.Conv2d(shape[0], 128, 1),
                relu1=nn.ReLU(),
                flatten=nn.Flatten(),
                fc1=nn.Linear(math.prod((128, height, width)), 1024),
                relu2=nn.ReLU(),
                dropout=nn.Dropout(0.7),
                fc2=nn.Linear(1024, classes),
            )
        )


class GoogLeNetAux(nn.Module):
    """Sequential trunk with an auxiliary classifier on each of two of its layers.

    The trunk's layers keep their names; `heads` maps the layer that a classifier follows to the classifier.
    """

    def __init__(self, trunk: nn.Sequential, heads: Mapping[str, Auxiliary]) -> None:
        super().__init__()
        self.trunk_names = [name for name, _ in trunk.named_children()]
        for name, layer in trunk.named_children():
            self.add_module(name, layer)
        self.head_names = {block: f"aux{number}" for number, block in enumerate(heads, 1)}
        for block, head in heads.items():
            self.add_module(self.head_names[block], head)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Map `(N, C, H, W)` to logits `(N, classes)`; in training mode to `GoogLeNetOutputs`."""
        aux: list[Tensor] = []
        for name in self.trunk_names:
            x = self.get_submodule(name)(x)
            if self.training and name in self.head_names:
                aux.append(self.get_submodule(self.head_names[name])(x))
        return GoogLeNetOutputs(x, *aux) if self.training else x


# The basic residual block (He et al., 2015).


class Residual(nn.Module):
    """Two 3×3 convolutions with batch normalization, added to their input.

    The shortcut is the input itself, or a 1×1 convolution where shapes differ (the paper's option B). The
    last ReLU follows the sum.
    """

    def __init__(self, in_channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.shortcut = _shortcut(in_channels, out, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """`(N, in_channels, H, W)` to `(N, out, ⌈H/stride⌉, ⌈W/stride⌉)`."""
        inner = self.relu1(self.norm1(self.conv1(x)))
        added: Tensor = self.relu2(self.norm2(self.conv2(inner)) + self.shortcut(x))
        return added


def _shortcut(in_channels: int, out: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out:
        return nn.Identity()
    projection = nn.Conv2d(in_channels, out, 1, stride, bias=False)
    return nn.Sequential(OrderedDict(conv=projection, norm=nn.BatchNorm2d(out)))


# Layers of LeNet-5 (1998) that torch does not have (LeCun et al., 1998, section II.B).


class ScaledTanh(nn.Module):
    """f(a) = 1.7159·tanh(2a/3), so that f(±1) = ±1 and the curve is steepest between (appendix A)."""

    amplitude = 1.7159
    slope = 2 / 3

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function element-wise."""
        return self.amplitude * torch.tanh(self.slope * x)


class Subsampling(nn.Module):
    """Mean of each 2×2 window, with a trainable gain and bias per channel.

    The paper sums the four inputs; here the gain multiplies their mean, so that it starts at 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, channels, H, W)` to `(N, channels, ⌊H/2⌋, ⌊W/2⌋)`."""
        mean = functional.avg_pool2d(x, 2)
        return mean * self.gain[:, None, None] + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """Return the number of channels, for the printed module."""
        return str(len(self.gain))


class PartialConv2d(nn.Module):
    """Convolution whose output maps are each connected only to the input maps listed in `connections`.

    Consecutive output maps with equally many inputs form one grouped convolution, so no weight is stored, and
    no product computed, for a missing connection.
    """

    index: Tensor

    def __init__(self, connections: Sequence[Sequence[int]], kernel: int) -> None:
        super().__init__()
        self.connections = tuple(tuple(seen) for seen in connections)
        runs = [(fan_in, len(list(run))) for fan_in, run in itertools.groupby(self.connections, len)]
        self.convs = nn.ModuleDict(
            {
                f"see{fan_in}": nn.Conv2d(fan_in * maps, maps, kernel, groups=maps)
                for fan_in, maps in _distinct(runs)
            }
        )
        self.sizes = [fan_in * maps for fan_in, maps in runs]
        inputs = torch.tensor([i for seen in self.connections for i in seen])
        self.register_buffer("index", inputs, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, in_channels, H, W)` to `(N, len(connections), H − kernel + 1, W − kernel + 1)`."""
        seen = torch.split(x.index_select(1, self.index), self.sizes, dim=1)
        return torch.cat([conv(part) for conv, part in zip(self.convs.values(), seen, strict=True)], dim=1)


def _distinct(runs: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    runs = list(runs)
    if len({fan_in for fan_in, _ in runs}) < len(runs):
        raise ValueError("Maps that see equally many inputs must stand side by side in a connection table.")
    return runs


class RadialBasis(nn.Module):
    """Euclidean radial-basis units: a class's logit is minus the squared distance to its fixed code.

    `codes` is `(classes, features)`, here ±1, stored as a buffer: nothing in it is trained.
    """

    codes: Tensor

    def __init__(self, codes: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor(codes, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, features)` to logits `(N, classes)`, never above 0."""
        return -(x[:, None, :] - self.codes).square().sum(dim=-1)


def init_as_in_1998(network: nn.Module) -> None:
    """Draw every weight and bias of a unit with F inputs uniformly from ±2.4/F (appendix A), in place.

    Subsampling keeps its gain of 1, which belongs to the network, not to a unit.
    """
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            assert part.bias is not None
            bound = 2.4 / part.weight[0].numel()
            nn.init.uniform_(part.weight, -bound, bound)
            nn.init.uniform_(part.bias, -bound, bound)
