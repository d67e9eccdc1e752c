"""Frozen layers of a run: up to which a recipe can freeze, how many parameters then stay, and freezing.

Layers are in the order of their definition. Importing this module does not import torch.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnviz.training.recipe import Recipe, side_for, spec_for

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.models import Shape

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
    return _points(_identity(recipe), spec_for(recipe).edition, classes)


def freezing_problem(recipe: Recipe, classes: int) -> str:
    """Return why the recipe's layers cannot be frozen, from the network on the meta device; or empty."""
    return _problem(_identity(recipe), spec_for(recipe).edition, classes, recipe.freeze_until)


def meta_network(recipe: Recipe, classes: int) -> nn.Module | None:
    """Build the recipe's network on the meta device; None where it cannot be built as it is."""
    from cnnviz.models.builder import on_meta

    spec, side = spec_for(recipe), side_for(recipe)
    options = spec.options() if recipe.layers else spec.options.parse(recipe.options)
    shape: Shape = (spec.input_shape[0], *side)
    try:
        return on_meta(lambda: spec.builder(classes, shape, options))
    except Exception:
        return None  # A user's network may raise anything; the check of a training step describes it.


def _identity(recipe: Recipe) -> str:
    """Return what of the recipe determines the network, as JSON."""
    return recipe.model_dump_json(include={"model", "layers", "options", "size", "code"})


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
def _problem(identity: str, edition: str, classes: int, until: str) -> str:
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
