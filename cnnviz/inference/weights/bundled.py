"""Bundled weights that ship with the product, `checkpoints/NAME/weights.safetensors`, and their model cards.

A card is in the file's safetensors metadata and is read without torch.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cnnviz import models, paths
from cnnviz.formats.headers import HeaderError, header_length
from cnnviz.inference import InferenceError
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.weights.layer_program import LayerProgram, layer_program
from cnnviz.models.library import spec_of
from cnnviz.sentences import american, percent
from cnnviz.training import all_recipes
from cnnviz.training.recipe import Recipe

if TYPE_CHECKING:
    from cnnviz.inference.weights.loaded_model import Loaded

FORMAT: Literal["cnnviz-weights/1"] = "cnnviz-weights/1"
KEY = "card"


class Card(BaseModel):
    """Metadata that is needed to use a model's weights, and to train them again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["cnnviz-weights/1"] = FORMAT
    name: str
    recipe: Recipe
    """Includes model, options, data set and seed; the data set by name, never by path."""
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    accuracy: float
    """Accuracy on the test images, in [0, 1], measured with exactly these weights."""
    before_rounding: float
    """Accuracy before the weights were rounded."""
    test_images: int
    half: bool
    """Whether the weights are stored in 16 bits (IEEE binary16)."""
    params: int
    steps: int
    seconds: float
    """Duration of the training."""
    fingerprint: str
    """Fingerprint of the data: SHA-256 of source bytes and labels in order."""
    hardware: str
    versions: dict[str, str]


def header(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file; raise `InferenceError` for any other file."""
    try:
        length = header_length(path)
        with path.open("rb") as file:
            file.seek(8)
            document = json.loads(file.read(length))
            details = document.get("__metadata__", {})
    except OSError as error:
        raise InferenceError(f"{path.name} cannot be read: {error.strerror}.") from None
    except HeaderError as error:
        raise InferenceError(f"{path.name} {error}.") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise InferenceError(f"{path.name} is not a safetensors file ({error}).") from None
    return {str(key): str(value) for key, value in details.items()}


def read_card(path: Path) -> Card:
    """Return the card in a weights file; raise `InferenceError` where there is none."""
    details = header(path)
    if KEY not in details:
        raise InferenceError(
            f"{path.name} holds no card ({FORMAT}); name the model that its weights are for."
        )
    try:
        return Card.model_validate_json(details[KEY])
    except ValidationError as error:
        raise InferenceError(f"{path.name} is of another version: {error.errors()[0]['msg']}.") from None


# The card as Markdown.


def text(card: Card) -> str:
    """Format `card.md`: description, accuracy, and how to reproduce the weights."""
    title = _title(card.recipe)
    numbers = "16 bits a number" if card.half else "32 bits a number"
    accuracy = percent(card.accuracy, 2)
    rounding = f" ({percent(card.before_rounding, 2)} before rounding to 16 bits)" if card.half else ""
    facts = {
        "Model": f"{title} (`{card.recipe.model}`), {card.params:,} parameters, {numbers}",
        "Data": f"`{card.recipe.dataset}`, {len(card.classes)} classes; fingerprint `{card.fingerprint}`",
        "Test accuracy": f"{accuracy} of {card.test_images:,} images{rounding}; the last epoch's",
        "Recipe": f"`{card.recipe.name}`, {card.recipe.epochs} epochs, seed {card.recipe.seed}",
        "Input": _input(card),
        "Trained": f"{card.steps:,} steps in {card.seconds:,.0f} s on {card.hardware or 'unknown hardware'}",
        "Versions": ", ".join(f"{name} {version}" for name, version in card.versions.items()) or "unknown",
    }
    lines = "\n".join(f"- **{name}**: {value}." for name, value in facts.items())
    return (
        f"# {card.name}\n\n{_summary(card)}\n\n{lines}\n\n## Classes\n\n{_classes(card)}\n\n"
        f"## Make it again\n\n{_again(card.recipe)}\n"
    )


def _summary(card: Card) -> str:
    return (
        f"Weights of {_title(card.recipe)}, trained by this repository's own engine. Everything below "
        "is also in the metadata of `weights.safetensors`; "
        f"`python -m cnnviz predict PICTURE --checkpoint {card.name}` asks them."
    )


def _title(recipe: Recipe) -> str:
    return (spec_of(recipe.layers, recipe.layers.name) if recipe.layers else models.get(recipe.model)).title


def _input(card: Card) -> str:
    preprocessing = card.preprocessing
    kind = "gray" if preprocessing.channels == 1 else "color"
    height, width = preprocessing.side
    return f"{width}×{height} {kind}, pixels {american(preprocessing.scale)}"


def _classes(card: Card) -> str:
    return ", ".join(card.classes) + "."


def _again(recipe: Recipe) -> str:
    """Return the training command of a named recipe with few changes, otherwise the recipe itself."""
    named_recipe = all_recipes().get(recipe.name)
    if named_recipe is None or recipe.layers is not None:
        document = f"Save this as `recipe.json`:\n\n```json\n{recipe.write()}```"
        return f"{document}\n\n```\npython -m cnnviz train recipe.json\n```"
    changes = {field: ours for field, (ours, _) in recipe.difference(named_recipe).items()}
    arguments = " ".join(f"--set {field}={_value(value)}" for field, value in changes.items())
    return f"```\n{f'python -m cnnviz train {recipe.name} {arguments}'.strip()}\n```"


def _value(value: object) -> str:
    if value is None:
        return "none"
    return f"'{json.dumps(value)}'" if isinstance(value, dict) else str(value)


FOLDER = paths.CHECKPOINTS
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
