"""What brings tensors together or lays them out anew: concatenation, sums, flattening."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from torch import nn

from cnnviz.interpret.arithmetic.base import Arithmetic, as_grid, one_value, works_out
from cnnviz.interpret.arithmetic.working import Cell, Step, Window, Working
from cnnviz.interpret.capture import Seen
from cnnviz.interpret.errors import NotCoveredError
from cnnviz.interpret.maps import Floats


@works_out("cat", "concat", "concatenate")
class Concatenation(Arithmetic):
    """Maps of several sources, one after another."""

    kind = "concatenation"

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        axis = seen.keywords.get("dim", seen.arguments[1] if len(seen.arguments) > 1 else 0)
        if axis % seen.output.dim() != 1:
            raise NotCoveredError(f"'{seen.layer}' joins along another axis than channels.")
        self.parts = [as_grid(part, seen.layer) for part in seen.inputs]
        self.ends = np.cumsum([len(part) for part in self.parts]).tolist()

    def working(self, cell: Cell) -> Working:
        number = next(i for i, end in enumerate(self.ends) if cell.channel < end)
        within = cell.channel - (self.ends[number] - len(self.parts[number]))
        part, source = self.parts[number], self.seen.sources[number]
        seen = one_value(part, Cell(within, cell.y, cell.x), source=source)
        name = f"'{source}'" if source else f"input {number + 1}"
        note = f"Channel {cell.channel} is channel {within} of {name}."
        return Working(self.kind, cell, "input", (Step("result", seen.total),), (seen,), inputs=1, note=note)

    def settings(self) -> dict[str, Any]:
        return {"channels": [len(part) for part in self.parts], "sources": list(self.seen.sources)}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        # The output holds every value of the inputs.
        return {}


@works_out("add", "mul", "multiply", "sub")
class Joined(Arithmetic):
    """Two tensors joined value by value; one of the two may be spread over cells, or be a number."""

    kind = "sum"
    _SIGNS: ClassVar = {"add": "+", "sub": "−", "mul": "·", "multiply": "·"}

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        name = seen.operation.strip("_")
        self.sign = self._SIGNS[name if name in self._SIGNS else name[1:]]
        if seen.operation.startswith("__r") or len(seen.inputs) != 2 or seen.keywords.get("alpha", 1) != 1:
            raise NotCoveredError(
                f"'{seen.layer}' joins otherwise than two tensors; that is not worked out here."
            )
        self.parts = [as_grid(part, seen.layer) for part in seen.inputs]

    def working(self, cell: Cell) -> Working:
        sources = self.seen.sources
        windows = tuple(
            one_value(part, _spread(part, cell), source=source)
            for part, source in zip(self.parts, sources, strict=True)
        )
        left, right = (w.total for w in windows)
        result = {"+": left + right, "−": left - right, "·": left * right}[self.sign]
        names = [source or f"input {i}" for i, source in enumerate(sources, 1)]
        steps = (Step(names[0], left), Step(names[1], right), Step("result", result))
        return Working(self.kind, cell, f" {self.sign} ".join(names), steps, windows, inputs=2)

    def settings(self) -> dict[str, Any]:
        return {"sign": self.sign, "sources": list(self.seen.sources)}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        chosen = slice(None) if channel is None else slice(channel, channel + 1)
        return {f"input{i}": part[chosen] if len(part) > 1 else part for i, part in enumerate(self.parts, 1)}


def _spread(part: Floats, cell: Cell) -> Cell:
    return Cell(*(place if side > 1 else 0 for place, side in zip(cell, part.shape, strict=True)))


@works_out(nn.Flatten)
class Flattening(Arithmetic):
    """Maps laid out as one vector, row by row, map by map."""

    kind = "flatten"

    def working(self, cell: Cell) -> Working:
        maps = self.maps
        place = Cell(*(int(i) for i in np.unravel_index(cell.channel, maps.shape)))
        seen: Window = one_value(maps, place)
        note = f"Value {cell.channel} is channel {place.channel}, row {place.y}, column {place.x}."
        return Working(self.kind, cell, "input", (Step("result", seen.total),), (seen,), inputs=1, note=note)

    def settings(self) -> dict[str, Any]:
        return {"maps": list(self.maps.shape)}
