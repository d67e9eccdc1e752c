"""Loaded model, ready for prediction, from any source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz import models
from cnnviz.inference.images.preprocessing import Preprocessing, Size
from cnnviz.inference.weights.weights_file import load_state_dict, match_state_dict
from cnnviz.models import ModelSpec, Options
from cnnviz.models.meta_device import on_meta
from cnnviz.training.checkpoint import ModelSignature
from cnnviz.training.recipe import Recipe, spec_for

SEED = 0
"""Seed of fresh weights, which are the same every time."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """Model in evaluation mode on the CPU, with everything that prediction needs.

    It is shared: no user may leave hooks on it, train it, or modify its weights.
    """

    name: str
    """Display name."""
    model: nn.Module
    """Maps `(N, C, *side)` to logits `(N, len(classes))`."""
    spec: ModelSpec
    classes: tuple[str, ...]
    """Class names, in the order of the logits."""
    side: Size
    """Height and width of the input."""
    preprocessing: Preprocessing
    source: str
    """Origin of its weights: a reference, see `references`, or a file name."""
    accuracy: float | None = None
    """Accuracy on the test images of its data, in [0, 1], where it was measured."""
    trained: bool = True
    """False for fresh weights, whose predictions are meaningless."""
    dataset: str = ""
    """Data set that it was trained on, as accepted by `datasets.load`; empty where unknown."""
    options: Options | None = None
    recipe: Recipe | None = None
    """Recipe of its training, where known."""
    notes: tuple[str, ...] = ()
    """Notes to display beside its predictions."""

    @property
    def centered(self) -> bool:
        """Whether its training images were centered like MNIST's digits (`DatasetSpec.centered`)."""
        from cnnviz import datasets

        try:
            return bool(self.dataset) and datasets.get(self.dataset).centered
        except datasets.DataError:
            return False

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image, `(C, H, W)`."""
        return self.spec.input_shape[0], *self.side


def build_model(
    spec: ModelSpec, classes: int, side: Size, options: Mapping[str, Any] | Options | None = None
) -> nn.Module:
    """Build the model in evaluation mode with fresh weights, without changing the global random state.

    Raises:
        ValueError: For options, classes or a size that it does not support.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return models.build(spec, classes, side, options).eval()


def build_with_weights(
    spec: ModelSpec,
    classes: int,
    side: Size,
    options: Mapping[str, Any] | Options | None,
    weights: Mapping[str, Tensor],
) -> tuple[nn.Module, tuple[str, ...]]:
    """Build the model in evaluation mode with `weights`; return it and notes on how they were matched.

    Names and shapes are compared on the meta device first, so that a model that does not fit is never built.

    Raises:
        InferenceError: Where the weights differ; it says how.
        ValueError: For a model that cannot be built.
    """
    expected = on_meta(lambda: models.build(spec, classes, side, options)).state_dict()
    renamed, notes = match_state_dict(expected, weights, spec.title)
    model = build_model(spec, classes, side, options)
    load_state_dict(model, renamed, spec.title)
    return model, notes


def load_trained(
    name: str,
    recipe: Recipe,
    signature: ModelSignature | None,
    weights: Mapping[str, Tensor],
    **facts: Any,
) -> Loaded:
    """Load a model trained by a recipe, from its checkpoint; `facts` are further fields of `Loaded`.

    Where an old checkpoint has no model signature, it is computed from the data.

    Raises:
        InferenceError: For weights that do not fit.
        ValueError: For a model or data that are no longer available.
    """
    signature = signature or of_data(recipe)
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
    """Load a model as `load_trained`, with the preprocessing among `facts`."""
    spec = spec_for(recipe)
    options = None if recipe.layers else spec.options.parse(recipe.options)
    model, match_notes = build_with_weights(spec, len(classes), side, options, weights)
    notes = match_notes + tuple(facts.pop("notes", ()))
    return Loaded(
        name, model, spec, classes, side, recipe=recipe, options=options,
        dataset=recipe.dataset, notes=notes, **facts,
    )  # fmt: skip


def of_data(recipe: Recipe) -> ModelSignature:
    """Compute the model signature of `recipe` from its data, which are prepared if necessary."""
    from cnnviz import datasets
    from cnnviz.training.data import DataModule
    from cnnviz.training.data.transforms import Statistics

    channels, height, width = spec_for(recipe).input_shape
    side = (recipe.size, recipe.size) if recipe.size else (height, width)
    data_module = DataModule.of(datasets.load(recipe.dataset), recipe, channels, torch.device("cpu"))
    return ModelSignature(data_module.classes, side, Statistics.of(data_module.train.images))
