"""VGG (2014) for 32×32 images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cnnviz.models.layers import Conv, Dropout, Flatten, GlobalPool, Layer, LayerList, Linear, Pool
from cnnviz.models.layers.base import initial
from cnnviz.models.layers.basic import normalised
from cnnviz.models.registry import sequential
from cnnviz.models.spec import Options, Shape

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""`(out_channels, number of convolutions)` of each stage (configuration D)."""


class VggOptions(Options):
    """Options of the VGG variant for 32×32 images."""

    activation: Literal["relu", "tanh"] = Field("relu", description="What follows each convolution.")
    normalisation: Literal["batch", "none"] = Field(
        "batch", description="Batch normalization before every activation, or none as in 2014."
    )
    dropout: float = Field(
        0.0, ge=0, le=0.9, description="Chance that a value into the last layer is zeroed in training."
    )
    init: Literal["he", "default"] = Field(
        "he", description="How weights start: He's rule, which is made for ReLU, or PyTorch's."
    )


@sequential(
    "vgg16-bn-32",
    title="VGG-16 with batch norm for 32×32",
    family="VGG",
    year=2014,
    summary=(
        "Thirteen 3×3 convolutions in five stages: depth from one small kernel, without VGG's heavy "
        "last layers."
    ),
    input_shape=(3, 32, 32),
    classes=10,
    options=VggOptions,
    paper="Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan and Zisserman, 2014)",
    notes=(
        "The usual form for CIFAR: five stages of VGG-16's convolutions bring 32×32 to 1×1, and one fully "
        "connected layer follows where the paper has three; batch normalization came a year later.",
        "In the paper's VGG-16 (torchvision/vgg16) the fully connected layers are 89 % of the parameters "
        "and 0.8 % of the multiply-adds.",
    ),
)  # fmt: skip
def vgg16_bn_32(classes: int, input_shape: Shape, options: VggOptions) -> LayerList:
    """Build five convolutional stages and one 512 → classes layer; global pooling averages larger inputs."""
    layers: list[Layer] = []
    number = 0
    for stage, (width, depth) in enumerate(STAGES, 1):
        for _ in range(depth):
            number += 1
            layers.append(
                Conv(name=f"conv{number}", out=width, kernel=3, padding=1, init=initial(options.init))
            )
            layers += normalised(options.normalisation, number, options.activation, local_response=False)
        layers.append(Pool(name=f"pool{stage}", kernel=2))
    layers += [GlobalPool(name="global_pool"), Flatten(name="flatten")]
    if options.dropout:
        layers.append(Dropout(name="dropout", p=options.dropout))
    layers.append(Linear(name="fc", out="classes", init=initial(options.init)))
    return LayerList(name="vgg16-bn-32", input=input_shape, classes=classes, layers=tuple(layers))
