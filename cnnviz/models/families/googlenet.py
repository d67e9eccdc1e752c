"""GoogLeNet (2014): an article's version, the paper's auxiliary classifiers, variants for 32×32 images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cnnviz.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Inception,
    Layer,
    LayerList,
    Linear,
    NaiveInception,
    Pool,
    module_from,
)
from cnnviz.models.layers.base import MAX_SIDE, AnyShape, initial
from cnnviz.models.registry import register, sequential
from cnnviz.models.spec import Options, Published, Shape

if TYPE_CHECKING:
    from torch import nn

PAPER = "Going Deeper with Convolutions (Szegedy et al., 2014)"
ARTICLE = "an article on GoogLeNet for CIFAR-10"

BLOCKS: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Output channels of each block's convolutions (the paper's table 1).

In the order 1×1; 3×3 reduction, 3×3; 5×5 reduction, 5×5; 1×1 after the pooling.
"""
AUXILIARY = ("inception_4a", "inception_4d")
"""Blocks whose output feeds an auxiliary classifier."""
POOLED = 5
"""Side of the average-pooling window of an auxiliary classifier."""
AUXILIARY_WEIGHT = 0.3
"""Weight of each auxiliary loss in the training loss (section 5)."""


class GoogLeNetOptions(Options):
    """Options of GoogLeNet that add what the article leaves out."""

    normalisation: Literal["none", "batch"] = Field(
        "none",
        description="Batch normalization before every ReLU (Ioffe and Szegedy, 2015), or none as published.",
    )
    stem_activation: Literal["none", "relu"] = Field(
        "none",
        description=(
            "What follows the first two convolutions: nothing as in the article, or ReLU as in the paper."
        ),
    )
    dropout: float = Field(
        0.4, ge=0, le=0.9, description="Chance that one of the last maps is zeroed in training."
    )
    init: Literal["default", "he"] = Field(
        "default", description="How weights start: PyTorch's rule, or He's for ReLU."
    )


@sequential(
    "googlenet",
    title="GoogLeNet",
    family="GoogLeNet",
    year=2014,
    summary="Nine inception blocks in a row: deeper than AlexNet, with a tenth of its parameters.",
    input_shape=(3, 224, 224),
    classes=10,
    options=GoogLeNetOptions,
    paper=PAPER,
    published=(
        Published("params", 5_979_642, source=ARTICLE),
        Published("accuracy", 0.7199, "CIFAR-10", f"{ARTICLE}: learning rate 0.0002, batch 100, 100 epochs"),
    ),
    notes=(
        "The article does not say at which size it feeds the images: 224×224 is inferred, since at 32×32 "
        "the last pooling fails. It does not state the optimizer either.",
        "The article's stem has no ReLU and goes from 64 maps to 192 directly; the paper has a 1×1 "
        "convolution between, and local response normalization.",
        "The 5×5 branch is 5×5 here; torchvision's googlenet has 3×3 there.",
        "On 480 maps of 14×14, 48 maps of 5×5 cost 112.9 million multiply-adds directly and 5.3 million "
        "through a 1×1 to 16 maps. The article calls these parameters; the parameters are 576,048 and "
        "26,944.",
        "Global average pooling has no weights where a fully connected layer from 7·7·1024 to 1024 has "
        "51.4 million.",
        "The article says that VGG's fully connected layers are 85 % of its computation: in VGG-16 they "
        "are 89 % of the parameters and 0.8 % of the multiply-adds.",
    ),
)  # fmt: skip
def googlenet(classes: int, input_shape: Shape, options: GoogLeNetOptions) -> LayerList:
    """Build the article's network: 5,979,642 parameters with ten classes."""
    layers = [*stem(options), *blocks(options), Pool(name="pool5", mode="average", kernel=7)]
    return LayerList(name="googlenet", input=input_shape, classes=classes, layers=(*layers, *head(options)))


@register(
    "googlenet-aux",
    title="GoogLeNet with auxiliary classifiers",
    family="GoogLeNet",
    year=2014,
    summary=(
        "GoogLeNet with two small classifiers half-way, whose losses reach the early layers while it "
        "trains."
    ),
    input_shape=(3, 224, 224),
    classes=10,
    options=GoogLeNetOptions,
    paper=PAPER,
    notes=(
        "The heads are the paper's: average pooling 5×5 by 3, 128 maps of 1×1, 1024 units, dropout 0.7; "
        f"after 4a and 4d. Each adds {AUXILIARY_WEIGHT} times its loss in training, and is left out of "
        "the answer.",
    ),
)  # fmt: skip
def googlenet_aux(classes: int, input_shape: Shape, options: GoogLeNetOptions) -> nn.Module:
    """Build `googlenet` with auxiliary classifiers after 4a and 4d: 10,329,870 parameters with ten classes.

    The forward pass returns logits in evaluation mode and `(logits, aux1, aux2)` in training mode.

    Raises:
        ValueError: Where the input is too small.
    """
    return with_heads(googlenet(classes, input_shape, options), classes)


