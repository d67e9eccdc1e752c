"""`analyze`: an architecture's facts without running it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnviz import models
from cnnviz.analysis import facts
from cnnviz.analysis.types import Analysis, Shape
from cnnviz.models.layers import LayerList
from cnnviz.models.library import spec_of

if TYPE_CHECKING:
    from torch import nn

Model = "str | models.ModelSpec | LayerList | nn.Module"


def analyze(
    model: str | models.ModelSpec | LayerList | nn.Module,
    input_size: int | tuple[int, ...] | None = None,
    num_classes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Analysis:
    """Analyse a model by name, a spec, a layer list, or a module of one's own, on the meta device.

    `input_size` is a side or `(H, W)` in pixels; for a module it may be `(C, H, W)`, and is needed. A
    registered default comes from the facts that ship with the product, without importing torch. A module
    handed in is copied without its weights and left as it is.

    Raises `UnknownModelError` (a `ValueError`) for an unknown name, and `ValueError` for classes, options or
    an input size with which the model cannot work.
    """
    if isinstance(model, LayerList):
        model = spec_of(model, model.name)
    if isinstance(model, str):
        model = models.get(model)
    if not isinstance(model, models.ModelSpec):
        return _of_module(model, input_size)
    side = _as_side(input_size, model)
    classes, shape, chosen = models.resolve(model, num_classes, side, options)
    default = (classes, shape, chosen.changed()) == (model.classes, model.input_shape, {})
    if default and model.source in facts.SOURCES:
        shipped = facts.load(model.name)
        if shipped is not None:
            return shipped
    return of_spec(model, classes, shape, chosen)


def of_spec(spec: models.ModelSpec, classes: int, shape: Shape, options: models.Options) -> Analysis:
    """Build a spec on the meta device and analyse it; raises `ValueError` where the size does not work."""
    from cnnviz.analysis.compute import compute
    from cnnviz.analysis.meta import on_meta

    channels, height, width = shape
    module = on_meta(lambda: spec.builder(classes, (channels, height, width), options))
    try:
        return compute(module, shape, spec.name, spec.title, classes, options.model_dump())
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(misfit(spec.title, shape, spec.input_shape, error)) from None


def _of_module(module: nn.Module, input_size: int | tuple[int, ...] | None) -> Analysis:
    from cnnviz.analysis.compute import compute
    from cnnviz.analysis.meta import meta_copy

    if input_size is None:
        raise ValueError("A module of your own needs an input size: a side in pixels, (H, W) or (C, H, W).")
    size = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
    shape = size if len(size) == 3 else (_channels(module), *size)
    name = type(module).__name__
    try:
        found = compute(meta_copy(module), shape, name, name, 0, {})
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(misfit(name, shape, None, error)) from None
    return found


def _channels(module: nn.Module) -> Any:
    """Channels that the first convolution reads; 3 where there is none."""
    return next(filter(None, (part.__dict__.get("in_channels") for part in module.modules())), 3)


def _as_side(size: int | tuple[int, ...] | None, spec: models.ModelSpec) -> int | tuple[int, int] | None:
    if size is None or isinstance(size, int):
        return size
    if len(size) not in (2, 3):
        raise ValueError(f"An input size is a side or (height, width) in pixels, not {size}.")
    channels = spec.input_shape[0]
    if len(size) == 3 and size[0] != channels:
        raise ValueError(
            f"{spec.name} reads {channels} channel{'' if channels == 1 else 's'}, not {size[0]}."
        )
    return size[-2], size[-1]


def misfit(title: str, shape: Shape, default: Shape | None, error: Exception) -> str:
    """One sentence for an input that the model cannot take."""
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    hint = f" Its own input is {'×'.join(map(str, default))}." if default and default != shape else ""
    return f"{title} cannot take an input of {'×'.join(map(str, shape))}: {reason}.{hint}"
