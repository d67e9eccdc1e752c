"""Fine-tuning: initial weights of a run (their source, their fit, their stored copy), and frozen layers.

Importing this module does not import torch.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz import models, tracking
from cnnviz.paths import home
from cnnviz.tracking.run_files import checkpoint_file
from cnnviz.training.recipe import Recipe, network_key, side_for, spec_for

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cnnviz.models import Shape
    from cnnviz.tracking import Database

TORCHVISION = "torchvision"
FILE = "file:"
"""Prefix of weights that came from a file; its name and the digest of the stored copy follow."""
_PREFIX = "torchvision/"
_RUN = re.compile(r"run:(\d{1,18})(?:/(last|best))?(?:@[0-9a-f]{64})?")
COUNTER = "num_batches_tracked"
_CHECKPOINT_PREFIX = "model."


def start_title(start_from: str) -> str:
    """Return initial weights in words: `run 12`, `run 12, best epoch`, `torchvision's weights`, `net.pth`."""
    if not start_from:
        return "random initialization"
    if start_from == TORCHVISION:
        return "torchvision's weights"
    if (match := _RUN.fullmatch(start_from)) is not None:
        return f"run {match[1]}{', best epoch' if match[2] == 'best' else ''}"
    return start_from.partition("@")[0].removeprefix(FILE)


def start_run(start_from: str) -> int | None:
    """Return the number of the run that the weights come from; None if they are no run's."""
    match = _RUN.fullmatch(start_from)
    return None if match is None else int(match[1])


def offers_torchvision(recipe: Recipe) -> bool:
    """Return whether torchvision has weights for the recipe's network."""
    return recipe.layers is None and recipe.model.startswith(_PREFIX)


def resolve_start_weights(recipe: Recipe, database: Database) -> Recipe:
    """Store a copy of the recipe's initial weights and return the recipe with their digest.

    Raises:
        ValueError: The weights do not exist, or may not be specified this way.
    """
    path = _source(recipe, database)
    if path is None or "@" in recipe.start_from:
        return recipe
    from cnnviz.training import checkpoint

    digest = store_start_weights(checkpoint.read(path).weights)
    return recipe.model_copy(update={"start_from": f"{recipe.start_from}@{digest}"})


def check_start_weights(recipe: Recipe, classes: int, database: Database) -> None:
    """Raise `ValueError` if the recipe's initial weights are not here, or hardly fit its network.

    Only the names and shapes in the file are read; of torchvision's own nothing is.
    """
    if not recipe.start_from:
        return
    path = _source(recipe, database)
    if path is None:
        return
    state = path.stat()
    identity = recipe.model_dump_json(include={"model", "layers", "options", "size", "code", "start_from"})
    edition = spec_for(recipe).edition
    problem = _fit_problem(identity, edition, classes, str(path), state.st_mtime_ns)
    if problem:
        raise ValueError(problem)


def _source(recipe: Recipe, database: Database) -> Path | None:
    """Return the file of the recipe's initial weights; None for fresh ones and for torchvision's own.

    Raises:
        ValueError: The weights do not exist, or may not be specified this way.
    """
    source = recipe.start_from
    if not source or source == TORCHVISION or "@" in source:
        _require(recipe)
        digest = source.partition("@")[2]
        return start_weights_path(digest) if digest else None
    match = _RUN.fullmatch(source)
    if match is None:
        raise ValueError(
            "Weights to begin with are 'torchvision', 'run:12' or 'run:12/best' here; a file is named on the "
            "command line alone (cnnviz train --start-from net.pth), or uploaded on Train."
        )
    return _checkpoint_of(database, int(match[1]), match[2] or "last")


def _checkpoint_of(database: Database, run_id: int, kind: str) -> Path:
    run = tracking.get_run(database, run_id)
    if run.deleted_at is not None:
        raise ValueError(f"Run {run.id} was deleted: restore it on Runs, or begin with other weights.")
    if not run.trained:
        raise ValueError(f"Run {run.id} was not trained here: it has no weights to begin with.")
    saved = tracking.checkpoints(database, run.id).get(kind)
    path = None if saved is None else checkpoint_file(run, saved)
    if path is None or not path.exists():
        raise ValueError(f"Run {run.id} has no checkpoint '{kind}' on this machine to begin with.")
    return path