def with_heads(layers: LayerList, classes: int) -> nn.Module:
    """Build the network of `layers` with the paper's auxiliary classifiers after 4a and 4d.

    Raises:
        ValueError: Where the maps there are smaller than the 5×5 window of their average pooling.
    """
    from cnnviz.models.modules import Auxiliary, GoogLeNetAux

    trunk = module_from(layers)
    shapes = _head_shapes(layers)
    if not _heads_fit(shapes):
        sides = (layers.model_copy(update={"input": (3, side, side)}) for side in range(1, MAX_SIDE))
        smallest = next(wider.input[1] for wider in sides if _heads_fit(_head_shapes(wider)))
        raise ValueError(
            f"The auxiliary classifiers take maps of at least {POOLED}×{POOLED}. "
            f"The smallest input that works is {smallest}×{smallest}."
        )
    return GoogLeNetAux(trunk, {name: Auxiliary(shape, classes) for name, shape in shapes.items()})


def _head_shapes(layers: LayerList) -> dict[str, AnyShape]:
    shapes = {step.name: step.output_shape for step in layers.steps()}
    return {name: shapes[name] or () for name in AUXILIARY}


def _heads_fit(shapes: Mapping[str, AnyShape]) -> bool:
    return all(len(shape) == 3 and min(shape[1:]) >= POOLED for shape in shapes.values())


def stem(options: GoogLeNetOptions) -> list[Layer]:
    """Build the two convolutions and poolings before the first block, which divide the size by 8."""
    return [
        *stem_layer(1, 64, 7, 2, options), Pool(name="pool1", kernel=3, stride=2, padding=1),
        *stem_layer(2, 192, 3, 1, options), Pool(name="pool2", kernel=3, stride=2, padding=1),
    ]  # fmt: skip


def stem_layer(number: int, out: int, kernel: int, stride: int, options: GoogLeNetOptions) -> list[Layer]:
    """Build a convolution with the normalization and activation that the options select."""
    batch = options.normalisation == "batch"
    layers: list[Layer] = [
        Conv(name=f"conv{number}", out=out, kernel=kernel, stride=stride, padding=kernel // 2, bias=not batch,
             init=initial(options.init))
    ]  # fmt: skip
    if batch:
        layers.append(BatchNorm(name=f"norm{number}"))
    if options.stem_activation == "relu":
        layers.append(Activation(name=f"relu{number}"))
    return layers


