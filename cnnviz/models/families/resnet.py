"""ResNet (2015) for 32×32 images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Flatten,
    GlobalPool,
    Layer,
    LayerList,
    Linear,
    Residual,
)
from cnnviz.models.layers.base import initial
from cnnviz.models.registry import sequential
from cnnviz.models.spec import Options, Shape


class ResNetOptions(Options):
    """Options of the ResNet variant for 32×32 images."""

    init: Literal["he", "default"] = Field(
        "he", description="How weights start: He's rule, which the paper uses, or PyTorch's."
    )


@sequential(
    "resnet18-32",
    title="ResNet-18 for 32×32",
    family="ResNet",
    year=2015,
    summary=(
        "Eight residual blocks: each adds to its input instead of replacing it, so that depth stays "
        "trainable."
    ),
    input_shape=(3, 32, 32),
    classes=10,
    options=ResNetOptions,
    paper="Deep Residual Learning for Image Recognition (He et al., 2015)",
    notes=(
        "The usual form for CIFAR: ResNet-18's four stages after a 3×3 convolution that keeps 32×32, "
        "where the paper's form for ImageNet starts with 7×7 by 2 and a pooling. The paper's own networks "
        "for CIFAR-10 are narrower and have three stages.",
    ),
)  # fmt: skip
def resnet18_32(classes: int, input_shape: Shape, options: ResNetOptions) -> LayerList:
    """Build a 3×3 stem, four stages of two blocks, global pooling: 11,173,962 parameters for ten classes."""
    start = initial(options.init)
    layers: list[Layer] = [
        Conv(name="conv1", out=64, kernel=3, padding=1, bias=False, init=start),
        BatchNorm(name="norm1"),
        Activation(name="relu1"),
    ]
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for block in (1, 2):
            stride = 2 if stage > 1 and block == 1 else 1
            layers.append(Residual(name=f"block{stage}_{block}", out=width, stride=stride, init=start))
    layers += [
        GlobalPool(name="global_pool"),
        Flatten(name="flatten"),
        Linear(name="fc", out="classes", init=start),
    ]
    return LayerList(name="resnet18-32", input=input_shape, classes=classes, layers=tuple(layers))
