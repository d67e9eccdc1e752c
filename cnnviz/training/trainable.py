"""Network of a run before its first step: initial weights (fine-tuning), and the check that it can train.

Initial weights are stored by digest, loaded, and partly frozen. Training requires more of an input than
prediction: auxiliary classifiers are active, and batch normalization needs two values per channel. Importing
this module does not import torch; bundled networks at their own size are not checked again.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz import datasets, models, tracking
from cnnviz.models.external.onnx_network import DATA_ONLY
from cnnviz.models.library import home
from cnnviz.models.user_code.registration import NOT_A_CLASSIFIER, OWN_FILE
from cnnviz.tracking.run_files import checkpoint_file
from cnnviz.training.recipe import Recipe, side_for, spec_for

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnviz.models import Shape
    from cnnviz.tracking import Database

TORCHVISION = "torchvision"
_PREFIX = "torchvision/"
_RUN = re.compile(r"run:(\d{1,18})(?:/(last|best))?")
COUNTER = "num_batches_tracked"


def resolve_start_weights(recipe: Recipe, database: Database) -> Recipe:
    """Store a copy of the recipe's initial weights and return the recipe with their digest.

    Raises:
        ValueError: The weights do not exist, or may not be specified this way.
    """
    source = recipe.start_from
    if not source or source == TORCHVISION or "@" in source:
        _require(recipe)
        return recipe
    match = _RUN.fullmatch(source)
    if match is None:
        raise ValueError(
            "Weights to begin with are 'torchvision', 'run:12' or 'run:12/best' here; a file is named on the "
            "command line alone: cnnviz train --start-from net.pth."
        )
    from cnnviz.training import checkpoint

    run = tracking.get_run(database, int(match[1]))
    saved = tracking.checkpoints(database, run.id).get(match[2] or "last")
    path = None if saved is None else checkpoint_file(run, saved)
    if path is None or not path.exists():
        raise ValueError(
            f"Run {run.id} has no checkpoint '{match[2] or 'last'}' on this machine to begin with."
        )
    digest = store_start_weights(checkpoint.read(path).weights)
    return recipe.model_copy(update={"start_from": f"{source}@{digest}"})


def _require(recipe: Recipe) -> None:
    """Raise `ValueError` if the recipe's initial weights are not available on this machine."""
    _, _, digest = recipe.start_from.partition("@")
    if digest and not start_weights_path(digest).is_file():
        raise ValueError(
            f"The weights '{_name(recipe)}' that the recipe begins with are not on this machine."
        )
    if recipe.start_from == TORCHVISION and (recipe.layers or not recipe.model.startswith(_PREFIX)):
        model_name = recipe.layers.name if recipe.layers else recipe.model
        raise ValueError(f"torchvision has no weights for {model_name}; it has for models called {_PREFIX}…")


def _name(recipe: Recipe) -> str:
    return recipe.start_from.partition("@")[0]


def start_weights_path(digest: str) -> Path:
    """Return the path of stored weights by SHA-256; the file need not exist."""
    return home() / "weights" / f"{digest}.safetensors"


def store_start_weights(weights: Mapping[str, Tensor]) -> str:
    """Store a copy of weights atomically and return its SHA-256."""
    from safetensors.torch import save

    content = save({name: value.detach().cpu().contiguous() for name, value in weights.items()})
    digest = hashlib.sha256(content).hexdigest()
    path = start_weights_path(digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{digest}.{os.getpid()}.tmp")
        temporary.write_bytes(content)
        temporary.replace(path)
    return digest


def _weights(recipe: Recipe) -> dict[str, Tensor]:
    _require(recipe)
    if recipe.start_from == TORCHVISION:
        from torchvision.models import get_model_weights

        entry = get_model_weights(recipe.model.removeprefix(_PREFIX)).DEFAULT
        try:
            tensors: dict[str, Tensor] = entry.get_state_dict(
                progress=False, check_hash=True, weights_only=True
            )
            return tensors
        except (OSError, RuntimeError) as error:
            raise ValueError(
                f"torchvision's weights for {recipe.model} could not be downloaded: {error}."
            ) from None
    from safetensors.torch import load

    digest = recipe.start_from.partition("@")[2]
    content = start_weights_path(digest).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"The kept weights '{_name(recipe)}' were changed, so no run begins with them.")
    return load(content)


def load_start(recipe: Recipe, model: nn.Module) -> None:
    """Load matching initial weights into a new model, and freeze layers, as the recipe specifies.

    Raises:
        ValueError: Fewer than half of the tensors match, or there is no layer `freeze_until`.
    """
    if recipe.start_from:
        expected = model.state_dict()
        weights = {name: value for name, value in _weights(recipe).items() if name in expected}
        fitting = {name: value for name, value in weights.items() if value.shape == expected[name].shape}
        names = [name for name in expected if not name.endswith(COUNTER)]
        mismatched = [name for name in names if name not in fitting]
        if 2 * len(mismatched) > len(names):
            fit = f"{len(names) - len(mismatched)} of {len(names)} tensors"
            raise ValueError(
                f"The weights '{_name(recipe)}' fit {fit} of this network, so it would hardly begin with "
                f"them; the first that does not is {mismatched[0]}."
            )
        model.load_state_dict(fitting, strict=False)
    freeze(model, recipe.freeze_until)


