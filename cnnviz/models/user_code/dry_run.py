"""Dry run of a network: a forward pass on the meta device that finds its input shape and its output.

A network whose forward pass needs values, or that has lazy layers, is run once on zeros.
"""

from __future__ import annotations

import copy
import functools
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from cnnviz.models.meta_device import meta_copy
from cnnviz.models.spec import Shape
from cnnviz.models.user_code import source
from cnnviz.models.user_code.importer import first_line

_has_no_shape: Callable[[Any], bool] = is_lazy

USUAL_SIDES = (224, 32, 28, 64, 96, 128, 227, 256, 299, 48, 16, 8)
"""Input sides to try, in this order, where no size is given; networks of small total stride begin with 32."""
COARSE = 32
"""Total stride from which on a network is assumed to be made for 224×224, like those for ImageNet."""
MISFITS = (RuntimeError, AssertionError, ValueError, IndexError)
"""Exceptions that torch and networks raise for an input of a wrong shape."""
LOGITS = ("logits", "out", "output", "outputs", "prediction", "predictions", "pred", "y", "y_hat", "scores")
"""Names of a dictionary output that are likely the logits, most likely first."""


_INDICES = (
    "scalar types: Long, Int",
    "only applicable to index tensor",
    "tensors used as indices must be long",
)
"""Parts of torch's messages on indices that are not whole numbers: an embedding, one_hot, a table."""


class OutputError(ValueError):
    """Error for a network output that is neither a tensor nor a collection of tensors."""


@dataclass(frozen=True)
class DryRunResult:
    """Results of a dry run."""

    input_shape: Shape
    classes: int
    """Numbers that the network outputs for an image; 0 where its output is not a vector."""
    output: str | int | None
    """Name or index of the logits among several outputs; None for a single output."""
    drops_batch: bool = False
    """Whether the logits of a single image come as `(classes,)`, as after `squeeze()`."""
    notes: tuple[str, ...] = ()


def inspect_network(module: nn.Module, title: str, size: Any = None) -> DryRunResult:
    """Find the first input shape that a network accepts, and which of its outputs are the logits.

    Args:
        module: Network in evaluation mode; it may be on the meta device.
        title: Its name in messages.
        size: A side, `(H, W)` or `(C, H, W)`; None to try the usual ones.

    Raises:
        ValueError: Where no shape fits, or the forward pass fails; one sentence.
    """
    inputs = required_inputs(module)
    if len(inputs) > 1:
        raise ValueError(
            f"{title} reads {len(inputs)} inputs ({', '.join(inputs)}); pages and training give a network "
            "one image, so wrap it in a module whose forward takes one."
        )
    first: Exception | None = None
    shapes = list(candidate_shapes(module, size))
    for shape in shapes:
        try:
            out = _pass(module, shape)
        except MISFITS as error:
            if sentence := describe_indices(title, error):
                raise ValueError(sentence) from None
            first = first or error
            continue
        except (Exception, SystemExit) as error:
            raise ValueError(f"{title} cannot be run: {describe(error)}.") from None
        chosen, output, notes = choose_output(out, title)
        if chosen is not None and isinstance(module, torch.jit.ScriptModule):
            raise ValueError(
                f"{title} is TorchScript with several outputs, of which none can be chosen; wrap it in a "
                "module whose forward returns the logits."
            )
        drops_batch = _drops_batch(module, shape, output, title)
        if drops_batch:
            notes += (
                f"{title} drops the batch dimension of a single image, as squeeze() does: it is put back "
                "here; flatten(1) keeps it.",
            )
        elif output.dim() != 2:
            notes += (
                f"{title} gives {'×'.join(map(str, output.shape[1:])) or 'one number'} for an image, not a "
                "number a class: it can be looked at, but not trained as a classifier.",
            )
        classes = output.shape[-1] if output.dim() == 2 or drops_batch else 0
        return DryRunResult(shape, classes, chosen, drops_batch, notes)
    assert first is not None
    sides = "×".join(map(str, shapes[0]))
    raise ValueError(f"{title} cannot take an input of {sides}: {reason(first)}.")


def _drops_batch(module: nn.Module, shape: Shape, output: Tensor, title: str) -> bool:
    """Return whether the logits `output` of one image are a vector, and those of two images a matrix."""
    if output.dim() != 1 or len(output) < 2 or isinstance(module, torch.jit.ScriptModule):
        return False
    try:
        _, of_two, _ = choose_output(_pass(module, shape, 2), title)
    except Exception:  # Then it takes single images only.
        return False
    return of_two.shape == (2, len(output))


