"""`analyze`: an architecture's facts without running it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnviz import models
from cnnviz.analysis import foreign, precomputed
from cnnviz.analysis.types import Analysis, Shape
from cnnviz.models.files import CLASSES_FROM_OUTPUT, is_file_model
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

    `input_size` is a side or `(H, W)` in pixels; for a module it may be `(C, H, W)`, and is needed. Of a
    user's file (`net.py:Net`) channels and classes are the network's own, and a usual size is found. A
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
    if is_file_model(model.name):
        if options:
            raise ValueError(f"{model.title} is your own and has no options.")
        return _of_file(model, input_size, num_classes)
    side = _as_side(input_size, model)
    classes, shape, chosen = models.resolve(model, num_classes, side, options)
    default = (classes, shape, chosen.changed()) == (model.classes, model.input_shape, {})
    if default and model.source in precomputed.SOURCES:
        shipped = precomputed.load(model.name)
        if shipped is not None:
            return shipped
    return of_spec(model, classes, shape, chosen)


def of_spec(spec: models.ModelSpec, classes: int, shape: Shape, options: models.Options) -> Analysis:
    """Build a spec on the meta device and analyse it; raises `ValueError` where the size does not work."""
    from cnnviz.analysis.compute import compute, on_meta

    channels, height, width = shape
    module = on_meta(lambda: spec.builder(classes, (channels, height, width), options))
    try:
        return compute(module, shape, spec.name, spec.title, classes, options.model_dump())
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(foreign.misfit(spec.title, shape, spec.input_shape, error)) from None


def _of_module(module: nn.Module, input_size: int | tuple[int, ...] | None) -> Analysis:
    from cnnviz.analysis.compute import meta_copy

    if input_size is None:
        raise ValueError("A module of your own needs an input size: a side in pixels, (H, W) or (C, H, W).")
    name = type(module).__name__
    return foreign.analyze_foreign(meta_copy(module), input_size, name, name, 0)


def _of_file(
    spec: models.ModelSpec, input_size: int | tuple[int, ...] | None, num_classes: int | None
) -> Analysis:
    """Analyse what a user's file defines: channels, size and classes are the network's own."""
    classes, shape, chosen = models.resolve(spec, num_classes, None, None)
    module = foreign.build(lambda: spec.builder(classes, shape, chosen))
    known = 0 if CLASSES_FROM_OUTPUT in spec.tags else classes
    return foreign.analyze_foreign(module, input_size, spec.name, spec.title, known)


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
