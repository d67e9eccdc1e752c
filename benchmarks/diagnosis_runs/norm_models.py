"""Torchvision's MobileNetV2 and DenseNet, small, with another momentum of batch normalization.

They are given what torchvision states for MobileNetV3 (0.01) and MNASNet (0.0003), which are meant for runs
of 100,000 steps and more and take a minute for a hundred here.
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
OWN = {MOBILENET: 0.01, DENSENET: 0.0003}
"""The momentum of each where no other is asked for."""


class NormOptions(Options):
    """The momentum is the network's own where it is 0."""

    momentum: float = Field(0.0, ge=0, le=1, description="Weight of the newest batch.")


def register() -> None:
    """Let recipes ask for both by name."""
    for name, title, builder in ((MOBILENET, "MobileNetV2", _mobilenet), (DENSENET, "DenseNet", _densenet)):
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
    from torch import nn
    from torchvision.models import DenseNet

    model: nn.Module = DenseNet(
        growth_rate=8, block_config=(2, 3, 3), num_init_features=16, bn_size=2, num_classes=classes
    )
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = options.momentum or OWN[DENSENET]
    return model
