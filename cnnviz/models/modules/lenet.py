"""What LeNet-5 of 1998 is made of and torch does not have (LeCun et al., 1998, section II.B)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class ScaledTanh(nn.Module):
    """f(a) = 1.7159·tanh(2a/3), so that f(±1) = ±1 and the curve is steepest between (appendix A)."""

    amplitude = 1.7159
    slope = 2 / 3

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return self.amplitude * torch.tanh(self.slope * x)


class Subsampling(nn.Module):
    """The mean of each 2×2 window, times a trainable gain, plus a trainable bias, one of each a map.

    The paper adds the four inputs up; here the gain is on their mean, so that it starts at 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """`(N, channels, H, W)` to `(N, channels, ⌊H/2⌋, ⌊W/2⌋)`."""
        mean = functional.avg_pool2d(x, 2)
        return mean * self.gain[:, None, None] + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """The number of maps, for the printed module."""
        return str(len(self.gain))


class PartialConv2d(nn.Module):
    """A convolution whose every output map sees only the input maps that `connections` gives it.

    Neighbouring output maps that see equally many inputs are one grouped convolution, so no weight is stored,
    and no product computed, for a connection that is not there.
    """

    index: Tensor

    def __init__(self, connections: Sequence[Sequence[int]], kernel: int) -> None:
        super().__init__()
        self.connections = tuple(tuple(seen) for seen in connections)
        runs = [(fan_in, len(list(run))) for fan_in, run in itertools.groupby(self.connections, len)]
        self.convs = nn.ModuleDict(
            {
                f"see{fan_in}": nn.Conv2d(fan_in * maps, maps, kernel, groups=maps)
                for fan_in, maps in _distinct(runs)
            }
        )
        self.sizes = [fan_in * maps for fan_in, maps in runs]
        inputs = torch.tensor([i for seen in self.connections for i in seen])
        self.register_buffer("index", inputs, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, in_channels, H, W)` to `(N, len(connections), H − kernel + 1, W − kernel + 1)`."""
        seen = torch.split(x.index_select(1, self.index), self.sizes, dim=1)
        return torch.cat([conv(part) for conv, part in zip(self.convs.values(), seen, strict=True)], dim=1)


def _distinct(runs: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    runs = list(runs)
    if len({fan_in for fan_in, _ in runs}) < len(runs):
        raise ValueError("Maps that see equally many inputs must stand side by side in a connection table.")
    return runs


class RadialBasis(nn.Module):
    """Euclidean radial-basis units: a class's logit is minus the squared distance to its fixed code.

    `codes` is `(classes, features)`, here ±1, kept as a buffer: nothing in it is trained.
    """

    codes: Tensor

    def __init__(self, codes: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor(codes, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """`(N, features)` to logits `(N, classes)`, never above 0."""
        return -(x[:, None, :] - self.codes).square().sum(dim=-1)


def start_as_in_1998(network: nn.Module) -> None:
    """Draw every weight and bias of a unit with F inputs uniformly from ±2.4/F (appendix A), in place.

    Subsampling keeps its gain of 1: it is the network's, not a unit's.
    """
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            assert part.bias is not None
            bound = 2.4 / part.weight[0].numel()
            nn.init.uniform_(part.weight, -bound, bound)
            nn.init.uniform_(part.bias, -bound, bound)
