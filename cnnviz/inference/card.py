"""What a shipped checkpoint says of itself, in its safetensors metadata; read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cnnviz.formats.safetensors_header import HeaderError, header_length
from cnnviz.inference.errors import InferenceError
from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.training.recipe import Recipe

FORMAT: Literal["cnnviz-weights/1"] = "cnnviz-weights/1"
KEY = "card"


class Card(BaseModel):
    """All that is needed to use a model's weights, and to train them again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["cnnviz-weights/1"] = FORMAT
    name: str
    recipe: Recipe
    """Model, options, data set and seed are in it; the data set by a name, never a path."""
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    accuracy: float
    """On the test images, in [0, 1], measured with these very weights."""
    before_rounding: float
    """The same before the weights were rounded."""
    test_images: int
    half: bool
    """Whether weights are stored in 16 bits (IEEE binary16)."""
    params: int
    steps: int
    seconds: float
    """Time that training took."""
    fingerprint: str
    """Of the data: SHA-256 of ordered source bytes and labels."""
    hardware: str
    versions: dict[str, str]


def header(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; raises `InferenceError` for a file that is none."""
    try:
        length = header_length(path)
        with path.open("rb") as file:
            file.seek(8)
            found = json.loads(file.read(length))
            details = found.get("__metadata__", {})
    except OSError as error:
        raise InferenceError(f"{path.name} cannot be read: {error.strerror}.") from None
    except HeaderError as error:
        raise InferenceError(f"{path.name} {error}.") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise InferenceError(f"{path.name} is not a safetensors file ({error}).") from None
    return {str(key): str(value) for key, value in details.items()}


def read_card(path: Path) -> Card:
    """The card in a weights file; raises `InferenceError` where there is none."""
    details = header(path)
    if KEY not in details:
        raise InferenceError(
            f"{path.name} holds no card ({FORMAT}); name the model that its weights are for."
        )
    try:
        return Card.model_validate_json(details[KEY])
    except ValidationError as error:
        raise InferenceError(f"{path.name} is of another version: {error.errors()[0]['msg']}.") from None
