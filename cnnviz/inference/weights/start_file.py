"""Weights file as the initial weights of a recipe: read by the bounded child, stored by digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from cnnviz import models
from cnnviz.inference.weights.weights_file import read_weights, without_prefix
from cnnviz.models.builder import on_meta
from cnnviz.training.fine_tuning import FILE, store_start_weights
from cnnviz.training.recipe import Recipe, side_for, spec_for

LONGEST_NAME = 100


def store_start_file(path: Path, name: str, recipe: Recipe) -> tuple[str, tuple[str, ...]]:
    """Store a copy of a weights file under its digest.

    Returns:
        `start_from` of a recipe that begins with it, and notes on how names were matched.

    Raises:
        InferenceError: The file is of a type that is not read.
    """
    tensors = read_weights(path, name).tensors
    spec, options = spec_for(recipe), None if recipe.layers else recipe.options
    expected = on_meta(lambda: models.build(spec, None, side_for(recipe), options)).state_dict()
    named, notes = without_prefix(tensors, expected)
    return store_start_tensors(named, name), notes


def store_start_tensors(weights: Mapping[str, Tensor], name: str) -> str:
    """Store a copy of weights under their digest; return `start_from` of a recipe that begins with it."""
    plain = "".join(character for character in name if character.isprintable()).replace("@", "-")
    return f"{FILE}{plain[-LONGEST_NAME:] or 'weights'}@{store_start_weights(weights)}"
