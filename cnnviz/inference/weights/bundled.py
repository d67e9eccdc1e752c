"""Bundled weights that ship with the product: `checkpoints/NAME/weights.safetensors`, with model cards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz import models, resources
from cnnviz.inference import InferenceError
from cnnviz.inference.weights.layer_program import LayerProgram, layer_program
from cnnviz.inference.weights.model_card import Card, read_card

if TYPE_CHECKING:
    from cnnviz.inference.weights.loaded_model import Loaded

FOLDER = resources.CHECKPOINTS
WEIGHTS, CARD = "weights.safetensors", "card.md"
DEFAULT = "lenet5-mnist"
"""Checkpoint that pages open with by default."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


def is_name(name: str) -> bool:
    """Return whether the name is valid for a checkpoint."""
    return _NAME.fullmatch(name) is not None


def names() -> list[str]:
    """Return all bundled checkpoints, the default first, then by name."""
    checkpoint_names = (path.parent.name for path in FOLDER.glob(f"*/{WEIGHTS}"))
    return sorted(checkpoint_names, key=lambda name: (name != DEFAULT, name))


def weights_path(name: str) -> Path:
    """Return the path of a bundled checkpoint's weights; raise `InferenceError`, which lists them."""
    path = FOLDER / name / WEIGHTS
    if not is_name(name) or not path.is_file():
        listed = ", ".join(names()) or "none are here"
        raise InferenceError(f"There is no shipped checkpoint '{name[:80]}'; there are: {listed}.")
    return path


def card(name: str) -> Card:
    """Return the card of a bundled checkpoint, without importing torch."""
    return read_card(weights_path(name))


def load(name: str) -> Loaded:
    """Load the model of a bundled checkpoint, with float32 weights; raise `InferenceError`."""
    from safetensors.torch import load_file

    from cnnviz.inference.weights.loaded_model import of_recipe

    model_card = card(name)
    return of_recipe(
        model_card.name,
        model_card.recipe,
        model_card.classes,
        model_card.preprocessing.side,
        load_file(weights_path(name)),
        preprocessing=model_card.preprocessing,
        source=f"checkpoint:{name}",
        accuracy=model_card.accuracy,
    )


def program(name: str) -> LayerProgram:
    """Convert a bundled checkpoint to a program for the browser, without torch.

    Raises:
        InferenceError: Where its network is not sequential.
    """
    from safetensors.numpy import load_file

    model_card = card(name)
    layers = model_card.recipe.layers or models.layer_list(
        model_card.recipe.model,
        len(model_card.classes),
        model_card.preprocessing.side,
        model_card.recipe.options,
    )
    if layers is None:
        raise InferenceError(
            f"'{name}' is not a plain sequence of layers, so it does not run in the browser."
        )
    return layer_program(layers, load_file(weights_path(name)))
