"""AlexNet with batch normalisation, as an article writes it in Keras for the 32×32 images of CIFAR-10."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cnnviz.models.families.alexnet import PAPER
from cnnviz.models.layers import BatchNorm, Conv, Dropout, Flatten, Layer, LayerList, Linear, Pool, Resize
from cnnviz.models.parts import activation, initial
from cnnviz.models.registry import sequential
from cnnviz.models.spec import Options, Published, Shape


class KerasAlexNetOptions(Options):
    """Choices of the batch-normalised form; the defaults are Keras's own."""

    activation: Literal["relu", "tanh"] = Field("relu", description="What follows each layer.")
    normalisation: Literal["batch", "none"] = Field(
        "batch", description="Batch normalisation after each pooling, with Keras's defaults, or none."
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
        "normalises batches."
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
        "The article feeds raw pixels, 0 to 255, without scaling; the first normalisation comes after the "
        "first pooling.",
        "The article's author could not explain the over-fitting, and does not state optimiser, batch or "
        "epochs.",
        "Keras counts the running means and variances as non-trainable parameters; here they are buffers.",
    ),
)  # fmt: skip
def alexnet_bn_227(classes: int, input_shape: Shape, options: KerasAlexNetOptions) -> LayerList:
    """The Keras model in PyTorch's terms: 58,323,530 trainable parameters with ten classes."""
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
            # Keras weighs the old running statistics (0.99), torch the newest batch.
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
