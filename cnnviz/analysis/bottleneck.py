"""Cost of the 1×1 bottleneck: a convolution with and without reduction, and inception blocks in series."""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.analysis.types import Analysis, Shape


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters (with biases) and multiply-adds of a part of a network."""

    params: int
    macs: int


@dataclass(frozen=True, slots=True)
class Reduction:
    """Size-preserving convolution with an optional 1×1 reduction before it.

    `channels` maps of `side`×`side` become `maps` by a kernel of `kernel`×`kernel`, directly or through
    `reduction` maps. All are positive integers.
    """

    channels: int
    reduction: int
    maps: int
    kernel: int
    side: int

    @property
    def naive(self) -> Cost:
        """Cost of the direct convolution."""
        return convolution(self.channels, self.maps, self.kernel, self.side)

    @property
    def reduced(self) -> Cost:
        """Cost through the 1×1 reduction."""
        first = convolution(self.channels, self.reduction, 1, self.side)
        second = convolution(self.reduction, self.maps, self.kernel, self.side)
        return Cost(first.params + second.params, first.macs + second.macs)


ARTICLE = Reduction(channels=480, reduction=16, maps=48, kernel=5, side=14)
"""Example of an article on GoogLeNet: the 5×5 branch of block 4a."""
ARTICLE_DENSE = (1024, 7, 7)
"""Input of the article's dense layer in place of global average pooling."""


def convolution(channels: int, maps: int, kernel: int, side: int) -> Cost:
    """Compute the cost of a convolution with bias from `channels` to `maps` maps of `side`×`side`."""
    weights = maps * channels * kernel**2
    return Cost(weights + maps, weights * side**2)


@dataclass(frozen=True, slots=True)
class Stage:
    """Cost of one inception block in the series."""

    name: str
    channels: int
    """Output channels."""
    cost: Cost


def stages(analysis: Analysis) -> tuple[Stage, ...]:
    """Return the inception blocks of a built-in model, naive or not, in order; empty for other models."""
    pooled = {row.name.rpartition(".branch_pool")[0] for row in analysis.rows if ".branch_pool" in row.name}
    result = []
    for block in (row for row in analysis.rows if row.name in pooled):
        rows = [row for row in analysis.rows if row.name.startswith(f"{block.name}.")]
        cost = Cost(sum(row.params for row in rows), sum(row.macs for row in rows))
        result.append(Stage(block.name, block.output_shape[0], cost))
    return tuple(result)


def last_maps(analysis: Analysis) -> Shape | None:
    """Return the `(C, H, W)` that a model's last global pooling reads, or None where it has none."""
    rows = [row for row in analysis.predicting if row.kind == "pool"]
    return next((row.input_shape for row in reversed(rows) if row.output_shape[1:] == (1, 1)), None)


def dense_weights(shape: Shape) -> int:
    """Count the weights of a dense layer from all values of `(C, H, W)` to C, without biases."""
    channels, height, width = shape
    return channels * height * width * channels
