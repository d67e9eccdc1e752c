"""AlexNet (2012) as in the paper, and three variants for the 32×32 images of CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from cnnviz.models.layers import BatchNorm, Conv, Dropout, Flatten, Layer, LayerList, Linear, Pool, Resize
from cnnviz.models.layers.base import initial
from cnnviz.models.layers.basic import activation, normalised, pooling
from cnnviz.models.registry import sequential
from cnnviz.models.spec import Options, Published, Shape

PAPER = "ImageNet Classification with Deep Convolutional Neural Networks (Krizhevsky et al., 2012)"
ON_CIFAR = "an article on AlexNet for CIFAR-10: 50 epochs, {} minutes"


class AlexNetOptions(Options):
    """Options of the AlexNet variants for CIFAR-10; the defaults are those of the articles."""

    activation: Literal["relu", "tanh"] = Field(
        "relu",
        description=(
            "What follows each layer. The paper reached 25 % training error on CIFAR-10 about six "
            "times faster with ReLU than with tanh."
        ),
    )
    normalisation: Literal["none", "lrn-paper", "lrn-article", "batch"] = Field(
        "none",
        description=(
            "Local response normalization after the first two activations, by the paper's formula "
            "or five times weaker as the article's code has it; or batch normalization before "
            "every convolution's activation."
        ),
    )
    pooling: Literal["overlapping", "plain"] = Field(
        "overlapping", description="Max pooling over 3×3 that moves by 2, as in the paper, or over 2×2."
    )
    dropout: float = Field(
        0.5,
        ge=0,
        le=0.9,
        description="Chance that a value into a fully connected layer is zeroed in training.",
    )
    init: Literal["default", "he", "paper", "article"] = Field(
        "default",
        description=(
            "How weights start: PyTorch's rule; He's for ReLU; the paper's N(0, 0.01²) with "
            "biases of 1 in conv2, conv4, conv5 and the hidden fully connected layers; or the "
            "article's, whose fully connected biases are 0."
        ),
    )  # fmt: skip


class PaperOptions(AlexNetOptions):
    """Options of the paper's AlexNet, with the paper's defaults and its split over two GPUs."""

    normalisation: Literal["lrn-paper", "lrn-article", "batch", "none"] = Field(
        "lrn-paper", description=AlexNetOptions.model_fields["normalisation"].description
    )
    init: Literal["paper", "article", "default", "he"] = Field(
        "paper", description=AlexNetOptions.model_fields["init"].description
    )
    towers: Literal[1, 2] = Field(
        1,
        description=(
            "One network, or two halves as on the paper's two GPUs: conv2, conv4 and conv5 then "
            "see only the maps of their own half."
        ),
    )


@dataclass(frozen=True)
class Plan:
    """Dimensions that differ between AlexNet variants."""

    convs: tuple[tuple[int, int, int, int], ...]
    """`(out_channels, kernel, stride, padding)` of each convolution."""
    pooled: tuple[int, ...]
    """Numbers of the convolutions that are followed by pooling, counted from 1."""
    hidden: int
    dropout_first: bool
    """Whether dropout comes before each hidden fully connected layer, rather than after its activation."""


CIFAR = Plan(
    ((96, 4, 1, 0), (256, 5, 1, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1)), (2, 5), 4096, True
)
SMALL = Plan(
    ((64, 7, 1, 0), (192, 5, 1, 2), (256, 3, 1, 1), (256, 3, 1, 1), (128, 3, 1, 1)), (2, 5), 2048, True
)
FULL = Plan(
    ((96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1)), (1, 2, 5), 4096, False
)
SPLIT = (2, 4, 5)
"""Numbers of the convolutions that are split into towers; the paper starts their biases at 1."""


@sequential(
    "alexnet-cifar10",
    title="AlexNet for CIFAR-10",
    family="AlexNet",
    year=2012,
    summary=(
        "AlexNet with its first layers adapted to 32×32 images; nine tenths of its parameters are "
        "fully connected."
    ),
    input_shape=(3, 32, 32),
    classes=10,
    options=AlexNetOptions,
    paper=PAPER,
    published=(
        Published("params", 58_292_074, source="an article on AlexNet for CIFAR-10"),
        Published("accuracy", 0.8503, "CIFAR-10", ON_CIFAR.format("about 76")),
        Published("seconds", 76 * 60, "CIFAR-10", ON_CIFAR.format("about 76")),
    ),
    notes=(
        "The article says it over-fits past about 80 %; it does not state optimizer, learning rate, batch or "
        "augmentation.",
    ),
)  # fmt: skip
def alexnet_cifar10(classes: int, input_shape: Shape, options: AlexNetOptions) -> LayerList:
    """Build the article's first network: 58,292,074 parameters with ten classes."""
    return lay_out("alexnet-cifar10", CIFAR, classes, input_shape, options)


