"""Preset: why the AlexNet of the AlexNet/STL-10 paper review did not learn; one change at a time."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cnnviz import models
from cnnviz.experiments.experiment import Condition, Experiment
from cnnviz.experiments.presets import Preset
from cnnviz.models.layer_list_edit import scale_width
from cnnviz.models.layers import LayerList
from cnnviz.training import Recipe, get

# The failing recipe is the article's AlexNet at a quarter of its width, for images of 67×67 in place of
# 227×227. Its weights are initialized by the article's rule, with a standard deviation widened so that each
# layer propagates the same fraction of the signal as in the full network.

SIDE, ENLARGED = 67, 76
"""Input size, and size from which it is cropped: 227 and 256 in the article, in about the same ratio."""
BY, HIDDEN = 4, 512
IMAGES = 5_000
"""Number of training images, as in STL-10."""
FULL = (3, 227, 227)


@cache
def network(init: str, normalisation: str, biases: bool = True) -> LayerList:
    """Return the narrow AlexNet with these options of `alexnet`; without `biases` all of them start at 0."""
    spec = models.get("alexnet")
    assert spec.layers is not None
    full_width = spec.layers(10, FULL, spec.options.parse({"init": init, "normalisation": normalisation}))
    scaled = scale_width(full_width, by=BY, hidden=HIDDEN, side=SIDE)
    return scaled if biases else _without_biases(scaled)


def _without_biases(layers: LayerList) -> LayerList:
    document = json.loads(layers.write())
    for layer in document["layers"]:
        if "init" in layer:
            layer["init"]["bias"] = 0.0
    return LayerList.model_validate(document)


AS_WRITTEN = "as the article"
CONDITIONS: dict[str, dict[str, Any]] = {
    AS_WRITTEN: {},
    "He initialization": {"init": "he"},
    "learning rate 0.01": {"lr": 0.01},
    "He, standardized, rate 0.01": {"init": "he", "scale": "standardised", "lr": 0.01},
    "pixels up to ±255": {"scale": "raw-minus-mean"},
    "standardized input": {"scale": "standardised"},
    "as the paper": {"init": "paper", "normalisation": "lrn-paper", "scale": "raw-minus-mean", "lr": 0.01},
    "biases 0": {"biases": False},
    "LRN as strong as the paper's": {"normalisation": "lrn-paper"},
    "three times the steps": {"epochs": 15},
}
"""Changes of the failing recipe by condition; the most informative first."""


def base() -> Recipe:
    """Return the article's recipe on the narrow network, seed 0."""
    return get("article-alexnet-stl10").changed(
        {
            "name": "alexnet-stl10-narrow",
            "description": "The paper review's failing run, a quarter as wide, on 5,000 images of CIFAR-10.",
            "options": {},
            "layers": json.loads(network("article", "lrn-article").write()),
            "dataset": "cifar10",
            "limit": IMAGES,
            "size": SIDE,
            "crop_from": ENLARGED,
        }
    )


def recipe(condition: str, seed: int) -> Recipe:
    """Return the recipe of a condition; raise `KeyError` for an unknown one."""
    return base().changed({**changes(**CONDITIONS[condition]), "seed": seed})


def changes(
    init: str = "article", normalisation: str = "lrn-article", biases: bool = True, **fields: Any
) -> dict[str, Any]:
    """Return a condition's recipe fields; another initialization or normalization changes the network."""
    if (init, normalisation, biases) == ("article", "lrn-article", True):
        return fields
    return {"layers": json.loads(network(init, normalisation, biases).write()), **fields}


_TOLD = (
    "He initialization",
    "learning rate 0.01",
    "He, standardized, rate 0.01",
    "standardized input",
    "pixels up to ±255",
    "as the paper",
)
_ASKED = {
    "name": "alexnet-stl10",
    "question": "Why does AlexNet give one answer to every image, and what fixes it?",
    "base_name": AS_WRITTEN,
}


def _options(
    init: str | None = None, normalisation: str | None = None, **fields: object
) -> dict[str, object]:
    """Return a condition's changes for the registered network."""
    chosen = {"init": init, "normalisation": normalisation}
    options = {name: value for name, value in chosen.items() if value is not None}
    return {**({"options": options} if options else {}), **fields}


ALEXNET_STL10 = Preset(
    title="The AlexNet/STL-10 paper review: why one answer for all?",
    about=(
        "The run that failed, and one change at a time. Weights of N(0, 0.01²) make each layer pass on less "
        "of what tells images apart, until nothing of it is left; some of the changes give it back. One "
        "answer for every image is right one time in ten: whoever stays there has learned nothing."
    ),
    asked_by="an article on AlexNet for STL-10, whose author never found out",
    limits=(
        "AlexNet a quarter as wide, for images of 67×67, on a thousand handwritten digits enlarged to that, "
        "for half of the article's steps and without its mirroring (a mirrored digit is none); its weights "
        "are widened so that each layer passes on what it does in the full one. Digits are easy: what is "
        "fixed gets further than on photographs. The story on Diagnose has the same conditions on CIFAR-10."
    ),
    order=12,
    small=Experiment(
        base=base().changed({"dataset": "digits", "limit": 1_000, "epochs": 12, "flip": "none"}),
        conditions=tuple(Condition(name=name, changes=changes(**CONDITIONS[name])) for name in _TOLD),
        **_ASKED,
    ),
    large=Experiment(
        base=get("article-alexnet-stl10"),
        conditions=tuple(Condition(name=name, changes=_options(**CONDITIONS[name])) for name in _TOLD),
        **_ASKED,
    ),
)
