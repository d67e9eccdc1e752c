"""Base class of a layer list's layers: fields, shape inference and module construction.

Each kind of layer is one class: validated fields, `output(shape)` in plain arithmetic, and `module(shape)`,
which alone imports torch. So a network can be designed, checked and costed without building it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import nn

MAX_SIDE = 1_024
"""Maximum input height and width in pixels, of every model."""
MAX_CLASSES = 100_000
"""Maximum number of classes, of every model."""

MapShape = tuple[int, int, int]
AnyShape = tuple[int, ...]
"""`(C, H, W)` for feature maps or `(F,)` for a vector, without the batch dimension."""

Width = Annotated[int, Field(ge=1, le=65_536)]
Extent = Annotated[int, Field(ge=1, le=1_024)]
Window = Extent | tuple[Extent, Extent]
Margin = Annotated[int, Field(ge=0, le=512)]
Padding = Margin | tuple[Margin, Margin]


class MisfitError(ValueError):
    """Error for a layer that does not accept its input shape; the message says what would fit."""


class Layer(BaseModel):
    """One layer of a layer list. `title` and `group` are its label and section in an editor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    group: ClassVar[str]
    kind: str
    name: str | None = Field(
        None, pattern=r"^[A-Za-z][A-Za-z0-9_\-]{0,39}$", description="Unique in the list."
    )

    @abstractmethod
    def output(self, shape: AnyShape) -> AnyShape:
        """Compute the output shape for an input shape, both without the batch dimension.

        Raises:
            MisfitError: Where the layer does not accept the shape.
        """

    def params(self, shape: AnyShape, classes: int) -> int:
        """Count the trainable parameters for an input shape, which must be one that fits."""
        return 0

    @abstractmethod
    def module(self, shape: AnyShape, classes: int) -> nn.Module:
        """Build the `torch.nn.Module` for an input shape, given without the batch dimension."""


class Init(BaseModel):
    """Weight initialization.

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
        """Compute the standard deviation of the weights of a layer, given its fan-in and fan-out."""
        return {
            "default": 1 / math.sqrt(3 * fan_in),
            "he": math.sqrt(2 / fan_in),
            "glorot": math.sqrt(2 / (fan_in + fan_out)),
            "normal": self.std,
        }[self.weights]

    def apply(self, module: nn.Module) -> nn.Module:
        """Initialize every convolution and linear layer inside `module` in place, and return it."""
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


def initial(scheme: str, bias: float = 0.0) -> Init:
    """Return the weight initialization of a scheme.

    Args:
        scheme: `paper` or `article`, which draw weights from N(0, 0.01²); `he`; `keras` (Glorot uniform); or
            `default`, PyTorch's own rule.
        bias: Constant for the biases under `paper` and `article`; `he` and `keras` start biases at 0.
    """
    if scheme in ("paper", "article"):
        return Init(weights="normal", std=0.01, bias=bias)
    if scheme == "he":
        return Init(weights="he", bias=0.0)
    if scheme == "keras":
        return Init(weights="glorot", bias=0.0)
    return Init()


def pair(value: Any) -> tuple[int, int]:
    """Convert a window given as one number or as a pair to `(height, width)`."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def times(value: Any) -> str:
    """Format `3` or `(3, 5)` as `3×3` or `3×5`."""
    return "×".join(map(str, pair(value)))


def as_maps(shape: AnyShape, what: str) -> MapShape:
    """Return the shape as `(C, H, W)`.

    Raises:
        MisfitError: Where it is the shape of a vector.
    """
    if len(shape) != 3:
        raise MisfitError(
            f"{what} needs maps (channels × height × width), but a vector of {shape[0]} comes in; "
            "put it before the flatten layer."
        )
    return shape[0], shape[1], shape[2]


def slide(
    shape: AnyShape, what: str, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil: bool = False
) -> tuple[int, int]:
    """Compute the output size of a sliding window: ⌊(n + 2p − d(k − 1) − 1)/s⌋ + 1.

    The formula is that of Dumoulin and Visin (2016). With `ceil` the division rounds up, but no window starts
    in the padding at the far end.

    Returns:
        Height and width.

    Raises:
        MisfitError: Where no window fits.
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
