"""All models in one picture: parameters against multiply-adds, both as logarithms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnviz.figures import numbers
from cnnviz.figures.palette import COMPARED, Colour

if TYPE_CHECKING:
    from cnnviz.analysis import Overview

INK = Colour("#4d575c", "#a9b4b9")


@dataclass(frozen=True)
class Group:
    """Families that share an idea, and a hue."""

    title: str
    families: tuple[str, ...]
    colour: Colour


GROUPS = (
    Group("sequential", ("LeNet", "AlexNet", "VGG", "SqueezeNet"), INK),
    Group("branches", ("GoogLeNet", "Inception"), COMPARED[1]),
    Group("shortcuts", ("ResNet", "ResNeXt", "RegNet", "DenseNet", "ConvNeXt"), COMPARED[0]),
    Group("mobile", ("MobileNet", "ShuffleNet", "MNASNet", "EfficientNet"), COMPARED[2]),
    Group("attention", ("ViT", "Swin", "MaxViT"), COMPARED[3]),
)
"""Every family belongs to one of these."""
LANDMARKS = (
    "torchvision/vgg16",
    "torchvision/resnet50",
    "torchvision/vit_h_14",
    "torchvision/regnet_y_128gf",
    "torchvision/efficientnet_b0",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/squeezenet1_1",
    "torchvision/mobilenet_v3_small",
    "torchvision/efficientnet_v2_l",
    "torchvision/densenet121",
    "torchvision/swin_b",
    "torchvision/convnext_large",
    "torchvision/inception_v3",
)
"""Models named in the picture where there is room, besides our own."""


def landscape(models: Iterable[Overview]) -> dict[str, Any]:
    """The picture as data: `groups` and `points`, the largest points first, so that none hides another."""
    points = [_point(model) for model in models]
    return {
        "groups": [
            {"title": group.title, "families": ", ".join(group.families), "colour": group.colour.css}
            for group in GROUPS
        ],
        "points": sorted(points, key=lambda point: (point["ours"], -point["params"])),
    }


def landscape_words(models: Iterable[Overview]) -> str:
    """The picture in a sentence or two."""
    known = list(models)
    fewest, most = (pick(known, key=lambda model: model.params) for pick in (min, max))
    cheapest, dearest = (pick(known, key=lambda model: model.macs) for pick in (min, max))
    return (
        f"Parameters against multiply-adds of {len(known)} models, both on logarithmic scales: from "
        f"{numbers.short(fewest.params)} parameters ({fewest.title}) to {numbers.short(most.params)} "
        f"({most.title}), from {numbers.macs(cheapest.macs)} ({cheapest.title}) to "
        f"{numbers.macs(dearest.macs)} ({dearest.title})."
    )


def group_of(family: str) -> int:
    """The number of the group that `family` belongs to; raises `KeyError` for one that is in none."""
    for number, group in enumerate(GROUPS):
        if family in group.families:
            return number
    raise KeyError(family)


def _point(model: Overview) -> dict[str, Any]:
    accuracy = (
        "" if model.accuracy is None else f"{numbers.percent(model.accuracy, 1)} on {model.accuracy_on}"
    )
    return {
        "name": model.name,
        "title": model.title,
        "group": group_of(model.family),
        "ours": model.source == "cnnviz",
        "landmark": model.name in LANDMARKS,
        "params": model.params,
        "macs": model.macs,
        "facts": [
            f"{numbers.exact(model.params)} parameters",
            f"{numbers.macs(model.macs)} for {numbers.shape(model.input_shape)}",
            f"{model.depth} weight layers deep, {model.year}",
            *([accuracy] if accuracy else []),
        ],
    }
