"""The basic residual block (He et al., 2015)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3×3 convolutions, each batch-normalised, added to their own input.

    The shortcut is the input itself, or a 1×1 convolution where shapes differ (the paper's option B). The
    last ReLU follows the sum.
    """

    def __init__(self, in_channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.shortcut = _shortcut(in_channels, out, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """`(N, in_channels, H, W)` to `(N, out, ⌈H/stride⌉, ⌈W/stride⌉)`."""
        inner = self.relu1(self.norm1(self.conv1(x)))
        added: Tensor = self.relu2(self.norm2(self.conv2(inner)) + self.shortcut(x))
        return added


def _shortcut(in_channels: int, out: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out:
        return nn.Identity()
    projection = nn.Conv2d(in_channels, out, 1, stride, bias=False)
    return nn.Sequential(OrderedDict(conv=projection, norm=nn.BatchNorm2d(out)))
