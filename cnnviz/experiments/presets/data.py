"""Preset experiments on the data: augmentation, and images that were enlarged."""

from cnnviz.experiments.experiment import Condition, Experiment
from cnnviz.experiments.presets import (
    Preset,
    alexnet_on_stl,
    alexnet_resizing,
    small_alexnet_on_cifar,
    thin_alexnet,
    thin_on_digits,
)

# Does augmentation help against over-fitting?

_NONE = {"flip": "none", "pad_crop": 0}
_AUGMENTATION_QUESTION = {
    "name": "augmentation",
    "question": "Does augmentation help against over-fitting?",
    "base_name": "no augmentation",
}

AUGMENTATION = Preset(
    title="Augmentation against over-fitting?",
    about=(
        "The same images at every epoch, or shifted at random, and photographs mirrored too (a mirrored "
        "digit is none). Compare the test accuracy, and how far the training accuracy runs ahead of it: "
        "that gap is over-fitting."
    ),
    asked_by="articles on AlexNet for CIFAR-10, in PyTorch and in Keras: both over-fit",
    limits=(
        "Few epochs: augmentation makes training harder, and pays the more the longer it goes on. The "
        "training accuracy of the condition is on augmented images."
    ),
    order=5,
    small=Experiment(
        base=thin_on_digits(limit=200, epochs=30),
        arms=(Condition(name="shifts by up to 2 pixels", changes={"pad_crop": 2}),),
        seeds=tuple(range(5)),
        **_AUGMENTATION_QUESTION,
    ),
    large=Experiment(
        base=small_alexnet_on_cifar(epochs=50, **_NONE),
        arms=(Condition(name="flips and shifts", changes={"flip": "random", "pad_crop": 4}),),
        **_AUGMENTATION_QUESTION,
    ),
)


# Would images that are large to begin with do better than enlarged ones?

_QUESTION = "Would images that are large to begin with do better than enlarged ones?"

ENLARGING = Preset(
    title="Enlarged, or large to begin with?",
    about=(
        "The network reads images that were shrunk and enlarged again: as many pixels, half the detail a "
        "side. Against them, the same images with all their detail, and the shrunk ones enlarged less."
    ),
    asked_by="an article on AlexNet for STL-10; an article on AlexNet in Keras enlarges 32×32 to 227×227",
    limits=(
        "Digits of 8×8 pixels stand for photographs: all conditions enlarge, as 96×96 are enlarged for "
        "AlexNet. Images of 16×16 reach a network whose first fully connected layer is smaller."
    ),
    order=2,
    small=Experiment(
        name="enlarging",
        question=_QUESTION,
        base=thin_on_digits(layers=thin_alexnet(resized=(4, 32))),
        base_name="4×4 enlarged to 32×32",
        seeds=tuple(range(5)),
        arms=(
            Condition(name="8×8 enlarged to 32×32", changes={"layers": thin_alexnet()}),
            Condition(name="4×4 enlarged to 16×16", changes={"layers": thin_alexnet(resized=(4, 16))}),
        ),
    ),
    large=Experiment(
        name="enlarging",
        question=_QUESTION,
        base=alexnet_on_stl(layers=alexnet_resizing((32, 227), init="he", normalisation="none")),
        base_name="32×32 enlarged to 227×227",
        arms=(
            Condition(
                name="96×96 enlarged to 227×227",
                changes={"layers": alexnet_resizing((), init="he", normalisation="none")},
            ),
        ),
    ),
)
