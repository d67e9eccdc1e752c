"""A model from a weights file, from torchvision's own weights, or with fresh ones."""

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
from cnnviz.inference.weights.loaded_model import Loaded, built, filled, of_recipe, trained
from cnnviz.inference.weights.model_card import FORMAT, read_card
from cnnviz.inference.weights.state_dict import without_prefix
from cnnviz.inference.weights.weights_facts import WeightsFacts
from cnnviz.inference.weights.weights_file import Weights, read_weights
from cnnviz.models import ModelSpec
from cnnviz.models.builder import on_meta
from cnnviz.models.outside.onnx_network import DATA_ONLY, facts_of
from cnnviz.tracking import Database, Run
from cnnviz.tracking.stored_checkpoints import checkpoint_file
from cnnviz.training import Recipe, checkpoint

# What torchvision states of its own weights: classes, transforms, and how to tell a file of theirs.

PREFIX = "torchvision/"
CLASSES = 1_000


def stated(model: str, file: str = "") -> Any:
    """The entry of a model's weights: the one whose file is called `file`, else the default."""
    from torchvision.models import get_model_weights

    entries = get_model_weights(model.removeprefix(PREFIX))
    return next((entry for entry in entries if entry.url.endswith(f"/{file}")), entries.DEFAULT)


def classes(entry: Any) -> tuple[str, ...]:
    """ImageNet's classes in the order of the logits."""
    return tuple(entry.meta["categories"])


def accuracy(entry: Any, file: str) -> float | None:
    """What torchvision states, on ImageNet's validation images, in [0, 1], if that is its file."""
    is_its_file = entry.url.endswith(f"/{file}")
    return float(entry.meta["_metrics"]["ImageNet-1K"]["acc@1"]) / 100 if is_its_file else None


def preprocessing(entry: Any) -> Preprocessing:
    """The transforms that belong to the weights."""
    return Preprocessing.of_torchvision(entry.transforms())


