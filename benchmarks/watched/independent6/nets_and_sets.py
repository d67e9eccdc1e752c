"""Networks and data sets of `independent-6`, and how its loops register, evaluate and report."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from sklearn.datasets import load_wine, make_moons
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as scripts call it
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent5.common import predicted_classes
from benchmarks.watched.independent5.sets import Split
from benchmarks.watched.tasks import case

PART = "independent-6"
correct = case(None, part=PART)
"""Register a loop without a fault."""

REPORTED: list[float] = []
"""Accuracies, 0 to 1, that the running loop has reported itself."""
MEASURES: list[Callable[[], float]] = []
"""Functions that evaluate loops without an evaluation of their own; only `measured` calls them."""


def loader(x: Tensor, y: Tensor, size: int = 32, **options: Any) -> DataLoader[Any]:
    """Return a shuffling `DataLoader`."""
    return DataLoader(TensorDataset(x, y), batch_size=size, shuffle=True, **options)


@torch.no_grad()
def evaluate(run: Any, model: Callable[[Tensor], Tensor], data: tuple[Tensor, Tensor]) -> float:
    """Evaluate in evaluation mode, and hand the result to the run."""
    if isinstance(model, nn.Module):
        model.eval()
    out = model(data[0])
    run.evaluate(out, data[1])
    REPORTED.append(float((predicted_classes(out) == data[1].reshape(-1)).float().mean()))
    return REPORTED[-1]


@torch.no_grad()
def check(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
    """Evaluate as one does without cnnviz: a pass, its loss and its accuracy."""
    model.eval()
    out = model(data[0])
    F.cross_entropy(out, data[1])
    REPORTED.append(float((out.argmax(1) == data[1]).float().mean()))
    return REPORTED[-1]


def without_evaluation(model: nn.Module, data: tuple[Tensor, Tensor]) -> None:
    """Keep how a network would be judged, which the loop does not do."""

    @torch.no_grad()
    def measure() -> float:
        return float((predicted_classes(model.eval()(data[0])) == data[1]).float().mean())

    MEASURES.append(measure)


# Data: made here, or scikit-learn's.


def _split(x: Tensor, y: Tensor, part: float = 0.75) -> Split:
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(661))
    x, y, cut = x[order], y[order], int(part * len(y))
    return Split((x[:cut], y[:cut]), (x[cut:], y[cut:]), int(y.max()) + 1)


@lru_cache
def wines() -> Split:
    """Return scikit-learn's wines, 13 standardized values, three classes, 178 rows."""
    found: Any = load_wine()
    x = torch.tensor(found.data, dtype=torch.float32)
    return _split((x - x.mean(0)) / x.std(0), torch.tensor(found.target).long(), 0.6)


@lru_cache
def moons(count: int = 900) -> Split:
    """Return scikit-learn's two moons, with noise."""
    x, y = make_moons(count, noise=0.15, random_state=3)
    rows = torch.tensor(x, dtype=torch.float32)
    return _split((rows - rows.mean(0)) / rows.std(0), torch.tensor(y).long())


@lru_cache
def glyphs(count: int = 1200, classes: int = 8) -> Split:
    """Return made-up letters of 7 by 7 somewhere in `(N, 1, 10, 10)`, with noise, standardized."""
    draw = torch.Generator().manual_seed(662)
    letters = (torch.rand(classes, 7, 7, generator=draw) < 0.4).float()
    labels = torch.randint(0, classes, (count,), generator=draw)
    images = 0.3 * torch.randn(count, 1, 10, 10, generator=draw)
    places = torch.randint(1, 3, (count, 2), generator=draw).tolist()
    for row, (label, (top, left)) in enumerate(zip(labels.tolist(), places, strict=True)):
        images[row, 0, top : top + 7, left : left + 7] += letters[label]
    return _split((images - images.mean()) / images.std(), labels)


@lru_cache
def lamps(count: int = 1000) -> Split:
    """Return a colored glow in one of four corners or the middle, `(N, 3, 12, 12)`, standardized."""
    draw = torch.Generator().manual_seed(663)
    labels = torch.randint(0, 5, (count,), generator=draw)
    centers = torch.tensor([[3.0, 3.0], [3.0, 8.0], [8.0, 3.0], [8.0, 8.0], [5.5, 5.5]])[labels]
    centers = centers + 0.5 * torch.randn(count, 2, generator=draw)
    grid = torch.arange(12.0)
    rows = (grid[None, :, None] - centers[:, 0, None, None]) ** 2
    far = rows + (grid[None, None, :] - centers[:, 1, None, None]) ** 2
    color = 0.4 + 0.6 * torch.rand(count, 3, 1, 1, generator=draw)
    images = color * torch.exp(-far / 8)[:, None] + 0.3 * torch.randn(count, 3, 12, 12, generator=draw)
    return _split((images - images.mean()) / images.std(), labels)