@sequential(
    "small-alexnet",
    title="SmallAlexNet",
    family="AlexNet",
    year=2012,
    summary=(
        "An answer to “is so large a model needed?”: a fifth of the parameters for two points of "
        "accuracy."
    ),
    input_shape=(3, 32, 32),
    classes=10,
    options=AlexNetOptions,
    paper=PAPER,
    published=(
        Published("params", 12_417_098, source="an article on AlexNet for CIFAR-10"),
        Published("conv_share", 0.15, source="an article on AlexNet for CIFAR-10"),
        Published("accuracy", 0.8316, "CIFAR-10", ON_CIFAR.format("about 31")),
        Published("seconds", 31 * 60, "CIFAR-10", ON_CIFAR.format("about 31")),
    ),
    notes=(
        "The article says that about 15 % of the parameters are convolutional; its own table gives "
        "1,644,608 of 12,417,098, which is 13.2 %.",
        "The article says that it trains in about 1/3 of the large one's time; its own figures, 31 and 76 "
        "minutes, give 41 %.",
    ),
)  # fmt: skip
def small_alexnet(classes: int, input_shape: Shape, options: AlexNetOptions) -> LayerList:
    """Build the article's second, smaller network: 12,417,098 parameters with ten classes."""
    return lay_out("small-alexnet", SMALL, classes, input_shape, options)


@sequential(
    "alexnet",
    title="AlexNet",
    family="AlexNet",
    year=2012,
    summary=(
        "The network that won ImageNet in 2012 and made the field turn to deep learning, as its paper "
        "lays it out."
    ),
    input_shape=(3, 227, 227),
    classes=1000,
    options=PaperOptions,
    paper=PAPER,
    published=(
        Published("error_top5", 0.153, "ILSVRC-2012", "Krizhevsky et al., 2012: several networks averaged"),
        Published("train_accuracy", 0.10, "STL-10", "an article on AlexNet for STL-10: a run that failed"),
    ),
    notes=(
        "The paper says 224×224; 227×227 is what makes the arithmetic fit: 55, 27, 13, 6.",
        "torch divides the normalization's alpha by its window: the paper's 1e-4 over 5 maps is 5e-4 in "
        "torch, so the article's code, which hands over 1e-4, normalizes five times more weakly "
        "(`lrn-article`).",
        "The article's code normalizes before it pools, as the paper says; its table lists the reverse.",
        "The article's run on STL-10 is options normalisation=lrn-article, init=article with 10 classes: "
        "its loss stayed near ln 10, with the same prediction for nearly every image of a batch.",
        "Pooling and local response normalization have no weights, so there is nothing in them to "
        "initialize.",
        "The paper says that local response normalization cut top-1 and top-5 error by 1.4 and 1.2 "
        "points, the split over two GPUs by 1.7 and 1.2; with it (towers=2) the network has 60,965,224 "
        "parameters, the “60 million” of the paper, and 62,378,344 without.",
    ),
)  # fmt: skip
def alexnet(classes: int, input_shape: Shape, options: PaperOptions) -> LayerList:
    """Build the paper's network: 62,378,344 parameters as one tower with a thousand classes."""
    return lay_out("alexnet", FULL, classes, input_shape, options, options.towers)


def lay_out(
    name: str, plan: Plan, classes: int, input_shape: Shape, options: AlexNetOptions, towers: int = 1
) -> LayerList:
    """Build an AlexNet from its plan, for inputs of shape `(C, H, W)`."""
    layers: list[Layer] = []
    for number, (out, kernel, stride, padding) in enumerate(plan.convs, 1):
        split = number in SPLIT
        layers.append(
            Conv(name=f"conv{number}", out=out, kernel=kernel, stride=stride, padding=padding,
                 groups=towers if split else 1, init=initial(options.init, bias=float(split)))
        )  # fmt: skip
        layers += normalised(options.normalisation, number, options.activation, local_response=number <= 2)
        if number in plan.pooled:
            layers.append(pooling(options.pooling, plan.pooled.index(number) + 1))
    layers += _head(plan, options)
    return LayerList(name=name, input=input_shape, classes=classes, layers=tuple(layers))


