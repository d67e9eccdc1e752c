"""What every kind of layer in a layer list shares: fields, shape inference, and its module.

A kind is one class: its validated fields, `output(shape)` in plain arithmetic, and `module(shape)`, which
alone imports torch. So a network can be designed, checked and costed without building it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import nn

MapShape = tuple[int, int, int]
AnyShape = tuple[int, ...]
"""`(C, H, W)` for maps or `(F,)` for a vector, without the batch."""

Width = Annotated[int, Field(ge=1, le=65_536)]
Extent = Annotated[int, Field(ge=1, le=1_024)]
Window = Extent | tuple[Extent, Extent]
Margin = Annotated[int, Field(ge=0, le=512)]
Padding = Margin | tuple[Margin, Margin]


class MisfitError(ValueError):
    """A layer cannot take the shape it is given; the message says what would fit."""


class Layer(BaseModel):
    """One layer of a layer list. `title` and `group` say how an editor offers the kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    group: ClassVar[str]
    kind: str
    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_\-]{0,39}$", description="Unique in the list."
    )

    @abstractmethod
    def output(self, shape: AnyShape) -> AnyShape:
        """Shape that leaves the layer when `shape` enters, batch left out; raises `MisfitError`."""

    def params(self, shape: AnyShape, classes: int) -> int:
        """Trainable parameters where `shape` enters, which must be one that fits."""
        return 0

    @abstractmethod
    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """The `torch.nn.Module` for an input of `shape`, batch left out."""


class Init(BaseModel):
    """How weights start.

    `default` is PyTorch's (He uniform with a = √5), `he` is N(0, 2/fan_in) of He et al. (2015), `glorot` the
    uniform rule of Glorot and Bengio (2010), `normal` N(0, std²).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Literal["default", "he", "glorot", "normal"] = "default"
    std: float = Field(0.01, gt=0, le=10)
    bias: float | None = Field(
        None, ge=-100, le=100, description="Constant for the biases; PyTorch's default where empty."
    )

    def deviation(self, fan_in: int, fan_out: int) -> float:
        """Standard deviation of the weights of a layer that sums `fan_in` values and feeds `fan_out`."""
        return {
            "default": 1 / math.sqrt(3 * fan_in),
            "he": math.sqrt(2 / fan_in),
            "glorot": math.sqrt(2 / (fan_in + fan_out)),
            "normal": self.std,
        }[self.weights]

    def apply(self, module: nn.Module) -> nn.Module:
        """Initialise every convolution and linear layer inside `module` in place, and return it."""
        from torch import nn

        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                self._weights(part.weight)
                if self.bias is not None and part.bias is not None:
                    nn.init.constant_(part.bias, self.bias)
        return module

    def _weights(self, weight: Any) -> None:
        from torch.nn import init

        if self.weights == "he":
            init.kaiming_normal_(weight, nonlinearity="relu")
        elif self.weights == "glorot":
            init.xavier_uniform_(weight)
        elif self.weights == "normal":
            init.normal_(weight, std=self.std)


def pair(value: Any) -> tuple[int, int]:
    """A window given as one number or as (height, width), as (height, width)."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def times(value: Any) -> str:
    """`3` or `(3, 5)` as `3×3` or `3×5`."""
    return "×".join(map(str, pair(value)))


def as_maps(shape: AnyShape, what: str) -> MapShape:
    """The shape as `(C, H, W)`; raises `MisfitError` where it is a vector."""
    if len(shape) != 3:
        raise MisfitError(
            f"{what} needs maps (channels × height × width), but a vector of {shape[0]} comes in; "
            "put it before the flatten layer."
        )
    return shape[0], shape[1], shape[2]


def slide(
    shape: AnyShape, what: str, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil: bool = False
) -> tuple[int, int]:
    """Height and width after a window slides over maps: ⌊(n + 2p − d(k − 1) − 1)/s⌋ + 1.

    (Dumoulin and Visin, 2016.) With `ceil` the division rounds up, but no window starts in the far padding.
    Raises `MisfitError` where no window fits.
    """
    _, height, width = as_maps(shape, what)
    sides, fitting, needed = [], [], []
    for n, k, s, p, d in zip(
        (height, width), pair(kernel), pair(stride), pair(padding), pair(dilation), strict=True
    ):
        span = n + 2 * p - d * (k - 1) - 1
        out = (-(-span // s) if ceil else span // s) + 1
        sides.append(out - 1 if ceil and (out - 1) * s >= n + p else out)
        fitting.append((n + 2 * p - 1) // d + 1)
        needed.append(p - span // 2)
    if min(sides) < 1:
        padded = f", padded by {times(padding)}," if any(pair(padding)) else ""
        raise MisfitError(
            f"A {times(kernel)} window does not fit maps of {height}×{width}{padded}; a kernel of at "
            f"most {min(fitting)} or a padding of at least {max(needed)} would."
        )
    return sides[0], sides[1]
