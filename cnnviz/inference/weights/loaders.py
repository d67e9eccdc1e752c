"""Model loaders: from a weights file, from a run's checkpoint, with torchvision's weights or fresh ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cnnviz import models, tracking
from cnnviz.inference import InferenceError
from cnnviz.inference.images.preprocessing import Preprocessing, Size
from cnnviz.inference.weights.bundled import FORMAT, read_card
from cnnviz.inference.weights.loaded_model import (
    Loaded,
    build_model,
    build_with_weights,
    load_trained,
    of_recipe,
)
from cnnviz.inference.weights.weights_facts import WeightsFacts
from cnnviz.inference.weights.weights_file import Weights, read_weights, without_prefix
from cnnviz.models import ModelSpec
from cnnviz.models.external.onnx_network import DATA_ONLY, facts_of
from cnnviz.models.meta_device import on_meta
from cnnviz.tracking import Database, Run
from cnnviz.tracking.run_files import checkpoint_file
from cnnviz.training import Recipe, checkpoint

# Metadata of torchvision's weights: classes, transforms, and recognition of its files.

PREFIX = "torchvision/"
CLASSES = 1_000


def weights_entry(model: str, file: str = "") -> Any:
    """Return the torchvision entry of a model's weights: that of the file `file`, else the default."""
    from torchvision.models import get_model_weights

    entries = get_model_weights(model.removeprefix(PREFIX))
    return next((entry for entry in entries if entry.url.endswith(f"/{file}")), entries.DEFAULT)


def classes(entry: Any) -> tuple[str, ...]:
    """Return ImageNet's class names in the order of the logits."""
    return tuple(entry.meta["categories"])


def accuracy(entry: Any, file: str) -> float | None:
    """Return torchvision's accuracy on ImageNet's validation images, in [0, 1]; None for another file."""
    is_its_file = entry.url.endswith(f"/{file}")
    return float(entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]) / 100 if is_its_file else None


def preprocessing(entry: Any) -> Preprocessing:
    """Return the preprocessing that belongs to the weights."""
    return Preprocessing.of_torchvision(entry.transforms())


