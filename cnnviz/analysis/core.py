"""Static analysis: `analyze` for registered models, layer lists, user files and modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cnnviz import models
from cnnviz.analysis import precomputed
from cnnviz.analysis.types import Analysis, Graph, Kind, Row, Shape
from cnnviz.models.layers import Layer, LayerList
from cnnviz.models.library import spec_of
from cnnviz.models.user_code import source
from cnnviz.models.user_code.registration import CLASSES_FROM_OUTPUT, INPUT_FROM_NETWORK, OWN_FILE

if TYPE_CHECKING:
    from torch import nn

# Networks of the user: search for an input shape that fits, one-sentence errors.


def analyze_module(
    module: nn.Module,
    size: int | tuple[int, ...] | Sequence[tuple[int, ...]] | None,
    name: str,
    title: str,
    classes: int,
    options: dict[str, Any] | None = None,
) -> Analysis:
    """Analyze `module`, which is on the meta device, for the first input shape that fits.

    Args:
        module: Network; it is in evaluation mode afterwards.
        size: A side, `(H, W)` or `(C, H, W)`; a shape for each of several inputs; None to try the usual ones.
        name: Name in the analysis.
        title: Name in messages.
        classes: Number of classes; 0 for the network's number of outputs.
        options: Options that it was built with.

    Raises:
        ValueError: Where no shape fits or the pass fails; one sentence, with the position in the user's file.
    """
    from cnnviz.analysis.layer_table import compute
    from cnnviz.models.user_code.dry_run import (
        MISFITS,
        OutputError,
        candidate_shapes,
        describe,
        describe_indices,
        required_inputs,
    )

    inputs = required_inputs(module)
    further_shapes: tuple[Shape, ...] = ()
    if is_several(size):
        shapes_given: Any = size
        size, further_shapes = shapes_given[0], tuple(shapes_given[1:])
    _check_inputs(inputs, 1 + len(further_shapes), title)
    # A Conv3d takes an image without a batch dimension for a volume.
    if (problem := _other_dimensions(module, title)) and "volumes" in problem:
        raise ValueError(problem)
    first: Exception | None = None
    shapes: list[Shape] = list(candidate_shapes(module, size))  # type: ignore[arg-type]
    for shape in shapes:
        try:
            analysis = compute(module, shape, name, title, classes, options or {}, further_shapes)
        except OutputError:
            raise
        except MISFITS as error:
            if _needs_values(error):
                raise ValueError(_unknowable(title, error)) from None
            if sentence := describe_indices(title, error):
                raise ValueError(sentence) from None
            first = first or error
            continue
        except (Exception, SystemExit) as error:
            if _needs_values(error):
                raise ValueError(_unknowable(title, error)) from None
            raise ValueError(f"{title} cannot be analyzed: {describe(error)}.") from None
        return analysis if size is not None or shape == shapes[0] else _with_assumed_input(analysis, shape)
    assert first is not None
    raise ValueError(_other_dimensions(module, title) or misfit(title, shapes[0], None, first)) from None


def is_several(size: object) -> bool:
    """Return whether a size is a list of shapes, one for each of several inputs."""
    return isinstance(size, list | tuple) and bool(size) and isinstance(size[0], list | tuple)


def _check_inputs(inputs: Sequence[str], shape_count: int, title: str) -> None:
    if len(inputs) > shape_count:
        example = ",".join(["3x32x32"] * len(inputs))
        raise ValueError(
            f"{title} reads {len(inputs)} inputs ({', '.join(inputs)}): give a size for each, as "
            f"--input-size {example}."
        )


def _other_dimensions(module: nn.Module, title: str) -> str:
    """Return an error message for a network of sequences or volumes; empty for others."""
    from torch import nn

    kinds = {type(part) for part in module.modules() if isinstance(part, nn.modules.conv._ConvNd)}
    data_kind = "sequences" if nn.Conv1d in kinds else "volumes" if nn.Conv3d in kinds else ""
    if not data_kind or nn.Conv2d in kinds:
        return ""
    layer = "Conv1d" if data_kind == "sequences" else "Conv3d"
    return f"{title} reads {data_kind} ({layer}), but cnnviz analyses networks that read images."


def _with_assumed_input(analysis: Analysis, shape: Shape) -> Analysis:
    sides = "×".join(map(str, shape))
    note = f"No input size was given: these figures are for {sides}, the first of the usual ones that fits."
    return replace(analysis, notes=(*analysis.notes, note))


def _needs_values(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, NotImplementedError) or "meta tensor" in text or "meta device" in text


def _unknowable(title: str, error: BaseException) -> str:
    line = source.of_error(error)
    if isinstance(error, NotImplementedError) and "forward" in str(error):
        return f"{title} cannot be analyzed: it defines no forward."
    return (
        f"{title} cannot be analyzed without running it: its forward pass needs the values of its input"
        f"{f' ({line})' if line else ''}."
    )


def misfit(title: str, shape: Shape, default: Shape | None, error: Exception) -> str:
    """Return an error message for an input that the model does not accept."""
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    line = source.of_error(error)
    reason += f" ({line})" if line else ""
    hint = f" Its own input is {'×'.join(map(str, default))}." if default and default != shape else ""
    return f"{title} cannot take an input of {'×'.join(map(str, shape))}: {reason}.{hint}"


Model = "str | models.ModelSpec | LayerList | nn.Module"
Size = int | tuple[int, ...] | Sequence[tuple[int, ...]] | None
"""A side, `(H, W)`, `(C, H, W)`, or a shape for each of several inputs."""


def analyze(
    model: str | models.ModelSpec | LayerList | nn.Module | type[nn.Module],
    input_size: Size = None,
    num_classes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Analysis:
    """Analyze a model on the meta device: layers, parameters, multiply-adds, receptive fields, graph.

    The analysis of a registered model with default options is loaded from a file that ships with the product,
    without importing torch. A module is copied without its weights and not modified. For a module or a user's
    file (`net.py:Net`) channels and classes are the network's own, and a usual input size is searched.

    Args:
        model: Name, spec, layer list, module, or module class (which is instantiated without arguments).
        input_size: A side or `(H, W)` in pixels; for a module also `(C, H, W)`, or a shape for each of
            several inputs.
        num_classes: Number of classes; None for the default.
        options: Options of the model.

    Raises:
        UnknownModelError: For an unknown name (a `ValueError`).
        ValueError: For classes, options or an input size that the model does not support.
    """
    if isinstance(model, LayerList):
        model = spec_of(model, model.name)
    if isinstance(model, str):
        model = models.get(model)
    if not isinstance(model, models.ModelSpec):
        return _of_module(model, input_size)
    if model.description is not None:
        return _of_description(model, input_size, num_classes)
    if OWN_FILE in model.tags:
        return _of_file(model, input_size, num_classes, options)
    if is_several(input_size):
        raise ValueError(f"{model.title} reads one image, not {len(input_size)}.")  # type: ignore[arg-type]
    side = _as_side(input_size, model)  # type: ignore[arg-type]
    classes, shape, chosen = models.resolve(model, num_classes, side, options)
    default = (classes, shape, chosen.changed()) == (model.classes, model.input_shape, {})
    if default and model.source in precomputed.SOURCES:
        shipped = precomputed.load(model.name)
        if shipped is not None:
            return shipped
    return of_spec(model, classes, shape, chosen)


def of_spec(spec: models.ModelSpec, classes: int, shape: Shape, options: models.Options) -> Analysis:
    """Build a spec on the meta device and analyze it; raise `ValueError` for an unsupported size."""
    from cnnviz.analysis.layer_table import compute
    from cnnviz.models.meta_device import on_meta

    channels, height, width = shape
    module = on_meta(lambda: spec.builder(classes, (channels, height, width), options))
    try:
        return compute(module, shape, spec.name, spec.title, classes, options.model_dump())
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(misfit(spec.title, shape, spec.input_shape, error)) from None


def _of_description(spec: models.ModelSpec, input_size: Size, num_classes: int | None) -> Analysis:
    """Analyze a model described by data, with a fixed input shape and number of classes."""
    from cnnviz.analysis.onnx_graph import analyze_onnx

    assert spec.description is not None
    if num_classes not in (None, spec.classes):
        raise ValueError(
            f"{spec.title} is read as data, so it can be looked at but not trained: its classes cannot be "
            f"chosen, it gives {spec.classes:,} numbers."
        )
    sides = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size or ())
    if sides and sides[-2:] != spec.input_shape[1:]:
        raise ValueError(
            f"{spec.title} is read from a file for an input of {'×'.join(map(str, spec.input_shape))}; "
            "name it as FILE.onnx@CxHxW for another, where the file leaves it open."
        )
    if spec.description["format"] == "shown":
        return replace(precomputed.decode(spec.description["analysis"]), model=spec.name, title=spec.title)
    return analyze_onnx(spec.description, spec.name, spec.title)


def _of_module(module: nn.Module | type[nn.Module], input_size: Size) -> Analysis:
    from torch import nn

    from cnnviz.models.meta_device import meta_copy, on_meta
    from cnnviz.models.user_code.dry_run import describe

    if isinstance(module, type) and issubclass(module, nn.Module):
        kind = module
        try:
            return analyze_module(on_meta(kind), input_size, kind.__name__, kind.__name__, 0)
        except TypeError as error:
            raise ValueError(
                f"{kind.__name__} is a class that cannot be made without arguments ({describe(error)}); hand "
                f"in a network, as analyze({kind.__name__}(…))."
            ) from None
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"A {type(module).__name__} cannot be analyzed; what can is a model's name, a layer list, or a "
            "torch.nn.Module."
        )
    name = type(module).__name__
    return analyze_module(meta_copy(module), input_size, name, name, 0)


def _of_file(
    spec: models.ModelSpec,
    input_size: Size,
    num_classes: int | None,
    options: Mapping[str, Any] | models.Options | None,
) -> Analysis:
    """Analyze the network of a user's file; channels, size and classes are its own."""
    from cnnviz.models.meta_device import on_meta

    classes, shape, chosen = models.resolve(spec, num_classes, None, options)
    if not is_several(input_size):
        size: Any = input_size
        if isinstance(size, tuple) and len(size) == 3:
            shape = size
        elif INPUT_FROM_NETWORK not in spec.tags:
            sides = (size, size) if isinstance(size, int) else size
            shape = shape if sides is None else (shape[0], sides[0], sides[1])
            input_size = shape
    module = on_meta(lambda: spec.builder(classes, shape, chosen))
    known = 0 if CLASSES_FROM_OUTPUT in spec.tags else classes
    analysis = analyze_module(module, input_size, spec.name, spec.title, known, chosen.model_dump())
    return replace(analysis, notes=(*spec.notes, *analysis.notes)) if spec.notes else analysis


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


