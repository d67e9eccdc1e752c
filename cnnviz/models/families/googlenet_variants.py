"""GoogLeNet without its reductions, to see what they save, and two forms of it for 32×32 images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cnnviz.models.families.googlenet import (
    BLOCKS,
    PAPER,
    GoogLeNetOptions,
    blocks,
    head,
    pool_after,
    stem,
    stem_layer,
    with_heads,
)
from cnnviz.models.layers import GlobalPool, Layer, LayerList, NaiveInception, Pool
from cnnviz.models.parts import initial
from cnnviz.models.registry import register, sequential
from cnnviz.models.spec import Options, Shape

if TYPE_CHECKING:
    from torch import nn


class NaiveOptions(Options):
    """Choices of the naive form, which has no normalisation."""

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
    """Every block naive: 92,626,298 parameters with ten classes."""
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
    """The same choices with defaults that train well from scratch."""

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
        "normalisation."
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
    """The paper's nine blocks at 32×32, 16×16 and 8×8."""
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
    """The paper's nine blocks at half width, on 16×16, 8×8 and 4×4."""
    layers: list[Layer] = [
        *stem_layer(1, 64, 3, 1, options), Pool(name="pool1", kernel=3, stride=2, padding=1),
        *stem_layer(2, 96, 3, 1, options), *blocks(options, thinner=2), GlobalPool(name="pool5"),
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
    """`small-googlenet-32` with heads after 4a and 4d.

    In evaluation forward gives logits; in training `(logits, aux1, aux2)`. Raises `ValueError` for a size
    that is too small.
    """
    return with_heads(small_googlenet_32(classes, input_shape, options), classes)
