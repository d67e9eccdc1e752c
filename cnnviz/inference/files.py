"""A model from a weights file, from torchvision's own weights, or with fresh ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cnnviz import models
from cnnviz.analysis.meta import on_meta
from cnnviz.inference import torchvision_weights as official
from cnnviz.inference.card import FORMAT, read_card
from cnnviz.inference.errors import InferenceError
from cnnviz.inference.fit import without_prefix
from cnnviz.inference.loaded import Loaded, built, filled, of_recipe, trained
from cnnviz.inference.preprocessing import Preprocessing, Size
from cnnviz.inference.weights import Weights, read_weights
from cnnviz.models import ModelSpec
from cnnviz.training import Recipe, checkpoint

UNKNOWN_INPUT = (
    "Nothing is known of how these weights' images were prepared: pixels go in from 0 to 1; change that if "
    "they were trained otherwise."
)
FRESH = "Fresh weights: nothing was learned, so its answers mean nothing."


def from_file(
    path: Path,
    model: str | None = None,
    *,
    name: str = "",
    classes: Sequence[str] | None = None,
    side: Size | None = None,
    options: Mapping[str, Any] | None = None,
    preprocessing: Preprocessing | None = None,
) -> Loaded:
    """A model with the weights in a file: one of ours says itself what it is, for others `model` does.

    Args:
        path: The file.
        model: A registered name; not needed for checkpoints of runs and shipped ones.
        name: What the file is called in messages, where that is not its name on disk.
        classes: Class names in the order of the logits; numbers where nobody knows.
        side: Height and width of the input; the model's own by default.
        options: The model's.
        preprocessing: How pictures go in, where that is known.

    Raises `InferenceError` for a file that is not read or does not fit, `UnknownModelError` and `ValueError`
    for a model that there is not or that cannot be built so.
    """
    name = name or path.name
    found = read_weights(path, name)
    ours = _ours(path, name, found)
    if ours is not None and model in (None, ours.spec.name):
        return ours
    if model is None:
        raise InferenceError(f"'{name}' does not say which model its weights are for; name the model.")
    spec = models.get(model)
    size = side or (spec.input_shape[1], spec.input_shape[2])
    count = len(classes) if classes else count_classes(spec, found.tensors, size, options)
    if spec.source == "torchvision" and count == official.CLASSES and classes is None:
        return _official(spec, official.stated(model, name), found, name, name)
    network, notes = filled(spec, count, size, options, found.tensors)
    how = preprocessing or Preprocessing.plain(spec.input_shape[0], size)
    return Loaded(
        name, network, spec, tuple(classes or map(str, range(count))), size, how, name,
        options=spec.options.parse(options or {}),
        notes=(*found.notes, *notes, *(() if preprocessing else (UNKNOWN_INPUT,))),
    )  # fmt: skip


def fresh(
    model: str,
    classes: int | None = None,
    side: Size | None = None,
    options: Mapping[str, Any] | None = None,
) -> Loaded:
    """A registered model with fresh weights, always the same; raises `UnknownModelError`, `ValueError`."""
    spec = models.get(model)
    count, (_, height, width), chosen = models.resolve(spec, classes, side, options)
    return Loaded(
        spec.title, built(spec, count, (height, width), chosen), spec, tuple(map(str, range(count))),
        (height, width), Preprocessing.plain(spec.input_shape[0], (height, width)), f"fresh:{model}",
        trained=False, options=chosen, notes=(FRESH,),
    )  # fmt: skip


def from_torchvision(model: str) -> Loaded:
    """A torchvision model with its own default weights, downloaded where that has not been done.

    Raises `InferenceError` where they cannot be had, `UnknownModelError` for a model that there is not.
    """
    spec = models.get(model)
    if spec.source != "torchvision":
        raise InferenceError(
            f"{model} is not one of torchvision's models, so torchvision has no weights for it."
        )
    entry, weights = official.download(model)
    source = f"torchvision:{model.removeprefix(official.PREFIX)}"
    return _official(spec, entry, Weights(weights, {}), source, entry.url.rpartition("/")[2])


def count_classes(
    spec: ModelSpec, weights: Mapping[str, Tensor], side: Size, options: Mapping[str, Any] | None = None
) -> int:
    """How many classes weights are for: told from the model's last layers, if all else has the same shape."""
    expected = on_meta(lambda: models.build(spec, spec.classes, side, options)).state_dict()
    given, _ = without_prefix(weights, expected)
    other = {
        given[name].shape[0]
        for name, value in expected.items()
        if name in given
        and given[name].shape != value.shape
        and value.shape[:1] == (spec.classes,)
        and given[name].shape[1:] == value.shape[1:]
    }
    return other.pop() if len(other) == 1 else spec.classes


def _ours(path: Path, name: str, found: Weights) -> Loaded | None:
    """A checkpoint of a run, or a shipped one; it has to be so in all that it says."""
    try:
        if found.details.get("format") == checkpoint.FORMAT:
            return _checkpoint(path, name)
        if found.details.get("format") == FORMAT:
            return _shipped(path, name, found)
    except (InferenceError, models.UnknownModelError):
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InferenceError(f"'{name}' says that cnnviz wrote it, but is damaged ({reason}).") from None
    return None


def _checkpoint(path: Path, name: str) -> Loaded:
    stored = checkpoint.read(path)
    if stored.interface is None:
        # Its recipe names data, and a file that was handed in must not make us fetch any.
        raise InferenceError(f"'{name}' is of an earlier version, without its classes; load it as its run.")
    return trained(name, Recipe.read(stored.position.recipe), stored.interface, stored.weights, source=name)


def _shipped(path: Path, name: str, found: Weights) -> Loaded:
    card = read_card(path)
    return of_recipe(
        name, card.recipe, card.classes, card.preprocessing.side, found.tensors,
        preprocessing=card.preprocessing, source=name, accuracy=card.accuracy,
    )  # fmt: skip


def _official(spec: ModelSpec, entry: Any, found: Weights, source: str, file: str) -> Loaded:
    how = official.preprocessing(entry)
    kept, left_out = official.without_heads(spec.name, found.tensors)
    network, notes = filled(spec, official.CLASSES, how.side, None, kept)
    official.as_trained(network)
    taken = f"Taken for torchvision's weights {entry.name}: its classes, its transforms."
    return Loaded(
        spec.title, network, spec, official.classes(entry), how.side, how, source,
        accuracy=official.accuracy(entry, file), notes=(*found.notes, *left_out, *notes, taken),
    )  # fmt: skip