def _head(plan: Plan, options: AlexNetOptions) -> list[Layer]:
    hidden_start = initial(options.init, bias=1.0 if options.init == "paper" else 0.0)
    layers: list[Layer] = [Flatten(name="flatten")]
    for number in (1, 2):
        drop = Dropout(name=f"dropout{number}", p=options.dropout)
        full: list[Layer] = [
            Linear(name=f"fc{number}", out=plan.hidden, init=hidden_start),
            activation(options.activation, 5 + number),
        ]
        layers += [drop, *full] if plan.dropout_first else [*full, drop]
    return [*layers, Linear(name="fc3", out="classes", init=initial(options.init))]


# AlexNet with batch normalization for 32×32 images, as an article writes it in Keras.


class KerasAlexNetOptions(Options):
    """Options of the batch-normalized variant; the defaults are those of Keras."""

    activation: Literal["relu", "tanh"] = Field("relu", description="What follows each layer.")
    normalisation: Literal["batch", "none"] = Field(
        "batch", description="Batch normalization after each pooling, with Keras's defaults, or none."
    )
    dropout: float = Field(
        0.5,
        ge=0,
        le=0.9,
        description="Chance that a value of a hidden fully connected layer is zeroed in training.",
    )
    init: Literal["keras", "default", "he"] = Field(
        "keras",
        description=(
            "How weights start: Keras's rule (Glorot uniform, biases 0), PyTorch's, or He's for ReLU."
        ),
    )


@sequential(
    "alexnet-bn-227",
    title="AlexNet-227 with batch norm",
    family="AlexNet",
    year=2012,
    summary=(
        "AlexNet at its full size for small images: it enlarges them to 227×227 inside, and "
        "normalizes batches."
    ),
    input_shape=(3, 32, 32),
    classes=10,
    options=KerasAlexNetOptions,
    paper=PAPER,
    published=(
        Published("accuracy", 0.8432, "CIFAR-10", "an article on AlexNet in Keras"),
        Published("loss", 1.2488, "CIFAR-10", "an article on AlexNet in Keras: test loss"),
    ),
    notes=(
        "The article feeds raw pixels, 0 to 255, without scaling; the first normalization comes after the "
        "first pooling.",
        "The article's author could not explain the over-fitting, and does not state optimizer, batch or "
        "epochs.",
        "Keras counts the running means and variances as non-trainable parameters; here they are buffers.",
    ),
)  # fmt: skip
def alexnet_bn_227(classes: int, input_shape: Shape, options: KerasAlexNetOptions) -> LayerList:
    """Build the article's Keras model in PyTorch: 58,323,530 trainable parameters with ten classes."""
    convs = ((96, 11, 4, 4, 3), (256, 5, 1, 2, 2), (384, 3, 1, 1, 0), (384, 3, 1, 1, 0), (256, 3, 1, 1, 3))
    start = initial(options.init)
    layers: list[Layer] = [Resize(name="resize", size=227)]
    pools = 0
    for number, (out, kernel, stride, padding, pool) in enumerate(convs, 1):
        layers.append(
            Conv(name=f"conv{number}", out=out, kernel=kernel, stride=stride, padding=padding, init=start)
        )
        layers.append(activation(options.activation, number))
        if not pool:
            continue
        pools += 1
        layers.append(Pool(name=f"pool{pools}", kernel=pool, stride=2))
        if options.normalisation == "batch":
            # Momentum: Keras gives the weight of the old running statistics (0.99), torch that of the new
            # batch.
            layers.append(BatchNorm(name=f"norm{pools}", eps=1e-3, momentum=0.01))
    layers.append(Flatten(name="flatten"))
    for number in (1, 2):
        layers += [
            Linear(name=f"fc{number}", out=4096, init=start),
            activation(options.activation, 5 + number),
            Dropout(name=f"dropout{number}", p=options.dropout),
        ]
    layers.append(Linear(name="fc3", out="classes", init=start))
    return LayerList(name="alexnet-bn-227", input=input_shape, classes=classes, layers=tuple(layers))