def _require(recipe: Recipe) -> None:
    """Raise `ValueError` if the recipe's initial weights are not available on this machine."""
    _, _, digest = recipe.start_from.partition("@")
    if digest and not start_weights_path(digest).is_file():
        raise ValueError(
            f"The weights '{_name(recipe)}' that the recipe begins with are not on this machine."
        )
    if recipe.start_from == TORCHVISION and not offers_torchvision(recipe):
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


def torchvision_download(recipe: Recipe) -> int:
    """Return the bytes of torchvision's weights that are still to be downloaded; 0 if they are here.

    Imports torchvision.
    """
    from torch import hub
    from torchvision.models import get_model_weights

    if recipe.start_from != TORCHVISION or not offers_torchvision(recipe):
        return 0
    entry = get_model_weights(recipe.model.removeprefix(_PREFIX)).DEFAULT
    here = Path(hub.get_dir()) / "checkpoints" / entry.url.rpartition("/")[2]
    return 0 if here.is_file() else round(float(entry.meta.get("_file_size", 0)) * 1e6)


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
        shapes = {name: tuple(value.shape) for name, value in weights.items()}
        if problem := _mismatch(recipe, {name: tuple(one.shape) for name, one in expected.items()}, shapes):
            raise ValueError(problem)
        fitting = {name: value for name, value in weights.items() if value.shape == expected[name].shape}
        model.load_state_dict(fitting, strict=False)
    freeze(model, recipe.freeze_until)


def _mismatch(
    recipe: Recipe, expected: Mapping[str, Sequence[int]], given: Mapping[str, Sequence[int]]
) -> str:
    """Return a sentence if fewer than half of the network's tensors are given in their shape; or empty."""
    names = [name for name in expected if not name.endswith(COUNTER)]
    mismatched = [name for name in names if tuple(given.get(name, (-1,))) != tuple(expected[name])]
    if 2 * len(mismatched) <= len(names):
        return ""
    fit = f"{len(names) - len(mismatched)} of {len(names)} tensors"
    return (
        f"The weights '{_name(recipe)}' fit {fit} of this network, so it would hardly begin with "
        f"them; the first that does not is {mismatched[0]}."
    )


@functools.lru_cache(maxsize=64)
def _fit_problem(identity: str, edition: str, classes: int, path: str, modified: int) -> str:
    """Return why the weights in a file hardly fit a network, or empty; nothing if it cannot be built."""
    from safetensors import SafetensorError, safe_open

    recipe = Recipe.model_validate_json(identity)
    model = meta_network(recipe, classes)
    if model is None:
        return ""
    expected = {name: tuple(one.shape) for name, one in model.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            keys = list(file.keys())
            given = {name: tuple(file.get_slice(name).get_shape()) for name in keys}
    except (SafetensorError, OSError) as error:
        return f"The weights '{_name(recipe)}' cannot be read: {error}."
    if "@" not in recipe.start_from:  # A checkpoint holds more than the network's weights.
        given = {
            name.removeprefix(_CHECKPOINT_PREFIX): shape
            for name, shape in given.items()
            if name.startswith(_CHECKPOINT_PREFIX)
        }
    problem = _mismatch(recipe, expected, given)
    number = start_run(recipe.start_from)
    if problem and number is not None:
        spec = models.specs().get(recipe.model)
        title = recipe.layers.name if recipe.layers else spec.title if spec else recipe.model
        return f"{problem} Begin with a run of {title}, or choose the model of run {number}."
    return problem


# Frozen layers of a run: up to which a recipe can freeze, how many parameters then stay, and freezing.
#
# Layers are in the order of their definition.

BLOCK = "block"


@dataclass(frozen=True)
class FreezePoint:
    """A layer, or a block of several, up to which a network can be frozen, with something left to train."""

    name: str
    type: str
    """Class of the layer; `block` for several layers with a common name."""
    frozen: int
    """Number of parameters that are not trained if it is frozen up to here."""
    total: int
    """Number of parameters of the network."""


def freeze(model: nn.Module, until: str) -> None:
    """Freeze all layers up to and including `until`, with their running statistics; none if it is empty.

    Raises:
        ValueError: There is no such layer, or nothing would be left to train.
    """
    if not until:
        return
    ends = _ends(model)
    if until not in ends:
        leaves = [name for name, part in model.named_modules() if _own_parameters(part)]
        listed = ", ".join(leaves[:8]) + (" and others" if len(leaves) > 8 else "")
        raise ValueError(
            f"There is no layer '{until[:80]}' to freeze up to; layers with weights are {listed}."
        )
    for name, part in model.named_modules():
        if name and ends[name] <= ends[until]:
            for parameter in part.parameters():
                parameter.requires_grad_(False)
            _stay_in_evaluation(part)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"Frozen up to '{until}', nothing is left to train; freeze less.")


