"""Networks of `independent-5`, as users write them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as scripts call it


def small_cnn(channels: int, classes: int, width: int = 12) -> nn.Sequential:
    """Return two convolutions, without normalization."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
        nn.Flatten(), nn.Linear(18 * width, classes),
    )  # fmt: skip


class NormCnn(nn.Module):
    """Convolutions with batch normalization, and dropout before the head."""

    def __init__(self, channels: int, classes: int, drop: float = 0.3, width: int = 12) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        )  # fmt: skip
        self.dropout = nn.Dropout(drop)
        self.classifier = nn.Linear(18 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.body(x)))


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class TinyResNet(nn.Module):
    """A stem, two residual blocks, and a head."""

    def __init__(self, channels: int, classes: int, width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.layer1, self.layer2 = Block(width), Block(width)
        self.fc = nn.Linear(width * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(F.max_pool2d(self.layer1(F.relu(self.stem(x))), 2))
        return self.fc(F.adaptive_avg_pool2d(x, 2).flatten(1))


class Separable(nn.Module):
    """Depthwise and pointwise convolutions, as in a MobileNet."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1)
        self.depth = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.point = nn.Conv2d(16, 32, 1)
        self.norm = nn.BatchNorm2d(32)
        self.out = nn.Linear(32 * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        x = F.relu6(self.norm(self.point(self.depth(x))))
        return self.out(F.adaptive_max_pool2d(x, 2).flatten(1))


class WaveNet(nn.Module):
    """Three convolutions along time."""

    def __init__(self, classes: int = 5, drop: float = 0.2) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(1, 16, 5, padding=2), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(16, 24, 5, padding=2), nn.BatchNorm1d(24), nn.ReLU(), nn.AdaptiveAvgPool1d(6),
        )  # fmt: skip
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(24 * 6, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.net(x).flatten(1)))


class Recurrent(nn.Module):
    """An embedding, a GRU or LSTM, and a head on the mean of its states."""

    def __init__(self, words: int = 60, classes: int = 4, kind: type[nn.Module] = nn.GRU) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 16)
        self.rnn = kind(16, 24, batch_first=True)
        self.head = nn.Linear(24, classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(self.embedding(x))
        return self.head(states.mean(1))


class WordBag(nn.Module):
    """The mean of embeddings, then two layers with dropout."""

    def __init__(self, words: int = 60, classes: int = 4, drop: float = 0.2) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(words, 24, mode="mean")
        self.hidden, self.drop = nn.Linear(24, 32), nn.Dropout(drop)
        self.out = nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.drop(torch.relu(self.hidden(self.bag(x)))))


class Encoder(nn.Module):
    """One layer of a transformer over words."""

    def __init__(self, words: int = 60, classes: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 16)
        self.place = nn.Parameter(0.02 * torch.randn(1, 16, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)
        self.head = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embedding(x) + self.place).mean(1))


def mlp(inputs: int, classes: int, width: int = 48, drop: float = 0.0) -> nn.Sequential:
    """Return three linear layers, with dropout if asked."""
    between = [nn.Dropout(drop)] if drop else []
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), *between, nn.Linear(width, width), nn.ReLU(), *between,
        nn.Linear(width, classes),
    )  # fmt: skip


def norm_mlp(inputs: int, classes: int, width: int = 32) -> nn.Sequential:
    """Return linear layers with batch normalization."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(),
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, classes),
    )  # fmt: skip


class Mixer(nn.Module):
    """Patches mixed over places and channels, as in an MLP-Mixer."""

    def __init__(self, channels: int, classes: int, size: int, patch: int) -> None:
        super().__init__()
        places = (size // patch) ** 2
        self.patches = nn.Conv2d(channels, 24, patch, stride=patch)
        self.norm1, self.norm2 = nn.LayerNorm(24), nn.LayerNorm(24)
        self.places = nn.Sequential(nn.Linear(places, 32), nn.GELU(), nn.Linear(32, places))
        self.channels = nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 24))
        self.head = nn.Linear(24, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.places(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return self.head((x + self.channels(self.norm2(x))).mean(1))


class Autoencoded(nn.Module):
    """A trunk with two heads: classes, and the inputs again."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh())
        self.classifier, self.decoder = nn.Linear(16, classes), nn.Linear(16, inputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = self.trunk(x)
        return self.classifier(code), self.decoder(code)