def blocks(options: GoogLeNetOptions, width_divisor: int = 1) -> list[Layer]:
    """Build the nine inception blocks and the pooling after 3b and 4e; `width_divisor` divides all widths."""
    layers: list[Layer] = []
    for name, maps in BLOCKS.items():
        one, three_reduce, three, five_reduce, five, pool = (count // width_divisor for count in maps)
        block = Inception(
            name=f"inception_{name}", one=one, three_reduce=three_reduce, three=three,
            five_reduce=five_reduce, five=five, pool=pool, norm=options.normalisation,
            init=initial(options.init),
        )  # fmt: skip
        layers += [block, *pool_after(name)]
    return layers


def pool_after(block: str) -> list[Layer]:
    """Build the pooling after block 3b or 4e; an empty list for any other block."""
    number = {"3b": 3, "4e": 4}.get(block)
    return [Pool(name=f"pool{number}", kernel=3, stride=2, padding=1)] if number else []


def head(options: GoogLeNetOptions) -> list[Layer]:
    """Build the classifier: dropout of whole maps and one fully connected layer."""
    return [
        Dropout(name="dropout", p=options.dropout, maps=True),
        Flatten(name="flatten"),
        Linear(name="fc", out="classes", init=initial(options.init)),
    ]


# GoogLeNet without 1×1 reductions, to show what they save, and two variants for 32×32 images.


class NaiveOptions(Options):
    """Options of the naive variant, which has no normalization."""

    dropout: float = Field(
        0.4, ge=0, le=0.9, description=GoogLeNetOptions.model_fields["dropout"].description
    )
    init: Literal["default", "he"] = Field(
        "default", description=GoogLeNetOptions.model_fields["init"].description
    )


@sequential(
    "inception-naive",
    title="GoogLeNet of naive blocks",
    family="GoogLeNet",
    year=2014,
    summary=(
        "The same network without 1×1 reductions: every block is wider than the last, and the cost "
        "explodes."
    ),
    input_shape=(3, 224, 224),
    classes=10,
    options=NaiveOptions,
    paper=PAPER,
    notes=(
        "The pooling branch keeps every map it is given: 416 maps leave block 3a where 256 leave the "
        "reduced one, 4,944 leave block 5b where 1,024 do.",
        "The paper draws one such block (figure 2a) and no whole network; this one has the widths of its "
        "1×1, 3×3 and 5×5 branches.",
    ),
)  # fmt: skip
def inception_naive(classes: int, input_shape: Shape, options: NaiveOptions) -> LayerList:
    """Build GoogLeNet from naive inception blocks: 92,626,298 parameters with ten classes."""
    plain = GoogLeNetOptions(dropout=options.dropout, init=options.init)
    layers = stem(plain)
    for name, (one, _, three, _, five, _) in BLOCKS.items():
        block = NaiveInception(
            name=f"inception_{name}", one=one, three=three, five=five, init=initial(options.init)
        )
        layers += [block, *pool_after(name)]
    layers.append(Pool(name="pool5", mode="average", kernel=7))
    return LayerList(
        name="inception-naive", input=input_shape, classes=classes, layers=(*layers, *head(plain))
    )


class SmallOptions(GoogLeNetOptions):
    """Options of the 32×32 variants: GoogLeNet's, with defaults that train well from scratch."""

    normalisation: Literal["batch", "none"] = Field(
        "batch", description=GoogLeNetOptions.model_fields["normalisation"].description
    )
    stem_activation: Literal["relu", "none"] = Field(
        "relu", description=GoogLeNetOptions.model_fields["stem_activation"].description
    )


@sequential(
    "googlenet-32",
    title="GoogLeNet for 32×32",
    family="GoogLeNet",
    year=2014,
    summary=(
        "GoogLeNet for small images: no eightfold shrinking before the first block, and batch "
        "normalization."
    ),
    input_shape=(3, 32, 32),
    classes=10,
    options=SmallOptions,
    paper=PAPER,
    notes=(
        "A design of ours after the paper: the stem keeps 32×32, block 3a sees every pixel, and global "
        "average pooling takes the last 8×8 maps, or those of any other size.",
    ),
)  # fmt: skip
def googlenet_32(classes: int, input_shape: Shape, options: SmallOptions) -> LayerList:
    """Build the paper's nine blocks on 32×32, 16×16 and 8×8 maps."""
    layers: list[Layer] = [
        *stem_layer(1, 64, 3, 1, options), *stem_layer(2, 192, 3, 1, options), *blocks(options),
        GlobalPool(name="pool5"),
    ]  # fmt: skip
    return LayerList(
        name="googlenet-32", input=input_shape, classes=classes, layers=(*layers, *head(options))
    )


@sequential(
    "small-googlenet-32",
    title="SmallGoogLeNet for 32×32",
    family="GoogLeNet",
    year=2014,
    summary="All nine inception blocks at half the width: small enough to train on a laptop.",
    input_shape=(3, 32, 32),
    classes=10,
    options=SmallOptions,
    paper=PAPER,
    notes=(
        "A design of ours after the paper: half of every block's maps, blocks 3a and 3b on 16×16, the last "
        "on 4×4. It costs a fifteenth of the multiply-adds of googlenet-32.",
    ),
)  # fmt: skip
def small_googlenet_32(classes: int, input_shape: Shape, options: SmallOptions) -> LayerList:
    """Build the paper's nine blocks at half width, on 16×16, 8×8 and 4×4 maps."""
    layers: list[Layer] = [
        *stem_layer(1, 64, 3, 1, options), Pool(name="pool1", kernel=3, stride=2, padding=1),
        *stem_layer(2, 96, 3, 1, options), *blocks(options, width_divisor=2), GlobalPool(name="pool5"),
    ]  # fmt: skip
    return LayerList(
        name="small-googlenet-32", input=input_shape, classes=classes, layers=(*layers, *head(options))
    )


@register(
    "small-googlenet-32-aux",
    title="SmallGoogLeNet for 32×32 with auxiliary classifiers",
    family="GoogLeNet",
    year=2014,
    summary="The half-width GoogLeNet with the two small classifiers half-way that the paper trains with.",
    input_shape=(3, 32, 32),
    classes=10,
    options=SmallOptions,
    paper=PAPER,
    notes=(
        "A design of ours after the paper: its heads after 4a and 4d, on 8×8 maps. It lets a laptop ask "
        "what auxiliary losses do.",
    ),
)  # fmt: skip
def small_googlenet_32_aux(classes: int, input_shape: Shape, options: SmallOptions) -> nn.Module:
    """Build `small-googlenet-32` with auxiliary classifiers after 4a and 4d.

    The forward pass returns logits in evaluation mode and `(logits, aux1, aux2)` in training mode.

    Raises:
        ValueError: Where the input is too small.
    """
    return with_heads(small_googlenet_32(classes, input_shape, options), classes)
