"""What an inception block costs with and without its reductions, in plain arithmetic (Szegedy et al., 2014).

Parameters count a bias for every map; a multiply-add is one product of a convolution, without bias. No
torch here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnnviz import models


@dataclass(frozen=True, slots=True)
class Cost:
    """Of some convolutions on maps of one size."""

    params: int
    macs: int
    channels: int
    """Maps that come out."""

    def __add__(self, other: Cost) -> Cost:
        """Two that stand side by side: their maps are joined."""
        return Cost(self.params + other.params, self.macs + other.macs, self.channels + other.channels)


def direct(channels: int, maps: int, kernel: int, side: int) -> Cost:
    """A convolution from `channels` to `maps`, `kernel`×`kernel`, that keeps `side`×`side` cells."""
    weights = maps * channels * kernel**2
    return Cost(weights + maps, weights * side**2, maps)


def through(channels: int, reduction: int, maps: int, kernel: int, side: int) -> Cost:
    """The same through a 1×1 convolution that leaves `reduction` maps first."""
    before, after = direct(channels, reduction, 1, side), direct(reduction, maps, kernel, side)
    return Cost(before.params + after.params, before.macs + after.macs, maps)


@dataclass(frozen=True, slots=True)
class Reduction:
    """One choice of sizes: what sliders set."""

    channels: int
    maps: int
    kernel: int
    reduction: int
    side: int

    @property
    def naive(self) -> Cost:
        """Directly."""
        return direct(self.channels, self.maps, self.kernel, self.side)

    @property
    def reduced(self) -> Cost:
        """Through the 1×1."""
        return through(self.channels, self.reduction, self.maps, self.kernel, self.side)

    @property
    def saving(self) -> float:
        """How many times as many multiply-adds the direct way takes."""
        return self.naive.macs / self.reduced.macs


ARTICLE = Reduction(channels=480, maps=48, kernel=5, reduction=16, side=14)
"""The articles' example: 112.9 million multiply-adds against 5.3 million."""


def naive_block(channels: int, one: int, three: int, five: int, side: int) -> dict[str, Cost]:
    """Branches of the block without reductions; the pooling branch keeps every channel."""
    return {
        "1×1": direct(channels, one, 1, side),
        "3×3": direct(channels, three, 3, side),
        "5×5": direct(channels, five, 5, side),
        "pool": Cost(0, 0, channels),
    }


def inception_block(channels: int, maps: Sequence[int], side: int) -> dict[str, Cost]:
    """Branches of the block as published.

    `maps`: of the 1×1; the 3×3's reduction and the 3×3; the 5×5's reduction and the 5×5; after the pooling.
    """
    one, three_reduce, three, five_reduce, five, pool = maps
    return {
        "1×1": direct(channels, one, 1, side),
        "3×3": through(channels, three_reduce, three, 3, side),
        "5×5": through(channels, five_reduce, five, 5, side),
        "pool": direct(channels, pool, 1, side),
    }


@dataclass(frozen=True, slots=True)
class Stage:
    """A block's place in the network, both ways."""

    name: str
    side: int
    naive: Cost
    reduced: Cost


def growth() -> tuple[Stage, ...]:
    """GoogLeNet's nine blocks in a row, naive and as published: maps that leave each, and what each costs."""
    stages: list[Stage] = []
    naive_in = reduced_in = 192
    published = models.layer_list("googlenet")
    assert published is not None
    for step in published.steps():
        layer = step.layer
        if layer.kind != "inception":
            continue
        assert step.output_shape is not None
        side = step.output_shape[1]
        fields = layer.model_dump()
        names = ("one", "three_reduce", "three", "five_reduce", "five", "pool")
        reduced = inception_block(reduced_in, [fields[name] for name in names], side)
        naive = naive_block(naive_in, fields["one"], fields["three"], fields["five"], side)
        stage = Stage(layer.name or "", side, total(naive), total(reduced))
        stages.append(stage)
        naive_in, reduced_in = stage.naive.channels, stage.reduced.channels
    return tuple(stages)


def total(branches: dict[str, Cost]) -> Cost:
    """All branches of a block together."""
    return sum(branches.values(), Cost(0, 0, 0))


def dense_head(channels: int, side: int) -> int:
    """Weights of a dense layer from `channels` maps of `side`² to as many units; global pooling has none."""
    return channels * side**2 * channels
