"""Generator of `families/torchvision_models.json`: metadata of torchvision's models, read without torch.

Run `python -m cnnviz.models.torchvision_metadata` after an upgrade of torchvision. Everything but the family
comes from torchvision: the figures from the default weights' metadata, the smallest input by trial.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from cnnviz.models.families.torchvision import TABLE, build, multiple_of

# Metadata that torchvision lacks: family, year, paper and a readable title.
#
# One row per family. The pattern is matched against the whole name; its groups fill the title.


@dataclass(frozen=True)
class Family:
    """Name pattern and the metadata of every model that matches it."""

    pattern: str
    title: str
    family: str
    year: int
    paper: str
    summary: str


FAMILIES = (
    Family("alexnet", "AlexNet (torchvision)", "AlexNet", 2014,
           "One Weird Trick for Parallelizing Convolutional Neural Networks (Krizhevsky, 2014)",
           "AlexNet's narrower one-tower form of 2014, without local response normalization."),
    Family("convnext_(.+)", "ConvNeXt-{0}", "ConvNeXt", 2022, "A ConvNet for the 2020s (Liu et al., 2022)",
           "A ResNet brought up to a vision transformer's habits: patches, 7×7 depthwise kernels, layer "
           "norm."),
    Family("densenet(.+)", "DenseNet-{0}", "DenseNet", 2016,
           "Densely Connected Convolutional Networks (Huang et al., 2016)",
           "Every layer sees the maps of all layers before it in its block."),
    Family("efficientnet_(b.)", "EfficientNet-{0}", "EfficientNet", 2019,
           "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (Tan and Le, 2019)",
           "Depth, width and input size grown together from one searched network."),
    Family("efficientnet_v2_(.)", "EfficientNetV2-{0}", "EfficientNet", 2021,
           "EfficientNetV2: Smaller Models and Faster Training (Tan and Le, 2021)",
           "EfficientNet searched again for training speed, with whole convolutions in its early blocks."),
    Family("googlenet", "GoogLeNet (torchvision)", "GoogLeNet", 2014,
           "Going Deeper with Convolutions (Szegedy et al., 2014)",
           "Inception blocks with batch normalization, and 3×3 where the paper has 5×5."),
    Family("inception_v3", "Inception v3", "GoogLeNet", 2015,
           "Rethinking the Inception Architecture for Computer Vision (Szegedy et al., 2015)",
           "Inception blocks whose large kernels are split into small and one-sided ones."),
    Family("maxvit_(.)", "MaxViT-{0}", "MaxViT", 2022,
           "MaxViT: Multi-Axis Vision Transformer (Tu et al., 2022)",
           "Convolution, attention within windows and attention across them, in every block."),
    Family("mnasnet(.)_(.+)", "MNASNet {0}.{1}", "MNASNet", 2018,
           "MnasNet: Platform-Aware Neural Architecture Search for Mobile (Tan et al., 2018)",
           "Found by a search that measured its speed on a phone."),
    Family("mobilenet_v2", "MobileNetV2", "MobileNet", 2018,
           "MobileNetV2: Inverted Residuals and Linear Bottlenecks (Sandler et al., 2018)",
           "Depthwise convolutions between a 1×1 that widens and a 1×1 that narrows: little arithmetic."),
    Family("mobilenet_v3_(.+)", "MobileNetV3-{0}", "MobileNet", 2019,
           "Searching for MobileNetV3 (Howard et al., 2019)",
           "MobileNetV2 refined by search, with squeeze-and-excitation and a cheaper non-linearity."),
    Family("regnet_([xy])_(.+)", "RegNet{0}-{1}", "RegNet", 2020,
           "Designing Network Design Spaces (Radosavovic et al., 2020)",
           "Widths that grow along a straight line: a family of good networks instead of one."),
    Family("resnet(.+)", "ResNet-{0}", "ResNet", 2015,
           "Deep Residual Learning for Image Recognition (He et al., 2015)",
           "Each block adds to its input instead of replacing it, so that depth stays trainable."),
    Family("resnext(.+)_(.+)", "ResNeXt-{0} {1}", "ResNeXt", 2016,
           "Aggregated Residual Transformations for Deep Neural Networks (Xie et al., 2016)",
           "ResNet with grouped convolutions: many narrow paths in each block."),
    Family("shufflenet_v2_x(.)_(.)", "ShuffleNetV2 ×{0}.{1}", "ShuffleNet", 2018,
           "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (Ma et al., 2018)",
           "Half the maps go on untouched, then all are shuffled: designed by measured speed."),
    Family("squeezenet(.)_(.)", "SqueezeNet {0}.{1}", "SqueezeNet", 2016,
           "SqueezeNet: AlexNet-Level Accuracy with 50x Fewer Parameters (Iandola et al., 2016)",
           "1×1 convolutions squeeze the maps before each 3×3: AlexNet's accuracy in a fiftieth of its "
           "parameters."),
    Family("swin_(.)", "Swin-{0}", "Swin", 2021,
           "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows (Liu et al., 2021)",
           "Attention within small windows that shift from layer to layer."),
    Family("swin_v2_(.)", "SwinV2-{0}", "Swin", 2021,
           "Swin Transformer V2: Scaling Up Capacity and Resolution (Liu et al., 2021)",
           "Swin with attention by cosine and positions that carry over to larger images."),
    Family("vgg(..)", "VGG-{0}", "VGG", 2014,
           "Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan and Zisserman, "
           "2014)",
           "Nothing but 3×3 convolutions, then three heavy fully connected layers."),
    Family("vgg(..)_bn", "VGG-{0} with batch norm", "VGG", 2014,
           "Very Deep Convolutional Networks for Large-Scale Image Recognition (Simonyan and Zisserman, "
           "2014)",
           "VGG with a batch normalization after every convolution, which came a year later."),
    Family("vit_(.)_(..)", "ViT-{0}/{1}", "ViT", 2020,
           "An Image Is Worth 16x16 Words: Transformers for Image Recognition at Scale (Dosovitskiy et "
           "al., 2020)",
           "Cuts the image into patches and lets every patch attend to every other."),
    Family("wide_resnet(.+)_2", "Wide ResNet-{0}-2", "ResNet", 2016,
           "Wide Residual Networks (Zagoruyko and Komodakis, 2016)",
           "ResNet with twice the maps inside each block."),
)  # fmt: skip


def family_of(name: str) -> tuple[Family, str]:
    """Return the family of a torchvision model and its title.

    Raises:
        ValueError: Where no row matches the name.
    """
    for family in FAMILIES:
        match = re.fullmatch(family.pattern, name)
        if match:
            return family, family.title.format(*(_written(part) for part in match.groups()))
    raise ValueError(f"torchvision's '{name}' belongs to no family in cnnviz/models/torchvision_metadata.py.")


def _written(part: str) -> str:
    """Format a variant: `tiny` as `Tiny`, `b0` as `B0`, `1_6gf` as `1.6GF`, `32x4d` as `32×4d`."""
    if re.fullmatch(r"\d+x\d+d", part):
        return part.replace("x", "×")
    return part.capitalize() if len(part) > 3 and part.isalpha() else part.upper().replace("_", ".")


class Weightless(TorchFunctionMode):
    """Context that creates weights on the meta device; arithmetic on small constants has real values.

    (`torch.device("meta")` would also move the constants, which RegNet computes its widths from.)
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function, on the meta device where it creates weights."""
        kwargs = kwargs or {}
        if func in (torch.empty, torch.zeros, torch.ones):
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def rows() -> list[dict[str, Any]]:
    """Return the metadata rows of torchvision's classification models, ordered by name."""
    from torchvision import models

    return [row(name) for name in models.list_models(module=models)]