def freeze(model: nn.Module, until: str) -> None:
    """Freeze all layers up to and including `until`, with their running statistics; none if it is empty.

    Layers are in the order of their definition.

    Raises:
        ValueError: There is no such layer, or nothing would be left to train.
    """
    if not until:
        return
    names = [name for name, _ in model.named_modules()]
    if until not in names or not until:
        leaves = [
            name for name, part in model.named_modules() if any(True for _ in part.parameters(recurse=False))
        ]
        listed = ", ".join(leaves[:8]) + (" and others" if len(leaves) > 8 else "")
        raise ValueError(
            f"There is no layer '{until[:80]}' to freeze up to; layers with weights are {listed}."
        )
    last = max(index for index, name in enumerate(names) if name == until or name.startswith(f"{until}."))
    for index, (name, part) in enumerate(model.named_modules()):
        inside = any(other.startswith(f"{name}.") for other in names[last + 1 :]) or not name
        if index > last or inside:
            continue
        for parameter in part.parameters():
            parameter.requires_grad_(False)
        _stay_in_evaluation(part)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"Frozen up to '{until}', nothing is left to train; freeze less.")


def _stay_in_evaluation(module: nn.Module) -> None:
    """Keep a normalization layer in evaluation mode: its running statistics must not change."""
    from torch import nn

    if isinstance(module, nn.modules.batchnorm._NormBase):
        module.eval()
        module.train = lambda mode=True: module  # type: ignore[method-assign]


FAILS = (RuntimeError, AssertionError, ValueError)
"""Exceptions raised by torch for an input of an unsuitable size."""
SINGLE_VALUE = "more than 1 value per channel"
"""Part of torch's message on batch normalization of a single value."""