def freeze_points(recipe: Recipe, classes: int) -> tuple[FreezePoint, ...]:
    """Return the layers and blocks that the recipe's network can be frozen up to, in order; imports torch.

    Empty where the network cannot be built.
    """
    return _points(network_key(recipe), spec_for(recipe).edition, classes)


def freezing_problem(recipe: Recipe, classes: int) -> str:
    """Return why the recipe's layers cannot be frozen, from the network on the meta device; or empty."""
    return _freezing_problem(network_key(recipe), spec_for(recipe).edition, classes, recipe.freeze_until)


def meta_network(recipe: Recipe, classes: int) -> nn.Module | None:
    """Build the recipe's network on the meta device; None where it cannot be built as it is."""
    from cnnviz.models.meta_device import on_meta

    spec, side = spec_for(recipe), side_for(recipe)
    options = spec.options() if recipe.layers else spec.options.parse(recipe.options)
    shape: Shape = (spec.input_shape[0], *side)
    try:
        return on_meta(lambda: spec.builder(classes, shape, options))
    except Exception:
        return None  # A user's network may raise anything; the check of a training step describes it.


@functools.lru_cache(maxsize=64)
def _points(identity: str, edition: str, classes: int) -> tuple[FreezePoint, ...]:
    model = meta_network(Recipe.model_validate_json(identity), classes)
    if model is None:
        return ()
    ends, parts = _ends(model), dict(model.named_modules())
    last: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for name, part in parts.items():
        for parameter in _own_parameters(part):
            key = id(parameter)  # One that several layers share is frozen with the first of them.
            last[key], sizes[key] = min(last.get(key, ends[name]), ends[name]), _count(parameter)
    total = sum(sizes.values())
    points = []
    for name, part in sorted(parts.items(), key=lambda item: (ends[item[0]], -item[0].count("."))):
        frozen = sum(sizes[key] for key, end in last.items() if end <= ends[name])
        if not name or not 0 < frozen < total:
            continue
        weighted = sum(1 for inner in part.modules() if _own_parameters(inner))
        if weighted > 1 or (weighted == 1 and _own_parameters(part)):
            kind = type(part).__name__ if weighted == 1 else BLOCK
            points.append(FreezePoint(name, kind, frozen, total))
    return tuple(points)


@functools.lru_cache(maxsize=256)
def _freezing_problem(identity: str, edition: str, classes: int, until: str) -> str:
    model = meta_network(Recipe.model_validate_json(identity), classes)
    if model is None:
        return ""
    try:
        freeze(model, until)
    except ValueError as error:
        return str(error)
    return ""


def _ends(model: nn.Module) -> dict[str, int]:
    """Return, for every module, the position in the order of definition of the last module inside it."""
    ends: dict[str, int] = {}
    for index, (name, _) in enumerate(model.named_modules()):
        ends[name] = index
        while name:
            name = name.rpartition(".")[0]
            ends[name] = index
    return ends


def _own_parameters(part: nn.Module) -> list[nn.Parameter]:
    return list(part.parameters(recurse=False))


def _count(parameter: nn.Parameter) -> int:
    try:
        return parameter.numel()
    except (RuntimeError, ValueError):  # Not yet initialized: a lazy layer.
        return 0


def _stay_in_evaluation(module: nn.Module) -> None:
    """Keep a normalization layer in evaluation mode: its running statistics must not change."""
    from torch import nn

    if isinstance(module, nn.modules.batchnorm._NormBase):
        module.eval()
        module.train = lambda mode=True: module  # type: ignore[method-assign]