@lru_cache
def notes(count: int = 1200) -> Split:
    """Return 5 to 14 words of 1 to 40, padded by 0 to 14; three classes, each with words of its own."""
    draw = torch.Generator().manual_seed(664)
    labels = torch.randint(0, 3, (count,), generator=draw)
    words = torch.randint(19, 41, (count, 14), generator=draw)
    own = 1 + 6 * labels[:, None] + torch.randint(0, 6, (count, 14), generator=draw)
    words = torch.where(torch.rand(count, 14, generator=draw) < 0.4, own, words)
    lengths = torch.randint(5, 15, (count, 1), generator=draw)
    return _split(words.masked_fill(torch.arange(14)[None] >= lengths, 0), labels)


@lru_cache
def springs(count: int = 900) -> Split:
    """Return eight measures and a standardized number that follows from five of them, `(N, 1)`."""
    draw = torch.Generator().manual_seed(665)
    x = torch.randn(count, 8, generator=draw)
    y = 1.5 * x[:, 0] - x[:, 1] + x[:, 2].abs() + 0.5 * x[:, 3] * x[:, 4]
    y = y + 0.1 * torch.randn(count, generator=draw)
    return _split(x, ((y - y.mean()) / y.std())[:, None])


@lru_cache
def tags(count: int = 1000) -> Split:
    """Return twelve values and four tags, each of which may be on, `(N, 4)` of 0 and 1."""
    draw = torch.Generator().manual_seed(666)
    x = torch.randn(count, 12, generator=draw)
    return _split(x, (x @ torch.randn(12, 4, generator=draw) > 0).float())


@lru_cache
def crops(count: int = 2000) -> Split:
    """Return ten readings of three crops, of which 78, 15 and 7 in a hundred rows are."""
    draw = torch.Generator().manual_seed(667)
    labels = torch.multinomial(torch.tensor([0.78, 0.15, 0.07]), count, True, generator=draw)
    means = 1.6 * torch.randn(3, 10, generator=draw)
    return _split(means[labels] + torch.randn(count, 10, generator=draw), labels)


@lru_cache
def soils(count: int = 6000) -> Split:
    """Return sixteen readings of six soils, many rows."""
    draw = torch.Generator().manual_seed(668)
    labels = torch.randint(0, 6, (count,), generator=draw)
    means = 1.2 * torch.randn(6, 16, generator=draw)
    return _split(means[labels] + torch.randn(count, 16, generator=draw), labels)


# Networks.


class GroupNormNet(nn.Module):
    """Convolutions with group normalization and a SiLU."""

    def __init__(self, channels: int, classes: int, width: int = 16) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(4, width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, 2, padding=1), nn.GroupNorm(4, width)
        self.fc = nn.Linear(width * 9, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.norm1(self.conv1(x)))
        x = F.silu(self.norm2(self.conv2(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 3).flatten(1))


class StrideNet(nn.Module):
    """Strided convolutions with batch normalization, dropout and two linear layers."""

    def __init__(self, channels: int, classes: int, drop: float = 0.25, momentum: float = 0.1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 12, 3, padding=1), nn.BatchNorm2d(12, momentum=momentum), nn.LeakyReLU(0.1),
            nn.Conv2d(12, 24, 3, 2, padding=1), nn.BatchNorm2d(24, momentum=momentum), nn.LeakyReLU(0.1),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(384, 48), nn.ReLU(), nn.Dropout(drop), nn.Linear(48, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class ResidualRows(nn.Module):
    """Residual linear blocks with layer normalization, as for tables."""

    def __init__(self, inputs: int, outputs: int, width: int = 32, depth: int = 2) -> None:
        super().__init__()
        self.inlet = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(depth)
        )
        self.outlet = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        for block in self.blocks:
            x = x + block(x)
        return self.outlet(F.gelu(x))


class PaddedEncoder(nn.Module):
    """A transformer's encoder that leaves padding out, and the mean over words."""

    def __init__(self, words: int = 41, classes: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 16, padding_idx=0)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        padding = x == 0
        states = self.encoder(self.embedding(x), src_key_padding_mask=padding)
        kept = (~padding)[..., None].float()
        return self.head((states * kept).sum(1) / kept.sum(1))


class AttentionPool(nn.Module):
    """Embeddings, weighed by a learned attention that leaves padding out."""

    def __init__(self, words: int = 41, classes: int = 3, size: int = 20) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, size, padding_idx=0)
        self.score, self.head = nn.Linear(size, 1), nn.Linear(size, classes)

    def forward(self, x: Tensor) -> Tensor:
        words = self.embedding(x)
        score = self.score(torch.tanh(words)).masked_fill((x == 0)[..., None], -1e4)
        return self.head((score.softmax(1) * words).sum(1))


class Bottleneck(nn.Module):
    """An encoder to a short code, a decoder, and a head for classes on the code."""

    def __init__(self, inputs: int, classes: int, code: int = 12) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 48), nn.ReLU(), nn.Linear(48, code))
        self.decoder = nn.Sequential(nn.ReLU(), nn.Linear(code, 48), nn.ReLU(), nn.Linear(48, inputs))
        self.head = nn.Linear(code, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.encoder(x)))


class TwoHeads(nn.Module):
    """A trunk over images with a head for each of two questions."""

    def __init__(self, channels: int, first: int, second: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        )  # fmt: skip
        self.first, self.second = nn.Linear(216, first), nn.Linear(216, second)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(x)
        return self.first(features), self.second(features)


class Reverse(torch.autograd.Function):
    """Gradient reversal."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * grads[0], None
