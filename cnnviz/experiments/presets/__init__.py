"""Preset experiments: the articles' questions, each in a small and a large form.

Every `Preset` in a module of this package is found automatically.
"""

from __future__ import annotations

import functools
import importlib
import json
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rapidfuzz import process

from cnnviz.experiments.experiment import Experiment
from cnnviz.models import layer_list
from cnnviz.models.families.alexnet import CIFAR, FULL, SMALL, AlexNetOptions, PaperOptions, Plan, lay_out
from cnnviz.models.layers import (
    Activation,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Inception,
    Init,
    Layer,
    LayerList,
    Linear,
    NaiveInception,
    Pool,
    Resize,
)
from cnnviz.models.spec import Shape
from cnnviz.training import get
from cnnviz.training.recipe import Recipe

Form = Literal["small", "large"]
FORMS: tuple[Form, ...] = ("small", "large")


@dataclass(frozen=True)
class Preset:
    """A question raised by the articles, as an experiment in two sizes."""

    title: str
    about: str
    """What is compared and what to look for, in two or three sentences."""
    asked_by: str
    """Source of the question."""
    limits: str
    """Limitations of the small form."""
    order: int
    small: Experiment
    """For a laptop: minutes on two cores, offline."""
    large: Experiment
    """For a GPU, with the articles' data."""

    @property
    def name(self) -> str:
        """Identifier, the same in both forms."""
        return self.small.name

    def form(self, which: Form) -> Experiment:
        """Return the experiment in one of its sizes."""
        return self.small if which == "small" else self.large


@functools.cache
def list_presets() -> dict[str, Preset]:
    """Return all presets by name, in display order."""
    result = [
        value
        for module in pkgutil.iter_modules(__path__)
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        if isinstance(value, Preset)
    ]
    return {entry.name: entry for entry in sorted(result, key=lambda entry: entry.order)}


ALIASES = {"article-d": "alexnet-stl10"}
"""Former names of presets, still accepted in links, commands and stored experiments."""


def current_name(name: str) -> str:
    """Resolve a former name of a preset; other names are returned unchanged."""
    return ALIASES.get(name, name)


def get_preset(name: str) -> Preset:
    """Return a preset by name; raise `ValueError` with suggestions if there is none."""
    presets = list_presets()
    name = current_name(name)
    if name in presets:
        return presets[name]
    suggestions = [match for match, _, _ in process.extract(name, presets.keys(), limit=2, score_cutoff=60)]
    hint = f"did you mean {' or '.join(suggestions)}?" if suggestions else f"there are {', '.join(presets)}."
    raise ValueError(f"There is no preset '{name}'; {hint}")


# Base recipes of the presets, small and large.

# Narrow networks for the small forms: the articles' architectures at a fraction of their width, as JSON layer
# lists, the form in which a condition's changes hold them.

THINNER = 16
"""Divisor of every width of AlexNet for CIFAR-10."""
IMAGE: Shape = (3, 32, 32)
CLASSES = 10
Document = dict[str, Any]


def thin_alexnet(resized: Sequence[int] = (), **options: Any) -> Document:
    """Return AlexNet for CIFAR-10 at 1/16 of its width: 0.23 M parameters, 32×32 images, ten classes.

    Args:
        resized: Sides to which the image is resized, one after the other, before the first convolution.
        options: `AlexNetOptions`; He initialization and no dropout by default.
    """
    return _alexnet("thin-alexnet", CIFAR, resized, options)


def thin_small_alexnet(**options: Any) -> Document:
    """Return SmallAlexNet at 1/16 of its width; see `thin_alexnet`."""
    return _alexnet("thin-small-alexnet", SMALL, (), options)


def lenet_dropping(chance: float) -> Document:
    """Return LeNet-5 for 28×28 grayscale images with dropout before each hidden fully connected layer."""
    layers = layer_list("lenet5", options={"init": "he"})
    assert layers is not None
    dropout_names = {"fc1": "dropout1", "fc2": "dropout2"}
    new_layers: list[Layer] = []
    for layer in layers.layers:
        if layer.name in dropout_names:
            new_layers.append(Dropout(name=dropout_names[layer.name], p=chance))
        new_layers.append(layer)
    return _document(layers.model_copy(update={"name": "lenet5-with-dropout"}), new_layers)


def alexnet_resizing(resized: Sequence[int], **options: Any) -> Document:
    """Return the paper's AlexNet for 227×227 images in ten classes, with resizing layers in front."""
    chosen = PaperOptions.model_validate(options)
    layers = lay_out("alexnet", FULL, CLASSES, (3, 227, 227), chosen)
    return _document(layers, [*_resizing(resized), *layers.layers])


