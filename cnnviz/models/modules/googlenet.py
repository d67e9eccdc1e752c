"""GoogLeNet with its auxiliary classifiers (Szegedy et al., 2014, section 5)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from cnnviz.models.layers.base import AnyShape, slide


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
