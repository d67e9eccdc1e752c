"""Base class of layer arithmetic, its data types, and the registry from layer types to classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from cnnviz.interpret import NotCoveredError
from cnnviz.interpret.hooks import LayerCall
from cnnviz.interpret.mosaic import Floats

# The worked computation of one value, as plain data that JSON can hold.

Grid = Sequence[Sequence[float]]


class Cell(NamedTuple):
    """Position in a layer's output; the values of a vector are channels of one cell."""

    channel: int
    y: int
    x: int


@dataclass(frozen=True, slots=True)
class Window:
    """One input map's contribution to a cell: values and their weights."""

    channel: int
    """Index of the input map; in a concatenation or sum, within its own source."""
    top: int
    """Row of the first value on the map; negative where the window begins in the padding."""
    left: int
    step: tuple[int, int]
    """Vertical and horizontal dilation; 1 for most layers."""
    values: Grid
    inside: Sequence[Sequence[bool]]
    """False for a value in the padding, which is given as 0."""
    total: float
    """Sum of the products, or of the values where there are no weights."""
    weights: Grid | None = None
    products: Grid | None = None
    source: str = ""
    """In a concatenation or sum, the layer that the map comes from."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One of the many inputs of a fully connected unit."""

    index: int
    value: float
    weight: float
    product: float
    """Its term of the sum."""
    cell: Cell | None = None
    """Its position before maps were flattened."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the computation."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Working:
    """Worked computation of the value of one cell."""

    kind: str
    """Which view shows it: `convolution`, `max pooling`, `linear` …"""
    cell: Cell
    formula: str
    """The rule in symbols."""
    steps: tuple[Step, ...]
    """From the inputs to the result, which is last."""
    windows: tuple[Window, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    """The largest by magnitude, where there are too many inputs for windows."""
    inputs: int = 0
    """Number of inputs, including those not shown."""
    winner: Cell | None = None
    """Max pooling: position on the input whose value was passed on."""
    left_out: tuple[int, ...] = ()
    """Input maps that this output map does not read."""
    note: str = ""
    layer: str = ""
    actual: float = 0.0
    """The network's own value, in its own precision."""

    @property
    def result(self) -> float:
        """The value as computed here, in double precision."""
        return self.steps[-1].value

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as dictionaries, lists and numbers."""
        return asdict(self) | {"result": self.result}


Doubles = NDArray[np.float64]


class Arithmetic(ABC):
    """Arithmetic of one call of a layer: computes the working of any cell of its output."""

    kind: ClassVar[str]

    def __init__(self, call: LayerCall) -> None:
        self.call = call

    @abstractmethod
    def working(self, cell: Cell) -> Working:
        """Return the worked computation of a cell's value."""

    def settings(self) -> dict[str, Any]:
        """Return the layer's hyperparameters that a reader needs besides the arrays; JSON can hold them."""
        return {}

    def arrays(self, channel: int | None) -> dict[str, Floats]:
        """Return inputs and weights by name, for all cells, or for one channel's where that is less."""
        return {"input": self.maps}

    @property
    def maps(self) -> Floats:
        """The first input as `(C, H, W)`."""
        return as_grid(self.call.inputs[0], self.call.layer)


A = TypeVar("A", bound=type[Arithmetic])
MODULES: dict[type[nn.Module], type[Arithmetic]] = {}
OPERATIONS: dict[str, type[Arithmetic]] = {}
NAMED_MODULES: dict[str, type[Arithmetic]] = {}


def register_arithmetic(*targets: type[nn.Module] | str) -> Callable[[A], A]:
    """Register a class for module types (not their subclasses), or for functions by name.

    A name with dots is a module type's, so that its package need not be imported.
    """

    def wrap(arithmetic: A) -> A:
        for target in targets:
            if isinstance(target, str):
                (NAMED_MODULES if "." in target else OPERATIONS)[target] = arithmetic
            else:
                MODULES[target] = arithmetic
        return arithmetic

    return wrap