def inception_trio(naive: bool) -> Document:
    """Return a stem, inception blocks 3a, 3b and 4a at 1/8 of their width, and global pooling, on 32×32.

    The naive form leaves out all 1×1 reductions; its pooling branch keeps all input channels.
    """
    he = Init(weights="he", bias=0.0)
    widths = {"3a": (8, 12, 16, 2, 4, 4), "3b": (16, 16, 24, 4, 12, 8), "4a": (24, 12, 26, 2, 6, 8)}
    layers: list[Layer] = [
        Conv(name="conv1", out=16, kernel=3, padding=1, init=he),
        Activation(name="relu1"),
        Pool(name="pool1", kernel=3, stride=2, padding=1),
    ]
    for name, (one, three_reduce, three, five_reduce, five, pool) in widths.items():
        if name == "4a":
            layers.append(Pool(name="pool3", kernel=3, stride=2, padding=1))
        layers.append(
            NaiveInception(name=f"inception_{name}", one=one, three=three, five=five, init=he)
            if naive
            else Inception(
                name=f"inception_{name}", one=one, three_reduce=three_reduce, three=three,
                five_reduce=five_reduce, five=five, pool=pool, init=he,
            )
        )  # fmt: skip
    layers += [GlobalPool(name="pool5"), Dropout(name="dropout", p=0.0, maps=True), Flatten(name="flatten")]
    layers.append(Linear(name="fc", out="classes", init=he))
    name = "three-naive-inceptions" if naive else "three-inceptions"
    return _json(LayerList(name=name, input=IMAGE, classes=CLASSES, layers=tuple(layers)))


def _alexnet(name: str, plan: Plan, resized: Sequence[int], options: dict[str, Any]) -> Document:
    scaled_plan = replace(
        plan,
        convs=tuple((out // THINNER, k, stride, padding) for out, k, stride, padding in plan.convs),
        hidden=plan.hidden // THINNER,
    )
    chosen = AlexNetOptions.model_validate({"init": "he", "dropout": 0.0, **options})
    layers = lay_out(name, scaled_plan, CLASSES, IMAGE, chosen)
    return _document(layers, [*_resizing(resized), *layers.layers])


def _resizing(sides: Sequence[int]) -> list[Layer]:
    return [Resize(name=f"resize{number}", size=side) for number, side in enumerate(sides, 1)]


def _document(layers: LayerList, replaced: Sequence[Layer]) -> Document:
    return _json(layers.model_copy(update={"layers": tuple(replaced)}))


def _json(layers: LayerList) -> Document:
    document: Document = json.loads(layers.write())
    return document


THIN = "AlexNet for CIFAR-10 at a sixteenth of its width on some of the digits"


def lenet_on_digits(**changes: Any) -> Recipe:
    """Return LeNet-5 on the digits that ship with scikit-learn: seconds per run."""
    defaults = Recipe(
        dataset="digits", validation=0, epochs=10, batch_size=64, optimiser="sgd", lr=0.05, momentum=0.9
    )
    return defaults.changed(changes)


def thin_on_digits(**changes: Any) -> Recipe:
    """Return a narrow AlexNet on few digits, so that it overfits: about ten seconds per run."""
    defaults = Recipe(
        layers=LayerList.model_validate(thin_alexnet()), dataset="digits", limit=500, validation=0,
        epochs=12, batch_size=20, optimiser="sgd", lr=0.01, momentum=0.9,
    )  # fmt: skip
    return defaults.changed(changes)


def alexnet_on_cifar(**changes: Any) -> Recipe:
    """Return the article's AlexNet for CIFAR-10 with its recipe, at full length."""
    return get("article-alexnet-cifar10").changed(changes)


def small_alexnet_on_cifar(**changes: Any) -> Recipe:
    """Return the article's SmallAlexNet with its recipe, for 20 epochs."""
    return get("article-small-alexnet-cifar10").changed({"epochs": 20, **changes})


def alexnet_on_stl(**changes: Any) -> Recipe:
    """Return the paper's AlexNet on STL-10 with settings under which it learns, for 30 epochs."""
    defaults = get("paper-alexnet-stl10").changed(
        {"options": {"init": "he", "normalisation": "none"}, "epochs": 30, "validation": 0,
         "schedule": "cosine", "scale": "standardised", "pca_jitter": 0, "ten_crop": False}
    )  # fmt: skip
    return defaults.changed(changes)
