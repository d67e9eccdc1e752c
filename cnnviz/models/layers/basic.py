"""Layer kinds: convolution, linear, pooling, normalization, activation, reshaping; blocks with branches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from cnnviz.models.layers.base import (
    AnyShape,
    Extent,
    Init,
    Layer,
    MisfitError,
    Padding,
    Width,
    Window,
    as_maps,
    pair,
    slide,
)

if TYPE_CHECKING:
    from torch import nn


class Conv(Layer):
    """Convolution: every output map sums a window over all input maps, or those of its group."""

    title: ClassVar[str] = "Convolution"
    group: ClassVar[str] = "convolution"
    kind: Literal["conv"] = "conv"
    out: Width = Field(32, description="How many maps it makes.")
    kernel: Window = 3
    stride: Window = 1
    padding: Padding = 0
    dilation: Window = 1
    groups: Extent = 1
    bias: bool = True
    init: Init = Init()

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(C, H, W)` to `(out, H′, W′)`, computed by `slide`; the groups must divide C and `out`."""
        channels, _, _ = as_maps(shape, self.title)
        if channels % self.groups or self.out % self.groups:
            fits = [g for g in range(1, self.groups + 1) if math.gcd(channels, self.out) % g == 0]
            raise MisfitError(
                f"{self.groups} groups must divide both the {channels} maps that come in and the "
                f"{self.out} that go out; {', '.join(map(str, fits[-4:]))} would."
            )
        return (self.out, *slide(shape, self.title, self.kernel, self.stride, self.padding, self.dilation))

    def params(self, shape: AnyShape, classes: int) -> int:
        """Count the weights, `out·(C/groups)·kH·kW`, and the biases."""
        height, width = pair(self.kernel)
        return self.out * (shape[0] // self.groups * height * width + self.bias)

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build an initialized `Conv2d`."""
        from torch import nn

        conv = nn.Conv2d(
            shape[0],
            self.out,
            pair(self.kernel),
            pair(self.stride),
            pair(self.padding),
            pair(self.dilation),
            self.groups,
            self.bias,
        )
        return self.init.apply(conv)


class Linear(Layer):
    """Fully connected layer: every output sums all inputs."""

    title: ClassVar[str] = "Fully connected"
    group: ClassVar[str] = "fully connected"
    kind: Literal["linear"] = "linear"
    out: Width | Literal["classes"] = Field("classes", description="Units, or 'classes' for the last layer.")
    bias: bool = True
    init: Init = Init()

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(F,)` to `(out,)`; −1 is the placeholder for the number of classes."""
        if len(shape) != 1:
            raise MisfitError(
                f"{self.title} needs a vector, but maps of {'×'.join(map(str, shape))} come in; "
                "put a flatten or a global pooling layer before it."
            )
        return (-1,) if self.out == "classes" else (self.out,)

    def params(self, shape: AnyShape, classes: int) -> int:
        """Count a weight for every pair of input and output, and the biases."""
        return (classes if self.out == "classes" else self.out) * (shape[0] + self.bias)

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build an initialized `Linear`."""
        from torch import nn

        return self.init.apply(nn.Linear(shape[0], classes if self.out == "classes" else self.out, self.bias))


class Pool(Layer):
    """Pooling: the maximum or the mean of each window. It has no weights."""

    title: ClassVar[str] = "Pooling"
    group: ClassVar[str] = "pooling"
    kind: Literal["pool"] = "pool"
    mode: Literal["max", "average"] = "max"
    kernel: Window = 2
    stride: Window | None = Field(None, description="The kernel's size where empty: windows do not overlap.")
    padding: Padding = 0
    ceil: bool = Field(False, description="Keep a last window that is only partly filled.")

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(C, H, W)` to `(C, H′, W′)`, computed by `slide`; the padding is at most half the kernel."""
        if any(2 * p > k for p, k in zip(pair(self.padding), pair(self.kernel), strict=True)):
            raise MisfitError(f"Pooling pads by at most half its kernel: {min(pair(self.kernel)) // 2} here.")
        stride = self.stride or self.kernel
        sides = slide(shape, self.title, self.kernel, stride, self.padding, ceil=self.ceil)
        return (shape[0], *sides)

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build a `MaxPool2d` or `AvgPool2d`."""
        from torch import nn

        kind = nn.MaxPool2d if self.mode == "max" else nn.AvgPool2d
        stride = pair(self.stride or self.kernel)
        return kind(pair(self.kernel), stride, pair(self.padding), ceil_mode=self.ceil)


class GlobalPool(Layer):
    """Global average pooling: one value per channel, whatever the input size (Lin et al., 2013)."""

    title: ClassVar[str] = "Global average pooling"
    group: ClassVar[str] = "pooling"
    kind: Literal["global_pool"] = "global_pool"

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(C, H, W)` to `(C, 1, 1)`."""
        return (as_maps(shape, self.title)[0], 1, 1)

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build an `AdaptiveAvgPool2d`."""
        from torch import nn

        return nn.AdaptiveAvgPool2d(1)


class BatchNorm(Layer):
    """Batch normalization (Ioffe and Szegedy, 2015): a learned scale and shift per channel."""

    title: ClassVar[str] = "Batch normalization"
    group: ClassVar[str] = "normalisation"
    kind: Literal["batch_norm"] = "batch_norm"
    eps: float = Field(1e-5, gt=0, le=0.1)
    momentum: float = Field(
        0.1, ge=0, le=1, description="Weight of the newest batch in the running statistics."
    )

    def output(self, shape: AnyShape) -> AnyShape:
        """Return the same shape, of maps or of a vector."""
        return shape

    def params(self, shape: AnyShape, classes: int) -> int:
        """Count a scale and a shift per channel."""
        return 2 * shape[0]

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build a `BatchNorm2d`, or a `BatchNorm1d` for a vector."""
        from torch import nn

        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return kind(shape[0], self.eps, self.momentum)


class LocalResponseNorm(Layer):
    """Local response normalization (Krizhevsky et al., 2012, section 3.3). It has no weights.

    Alpha is in torch's convention, which divides it by the window: the paper's 1e-4 over 5 maps is 5e-4 here.
    """

    title: ClassVar[str] = "Local response normalization"
    group: ClassVar[str] = "normalisation"
    kind: Literal["lrn"] = "lrn"
    size: Extent = 5
    alpha: float = Field(5e-4, ge=0, le=10)
    beta: float = Field(0.75, ge=0, le=10)
    k: float = Field(2.0, gt=0, le=100)

    def output(self, shape: AnyShape) -> AnyShape:
        """Return the same shape, `(C, H, W)`."""
        return as_maps(shape, self.title)

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build a `LocalResponseNorm`."""
        from torch import nn

        return nn.LocalResponseNorm(self.size, self.alpha, self.beta, self.k)


class Activation(Layer):
    """Element-wise non-linearity. It has no weights."""

    title: ClassVar[str] = "Activation"
    group: ClassVar[str] = "activation"
    kind: Literal["activation"] = "activation"
    function: Literal["relu", "tanh", "sigmoid", "leaky_relu", "gelu", "silu"] = "relu"

    def output(self, shape: AnyShape) -> AnyShape:
        """Return the same shape, of maps or of a vector."""
        return shape

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build the activation's module, such as `ReLU` or `Tanh`."""
        from torch import nn

        kinds: dict[str, type[nn.Module]] = {
            "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
            "leaky_relu": nn.LeakyReLU, "gelu": nn.GELU, "silu": nn.SiLU,
        }  # fmt: skip
        return kinds[self.function]()


class Softmax(Layer):
    """Softmax over the channels: probabilities that sum to 1. It has no weights.

    Not for the end of a network that is trained: cross-entropy applies it itself.
    """

    title: ClassVar[str] = "Softmax"
    group: ClassVar[str] = "activation"
    kind: Literal["softmax"] = "softmax"

    def output(self, shape: AnyShape) -> AnyShape:
        """Return the same shape, of maps or of a vector."""
        return shape

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build a `Softmax` over dimension 1."""
        from torch import nn

        return nn.Softmax(dim=1)


class Dropout(Layer):
    """Dropout (Srivastava et al., 2014): zeroes values, or whole maps, at random in training."""

    title: ClassVar[str] = "Dropout"
    group: ClassVar[str] = "other"
    kind: Literal["dropout"] = "dropout"
    p: float = Field(0.5, ge=0, lt=1)
    maps: bool = Field(False, description="Drop whole maps instead of single values.")

    def output(self, shape: AnyShape) -> AnyShape:
        """Return the same shape; with `maps` it must be `(C, H, W)`."""
        return as_maps(shape, "Dropout of maps") if self.maps else shape

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build a `Dropout`, or a `Dropout2d` for whole maps."""
        from torch import nn

        return nn.Dropout2d(self.p) if self.maps else nn.Dropout(self.p)


class Flatten(Layer):
    """Flatten feature maps to one vector."""

    title: ClassVar[str] = "Flatten"
    group: ClassVar[str] = "other"
    kind: Literal["flatten"] = "flatten"

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(C, H, W)` to `(C·H·W,)`."""
        return (math.prod(shape),)

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build a `Flatten`."""
        from torch import nn

        return nn.Flatten()


class Resize(Layer):
    """Bilinear resizing of the maps inside the model."""

    title: ClassVar[str] = "Resize"
    group: ClassVar[str] = "other"
    kind: Literal["resize"] = "resize"
    size: Window = 227

    def output(self, shape: AnyShape) -> AnyShape:
        """Map `(C, H, W)` to `(C, *size)`."""
        return (as_maps(shape, self.title)[0], *pair(self.size))

    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build a bilinear `Upsample` with `align_corners=False`."""
        from torch import nn

        return nn.Upsample(pair(self.size), mode="bilinear", align_corners=False)


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


# Layers as the built-in families use them, by the names of their options.

LRN_ALPHA = {"lrn-paper": 5e-4, "lrn-article": 1e-4}
"""LRN alpha in torch's convention, which divides alpha by the window of 5: the paper's 1e-4 is 5e-4 here."""


def activation(function: str, number: int) -> Activation:
    """Build an activation layer named after its function, such as `relu1`."""
    return Activation.model_validate({"name": f"{function}{number}", "function": function})


def normalised(kind: str, number: int, function: str, local_response: bool) -> list[Layer]:
    """Build an activation together with its normalization layer.

    Batch normalization is placed before the activation (Ioffe and Szegedy, 2015). Local response
    normalization is placed after it, and only where `local_response` is set (Krizhevsky et al., 2012: after
    the first two convolutions).
    """
    active = activation(function, number)
    if kind == "batch":
        return [BatchNorm(name=f"norm{number}"), active]
    if kind in LRN_ALPHA and local_response:
        return [active, LocalResponseNorm(name=f"norm{number}", alpha=LRN_ALPHA[kind])]
    return [active]


def pooling(kind: str, number: int) -> Pool:
    """Build max pooling with stride 2 and a 3×3 (`overlapping`) or 2×2 (`plain`) window."""
    return Pool(name=f"pool{number}", kernel=3 if kind == "overlapping" else 2, stride=2)