def required_inputs(module: nn.Module) -> list[str]:
    """Return the required arguments of the module's forward method."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variable]


def choose_output(out: Any, title: str) -> tuple[str | int | None, Tensor, tuple[str, ...]]:
    """Select the logits among several outputs: by name, else the first `(N, C)`, else the first tensor.

    Returns:
        Name or index of the output (None for a single one), the tensor, and a note on the choice.
    """
    if isinstance(out, Tensor):
        return None, out, ()
    if isinstance(out, dict):
        names = [name for name, value in out.items() if isinstance(value, Tensor)]
        if names:
            flat = [name for name in names if out[name].dim() == 2]
            chosen = next((name for name in LOGITS if name in names), (flat or names)[0])
            listed = ", ".join(map(str, out))
            return chosen, out[chosen], (f"{title} gives {listed}: '{chosen}' is taken for its logits.",)
    if isinstance(out, list | tuple):
        indices = [index for index, value in enumerate(out) if isinstance(value, Tensor)]
        if indices:
            if len({tuple(out[index].shape) for index in indices}) == 1 and out[indices[0]].dim() == 2:
                return None, out[indices[0]], ()  # Auxiliary classifiers beside the main one.
            first = next((index for index in indices if out[index].dim() == 2), indices[0])
            note = f"{title} gives {len(out)} values: the {_ordinal(first)} is taken for its logits."
            return first, out[first], (note,)
    raise OutputError(
        f"{title} gives a {type(out).__name__}; what is read is a tensor, or a dictionary or tuple of them."
    )


def _ordinal(index: int) -> str:
    return ("first", "second", "third")[index] if index < 3 else f"{index + 1}th"


def select_output(module: nn.Module, chosen: Any, drops_batch: bool = False) -> nn.Module:
    """Make the module return the selected output only; type name, layers and signature stay the same.

    With `drops_batch`, logits `(classes,)` of a single image become `(1, classes)`.
    """
    if chosen is None and not drops_batch:
        return module
    kind = type(module)

    @functools.wraps(kind.forward)  # Tracing and export read the forward pass's signature.
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        out: Any = kind.forward(self, *args, **kwargs)
        if chosen is not None and isinstance(out, dict | list | tuple):
            out = out[chosen]
        return out[None] if drops_batch and isinstance(out, Tensor) and out.dim() == 1 else out

    module.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
    return module


def materialize(module: nn.Module, input_shape: Shape) -> nn.Module:
    """Materialize lazy layers by a forward pass over zeros; other modules are not changed.

    On the meta device a forward pass that needs values runs over a copy on the CPU, which is returned.
    """
    lazy = _first_lazy(module)
    if lazy is None:
        return module
    was_training = module.training
    with torch.no_grad():
        try:
            module.eval()(torch.zeros((1, *input_shape), device=lazy.device))
        except Exception as error:
            if not lazy.is_meta or "meta" not in str(error):
                raise
            module = _with_memory(module).eval()
            module(torch.zeros((1, *input_shape)))
            module.to("meta")
    return module.train(was_training)


def _first_lazy(module: nn.Module) -> Tensor | None:
    return next((t for t in (*module.parameters(), *module.buffers()) if _has_no_shape(t)), None)


def _pass(module: nn.Module, shape: Shape, batch: int = 1) -> Any:
    """Run a forward pass on the meta device, or over zeros where the network needs values."""
    floating = [p for p in module.parameters() if not _has_no_shape(p) and p.is_floating_point()]
    dtype = floating[0].dtype if floating else torch.float32
    lazy = _first_lazy(module)
    with torch.no_grad():
        try:
            if lazy is not None:
                return _lazy_copy(module)(torch.empty((batch, *shape), device=lazy.device, dtype=dtype))
            return meta_copy(module)(torch.empty((batch, *shape), device="meta", dtype=dtype))
        except Exception as error:
            if "meta" not in str(error) and not isinstance(error, NotImplementedError):
                raise
        is_incomplete = lazy is not None or any(p.is_meta for p in module.parameters())
        with_values = _with_memory(module) if is_incomplete else module
        return with_values(torch.zeros((batch, *shape), dtype=dtype))


def _lazy_copy(module: nn.Module) -> nn.Module:
    """Copy a module with lazy layers; deepcopy supports lazy parameters, but not lazy buffers."""
    lazy = (b for b in module.buffers() if _has_no_shape(b))
    new: Any = UninitializedBuffer
    memo: dict[int, Any] = {id(b): new(device=b.device, dtype=b.dtype) for b in lazy}
    return copy.deepcopy(module, memo)


def _with_memory(module: nn.Module) -> nn.Module:
    """Copy the module to the CPU with all weights 0, for shape inference only; lazy layers stay lazy."""
    memo = {id(t): _in_memory(t) for t in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, memo)


def _in_memory(tensor: Any) -> Any:
    if _has_no_shape(tensor):
        return type(tensor)(device="cpu", dtype=tensor.dtype)
    if not tensor.is_floating_point():  # Known on the meta device too: networks index and loop with them.
        return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor
    zeros = torch.zeros_like(tensor, device="cpu")
    return nn.Parameter(zeros, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else zeros


def candidate_shapes(module: nn.Module, size: int | tuple[int, ...] | None) -> Iterator[Shape]:
    """Yield input shapes `(C, H, W)` to try, most likely first; a single one where it is given.

    Raises:
        ValueError: For an invalid size.
    """
    if isinstance(size, tuple) and len(size) == 3:
        yield (size[0], size[1], size[2])
        return
    if isinstance(size, tuple) and len(size) != 2:
        raise ValueError(f"An input size is a side, (H, W) or (C, H, W) in pixels, not {size}.")
    channels = _channels(module)
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else (size[0], size[1])
        yield from ((channel_count, height, width) for channel_count in channels)
        return
    yield from _without_convolution(module)
    sides = USUAL_SIDES if _coarse(module) else sorted(USUAL_SIDES, key=lambda side: side == USUAL_SIDES[0])
    yield from ((channel_count, side, side) for channel_count in channels for side in sides)


def _coarse(module: nn.Module) -> bool:
    """Return whether the product of the strides is too large for small images; shortcuts are excluded."""
    jump = 1
    windows = (nn.modules.conv._ConvNd, nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd)
    for part in module.modules():
        if isinstance(part, windows):
            kernel, stride = _first_side(part.kernel_size), _first_side(part.stride)
            jump *= stride if kernel > 1 else 1
    return jump >= COARSE


def _first_side(value: Any) -> int:
    """Return the first value of a kernel or stride, given as a number or per axis; 1 where it is not set."""
    return value if isinstance(value, int) else int(value[0]) if value else 1


def _channels(module: nn.Module) -> tuple[int, ...]:
    """Return the channels of the first convolution, then other plausible numbers of image channels."""
    convs = [part for part in module.modules() if isinstance(part, nn.modules.conv._ConvNd)]
    counts = [conv.in_channels for conv in convs if conv.in_channels]
    return tuple(dict.fromkeys([*counts[:1], *(count for count in counts if count in (1, 3)), 3, 1]))


def _without_convolution(module: nn.Module) -> Iterator[Shape]:
    """Yield the shapes that a first linear or recurrent layer reads, where there is no convolution."""
    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase, nn.RNNCellBase)
    first = next((part for part in module.modules() if isinstance(part, kinds)), None)
    if isinstance(first, nn.Linear) and first.in_features:
        for count in (1, 3):
            side = math.isqrt(first.in_features // count)
            if count * side * side == first.in_features:
                yield count, side, side
        yield 1, first.in_features, first.in_features
    elif isinstance(first, nn.RNNBase | nn.RNNCellBase):
        yield 1, first.input_size, first.input_size


# Readable error messages.


def describe(error: BaseException) -> str:
    """Describe an error: its type, its message, and its position in the user's file."""
    text = first_line(error).rstrip(".") if str(error).strip() else ""
    line = source.of_error(error)
    return f"{type(error).__name__}{f': {text}' if text else ''}{f' ({line})' if line else ''}"


def describe_indices(title: str, error: BaseException) -> str:
    """Describe an error of a network that takes its input for indices; empty for other errors."""
    if not any(part in str(error) for part in _INDICES):
        return ""
    line = source.of_error(error)
    return (
        f"{title} takes its input for indices, as an embedding does{f' ({line})' if line else ''}, but what "
        "a network gets here are images, floating-point tensors (N, C, H, W); a forward that means pixels as "
        "indices converts them itself, as (255 * x).long()."
    )


def reason(error: Exception) -> str:
    """Describe an error by its message, without its type, and its position in the user's file."""
    text = first_line(error).rstrip(".") if str(error).strip() else type(error).__name__
    line = source.of_error(error)
    return f"{text} ({line})" if line else text
