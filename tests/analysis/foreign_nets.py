"""Small networks as users bring them, for `test_foreign.py`; what is odd about each stands beside it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class _OneConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def head(self, x: Any) -> Any:
        return self.fc(x.mean((2, 3)))


class Scaled(_OneConvolution):
    """Scales by numbers that are results of no dimension."""

    def forward(self, x: Any) -> Any:
        y = self.conv(x)
        return self.head((y - y.min()) / y.norm())


class Branch(_OneConvolution):
    """Goes one of two ways, by its input's values."""

    def forward(self, x: Any) -> Any:
        if x.sum() > 0:
            x = -x
        return self.head(self.conv(x))


class Loops(nn.Module):
    """Goes on until its values are small."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 10)

    def forward(self, x: Any) -> Any:
        while x.norm() > 1:
            x = self.conv(x)
        return self.fc(x.mean((2, 3)))


class TakesValue(_OneConvolution):
    """Divides by a Python number that it takes of its input."""

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x / x.max().item()))


class TwoInputs(_OneConvolution):
    """Compares two images."""

    def forward(self, a: Any, b: Any) -> Any:
        return self.head(self.conv(a) - self.conv(b))


class Fails(_OneConvolution):
    """Raises a KeyError."""

    def forward(self, x: Any) -> Any:
        known: dict[str, Any] = {}
        return known["missing"] + self.conv(x)  # fails: Fails


class Breaks(_OneConvolution):
    """Divides by nothing, in a function that forward calls."""

    def forward(self, x: Any) -> Any:
        return self.conv(x) * self._scale(0)

    def _scale(self, count: int) -> float:
        return 1 / count  # fails: Breaks


class Selects(_OneConvolution):
    """Keeps as many values as are above 0."""

    def forward(self, x: Any) -> Any:
        return self.conv(x)[x > 0]


class Grey(nn.Module):
    """Reads one channel of 28×28 and tells seven classes apart, under a parameter of its own name."""

    def __init__(self, n_out: int = 7) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3)
        self.fc1, self.fc2 = nn.Linear(16 * 5 * 5, 32), nn.Linear(32, n_out)

    def forward(self, x: Any) -> Any:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


class Keeps(_OneConvolution):
    """Notes how many channels its blocks have come to, as many ResNets do."""

    def __init__(self) -> None:
        super().__init__()
        self.in_channels = 64

    def forward(self, x: Any) -> Any:
        return self.head(self.conv(x))


class Backwards(nn.Module):
    """Defines its layers in another order than it calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(8, 10, 3)
        self.first = nn.Conv2d(1, 8, 3)

    def forward(self, x: Any) -> Any:
        return self.last(functional.relu(self.first(x))).mean((2, 3))


class Shared(nn.Module):
    """Calls one convolution five times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for _ in range(5):
            x = torch.relu(self.conv(x))
        return self.fc(x.mean((2, 3)))


class Rows(nn.Module):
    """Reads an image row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(28, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.fc(self.lstm(x.squeeze(1))[0][:, -1])