# Analysis of an unfinished layer list, up to the first misfit, for an editor.

KINDS_OF_LAYERS: dict[str, Kind] = {
    "conv": "conv",
    "linear": "fc",
    "pool": "pool",
    "global_pool": "pool",
    "batch_norm": "norm",
    "lrn": "norm",
    "activation": "activation",
    "softmax": "activation",
    "inception": "conv",
    "naive_inception": "conv",
    "residual": "conv",
}
"""Main kind of each layer of a list; others are "other"."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one layer of a list, including everything inside it."""

    params: int = 0
    macs: int = 0
    outputs: int = 0


def analyze_fitting(document: LayerList) -> Analysis:
    """Analyze the layers up to the first that does not fit; the others have no rows.

    Unlike `analyze` it accepts lists that do not end in their classes, and raises no error for shapes.
    """
    from torch import nn

    from cnnviz.analysis.layer_table import compute
    from cnnviz.models.meta_device import on_meta

    def build() -> nn.Sequential:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for step in document.steps():
            if step.input_shape is None or step.output_shape is None:
                break
            parts[step.name] = step.layer.module(step.input_shape, document.classes)
        return nn.Sequential(parts)

    module = on_meta(build)
    if next(module.children(), None) is None:
        return _nothing(document)
    name = document.name
    return compute(module, document.input, name, name, document.classes, {})


