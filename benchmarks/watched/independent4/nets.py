"""Networks of `independent-4` that more than one loop uses."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional


class Lenet(nn.Module):
    """Two convolutions, two fully connected layers; any size that is given."""

    def __init__(self, channels: int = 1, size: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc1 = nn.Linear(24 * (size // 4) ** 2, 64)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2)
        return self.fc2(functional.relu(self.fc1(x.flatten(1))))


class Block(nn.Module):
    """A residual block with batch normalization."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.short = (
            nn.Conv2d(inside, outside, 1, stride) if stride > 1 or inside != outside else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + self.short(x))


class TinyResNet(nn.Module):
    """A stem and three residual blocks."""

    def __init__(self, channels: int = 3, classes: int = 5, width: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.body = nn.Sequential(
            Block(width, width), Block(width, 2 * width, 2), Block(2 * width, 2 * width)
        )
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


class Separable(nn.Module):
    """Depthwise and pointwise convolutions."""

    def __init__(self, channels: int = 1, classes: int = 6) -> None:
        super().__init__()

        def pair(inside: int, outside: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False),
                nn.BatchNorm2d(inside), nn.ReLU6(),
                nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU6(),
            )  # fmt: skip

        self.features = nn.Sequential(
            nn.Conv2d(channels, 16, 5, 2, 2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            pair(16, 24, 1),
            pair(24, 32, 2),
        )
        self.classifier = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class Tones(nn.Module):
    """Three convolutions over time, the mean over time, one layer."""

    def __init__(self, outputs: int = 5, width: int = 16) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv1d(1, width, 7, padding=3), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(width, 2 * width, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(2 * width, 2 * width, 5, padding=2), nn.ReLU(),
        )  # fmt: skip
        self.out = nn.Linear(4 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convs(x)
        return self.out(torch.cat([x.mean(2), x.amax(2)], 1))


class Dilated(nn.Module):
    """Dilated convolutions over time with group normalization and residuals."""

    def __init__(self, outputs: int = 5, width: int = 24) -> None:
        super().__init__()
        self.inp = nn.Conv1d(1, width, 3, padding=1)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in (1, 2, 4, 8))
        self.norms = nn.ModuleList(nn.GroupNorm(4, width) for _ in range(4))
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        for conv, norm in zip(self.layers, self.norms, strict=True):
            x = x + functional.gelu(norm(conv(x)))
        return self.head(x.mean(2))


class Perceptron(nn.Module):
    """Fully connected layers of the sizes that are given."""

    def __init__(self, *sizes: int, drop: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise(sizes[:-1]):
            layers += [nn.Linear(inside, outside), nn.ReLU(), nn.Dropout(drop)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Reader(nn.Module):
    """An embedding, a GRU, and a layer on its last state."""

    def __init__(self, tokens: int = 20, classes: int = 3, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, 16)
        self.gru = nn.GRU(16, width, batch_first=True)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.gru(self.embed(x))
        return self.fc(last[-1])


class PathGru(nn.Module):
    """A GRU over the points of a path."""

    def __init__(self, classes: int = 4, width: int = 32) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, width, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x)
        return self.fc(self.norm(states.mean(1)))


class Attentive(nn.Module):
    """A transformer's encoder over tokens or points, the mean of its outputs, one layer."""

    def __init__(
        self, classes: int = 3, length: int = 14, tokens: int = 20, width: int = 32, depth: int = 2
    ) -> None:
        super().__init__()
        self.embed: nn.Module = nn.Embedding(tokens, width) if tokens else nn.Linear(2, width)
        self.place = nn.Parameter(0.02 * torch.randn(1, length, width))
        layer = nn.TransformerEncoderLayer(width, 4, 64, 0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.encoder(self.embed(x) + self.place)).mean(1))
