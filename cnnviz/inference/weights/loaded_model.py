"""A model that is ready to be asked, whatever it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz import models
from cnnviz.inference.images.preprocessing import Preprocessing, Size
from cnnviz.inference.weights.state_dict import load_state_dict, matched
from cnnviz.models import ModelSpec, Options
from cnnviz.models.builder import on_meta
from cnnviz.training.checkpoint import Interface
from cnnviz.training.recipe import Recipe, spec_for

SEED = 0
"""Fresh weights are the same every time."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in evaluation mode on the CPU, with all that it takes to ask it.

    It is shared: whoever uses it leaves no hook on it, trains it never, and changes none of its weights.
    """

    name: str
    """What people call it."""
    model: nn.Module
    """`(N, C, *side)` to logits `(N, len(classes))`."""
    spec: ModelSpec
    classes: tuple[str, ...]
    """In the order of the logits."""
    side: Size
    """Height and width of the input."""
    preprocessing: Preprocessing
    source: str
    """Where its weights are from: a reference as `sources` reads them, or the name of a file."""
    accuracy: float | None = None
    """On the test images of its data, in [0, 1], where it was measured."""
    trained: bool = True
    """False for fresh weights, whose answers mean nothing."""
    dataset: str = ""
    """What it was trained on, as `datasets.load` takes it; empty where nobody knows."""
    options: Options | None = None
    recipe: Recipe | None = None
    """How it was trained, where that is known."""
    notes: tuple[str, ...] = ()
    """Sentences that belong beside its answers."""

    @property
    def centered(self) -> bool:
        """Whether its training images were centered as MNIST's digits are (`DatasetSpec.centered`)."""
        from cnnviz import datasets

        try:
            return bool(self.dataset) and datasets.get(self.dataset).centered
        except datasets.DataError:
            return False

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Of one image, `(C, H, W)`."""
        return self.spec.input_shape[0], *self.side


def built(
    spec: ModelSpec, classes: int, side: Size, options: Mapping[str, Any] | Options | None = None
) -> nn.Module:
    """The model in evaluation mode with fresh weights, without touching anybody's random numbers.

    Raises `ValueError` for options, classes or a size with which it cannot work.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return models.build(spec, classes, side, options).eval()


def filled(
    spec: ModelSpec,
    classes: int,
    side: Size,
    options: Mapping[str, Any] | Options | None,
    weights: Mapping[str, Tensor],
) -> tuple[nn.Module, tuple[str, ...]]:
    """The model in evaluation mode with `weights`, and sentences on what was done to fit them.

    Names and shapes are compared with a model without memory first: what does not fit is never built.
    Raises `InferenceError` that says what differs, `ValueError` for a model that cannot be built so.
    """
    expected = on_meta(lambda: models.build(spec, classes, side, options)).state_dict()
    renamed, notes = matched(expected, weights, spec.title)
    model = built(spec, classes, side, options)
    load_state_dict(model, renamed, spec.title)
    return model, notes


def trained(
    name: str,
    recipe: Recipe,
    interface: Interface | None,
    weights: Mapping[str, Tensor],
    **facts: Any,
) -> Loaded:
    """A model that a recipe trained, of what its checkpoint holds; `facts` are further fields of `Loaded`.

    Where an old checkpoint holds no interface, its data are opened to find it. Raises `InferenceError` for
    weights that do not fit, `ValueError` for a model or data that are no longer there.
    """
    signature = interface or of_data(recipe)
    facts.setdefault("preprocessing", Preprocessing.of_training(recipe, signature))
    return of_recipe(name, recipe, signature.classes, signature.side, weights, **facts)


def of_recipe(
    name: str,
    recipe: Recipe,
    classes: tuple[str, ...],
    side: Size,
    weights: Mapping[str, Tensor],
    **facts: Any,
) -> Loaded:
    """As `trained`, with the preprocessing among `facts`."""
    spec = spec_for(recipe)
    options = None if recipe.layers else spec.options.parse(recipe.options)
    model, match_notes = filled(spec, len(classes), side, options, weights)
    notes = match_notes + tuple(facts.pop("notes", ()))
    return Loaded(
        name, model, spec, classes, side, recipe=recipe, options=options,
        dataset=recipe.dataset, notes=notes, **facts,
    )  # fmt: skip


def of_data(recipe: Recipe) -> Interface:
    """What a run of `recipe` shows its model, worked out from the data; they are prepared if need be."""
    from cnnviz import datasets
    from cnnviz.training.data.tensors import DataModule
    from cnnviz.training.data.transforms import Statistics

    channels, height, width = spec_for(recipe).input_shape
    side = (recipe.size, recipe.size) if recipe.size else (height, width)
    data_module = DataModule.of(datasets.load(recipe.dataset), recipe, channels, torch.device("cpu"))
    return Interface(data_module.classes, side, Statistics.of(data_module.train.images))