def costs(document: LayerList, analysis: Analysis) -> dict[str, Cost]:
    """Sum the rows of an analysis by layer of the list."""
    costs = {name: Cost() for name in document.names()}
    for row in analysis.rows:
        name = row.name.split(".")[0]
        if name in costs:
            cost = costs[name]
            costs[name] = Cost(cost.params + row.params, cost.macs + row.macs, cost.outputs + row.outputs)
    return costs


def kind_of(layer: Layer) -> Kind:
    """Return the kind of a layer of a list, which selects its color."""
    return KINDS_OF_LAYERS.get(layer.kind, "other")


def outline(document: LayerList, costed: bool = True) -> tuple[Row, ...]:
    """Convert the list to one row per layer, without building it, for the diff of two lists.

    Parameters count as 0 after the first misfit, and everywhere without `costed`, so that only settings
    differ.
    """
    rows = []
    for step in document.steps():
        input_shape: Shape = step.input_shape or ()
        fits = costed and step.input_shape is not None and step.output_shape is not None
        settings = step.layer.model_dump(exclude={"name", "kind"})
        params = step.layer.params(input_shape, document.classes) if fits else 0
        title = type(step.layer).title
        rows.append(
            Row(step.name, title, kind_of(step.layer), input_shape, step.output_shape or (), settings, params)
        )
    return tuple(rows)


def _nothing(document: LayerList) -> Analysis:
    name = document.name
    return Analysis(name, name, document.input, document.classes, {}, (), Graph((), ()))