def without_heads(model: str, weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights without GoogLeNet's auxiliary classifiers, which it is built without here."""
    heads = ("aux1.", "aux2.") if model == f"{PREFIX}googlenet" else ()
    remaining = {name: value for name, value in weights.items() if not name.startswith(heads)}
    is_filtered = len(remaining) < len(weights)
    return remaining, ("Its auxiliary classifiers, used in training only, were left out.",) if is_filtered else ()


def as_trained(model: nn.Module) -> None:
    """Set what torchvision sets with its weights: GoogLeNet and Inception v3 scale their input once more."""
    if hasattr(model, "transform_input"):
        setattr(model, "transform_input", True)  # noqa: B010 (a module's attributes are tensors to mypy)


def download(model: str) -> tuple[Any, dict[str, Tensor]]:
    """The default weights, fetched and compared with their checksum; raises `InferenceError`."""
    entry = stated(model)
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
        return _official(spec, stated(model, name), weights, name, name)
    network, notes = filled(spec, count, size, options, weights.tensors)
    input_preprocessing = preprocessing or Preprocessing.plain(spec.input_shape[0], size)
    return Loaded(
        name, network, spec, tuple(classes or map(str, range(count))), size, input_preprocessing, name,
        options=spec.options.parse(options or {}),
        notes=(*weights.notes, *notes, *(() if preprocessing else (UNKNOWN_INPUT,))),
    )  # fmt: skip


def from_path(
    path: Path, model: str | None, options: Mapping[str, Any] | None, facts: WeightsFacts
) -> Loaded:
    """As `from_file`, for a path on a command line: with what is known of its classes and normalization."""
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
    """A registered model with fresh weights, always the same; raises `UnknownModelError`, `ValueError`."""
    spec = models.get(model)
    count, (_, height, width), chosen = models.resolve(spec, classes, side, options)
    if DATA_ONLY in spec.tags:
        return of_description(spec, f"fresh:{model}", count, (height, width))
    return Loaded(
        spec.title, built(spec, count, (height, width), chosen), spec, tuple(map(str, range(count))),
        (height, width), Preprocessing.plain(spec.input_shape[0], (height, width)), f"fresh:{model}",
        trained=False, options=chosen, notes=(FRESH,),
    )  # fmt: skip


def of_description(
    spec: ModelSpec, source: str, classes: int | None = None, side: Size | None = None
) -> Loaded:
    """A network that is read as data, with the weights that it holds.

    Args:
        spec: Of an ONNX file, or of a module that is shown from elsewhere.
        source: The reference that it is known by.
        classes: As many as it gives numbers; another number is refused.
        side: Its own; another is refused.

    Raises `ValueError` where it cannot be had, or is asked for in another form.
    """
    own_size = (spec.input_shape[1], spec.input_shape[2])
    if (classes or spec.classes, side or own_size) != (spec.classes, own_size):
        raise InferenceError(
            f"{spec.title} is read from a file: it has {spec.classes:,} classes and an input of "
            f"{'×'.join(map(str, spec.input_shape))}, which cannot be chosen."
        )
    if spec.input_shape[0] not in (1, 3):
        raise InferenceError(f"{spec.title} reads {spec.input_shape[0]} channels; pictures have 1 or 3.")
    names, stored = facts_of(spec)
    input_preprocessing = Preprocessing.plain(spec.input_shape[0], own_size)
    is_known = False
    if stored is not None:
        with suppress(ValueError):
            input_preprocessing, is_known = Preprocessing.model_validate({**input_preprocessing.model_dump(), **stored}), True
    return Loaded(
        spec.title, models.build(spec), spec, names or tuple(map(str, range(spec.classes))), own_size, input_preprocessing, source,
        notes=(*spec.notes, *(() if is_known else (UNKNOWN_INPUT,))),
    )  # fmt: skip


def with_facts(loaded: Loaded, facts: WeightsFacts) -> Loaded:
    """The network with class names and normalization that somebody gave; raises `InferenceError`."""
    if facts.classes and len(facts.classes) != len(loaded.classes):
        raise InferenceError(
            f"{loaded.name} has {len(loaded.classes):,} classes, and {len(facts.classes):,} are named."
        )
    stated_preprocessing = facts.preprocessing(loaded.spec.input_shape[0], loaded.side)
    notes = tuple(note for note in loaded.notes if stated_preprocessing is None or note != UNKNOWN_INPUT)
    return replace(
        loaded, classes=facts.classes or loaded.classes, preprocessing=stated_preprocessing or loaded.preprocessing, notes=notes
    )


def from_torchvision(model: str) -> Loaded:
    """A torchvision model with its own default weights, downloaded where that has not been done.

    Raises `InferenceError` where they cannot be had, `UnknownModelError` for a model that there is not.
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
    """How many classes weights are for: told from the model's last layers, if all else has the same shape."""
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
    """A checkpoint of a run, or a shipped one; it has to be so in all that it says."""
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
    if stored.interface is None:
        # Its recipe names data, and a file that was handed in must not make us fetch any.
        raise InferenceError(f"'{name}' is of an earlier version, without its classes; load it as its run.")
    recipe = _without_code(Recipe.read(stored.position.recipe))
    return trained(name, recipe, stored.interface, stored.weights, source=name)


def _without_code(recipe: Recipe) -> Recipe:
    """The recipe without the copy of a user's network: a file that was handed in does not choose code."""
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
    network, notes = filled(spec, CLASSES, transforms.side, None, remaining)
    as_trained(network)
    note = f"Taken for torchvision's weights {entry.name}: its classes, its transforms."
    return Loaded(
        spec.title, network, spec, classes(entry), transforms.side, transforms, source,
        accuracy=accuracy(entry, file), notes=(*weights.notes, *head_notes, *notes, note),
    )  # fmt: skip


# A model out of a run, finished or still going: its last or its best complete checkpoint.

KINDS = ("last", "best")
ACCURACY = "test/accuracy"


def from_run(database: Database, run_id: int, kind: str = "last") -> Loaded:
    """The model of a run's checkpoint, `last` or `best` by validation accuracy.

    Raises `NoSuchRunError`, `InferenceError` where there is no such checkpoint (yet, or on this machine),
    and `ValueError` for a model that is no longer there.
    """
    run = tracking.get_run(database, run_id)
    stored = checkpoint.read(checkpoint_path(database, run, kind))
    position = stored.position
    progress_note = "" if position.step == run.total_steps else f" It stood at step {position.step:,}."
    return trained(
        run.name,
        Recipe.read(position.recipe),
        stored.interface,
        stored.weights,
        source=f"run:{run_id}" + ("" if kind == "last" else f"/{kind}"),
        accuracy=accuracy_at(database, run_id, position.step),
        notes=(f"The {kind} checkpoint of run {run_id} ({run.status}).{progress_note}",),
    )


def checkpoint_path(database: Database, run: Run, kind: str) -> Path:
    """Where a run's checkpoint lies; raises `InferenceError` where there is none."""
    if kind not in KINDS:
        raise InferenceError(f"A run's checkpoint is {' or '.join(KINDS)}, not '{kind[:40]}'.")
    entry = tracking.checkpoints(database, run.id).get(kind)
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
    """The test accuracy measured last at or before `step`."""
    curve = tracking.sample_metric(database, run_id, ACCURACY, last=step)
    return float(curve.values[-1]) if len(curve) else None
