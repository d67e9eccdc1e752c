"""The AlexNet/STL-10 paper review's run as paired experiments: the failing recipe, and one change at a time.

The network is the article's AlexNet, a quarter as wide, for images of 67×67 in place of 227×227. Its weights
start by the article's rule, widened so that each layer hands on the same share of the signal as in the full
one.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cnnviz import models
from cnnviz.models.layers import LayerList
from cnnviz.models.scale_width import narrower
from cnnviz.training import Recipe, get

SIDE, ENLARGED = 67, 76
"""Of the input, and of what it is cropped from: 227 and 256 in the article, in about the same ratio."""
BY, HIDDEN = 4, 512
IMAGES = 5_000
"""As many as STL-10 has for training."""
FULL = (3, 227, 227)


@cache
def network(init: str, normalisation: str, biases: bool = True) -> LayerList:
    """The narrow AlexNet with these options of `alexnet`; without `biases` all of them start at 0."""
    spec = models.get("alexnet")
    assert spec.layers is not None
    wide = spec.layers(10, FULL, spec.options.parse({"init": init, "normalisation": normalisation}))
    narrow = narrower(wide, by=BY, hidden=HIDDEN, side=SIDE)
    return narrow if biases else _without_biases(narrow)


def _without_biases(layers: LayerList) -> LayerList:
    plain = json.loads(layers.write())
    for layer in plain["layers"]:
        if "init" in layer:
            layer["init"]["bias"] = 0.0
    return LayerList.model_validate(plain)


AS_WRITTEN = "as the article"
CONDITIONS: dict[str, dict[str, Any]] = {
    AS_WRITTEN: {},
    "He initialisation": {"init": "he"},
    "learning rate 0.01": {"lr": 0.01},
    "He, standardised, rate 0.01": {"init": "he", "scale": "standardised", "lr": 0.01},
    "pixels up to ±255": {"scale": "raw-minus-mean"},
    "standardised input": {"scale": "standardised"},
    "as the paper": {"init": "paper", "normalisation": "lrn-paper", "scale": "raw-minus-mean", "lr": 0.01},
    "biases 0": {"biases": False},
    "LRN as strong as the paper's": {"normalisation": "lrn-paper"},
    "three times the steps": {"epochs": 15},
}
"""What each changes of the failing recipe; the most telling first."""


def base() -> Recipe:
    """The article's recipe on the narrow network, seed 0."""
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
    """The recipe of one arm; raises `KeyError` for one that there is not."""
    return base().changed({**changes(**CONDITIONS[condition]), "seed": seed})


def changes(
    init: str = "article", normalisation: str = "lrn-article", biases: bool = True, **fields: Any
) -> dict[str, Any]:
    """Recipe fields of an arm; another start or normalisation makes another network."""
    if (init, normalisation, biases) == ("article", "lrn-article", True):
        return fields
    return {"layers": json.loads(network(init, normalisation, biases).write()), **fields}
