"""How one number came about, as plain data that JSON can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

Grid = Sequence[Sequence[float]]


class Cell(NamedTuple):
    """A place in a layer's output; a vector's values are channels of one cell."""

    channel: int
    y: int
    x: int


@dataclass(frozen=True, slots=True)
class Window:
    """What one input map gives to a cell: values, and what each is multiplied by."""

    channel: int
    """The input map, by its number; in a join, within its own source."""
    top: int
    """Of the first value on the map; negative where the window begins in the padding."""
    left: int
    step: tuple[int, int]
    """Rows and columns from one value to the next: 1 but for dilated windows."""
    values: Grid
    inside: Sequence[Sequence[bool]]
    """False for a value that lies in the padding; it is then given as 0."""
    total: float
    """What this map adds: the sum of the products, or of the values where there are no weights."""
    weights: Grid | None = None
    products: Grid | None = None
    source: str = ""
    """In a join, the layer that the map comes from."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One of many inputs of a unit."""

    index: int
    value: float
    weight: float
    product: float
    """What it adds."""
    cell: Cell | None = None
    """Where it lay before maps were flattened."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the working."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Working:
    """How the value of one cell is computed."""

    kind: str
    """Which view shows it: `convolution`, `max pooling`, `linear` and so on."""
    cell: Cell
    formula: str
    """The rule in symbols."""
    steps: tuple[Step, ...]
    """From the inputs to the result, the last one being the result."""
    windows: tuple[Window, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    """The largest by magnitude, where there are too many inputs for windows."""
    inputs: int = 0
    """How many inputs there are, contributions shown or not."""
    winner: Cell | None = None
    """Max pooling: the place on the input whose value was passed on."""
    left_out: tuple[int, ...] = ()
    """Input maps that this map does not see."""
    note: str = ""
    layer: str = ""
    actual: float = 0.0
    """What the network itself gave, in its own precision."""

    @property
    def result(self) -> float:
        """The value as worked out here, in double precision."""
        return self.steps[-1].value

    def to_dict(self) -> dict[str, Any]:
        """All of it as dictionaries, lists and numbers."""
        return asdict(self) | {"result": self.result}
