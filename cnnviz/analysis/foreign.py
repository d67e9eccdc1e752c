"""Analyse a network that somebody brings: find what it reads, and say in a sentence what goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cnnviz.analysis.types import Analysis, Shape
from cnnviz.models.user_code import origin

if TYPE_CHECKING:
    from torch import nn


def analyze_foreign(
    module: nn.Module,
    size: int | tuple[int, ...] | Sequence[tuple[int, ...]] | None,
    name: str,
    title: str,
    classes: int,
    options: dict[str, Any] | None = None,
) -> Analysis:
    """Analyse `module`, which is on the meta device, for the first input that fits.

    Args:
        module: The network; left in evaluation mode.
        size: A side, `(H, W)` or `(C, H, W)`; a shape for each of several inputs; None to try what is usual.
        name: What the analysis calls it.
        title: What people call it.
        classes: How many there are; 0 for as many as it gives numbers.
        options: What it was made with.

    Raises `ValueError` in one sentence, with the user's own file and line where the pass failed there.
    """
    from cnnviz.analysis.compute import compute
    from cnnviz.models.user_code.dry_run import (
        MISFITS,
        OutputError,
        candidate_shapes,
        describe,
        needed_inputs,
    )

    inputs = needed_inputs(module)
    more: tuple[Shape, ...] = ()
    if is_several(size):
        given: Any = size
        size, more = given[0], tuple(given[1:])
    _check_inputs(inputs, 1 + len(more), title)
    # A lone Conv3d would take an image for a volume without a batch.
    if (other := _other_dimensions(module, title)) and "volumes" in other:
        raise ValueError(other)
    first: Exception | None = None
    shapes: list[Shape] = list(candidate_shapes(module, size))  # type: ignore[arg-type]
    for shape in shapes:
        try:
            analysis = compute(module, shape, name, title, classes, options or {}, more)
        except OutputError:
            raise
        except MISFITS as error:
            if _needs_values(error):
                raise ValueError(_unknowable(title, error)) from None
            first = first or error
            continue
        except (Exception, SystemExit) as error:
            if _needs_values(error):
                raise ValueError(_unknowable(title, error)) from None
            raise ValueError(f"{title} cannot be analysed: {describe(error)}.") from None
        return analysis if size is not None or shape == shapes[0] else _with_assumed_input(analysis, shape)
    assert first is not None
    raise ValueError(_other_dimensions(module, title) or misfit(title, shapes[0], None, first)) from None


def is_several(size: object) -> bool:
    """Whether a size is a shape for each of several inputs."""
    return isinstance(size, list | tuple) and bool(size) and isinstance(size[0], list | tuple)


def _check_inputs(needed: Sequence[str], given: int, title: str) -> None:
    if len(needed) > given:
        each = ",".join(["3x32x32"] * len(needed))
        raise ValueError(
            f"{title} reads {len(needed)} inputs ({', '.join(needed)}): give a size for each, as "
            f"--input-size {each}."
        )


def _other_dimensions(module: nn.Module, title: str) -> str:
    """A sentence for a network of sequences or volumes; empty for others."""
    from torch import nn

    kinds = {type(part) for part in module.modules() if isinstance(part, nn.modules.conv._ConvNd)}
    what = "sequences" if nn.Conv1d in kinds else "volumes" if nn.Conv3d in kinds else ""
    if not what or nn.Conv2d in kinds:
        return ""
    layer = "Conv1d" if what == "sequences" else "Conv3d"
    return f"{title} reads {what} ({layer}), but cnnviz analyses networks that read images."


def _with_assumed_input(analysis: Analysis, shape: Shape) -> Analysis:
    sides = "×".join(map(str, shape))
    note = f"No input size was given: these figures are for {sides}, the first of the usual ones that fits."
    return replace(analysis, notes=(*analysis.notes, note))


def _needs_values(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, NotImplementedError) or "meta tensor" in text or "meta device" in text


def _unknowable(title: str, error: BaseException) -> str:
    line = origin.of_error(error)
    if isinstance(error, NotImplementedError) and "forward" in str(error):
        return f"{title} cannot be analysed: it defines no forward."
    return (
        f"{title} cannot be analysed without running it: its forward pass needs the values of its input"
        f"{f' ({line})' if line else ''}."
    )


def misfit(title: str, shape: Shape, default: Shape | None, error: Exception) -> str:
    """One sentence for an input that the model cannot take."""
    reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    line = origin.of_error(error)
    reason += f" ({line})" if line else ""
    hint = f" Its own input is {'×'.join(map(str, default))}." if default and default != shape else ""
    return f"{title} cannot take an input of {'×'.join(map(str, shape))}: {reason}.{hint}"
