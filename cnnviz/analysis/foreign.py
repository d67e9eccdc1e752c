"""Analyse a network that somebody brings: find what it reads, and say in a sentence what goes wrong."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from cnnviz.analysis import origin
from cnnviz.analysis.types import Analysis, Shape

if TYPE_CHECKING:
    from torch import nn

USUAL_SIDES = (224, 32, 28, 64, 96, 128, 227, 256, 299, 48, 16, 8)
"""Sides that are tried, in this order, where no size is given."""
_MISFITS = (RuntimeError, AssertionError, ValueError, IndexError)
"""What torch and networks raise for an input of a wrong shape."""


def build(make: Callable[[], nn.Module]) -> nn.Module:
    """Build a network without memory; with memory first where its constructor asks for drawn values."""
    from cnnviz.analysis.compute import meta_copy, on_meta

    try:
        return on_meta(make)
    except ValueError as error:
        if "meta tensor" not in str(error):
            raise
        return meta_copy(make())


def analyze_foreign(
    module: nn.Module, size: int | tuple[int, ...] | None, name: str, title: str, classes: int
) -> Analysis:
    """Analyse `module`, which is on the meta device, for the first input that fits.

    Args:
        module: The network; left in evaluation mode.
        size: A side, `(H, W)` or `(C, H, W)`; None to try what is usual.
        name: What the analysis calls it.
        title: What people call it.
        classes: How many there are; 0 for as many as it gives numbers.

    Raises `ValueError` in one sentence, with the user's own file and line where the pass failed there.
    """
    from cnnviz.analysis.compute import compute

    _check_inputs(module, title)
    first: Exception | None = None
    shapes = list(_shapes(module, size))
    for shape in shapes:
        try:
            found = compute(module, shape, name, title, classes, {})
        except _MISFITS as error:
            if _needs_values(error):
                raise ValueError(_unknowable(title, error)) from None
            first = first or error
            continue
        except Exception as error:
            raise ValueError(f"{title} cannot be analysed: {_describe(error)}.") from None
        return found if size is not None or shape == shapes[0] else _with_assumed_input(found, shape)
    assert first is not None
    raise ValueError(misfit(title, shapes[0], None, first)) from None


def _check_inputs(module: nn.Module, title: str) -> None:
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if len(needed) > 1:
        raise ValueError(
            f"{title} reads {len(needed)} inputs ({', '.join(needed)}), but cnnviz analyses networks that "
            "read one image; wrap it in a module whose forward takes one."
        )


def _shapes(module: nn.Module, size: int | tuple[int, ...] | None) -> Iterator[Shape]:
    if isinstance(size, tuple) and len(size) == 3:
        yield size
        return
    if isinstance(size, tuple) and len(size) != 2:
        raise ValueError(f"An input size is a side, (H, W) or (C, H, W) in pixels, not {size}.")
    channels = _channels(module)
    if size is not None:
        sides = (size, size) if isinstance(size, int) else size
        yield from ((count, *sides) for count in channels)
        return
    yield from _without_convolution(module)
    yield from ((count, side, side) for count in channels for side in USUAL_SIDES)


def _channels(module: nn.Module) -> tuple[int, ...]:
    """Channels that the first convolution reads, then what others read that an image may have."""
    from torch import nn

    convs = [part for part in module.modules() if isinstance(part, nn.modules.conv._ConvNd)]
    read = [conv.in_channels for conv in convs]
    return tuple(dict.fromkeys([*read[:1], *(count for count in read if count in (1, 3)), 3, 1]))


def _without_convolution(module: nn.Module) -> Iterator[Shape]:
    """Images that a first linear or recurrent layer reads, where there is no convolution."""
    from torch import nn

    kinds = (nn.modules.conv._ConvNd, nn.Linear, nn.RNNBase, nn.RNNCellBase)
    first = next((part for part in module.modules() if isinstance(part, kinds)), None)
    if isinstance(first, nn.Linear):
        for count in (1, 3):
            side = math.isqrt(first.in_features // count)
            if count * side * side == first.in_features:
                yield count, side, side
        yield 1, first.in_features, first.in_features
    elif isinstance(first, nn.RNNBase | nn.RNNCellBase):
        yield 1, first.input_size, first.input_size


def _with_assumed_input(found: Analysis, shape: Shape) -> Analysis:
    sides = "×".join(map(str, shape))
    note = f"No input size was given: these figures are for {sides}, the first of the usual ones that fits."
    return replace(found, notes=(*found.notes, note))


def _needs_values(error: Exception) -> bool:
    return isinstance(error, NotImplementedError) or "meta tensor" in str(error)


def _unknowable(title: str, error: Exception) -> str:
    line = origin.of_error(error)
    if isinstance(error, NotImplementedError) and "forward" in str(error):
        return f"{title} cannot be analysed: it defines no forward."
    return (
        f"{title} cannot be analysed without running it: its forward pass needs the values of its input"
        f"{f' ({line})' if line else ''}."
    )


def _describe(error: Exception) -> str:
    """An error as people read it: what, why, and where in their own file."""
    reason = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    line = origin.of_error(error)
    return f"{type(error).__name__}{f': {reason}' if reason else ''}{f' ({line})' if line else ''}"


def misfit(title: str, shape: Shape, default: Shape | None, error: Exception) -> str:
    """One sentence for an input that the model cannot take."""
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    line = origin.of_error(error)
    reason += f" ({line})" if line else ""
    hint = f" Its own input is {'×'.join(map(str, default))}." if default and default != shape else ""
    return f"{title} cannot take an input of {'×'.join(map(str, shape))}: {reason}.{hint}"
