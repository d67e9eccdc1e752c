"""Layer kinds with branches: the inception block, its naive form and the residual block."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cnnviz.models.layers.base import AnyShape, Extent, Init, Layer, Width, as_maps, slide

if TYPE_CHECKING:
    from torch import nn

Norm = Literal["none", "batch"]


class Inception(Layer):
    """Inception block (Szegedy et al., 2014): four branches on one input, concatenated along the channels.

    1×1 convolutions reduce the channels before the 3×3 and the 5×5, and after the pooling.
    """

    title: ClassVar[str] = "Inception block"
    group: ClassVar[str] = "block"
    kind: Literal["inception"] = "inception"
    one: Width = Field(64, description="Maps of the 1×1 branch.")
    three_reduce: Width = Field(96, description="Maps left before the 3×3.")
    three: Width = Field(128, description="Maps of the 3×3 branch.")
    five_reduce: Width = Field(16, description="Maps left before the 5×5.")
    five: Width = Field(32, description="Maps of the 5×5 branch.")
    pool: Width = Field(32, description="Maps of the pooling branch, after its 1×1.")
    norm: Norm = "none"
    init: Init = Init()

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(C, H, W)` to `(one + three + five + pool, H, W)`."""
        _, height, width = as_maps(shape, self.title)
        return (self.one + self.three + self.five + self.pool, height, width)

    def params(self, shape: AnyShape, classes: int) -> int:
        """Count the six convolutions; batch normalization's scale and shift replace their biases."""
        convs = (
            (shape[0], self.one, 1), (shape[0], self.three_reduce, 1), (self.three_reduce, self.three, 3),
            (shape[0], self.five_reduce, 1), (self.five_reduce, self.five, 5), (shape[0], self.pool, 1),
        )  # fmt: skip
        per_output = 2 if self.norm == "batch" else 1
        return sum(out * (in_channels * kernel**2 + per_output) for in_channels, out, kernel in convs)

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build an initialized `cnnviz.models.modules.Inception`."""
        from cnnviz.models.modules import Inception as Block

        widths = (self.one, self.three_reduce, self.three, self.five_reduce, self.five, self.pool)
        return self.init.apply(Block(shape[0], *widths, norm=self.norm))


class NaiveInception(Layer):
    """Inception block without 1×1 reductions (Szegedy et al., 2014, figure 2a).

    The pooling branch keeps every channel, so each block is wider than the one before.
    """

    title: ClassVar[str] = "Naive inception block"
    group: ClassVar[str] = "block"
    kind: Literal["naive_inception"] = "naive_inception"
    one: Width = Field(64, description="Maps of the 1×1 branch.")
    three: Width = Field(128, description="Maps of the 3×3 branch.")
    five: Width = Field(32, description="Maps of the 5×5 branch.")
    init: Init = Init()

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(C, H, W)` to `(one + three + five + C, H, W)`."""
        channels, height, width = as_maps(shape, self.title)
        return (self.one + self.three + self.five + channels, height, width)

    def params(self, shape: AnyShape, classes: int) -> int:
        """Count the three convolutions."""
        return sum(out * (shape[0] * k**2 + 1) for out, k in ((self.one, 1), (self.three, 3), (self.five, 5)))

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build an initialized `cnnviz.models.modules.NaiveInception`."""
        from cnnviz.models.modules import NaiveInception as Block

        return self.init.apply(Block(shape[0], self.one, self.three, self.five))


class Residual(Layer):
    """Basic residual block (He et al., 2015): two 3×3 convolutions whose output is added to the input.

    A 1×1 convolution projects the input where the shapes differ.
    """

    title: ClassVar[str] = "Residual block"
    group: ClassVar[str] = "block"
    kind: Literal["residual"] = "residual"
    out: Width = 64
    stride: Extent = 1
    init: Init = Init()

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(C, H, W)` to `(out, ⌈H/stride⌉, ⌈W/stride⌉)`."""
        return (self.out, *slide(shape, self.title, 3, self.stride, 1))

    def params(self, shape: AnyShape, classes: int) -> int:
        """Count two 3×3 convolutions and, where shapes differ, a 1×1, each with its batch normalization."""
        shortcut = (shape[0] + 2) * self.out if self.stride > 1 or shape[0] != self.out else 0
        return self.out * (9 * (shape[0] + self.out) + 4) + shortcut

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build an initialized `cnnviz.models.modules.Residual`."""
        from cnnviz.models.modules import Residual as Block

        return self.init.apply(Block(shape[0], self.out, self.stride))
