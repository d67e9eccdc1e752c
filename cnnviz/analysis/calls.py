"""One call of a torch function, as the rules of `cnnviz.analysis.ops` see it.

A thousand of each are made for a large model, and a frozen dataclass takes three times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from cnnviz.analysis.types import WHOLE, Kind, ReceptiveField


@dataclass(slots=True)
class Track:
    """What is known of a tensor that depends on the input: who made it, what its cells see."""

    nodes: tuple[int, ...]
    field: ReceptiveField = WHOLE
    axes: tuple[int, int] | None = None
    """Where its vertical and horizontal axes stand; None where it has no grid of cells."""


@dataclass(slots=True)
class Effect:
    """What a call does: its arithmetic, and what the cells of its result see."""

    label: str
    kind: Kind
    macs: int = 0
    elementwise: int = 0
    field: ReceptiveField = WHOLE
    axes: tuple[int, int] | None = None
    view: bool = False
    """Writes nothing: the result is its input, looked at differently."""


@dataclass(slots=True)
class Call:
    """A function by name, its arguments, its first result, and the tracked tensors among the arguments."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: torch.Tensor
    tracked: tuple[tuple[torch.Tensor, Track], ...]

    def arg(self, index: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        if index < len(self.args):
            return self.args[index]
        return self.kwargs.get(name, default)

    def shape(self, index: int, name: str) -> tuple[int, ...]:
        """Shape of a tensor argument."""
        return tuple(self.arg(index, name).shape)

    @property
    def values(self) -> int:
        """How many values the result holds."""
        return self.out.numel()

    @property
    def first(self) -> Track:
        """The track of the first tracked argument; a constant's where there is none."""
        return self.tracked[0][1] if self.tracked else Track(())

    @property
    def grid(self) -> tuple[int, int] | None:
        """Axes of the first tracked argument where the result has as many axes; else None."""
        for tensor, track in self.tracked:
            if track.axes and tensor.dim() == self.out.dim():
                return track.axes
        return None

    def dims(self, index: int, name: str) -> tuple[int, ...]:
        """An argument of axes, as numbers from 0; all axes where it is not given."""
        given = self.arg(index, name)
        count = self.tracked[0][0].dim() if self.tracked else self.out.dim()
        if given is None:
            return tuple(range(count))
        return tuple(d % max(count, 1) for d in ((given,) if isinstance(given, int) else given))