def without_heads(model: str, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Remove the weights of GoogLeNet's auxiliary classifiers, which the model is built without."""
    heads = ("aux1.", "aux2.") if model == f"{PREFIX}googlenet" else ()
    remaining = {name: value for name, value in weights.items() if not name.startswith(heads)}
    is_filtered = len(remaining) < len(weights)
    return remaining, (
        "Its auxiliary classifiers, used in training only, were left out.",
    ) if is_filtered else ()


def as_trained(model: nn.Module) -> None:
    """Set what torchvision sets with its weights: GoogLeNet and Inception v3 rescale their input."""
    if hasattr(model, "transform_input"):
        setattr(model, "transform_input", True)  # noqa: B010 (a module's attributes are tensors to mypy)


def download(model: str) -> tuple[Any, dict[str, Tensor]]:
    """Download the default weights and verify their checksum; raise `InferenceError`."""
    entry = weights_entry(model)
    try:
        return entry, entry.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise InferenceError(
            f"torchvision's weights for {model} could not be downloaded ({error}); give a file of them."
        ) from None


UNKNOWN_INPUT = (
    "Nothing is known of how these weights' images were prepared: pixels go in from 0 to 1; change that if "
    "they were trained otherwise (--mean and --std on the command line)."
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
    """Load a model with the weights in a file; files written by cnnviz describe their model themselves.

    Args:
        path: The file.
        model: A registered name; not needed for checkpoints of runs and bundled ones.
        name: Name of the file in messages, where it differs from its name on disk.
        classes: Class names in the order of the logits; indices where unknown.
        side: Height and width of the input; the model's own by default.
        options: Options of the model.
        preprocessing: Preprocessing of images, where known.

    Returns:
        The loaded model.

    Raises:
        InferenceError: For a file that cannot be read or does not fit.
        UnknownModelError: For an unknown model.
        ValueError: For a model that cannot be built.
    """
    name = name or path.name
    weights = read_weights(path, name)
    ours = _ours(path, name, weights)
    if ours is not None and model in (None, ours.spec.name):
        return ours
    if model is None:
        raise InferenceError(f"'{name}' does not say which model its weights are for; name the model.")
    spec = models.get(model)
    size = side or (spec.input_shape[1], spec.input_shape[2])
    count = len(classes) if classes else count_classes(spec, weights.tensors, size, options)
    if spec.source == "torchvision" and count == CLASSES and classes is None:
        return _official(spec, weights_entry(model, name), weights, name, name)
    network, notes = build_with_weights(spec, count, size, options, weights.tensors)
    input_preprocessing = preprocessing or Preprocessing.plain(spec.input_shape[0], size)
    return Loaded(
        name, network, spec, tuple(classes or map(str, range(count))), size, input_preprocessing, name,
        options=spec.options.parse(options or {}),
        notes=(*weights.notes, *notes, *(() if preprocessing else (UNKNOWN_INPUT,))),
    )  # fmt: skip


def from_path(
    path: Path, model: str | None, options: Mapping[str, Any] | None, facts: WeightsFacts
) -> Loaded:
    """Load a model as `from_file`, for a path of the command line, with the facts known about the weights."""
    if model is None or facts == WeightsFacts():
        return from_file(path, model, options=options)
    channels, height, width = models.get(model).input_shape
    return from_file(
        path, model, options=options, classes=facts.classes or None,
        preprocessing=facts.preprocessing(channels, (height, width)),
    )  # fmt: skip


def fresh(
    model: str,
    classes: int | None = None,
    side: Size | None = None,
    options: Mapping[str, Any] | None = None,
) -> Loaded:
    """Load a registered model with fresh weights, always the same.

    Raise `UnknownModelError` or `ValueError`.
    """
    spec = models.get(model)
    count, (_, height, width), chosen = models.resolve(spec, classes, side, options)
    if DATA_ONLY in spec.tags:
        return of_description(spec, f"fresh:{model}", count, (height, width))
    return Loaded(
        spec.title, build_model(spec, count, (height, width), chosen), spec, tuple(map(str, range(count))),
        (height, width), Preprocessing.plain(spec.input_shape[0], (height, width)), f"fresh:{model}",
        trained=False, options=chosen, notes=(FRESH,),
    )  # fmt: skip


def of_description(
    spec: ModelSpec, source: str, classes: int | None = None, side: Size | None = None
) -> Loaded:
    """Load a network that is described by data, with its own weights.

    Args:
        spec: Spec of an ONNX file, or of a module that another process shows.
        source: Reference of the model.
        classes: Number of classes; only the network's number of outputs is accepted.
        side: Height and width of the input; only the network's own is accepted.

    Returns:
        The loaded model.

    Raises:
        ValueError: Where it is unavailable, or another form is requested.
    """
    own_size = (spec.input_shape[1], spec.input_shape[2])
    if (classes or spec.classes, side or own_size) != (spec.classes, own_size):
        raise InferenceError(
            f"{spec.title} is read from a file: it has {spec.classes:,} classes and an input of "
            f"{'×'.join(map(str, spec.input_shape))}, which cannot be chosen."
        )
    if spec.input_shape[0] not in (1, 3):
        raise InferenceError(f"{spec.title} reads {spec.input_shape[0]} channels; images have 1 or 3.")
    names, stored = facts_of(spec)
    input_preprocessing = Preprocessing.plain(spec.input_shape[0], own_size)
    is_known = False
    if stored is not None:
        with suppress(ValueError):
            input_preprocessing, is_known = (
                Preprocessing.model_validate({**input_preprocessing.model_dump(), **stored}),
                True,
            )
    return Loaded(
        spec.title, models.build(spec), spec, names or tuple(map(str, range(spec.classes))), own_size,
        input_preprocessing, source,
        notes=(*spec.notes, *(() if is_known else (UNKNOWN_INPUT,))),
    )  # fmt: skip


def with_facts(loaded: Loaded, facts: WeightsFacts) -> Loaded:
    """Return the model with the given class names and normalization; raise `InferenceError`."""
    if facts.classes and len(facts.classes) != len(loaded.classes):
        raise InferenceError(
            f"{loaded.name} has {len(loaded.classes):,} classes, and {len(facts.classes):,} are named."
        )
    stated_preprocessing = facts.preprocessing(loaded.spec.input_shape[0], loaded.side)
    notes = tuple(note for note in loaded.notes if stated_preprocessing is None or note != UNKNOWN_INPUT)
    return replace(
        loaded,
        classes=facts.classes or loaded.classes,
        preprocessing=stated_preprocessing or loaded.preprocessing,
        notes=notes,
    )


def from_torchvision(model: str) -> Loaded:
    """Load a torchvision model with its default weights, which are downloaded where necessary.

    Raises:
        InferenceError: Where they are unavailable.
        UnknownModelError: For an unknown model.
    """
    spec = models.get(model)
    if spec.source != "torchvision":
        raise InferenceError(
            f"{model} is not one of torchvision's models, so torchvision has no weights for it."
        )
    entry, weights = download(model)
    source = f"torchvision:{model.removeprefix(PREFIX)}"
    return _official(spec, entry, Weights(weights, {}), source, entry.url.rpartition("/")[2])


def count_classes(
    spec: ModelSpec, weights: Mapping[str, Tensor], side: Size, options: Mapping[str, Any] | None = None
) -> int:
    """Infer the number of classes from the shapes of the last layers, if all others agree."""
    expected = on_meta(lambda: models.build(spec, spec.classes, side, options)).state_dict()
    stripped, _ = without_prefix(weights, expected)
    class_counts = {
        stripped[name].shape[0]
        for name, value in expected.items()
        if name in stripped
        and stripped[name].shape != value.shape
        and value.shape[:1] == (spec.classes,)
        and stripped[name].shape[1:] == value.shape[1:]
    }
    return class_counts.pop() if len(class_counts) == 1 else spec.classes


def _ours(path: Path, name: str, weights: Weights) -> Loaded | None:
    """Load a checkpoint of a run, or a bundled one.

    None for other files. It must be consistent as a whole.
    """
    try:
        if weights.details.get("format") == checkpoint.FORMAT:
            return _checkpoint(path, name)
        if weights.details.get("format") == FORMAT:
            return _shipped(path, name, weights)
    except (InferenceError, models.UnknownModelError):
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InferenceError(f"'{name}' says that cnnviz wrote it, but is damaged ({reason}).") from None
    return None


def _checkpoint(path: Path, name: str) -> Loaded:
    stored = checkpoint.read(path)
    if stored.signature is None:
        # Its recipe names data, and an uploaded file must not cause a download.
        raise InferenceError(f"'{name}' is of an earlier version, without its classes; load it as its run.")
    recipe = _without_code(Recipe.read(stored.position.recipe))
    return load_trained(name, recipe, stored.signature, stored.weights, source=name)


def _without_code(recipe: Recipe) -> Recipe:
    """Remove the copy of a user's code from the recipe: an uploaded file must not select code."""
    return recipe.model_copy(update={"code": ""})


def _shipped(path: Path, name: str, weights: Weights) -> Loaded:
    card = read_card(path)
    return of_recipe(
        name, _without_code(card.recipe), card.classes, card.preprocessing.side, weights.tensors,
        preprocessing=card.preprocessing, source=name, accuracy=card.accuracy,
    )  # fmt: skip


def _official(spec: ModelSpec, entry: Any, weights: Weights, source: str, file: str) -> Loaded:
    transforms = preprocessing(entry)
    remaining, head_notes = without_heads(spec.name, weights.tensors)
    network, notes = build_with_weights(spec, CLASSES, transforms.side, None, remaining)
    as_trained(network)
    note = f"Taken for torchvision's weights {entry.name}: its classes, its transforms."
    return Loaded(
        spec.title, network, spec, classes(entry), transforms.side, transforms, source,
        accuracy=accuracy(entry, file), notes=(*weights.notes, *head_notes, *notes, note),
    )  # fmt: skip


# Models of runs, finished or in progress: the last or the best complete checkpoint.

KINDS = ("last", "best")
ACCURACY = "test/accuracy"


def from_run(database: Database, run_id: int, kind: str = "last") -> Loaded:
    """Load the model of a run's checkpoint, `last` or `best` by validation accuracy.

    Raises:
        NoSuchRunError: For an unknown run.
        InferenceError: Where there is no such checkpoint (yet, or on this machine).
        ValueError: For a model that is no longer available.
    """
    run = tracking.get_run(database, run_id)
    stored = checkpoint.read(checkpoint_path(database, run, kind))
    position = stored.position
    progress_note = "" if position.step == run.total_steps else f" It stood at step {position.step:,}."
    return load_trained(
        run.name,
        Recipe.read(position.recipe),
        stored.signature,
        stored.weights,
        source=f"run:{run_id}" + ("" if kind == "last" else f"/{kind}"),
        accuracy=accuracy_at(database, run_id, position.step),
        notes=(f"The {kind} checkpoint of run {run_id} ({run.status}).{progress_note}",),
    )


_WITHOUT_WEIGHTS = {
    tracking.Kind.IMPORTED: "is an imported history: it has curves and no weights.",
    tracking.Kind.WATCHED: "was watched in a process of its own, which has the weights: give a file.",
    tracking.Kind.RECORDED: "is a recorded run: its curves ship, and not its weights.",
}


def checkpoint_path(database: Database, run: Run, kind: str) -> Path:
    """Return the path of a run's checkpoint; raise `InferenceError` where there is none."""
    if kind not in KINDS:
        raise InferenceError(f"A run's checkpoint is {' or '.join(KINDS)}, not '{kind[:40]}'.")
    entry = tracking.checkpoints(database, run.id).get(kind)
    if entry is None and run.kind in _WITHOUT_WEIGHTS:
        raise InferenceError(f"Run {run.id} {_WITHOUT_WEIGHTS[run.kind]}")
    if entry is None:
        raise InferenceError(
            f"Run {run.id} ({run.status}) has no checkpoint '{kind}'; the first is written after an epoch."
        )
    try:
        path = checkpoint_file(run, entry)
    except tracking.TrackingError as error:
        raise InferenceError(str(error)) from error
    if not path.exists():
        host_note = f" It was trained on {run.host}." if run.host else ""
        raise InferenceError(f"The checkpoint of run {run.id} is not on this machine.{host_note}")
    return path


def accuracy_at(database: Database, run_id: int, step: int) -> float | None:
    """Return the last test accuracy measured at or before `step`."""
    curve = tracking.sample_metric(database, run_id, ACCURACY, last=step)
    return float(curve.values[-1]) if len(curve) else None