def arithmetic_of(call: LayerCall) -> Arithmetic:
    """Return the arithmetic of a call; raises `NotCoveredError` for a layer type that is not covered."""
    if call.module is not None:
        kind = type(call.module)
        arithmetic = MODULES.get(kind) or NAMED_MODULES.get(f"{kind.__module__}.{kind.__qualname__}")
        name = kind.__name__
    else:
        name = call.operation.strip("_")
        name = name[1:] if name in ("iadd", "imul", "isub") else name
        arithmetic = OPERATIONS.get(name)
    if arithmetic is None:
        raise NotCoveredError(
            f"The arithmetic of '{call.layer}' ({name}) is not worked out here; its maps can be looked at."
        )
    return arithmetic(call)


def is_covered(module: nn.Module) -> bool:
    """Return whether modules of this type are covered."""
    return type(module) in MODULES


def as_grid(tensor: Tensor, layer: str) -> Floats:
    """Convert a batch of one to `(C, H, W)`; a vector to `(F, 1, 1)`.

    Raises:
        NotCoveredError: For other shapes.
    """
    array: Floats = tensor[0].detach().cpu().float().numpy()
    if array.ndim == 1:
        return array.reshape(-1, 1, 1)
    if array.ndim != 3:
        shape = "×".join(map(str, array.shape))
        raise NotCoveredError(f"'{layer}' works on {shape}, which are neither maps nor a vector.")
    return array


def array_of(tensor: Any) -> Floats:
    """Convert a parameter or buffer to float32."""
    array: Floats = tensor.detach().cpu().float().numpy()
    return array


def single_value_window(maps: Floats, cell: Cell, weight: float | None = None, source: str = "") -> Window:
    """Build a window of the single value at `cell`."""
    value = float(maps[cell])
    weights = None if weight is None else ((weight,),)
    product = value if weight is None else value * weight
    products = None if weight is None else ((product,),)
    inside = ((True,),)
    return Window(
        cell.channel, cell.y, cell.x, (1, 1), ((value,),), inside, product, weights, products, source
    )


def window(
    maps: Floats,
    channel: int,
    corner: tuple[int, int],
    kernel: Doubles,
    step: tuple[int, int] = (1, 1),
    weighted: bool = True,
) -> Window:
    """Build the window of a map under `kernel`, its first value at `corner`, dilated by `step`; 0 outside."""
    (result,) = windows(maps, [channel], corner, kernel[None], step)
    return result if weighted else replace(result, weights=None, products=None)


def windows(
    maps: Floats,
    channels: Sequence[int],
    corner: tuple[int, int],
    kernels: Doubles,
    step: tuple[int, int] = (1, 1),
) -> tuple[Window, ...]:
    """Build the windows at one position of several maps, each under its own kernel.

    `kernels` is `(maps, height, width)`.
    """
    ys = corner[0] + step[0] * np.arange(kernels.shape[1])
    xs = corner[1] + step[1] * np.arange(kernels.shape[2])
    height, width = maps.shape[1:]
    inside = ((ys >= 0) & (ys < height))[:, None] & ((xs >= 0) & (xs < width))[None]
    patches = maps[np.ix_(np.array(channels), ys.clip(0, height - 1), xs.clip(0, width - 1))].astype(
        np.float64
    )
    patches = np.where(inside, patches, 0.0)
    products = patches * kernels
    columns = (patches.tolist(), products.sum((1, 2)).tolist(), kernels.tolist(), products.tolist())
    inside_list = inside.tolist()
    return tuple(
        Window(channel, *corner, step, values, inside_list, total, weights, product)
        for channel, values, total, weights, product in zip(channels, *columns, strict=True)
    )


def pair(value: Any) -> tuple[int, int]:
    """Expand a setting given as one number or as (vertical, horizontal)."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])
