"""Weights facts: class names and normalization of a weights file, given once and stored beside it.

They are in `NAME.cnnviz.json` beside the weights, or in `config.json` of a Hugging Face folder. Both are read
only where the command line names the file, not for uploads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnnviz.inference import InferenceError
from cnnviz.inference.images.preprocessing import Preprocessing, Size
from cnnviz.models.layers.base import MAX_CLASSES

MAX_BYTES = 10_000_000
SUFFIX = ".cnnviz.json"
WEIGHTS_OF_FOLDER = ("model.safetensors", "pytorch_model.bin")


class WeightsFacts(BaseModel):
    """Metadata that tensors lack: class names in the order of the logits, mean, standard deviation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...] = Field((), max_length=MAX_CLASSES)
    mean: tuple[float, ...] = Field((), max_length=4)
    std: tuple[float, ...] = Field((), max_length=4)

    def preprocessing(self, channels: int, side: Size) -> Preprocessing | None:
        """Return the preprocessing; None where nothing is known.

        Raises:
            InferenceError: Where the mean does not match the network's channels.
        """
        if not self.mean and not self.std:
            return None
        mean, std = self.mean or (0.0,) * channels, self.std or (1.0,) * channels
        mean, std = (values * channels if len(values) == 1 else values for values in (mean, std))
        if len(mean) != channels or len(std) != channels:
            values = "one value" if channels == 1 else f"one value or {channels}"
            raise InferenceError(
                f"The network reads {channels} channel{'' if channels == 1 else 's'}: give --mean and --std "
                f"{values}, not {len(mean)} and {len(std)}."
            )
        if not all(value > 0 for value in std):
            raise InferenceError("A standard deviation is above 0.")
        scale = "unit-standardised" if max(*mean, *std) <= MAX_UNIT else "standardised"
        return Preprocessing.made(
            channels=channels, stored=side, side=side, scale=scale, mean=mean, spread=std
        )


MAX_UNIT = 3.0
"""Means and standard deviations up to this value refer to pixels from 0 to 1, others to 0 to 255."""


def locate_weights(path: Path) -> Path:
    """Return the weights file of a path: itself, or the one in a Hugging Face folder.

    Raises:
        InferenceError: For a folder without one.
    """
    if not path.is_dir():
        return path
    file = next((path / name for name in WEIGHTS_OF_FOLDER if (path / name).is_file()), None)
    if file is None:
        parts = (
            "; its weights are in several parts, which are not read"
            if list(path.glob("*.index.json"))
            else ""
        )
        raise InferenceError(f"There is no {' or '.join(WEIGHTS_OF_FOLDER)} in '{path.name}'{parts}.")
    return file


def read_stored(path: Path) -> WeightsFacts:
    """Read the facts stored beside a weights file; empty where there are none.

    Raises:
        InferenceError: For an invalid file.
    """
    facts_file = path.with_name(path.name + SUFFIX)
    if facts_file.is_file():
        try:
            return WeightsFacts.model_validate(_json(facts_file))
        except ValidationError as error:
            first = error.errors()[0]
            raise InferenceError(f"'{facts_file.name}' cannot be read: {first['msg']}; delete it.") from None
    if path.name in WEIGHTS_OF_FOLDER and (path.parent / "config.json").is_file():
        return _of_hugging_face(path.parent)
    return WeightsFacts()


def save_beside(path: Path, facts: WeightsFacts) -> None:
    """Store facts beside a weights file; raise `OSError`."""
    text = json.dumps(facts.model_dump(exclude_defaults=True), ensure_ascii=False, indent=1)
    path.with_name(path.name + SUFFIX).write_text(text + "\n", encoding="utf-8")


def read_classes(path: Path) -> tuple[str, ...]:
    """Read class names: one per line, a JSON list, or an object from index to name.

    Raise `InferenceError`.
    """
    text = _text(path)
    if text.lstrip().startswith(("[", "{")):
        return _names(_json(path), path.name)
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def numbers(text: str, name: str) -> tuple[float, ...]:
    """Parse `0.5` or `0.485,0.456,0.406`; raise `InferenceError`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InferenceError(
            f"{name} is one number or one a channel, as 0.485,0.456,0.406, not '{text[:60]}'."
        ) from None


def _of_hugging_face(folder: Path) -> WeightsFacts:
    config = _json(folder / "config.json")
    labels = config.get("id2label") if isinstance(config, dict) else None
    classes = _names(labels, "config.json") if labels else ()
    preprocessor_file = folder / "preprocessor_config.json"
    settings: Any = _json(preprocessor_file) if preprocessor_file.is_file() else {}
    mean, std = (_floats(settings.get(key)) for key in ("image_mean", "image_std"))
    return WeightsFacts(classes=classes, mean=mean, std=std)


def _floats(values: Any) -> tuple[float, ...]:
    is_numeric = isinstance(values, list) and all(isinstance(value, int | float) for value in values)
    return tuple(float(value) for value in values[:4]) if is_numeric else ()


def _names(labels: Any, file: str) -> tuple[str, ...]:
    if isinstance(labels, dict) and all(isinstance(key, str) and key.isdecimal() for key in labels):
        labels = [labels[key] for key in sorted(labels, key=int)]
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
        raise InferenceError(
            f"'{file}' holds no class names: one a line, a JSON list, or an object from number to name."
        )
    return tuple(labels)


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError):
        raise InferenceError(f"'{path.name}' is not JSON.") from None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InferenceError(f"'{path.name}' is larger than {MAX_BYTES / 1e6:.0f} MB.")
    return content.decode("utf-8", "replace")


def merge_facts(classes: Path | None, mean: str | None, std: str | None, known: WeightsFacts) -> WeightsFacts:
    """Merge the facts of a command line into the known ones."""
    changes: Sequence[tuple[str, Any]] = (
        ("classes", read_classes(classes) if classes else ()),
        ("mean", numbers(mean, "--mean") if mean else ()),
        ("std", numbers(std, "--std") if std else ()),
    )
    return known.model_copy(update={name: value for name, value in changes if value})