def check_trainable(recipe: Recipe, classes: int, train_images: int | None = None, ranks: int = 1) -> None:
    """Raise `ValueError` if the network cannot run a training step of the recipe, or has no layer to freeze.

    Args:
        recipe: The recipe.
        classes: Number of classes of its data.
        train_images: Number of training images, if known.
        ranks: Number of processes that share each batch: the smallest part has to be large enough.
    """
    spec, side = spec_for(recipe), side_for(recipe)
    least = max(1, smallest_batch(recipe.batch_size, train_images) // ranks)
    check_classifier(spec)
    if recipe.freeze_until and (sentence := _freezing_problem(_identity(recipe), spec.edition, classes)):
        raise ValueError(sentence)
    has_own_size = side == tuple(spec.input_shape[1:]) and not recipe.options and OWN_FILE not in spec.tags
    if least > 1 and (recipe.layers is not None or has_own_size):
        return  # Layer lists behave alike in training, and every model is tested at its own size.
    problem = _problem(_identity(recipe), spec.edition, classes, least)
    if problem is None:
        return
    if problem.single_value and ranks > 1:
        raise ValueError(
            f"{ranks} processes share each batch, and the smallest part is one image, which batch "
            f"normalization in {spec.name} cannot learn from; use a batch size that leaves {2 * ranks} "
            "images or more in the last batch, or fewer devices."
        )
    if problem.single_value and least == 1:
        raise ValueError(_one_image(recipe, spec, side, train_images))
    raise ValueError(_too_small(spec, side, problem))


def check_classifier(spec: models.ModelSpec) -> None:
    """Raise `ValueError` if the network is read as data, or its output is not one number per class."""
    if spec.tags & {NOT_A_CLASSIFIER, DATA_ONLY}:
        raise ValueError(next(iter(spec.notes), f"{spec.title} is no classifier."))


def _identity(recipe: Recipe) -> str:
    """Return what of the recipe determines the network and its frozen layers."""
    fields = {"model", "layers", "options", "size", "code", "freeze_until"}
    return recipe.model_dump_json(include=fields)


def known_data(recipe: Recipe) -> tuple[int, int | None]:
    """Return the number of classes, and the number of training images if the data are on this machine."""
    spec = datasets.find(recipe.dataset)
    prepared = datasets.prepared(recipe.dataset) if spec or datasets.is_path(recipe.dataset) else None
    if prepared is None:
        return (len(spec.classes) if spec else 10), None
    try:
        split = prepared.split(recipe.validation, recipe.seed, recipe.limit)
    except ValueError:  # The run itself will raise the error.
        return len(prepared.classes), None
    return len(prepared.classes), len(split.train)


def smallest_batch(batch_size: int, train_images: int | None) -> int:
    """Return the size of the smallest batch of an epoch: the last one, if there is a remainder."""
    if not train_images:
        return batch_size
    return min(train_images, train_images % batch_size or batch_size)


@dataclass(frozen=True)
class _Problem:
    """Reason for the failure of a training step, and the size that would work."""

    reason: str
    single_value: bool
    auxiliary: bool
    """Whether the input suffices for prediction, but not for training."""
    least_side: int | None
    """Smallest square input that can be trained on; None if the network's own cannot."""


@functools.lru_cache(maxsize=256)
def _problem(identity: str, edition: str, classes: int, batch: int) -> _Problem | None:
    recipe = Recipe.model_validate_json(identity)
    spec, (height, width) = spec_for(recipe), side_for(recipe)
    options = spec.options() if recipe.layers else spec.options.parse(recipe.options)
    network, images = (spec, classes, options), min(batch, 2)
    failure = _failure(*network, (height, width), images, training=True)
    if failure is None:
        return None
    predicts = _failure(*network, (height, width), images, training=False) is None
    reason = str(failure).strip().splitlines()[0].rstrip(".") if str(failure).strip() else "it does not fit"
    single = SINGLE_VALUE in reason
    least = None if single and batch == 1 else _least_side(*network, (height, width), images)
    return _Problem(reason, single, predicts, least)


@functools.lru_cache(maxsize=256)
def _freezing_problem(identity: str, edition: str, classes: int) -> str:
    """Return why the recipe's layers cannot be frozen, from the network on the meta device; or empty."""
    from cnnviz.models.builder import on_meta

    recipe = Recipe.model_validate_json(identity)
    spec, side = spec_for(recipe), side_for(recipe)
    options = spec.options() if recipe.layers else spec.options.parse(recipe.options)
    shape: Shape = (spec.input_shape[0], *side)
    try:
        module: nn.Module = on_meta(lambda: spec.builder(classes, shape, options))
    except Exception:
        return ""  # The check of a training step describes it.
    try:
        freeze(module, recipe.freeze_until)
    except ValueError as error:
        return str(error)
    return ""


def _failure(
    spec: models.ModelSpec, classes: int, options: models.Options, side: tuple[int, int], images: int,
    *, training: bool,
) -> Exception | None:  # fmt: skip
    """Return the exception raised by a pass over images on the meta device, or None."""
    import torch

    from cnnviz.models.builder import on_meta

    shape: Shape = (spec.input_shape[0], *side)
    try:
        module: nn.Module = on_meta(lambda: spec.builder(classes, shape, options))
        with torch.no_grad():
            module.train(training)(torch.empty((images, *shape), device="meta"))
    except Exception as error:
        if OWN_FILE in spec.tags:  # User code may raise anything, also because of missing values.
            return None if "meta" in str(error) else error
        if not isinstance(error, FAILS):
            raise
        return error
    return None


def _least_side(
    spec: models.ModelSpec, classes: int, options: models.Options, side: tuple[int, int], images: int
) -> int | None:
    """Find the smallest square that works, between `side` and the network's own, by bisection."""
    low, high = min(side), max(spec.input_shape[1:])
    if low >= high or _failure(spec, classes, options, (high, high), images, training=True) is not None:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        fails = _failure(spec, classes, options, (middle, middle), images, training=True) is not None
        low, high = (middle, high) if fails else (low, middle)
    return high


def _too_small(spec: models.ModelSpec, side: tuple[int, int], problem: _Problem) -> str:
    sides = "×".join(map(str, side))
    if problem.least_side is None:
        return f"{spec.name} cannot be trained on images of {sides}: {problem.reason}."
    least = f"{problem.least_side}×{problem.least_side}"
    if not problem.auxiliary:
        return f"{spec.name} takes images of {least} or larger, not {sides}."
    return (
        f"{spec.name} can be trained on images of {least} or larger, not {sides}: that is enough to predict, "
        "but its auxiliary classifier, which takes part in training, needs more."
    )


def _one_image(
    recipe: Recipe, spec: models.ModelSpec, side: tuple[int, int], train_images: int | None
) -> str:
    sides, batch = "×".join(map(str, side)), recipe.batch_size
    reason = (
        f"batch normalization in {spec.name} gets a single value a channel from one image of {sides}, "
        "which has no variance"
    )
    if batch == 1 or train_images == 1:
        return f"Batches of one image cannot be trained on: {reason}; use a batch size of 2 or more."
    alternative = next(size for size in range(batch + 1, 2 * batch + 2) if (train_images or 0) % size != 1)
    return (
        f"{train_images or 0:,} images in batches of {batch:,} leave one image over, which cannot be trained "
        f"on: {reason}; use another batch size, such as {alternative:,}."
    )
