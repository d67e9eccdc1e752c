"""LeNet-5: the modern form, and the original of 1998."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cnnviz.models.layers import Conv, Flatten, LayerList, Linear, Pool
from cnnviz.models.layers.base import initial
from cnnviz.models.layers.basic import activation
from cnnviz.models.registry import register, sequential
from cnnviz.models.spec import Options, Published, Shape

if TYPE_CHECKING:
    from torch import nn

# Fixed parts of LeNet-5 of 1998: the connection table of C3 and the target bitmaps of the output layer.
# Defined without torch, so that they can be drawn at once.

C3_CONNECTIONS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip
"""Indices of the S2 maps that each of C3's 16 maps is connected to (LeCun et al., 1998, table I).

"Contiguous" there is meant cyclically: 5 and 0 are neighbors.
"""

_DRAWN = """
.#####. ...#... .#####. .#####. #....#. ####### ..####. ####### .#####. .#####.
##...## ..##... ##...## ##...## #....#. #...... .##.... .....## ##...## ##...##
#.....# .###... #.....# #.....# #....#. #...... ##..... .....#. #.....# #.....#
#.....# ...#... ......# ......# #....#. #...... #...... ....##. #.....# #.....#
#.....# ...#... .....## .....## #....#. #####.. #.####. ....#.. ##...## ##...##
#.....# ...#... ....##. ..####. #....#. ....##. ###..## ...##.. .#####. .######
#.....# ...#... ...##.. .....## ####### .....## ##....# ...#... .#####. ......#
#.....# ...#... ..##... ......# .....#. ......# #.....# ..##... ##...## ......#
#.....# ...#... .##.... ......# .....#. ......# #.....# ..#.... #.....# .....##
#.....# ...#... ##..... #.....# .....#. #.....# #.....# .##.... #.....# ....##.
##...## ...#... #...... ##...## .....#. ##...## ##...## .#..... ##...## ..###..
.#####. .#####. ####### .#####. .....#. .#####. .#####. ##..... .#####. ###....
"""

DIGIT_ROWS, DIGIT_COLUMNS = 12, 7


def digit_bitmap(digit: int) -> tuple[tuple[int, ...], ...]:
    """Return the target bitmap of a digit: 12 rows of 7 values, +1 for ink and −1 for paper.

    The paper of 1998 shows such bitmaps without printing their values; these are our own drawings.
    """
    rows = [line.split()[digit] for line in _DRAWN.split("\n") if line]
    return tuple(tuple(1 if mark == "#" else -1 for mark in row) for row in rows)


PAPER = "Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998)"


class LeNetOptions(Options):
    """Options of the modern LeNet-5: each of its changes can be undone."""

    activation: Literal["relu", "tanh"] = Field(
        "relu", description="What follows each layer: ReLU as today, or tanh, close to what 1998 used."
    )
    pooling: Literal["max", "average"] = Field(
        "max", description="What a 2×2 window leaves: its largest value as today, or its mean as in 1998."
    )
    init: Literal["default", "he"] = Field(
        "default", description="How weights start: PyTorch's rule, or He's, which is made for ReLU."
    )


@sequential(
    "lenet5",
    title="LeNet-5",
    family="LeNet",
    year=1998,
    summary=(
        "The network that read handwritten digits, as it is usually written today: ReLU, max pooling, "
        "dense C3."
    ),
    input_shape=(1, 28, 28),
    classes=10,
    options=LeNetOptions,
    paper=PAPER,
    published=(
        Published("params", 61_706, source="an article on LeNet-5 for MNIST"),
        Published("accuracy", 0.9825, "MNIST", "an article on LeNet-5 for MNIST: 20 epochs of SGD"),
        Published("seconds", 60, "MNIST", "an article on LeNet-5 for MNIST: about a minute"),
    ),
    notes=(
        "The modern form: ReLU for the scaled tanh, max pooling for trainable subsampling, a C3 that sees "
        "all six maps, and a linear output; `lenet5-1998` is the original.",
    ),
)  # fmt: skip
def lenet5(classes: int, input_shape: Shape, options: LeNetOptions) -> LayerList:
    """Build two convolutions and three fully connected layers; conv1 pads 28×28 images to 32×32."""
    start = initial(options.init)
    pool1, pool2 = (Pool(name=f"pool{i}", mode=options.pooling, kernel=2) for i in (1, 2))
    relu = [activation(options.activation, number) for number in range(1, 5)]
    return LayerList(
        name="lenet5",
        input=input_shape,
        classes=classes,
        layers=(
            Conv(name="conv1", out=6, kernel=5, padding=2, init=start), relu[0], pool1,
            Conv(name="conv2", out=16, kernel=5, init=start), relu[1], pool2,
            Flatten(name="flatten"),
            Linear(name="fc1", out=120, init=start), relu[2],
            Linear(name="fc2", out=84, init=start), relu[3],
            Linear(name="fc3", out="classes", init=start),
        ),
    )  # fmt: skip


class LeNet1998Options(Options):
    """Options of the original LeNet-5: only its initialization can be chosen."""

    init: Literal["paper", "default"] = Field(
        "paper", description="How weights start: uniform in ±2.4/inputs as in the paper, or PyTorch's rule."
    )


@register(
    "lenet5-1998",
    title="LeNet-5 (1998)",
    family="LeNet",
    year=1998,
    summary=(
        "The original: C3 sees only some maps, subsampling is trained, and classes are images to "
        "come close to."
    ),
    input_shape=(1, 32, 32),
    classes=10,
    options=LeNet1998Options,
    paper=PAPER,
    published=(
        Published("params", 60_000, source="LeCun et al., 1998, section II.B"),
        Published("accuracy", 0.9905, "MNIST", "LeCun et al., 1998: 0.95 % error without distorted images"),
    ),
    notes=(
        "C3's 16 maps see 3, 4 or 6 of S2's six maps by the paper's table: six see 3 neighbors, six see "
        "4 neighbors, three see 4 that are not, one sees all; 1,516 parameters where a full convolution "
        "has 2,416.",
        "The output compares F6's 84 values with a 7×12 image of each digit; a logit is minus the squared "
        "distance, so the network has images for ten classes only.",
        "The paper does not print the images' values; ours are drawn in the manner of its figure 3.",
        "It is trained here with cross-entropy over the logits; the paper adds a penalty of its own to "
        "the squared distance (equation 9).",
    ),
)  # fmt: skip
def lenet5_1998(classes: int, input_shape: Shape, options: LeNet1998Options) -> nn.Module:
    """Build the original network, with the paper's layer names.

    Raises:
        ValueError: For other than ten classes or 32×32 inputs.
    """
    if classes != 10:
        raise ValueError(
            f"lenet5-1998 aims at fixed images of the ten digits, so it has 10 classes, not {classes}; "
            "lenet5 takes any number."
        )
    if input_shape[1:] != (32, 32):
        size = "×".join(map(str, input_shape[1:]))
        raise ValueError(f"lenet5-1998 takes 32×32 images, not {size}: C5 sees all of S4's 5×5.")
    from torch import nn

    from cnnviz.models import modules

    parts: OrderedDict[str, nn.Module] = OrderedDict(
        c1=nn.Conv2d(1, 6, 5), tanh1=modules.ScaledTanh(),
        s2=modules.Subsampling(6), tanh2=modules.ScaledTanh(),
        c3=modules.PartialConv2d(C3_CONNECTIONS, 5), tanh3=modules.ScaledTanh(),
        s4=modules.Subsampling(16), tanh4=modules.ScaledTanh(),
        c5=nn.Conv2d(16, 120, 5), tanh5=modules.ScaledTanh(), flatten=nn.Flatten(),
        f6=nn.Linear(120, 84), tanh6=modules.ScaledTanh(),
        output=modules.RadialBasis([sum(digit_bitmap(digit), ()) for digit in range(10)]),
    )  # fmt: skip
    network = nn.Sequential(parts)
    if options.init == "paper":
        modules.init_as_in_1998(network)
    return network
