"""Recipes that reach each article's accuracy in little time with its network unchanged.

Tuned on training images only.
"""

from cnnviz.training.recipe import Recipe

_UNTUNED = " Not tuned on a GPU yet: settings by reasoning."

_CIFAR10 = Recipe(
    name="fast-alexnet-cifar10",
    description="AlexNet on CIFAR-10, made for the article's 85.03 % in seconds." + _UNTUNED,
    model="alexnet-cifar10",
    options={"init": "he"},
    dataset="cifar10",
    validation=0,
    epochs=14,
    batch_size=256,
    optimiser="nesterov",
    lr=0.04,
    momentum=0.9,
    weight_decay=5e-4,
    label_smoothing=0.1,
    schedule="one-cycle",
    scale="standardised",
    pad_crop=3,
    flip="alternating",
    precision="bf16",
)

RECIPES = (
    Recipe(
        name="fast-lenet5-mnist",
        description="LeNet-5 on MNIST: 99 % in three epochs, tuned on a tenth of the training images.",
        model="lenet5",
        dataset="mnist",
        validation=0,
        epochs=3,
        batch_size=128,
        optimiser="nesterov",
        lr=0.08,
        momentum=0.9,
        weight_decay=5e-4,
        schedule="one-cycle",
        scale="standardised",
        precision="bf16",
    ),
    _CIFAR10,
    _CIFAR10.model_copy(
        update={
            "name": "fast-small-alexnet-cifar10",
            "description": "SmallAlexNet on CIFAR-10, made for the article's 83.16 % in seconds." + _UNTUNED,
            "model": "small-alexnet",
        }
    ),
    Recipe(
        name="fast-alexnet-bn-227-cifar10",
        description="AlexNet-227 with batch norm on CIFAR-10, made for the article's 84.32 %." + _UNTUNED,
        model="alexnet-bn-227",
        dataset="cifar10",
        validation=0,
        epochs=14,
        batch_size=256,
        optimiser="nesterov",
        lr=0.03,
        momentum=0.9,
        weight_decay=5e-4,
        label_smoothing=0.1,
        schedule="one-cycle",
        scale="standardised",
        pad_crop=3,
        flip="alternating",
        precision="bf16",
    ),
    Recipe(
        name="fast-googlenet-cifar10",
        description="GoogLeNet on CIFAR-10 at 224, made for the article's 71.99 %." + _UNTUNED,
        model="googlenet",
        dataset="cifar10",
        validation=0,
        epochs=8,
        batch_size=256,
        optimiser="adamw",
        lr=1e-3,
        weight_decay=1e-2,
        schedule="one-cycle",
        scale="standardised",
        size=224,
        flip="alternating",
        precision="bf16",
    ),
    Recipe(
        name="fast-alexnet-stl10",
        description="AlexNet of the paper on STL-10, away from the 10 % at which the article's run stuck."
        + _UNTUNED,
        model="alexnet",
        options={"init": "he", "normalisation": "lrn-article"},
        dataset="stl10",
        validation=0,
        epochs=30,
        batch_size=128,
        optimiser="nesterov",
        lr=0.01,
        momentum=0.9,
        weight_decay=5e-4,
        schedule="one-cycle",
        scale="standardised",
        size=227,
        crop_from=256,
        flip="random",
        precision="bf16",
    ),
)
