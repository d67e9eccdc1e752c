"""Torchvision's networks, small, with another momentum of batch normalization.

MobileNetV2 and DenseNet are given what torchvision states for MobileNetV3 (0.01) and MNASNet (0.0003), which
are meant for runs of 100,000 steps and more and take a minute for a hundred here; RegNet what it states for
EfficientNetV2 (0.01), and ShuffleNetV2 0.003; EfficientNet what it states for the largest of them (0.01), and
ResNet 0.002.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from cnnviz.models import Options, Shape, registry
from cnnviz.models.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

MOBILENET, DENSENET = "bench/mobilenet-v2", "bench/densenet"
REGNET, SHUFFLENET = "bench/regnet", "bench/shufflenet-v2"
RESNET, EFFICIENTNET = "bench/resnet", "bench/efficientnet"
OWN = {
    MOBILENET: 0.01, DENSENET: 0.0003, REGNET: 0.01, SHUFFLENET: 0.003, RESNET: 0.002, EFFICIENTNET: 0.01,
}  # fmt: skip
"""The momentum of each where no other is asked for."""


class NormOptions(Options):
    """The momentum is the network's own where it is 0."""

    momentum: float = Field(0.0, ge=0, le=1, description="Weight of the newest batch.")


def register() -> None:
    """Let recipes ask for each by name."""
    for name, title, builder in (
        (MOBILENET, "MobileNetV2", _mobilenet),
        (DENSENET, "DenseNet", _densenet),
        (REGNET, "RegNet", _regnet),
        (SHUFFLENET, "ShuffleNetV2", _shufflenet),
        (RESNET, "ResNet", _resnet),
        (EFFICIENTNET, "EfficientNet", _efficientnet),
    ):
        registry.add(
            ModelSpec(
                name=name, title=title, family="the bench of diagnoses", year=2018, builder=builder,
                summary="Torchvision's, with a momentum to choose.", input_shape=(3, 32, 32), classes=10,
                options=NormOptions, source="yours",
            )
        )  # fmt: skip


def _mobilenet(classes: int, shape: Shape, options: NormOptions) -> nn.Module:
    from torch import nn
    from torchvision.models import MobileNetV2

    norm = partial(nn.BatchNorm2d, momentum=options.momentum or OWN[MOBILENET])
    blocks = [
        [1, 8, 1, 1],
        [4, 12, 2, 2],
        [4, 20, 2, 2],
    ]  # Expansion, maps, how many, the first one's stride.
    model: nn.Module = MobileNetV2(classes, 0.5, blocks, norm_layer=norm, dropout=0.0)
    return model


def _densenet(classes: int, shape: Shape, options: NormOptions) -> nn.Module:
    from torchvision.models import DenseNet

    model: nn.Module = DenseNet(
        growth_rate=8, block_config=(2, 3, 3), num_init_features=16, bn_size=2, num_classes=classes
    )
    return _with_momentum(model, options.momentum or OWN[DENSENET])


def _regnet(classes: int, shape: Shape, options: NormOptions) -> nn.Module:
    from torch import nn
    from torchvision.models.regnet import BlockParams, RegNet

    blocks = BlockParams(
        depths=[1, 2, 1], widths=[16, 24, 32], group_widths=[8, 8, 8], bottleneck_multipliers=[1.0] * 3,
        strides=[2, 2, 2],
    )  # fmt: skip
    norm = partial(nn.BatchNorm2d, momentum=options.momentum or OWN[REGNET])
    model: nn.Module = RegNet(blocks, classes, stem_width=16, norm_layer=norm)
    return model


def _shufflenet(classes: int, shape: Shape, options: NormOptions) -> nn.Module:
    from torchvision.models import ShuffleNetV2

    model: nn.Module = ShuffleNetV2([2, 2, 1], [16, 24, 32, 48, 96], classes)
    return _with_momentum(model, options.momentum or OWN[SHUFFLENET])


def _resnet(classes: int, shape: Shape, options: NormOptions) -> nn.Module:
    from torchvision.models.resnet import BasicBlock, ResNet

    model: nn.Module = ResNet(BasicBlock, [1, 1, 1, 1], classes)
    return _with_momentum(model, options.momentum or OWN[RESNET])


def _efficientnet(classes: int, shape: Shape, options: NormOptions) -> nn.Module:
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig

    blocks = [
        MBConvConfig(1, 3, 1, 16, 16, 1),
        MBConvConfig(4, 3, 2, 16, 24, 1),
        MBConvConfig(4, 5, 1, 24, 32, 1),
    ]  # Expansion, kernel, stride, maps before and after, how many.
    model: nn.Module = EfficientNet(blocks, 0.0, stochastic_depth_prob=0.0, num_classes=classes)
    return _with_momentum(model, options.momentum or OWN[EFFICIENTNET])


def _with_momentum(model: nn.Module, momentum: float) -> nn.Module:
    """The same with that momentum in every batch normalization."""
    from torch import nn

    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum
    return model
