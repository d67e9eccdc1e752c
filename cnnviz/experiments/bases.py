"""The recipes that ready-made experiments start from, small and large."""

from __future__ import annotations

from typing import Any

from cnnviz.experiments.networks import thin_alexnet
from cnnviz.models.layers import LayerList
from cnnviz.training import get
from cnnviz.training.recipe import Recipe

THIN = "AlexNet for CIFAR-10 at a sixteenth of its width on some of the digits"


def lenet_on_digits(**changes: Any) -> Recipe:
    """LeNet-5 on the digits that ship with scikit-learn: seconds a run."""
    plain = Recipe(
        dataset="digits", validation=0, epochs=10, batch_size=64, optimiser="sgd", lr=0.05, momentum=0.9
    )
    return plain.changed(changes)


def thin_on_digits(**changes: Any) -> Recipe:
    """A narrow AlexNet on some of the digits, so few that it can over-fit: about ten seconds a run."""
    plain = Recipe(
        layers=LayerList.model_validate(thin_alexnet()), dataset="digits", limit=500, validation=0,
        epochs=12, batch_size=20, optimiser="sgd", lr=0.01, momentum=0.9,
    )  # fmt: skip
    return plain.changed(changes)


def alexnet_on_cifar(**changes: Any) -> Recipe:
    """The article's AlexNet for CIFAR-10 with its recipe, as long as the article trains it."""
    return get("article-alexnet-cifar10").changed(changes)


def small_alexnet_on_cifar(**changes: Any) -> Recipe:
    """The article's SmallAlexNet with its recipe, for 20 epochs."""
    return get("article-small-alexnet-cifar10").changed({"epochs": 20, **changes})


def alexnet_on_stl(**changes: Any) -> Recipe:
    """The paper's AlexNet on STL-10 with settings under which it learns, for 30 epochs."""
    plain = get("paper-alexnet-stl10").changed(
        {"options": {"init": "he", "normalisation": "none"}, "epochs": 30, "validation": 0,
         "schedule": "cosine", "scale": "standardised", "pca_jitter": 0, "ten_crop": False}
    )  # fmt: skip
    return plain.changed(changes)
