"""Inception blocks (Szegedy et al., 2014), auxiliary classifiers, and the basic residual block."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from cnnviz.models.layers.base import AnyShape, slide

Norm = Literal["none", "batch"]


class Inception(nn.Module):
    """The block with 1×1 reductions (figure 2b); it gives `one + three + five + pool` maps.

    `three_reduce` and `five_reduce` are the maps left before the 3×3 and the 5×5. A ReLU follows every
    convolution; with `norm="batch"` a batch normalisation stands between the two and the convolution has no
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
        """`(N, in_channels, H, W)` to `(N, one + three + five + pool, H, W)`."""
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)], dim=1)


class NaiveInception(nn.Module):
    """The block without reductions (figure 2a): the pooling branch keeps every channel.

    So it gives `one + three + five + in_channels` maps.
    """

    def __init__(self, in_channels: int, one: int, three: int, five: int) -> None:
        super().__init__()
        self.branch1 = _branch(_convolution("conv", in_channels, one, 1))
        self.branch3 = _branch(_convolution("conv", in_channels, three, 3))
        self.branch5 = _branch(_convolution("conv", in_channels, five, 5))
        self.branch_pool = _branch(_pooling())

    def forward(self, x: Tensor) -> Tensor:
        """`(N, in_channels, H, W)` to `(N, one + three + five + in_channels, H, W)`."""
        return torch.cat([self.branch1(x), self.branch3(x), self.branch5(x), self.branch_pool(x)], dim=1)


def _branch(*parts: dict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, module) for part in parts for name, module in part.items()))


def _convolution(
    name: str, in_channels: int, out: int, kernel: int, norm: Norm = "none"
) -> dict[str, nn.Module]:
    """A convolution that keeps height and width, and what follows it; `conv` leaves plain names behind it."""
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
    """What leaves the network while it trains: three times logits `(N, classes)`."""

    logits: Tensor
    aux1: Tensor
    aux2: Tensor


class Auxiliary(nn.Sequential):
    """A classifier on the maps of a block half-way: `(N, C, H, W)` gives logits `(N, classes)`.

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
    """A trunk of layers in a row, with a classifier on each of two of them.

    Takes the trunk's layers under their own names; `heads` says which layer each of the two follows.
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
        """`(N, C, H, W)` to logits `(N, classes)`; while training to `GoogLeNetOutputs`."""
        aux: list[Tensor] = []
        for name in self.trunk_names:
            x = self.get_submodule(name)(x)
            if self.training and name in self.head_names:
                aux.append(self.get_submodule(self.head_names[name])(x))
        return GoogLeNetOutputs(x, *aux) if self.training else x


# The basic residual block (He et al., 2015).


class Residual(nn.Module):
    """Two 3×3 convolutions, each batch-normalised, added to their own input.

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
