"""What a 1×1 convolution before a larger one saves, and what stacking blocks without it costs."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.analysis.types import Analysis, Shape


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a piece of a network, biases among the parameters."""

    params: int
    macs: int


@dataclass(frozen=True, slots=True)
class Reduction:
    """A convolution that keeps height and width, and the 1×1 that may come before it.

    `channels` maps of `side`×`side` become `maps` by a kernel of `kernel`×`kernel`, directly or through
    `reduction` maps. All are whole numbers from 1 on.
    """

    channels: int
    reduction: int
    maps: int
    kernel: int
    side: int

    @property
    def naive(self) -> Cost:
        """Directly."""
        return convolution(self.channels, self.maps, self.kernel, self.side)

    @property
    def reduced(self) -> Cost:
        """Through the 1×1."""
        first = convolution(self.channels, self.reduction, 1, self.side)
        second = convolution(self.reduction, self.maps, self.kernel, self.side)
        return Cost(first.params + second.params, first.macs + second.macs)


ARTICLE = Reduction(channels=480, reduction=16, maps=48, kernel=5, side=14)
"""What an article on GoogLeNet works out: the 5×5 branch of block 4a."""
ARTICLE_DENSE = (1024, 7, 7)
"""The maps that its dense layer in place of global average pooling would read."""


def convolution(channels: int, maps: int, kernel: int, side: int) -> Cost:
    """A convolution with bias that gives `maps` of `side`×`side` from `channels`."""
    weights = maps * channels * kernel**2
    return Cost(weights + maps, weights * side**2)


@dataclass(frozen=True, slots=True)
class Stage:
    """An inception block in the row of them."""

    name: str
    channels: int
    """That leave it."""
    cost: Cost


def stages(analysis: Analysis) -> tuple[Stage, ...]:
    """The inception blocks of a model of ours, naive or not, in order; none of other models."""
    pooled = {row.name.rpartition(".branch_pool")[0] for row in analysis.rows if ".branch_pool" in row.name}
    result = []
    for block in (row for row in analysis.rows if row.name in pooled):
        rows = [row for row in analysis.rows if row.name.startswith(f"{block.name}.")]
        cost = Cost(sum(row.params for row in rows), sum(row.macs for row in rows))
        result.append(Stage(block.name, block.output_shape[0], cost))
    return tuple(result)


def last_maps(analysis: Analysis) -> Shape | None:
    """The `(C, H, W)` that a model's last pooling over all cells reads; None where it has none."""
    rows = [row for row in analysis.predicting if row.kind == "pool"]
    return next((row.input_shape for row in reversed(rows) if row.output_shape[1:] == (1, 1)), None)


def dense_weights(shape: Shape) -> int:
    """Weights of a dense layer from all values of `(C, H, W)` to C, without biases."""
    channels, height, width = shape
    return channels * height * width * channels