def row(name: str) -> dict[str, Any]:
    """Return the row of one model: torchvision's metadata and the smallest input that works."""
    facts = stated(name)
    return {**facts, "min_size": smallest(name, facts["size"])}


def stated(name: str) -> dict[str, Any]:
    """Return torchvision's metadata of a model.

    Accuracies are fractions, `gmacs` is for one image of `size`.
    """
    from torchvision.models import get_model_weights

    family, title = family_of(name)
    weights = get_model_weights(name).DEFAULT
    meta = weights.meta
    accuracy = meta["_metrics"]["ImageNet-1K"]
    return {
        "name": name,
        "title": title,
        "family": family.family,
        "year": family.year,
        "paper": family.paper,
        "summary": family.summary,
        "weights": weights.name,
        "size": _crop(weights),
        "params": meta["num_params"],
        "gmacs": meta["_ops"],
        "top1": round(accuracy["acc@1"] / 100, 5),
        "top5": round(accuracy["acc@5"] / 100, 5),
    }


def _crop(weights: Any) -> int:
    size = weights.transforms.keywords["crop_size"]
    return int(size if isinstance(size, int) else size[0])


def weightless(name: str, size: int) -> nn.Module:
    """Build a torchvision model on the meta device, in evaluation mode."""
    with Weightless():
        return build(name, 1000, size, size).to("meta").eval()


def works(model: nn.Module, size: int) -> bool:
    """Return whether the model accepts a square input of `size`."""
    try:
        with torch.no_grad():
            model(torch.empty(2, 3, size, size, device="meta"))
    except RuntimeError:
        return False
    return True


def smallest(name: str, size: int) -> int:
    """Find the smallest square input that the model accepts, by binary search below `size`."""
    if multiple_of(name) > 1:
        return multiple_of(name)
    model = weightless(name, size)
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(model, middle) else (middle, high)
    return high


def write(path: Path = TABLE) -> None:
    """Recompute the table and write it, one model per line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in rows())
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write()
