"""Networks and synthetic data of `independent`, and how its loops are registered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for

from benchmarks.watched.tasks import CASES, Bench, Case
from cnnviz.watching import WatchedRun

Script = Callable[[Any], float]
"""A whole program: takes what has `watch`, returns the accuracy that its author reads at the end."""


@dataclass(frozen=True)
class Program:
    """A script, with what is wrong with it and the script of the same author without that."""

    name: str
    cause: str | None
    script: Script
    twin: Script | None
    part: str = "independent"


PROGRAMS: list[Program] = []


def add(
    name: str,
    cause: str | None,
    script: Script,
    *,
    twin: Script | None = None,
    allowed: str = "",
    part: str = "independent",
) -> None:
    """Register a script as a case of a part; `allowed` are further causes, with spaces."""
    PROGRAMS.append(Program(name, cause, script, twin, part))

    def loop(bench: Bench) -> WatchedRun:
        script(bench)
        return bench.runs[-1]

    CASES.append(Case(name, cause, loop, part, frozenset(allowed.split())))


def correct(script: Script) -> Script:
    """Register a script without a fault, under its function's name."""
    add(script.__name__.replace("_", "-"), None, script)
    return script


class Unwatched:
    """A bench that watches nothing, for the scores without any diagnosis."""

    should_stop = False

    def watch(self, model: nn.Module, optimizer: Any, **options: Any) -> Unwatched:
        return self

    def evaluate(self, *args: Any, **options: Any) -> None: ...

    def step(self, *args: Any, **options: Any) -> None: ...

    def finish(self) -> None: ...


# Data: `(train images, train labels, test images, test labels)`


@dataclass(frozen=True)
class Data:
    """Two parts, and the number of classes."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: int


def _cut(x: Tensor, y: Tensor, classes: int) -> Data:
    at = int(0.75 * len(x))
    return Data(x[:at], y[:at], x[at:], y[at:], classes)


def _glyphs(count: int = 1600) -> Data:
    """Eight characters of random strokes, moved about, with noise, `(N, 1, 16, 16)` from 0 to 1."""
    draw = torch.Generator().manual_seed(101)
    templates = torch.zeros(8, 12, 12)
    for glyph in templates:
        points = torch.randint(1, 11, (4, 2), generator=draw).float()
        for a, b in itertools.pairwise(points):
            for t in torch.linspace(0, 1, 24):
                row, column = (a + t * (b - a)).round().long().tolist()
                glyph[row, column] = 1.0
    templates = F.avg_pool2d(F.pad(templates, (1, 1, 1, 1)), 2, 1)[:, :12, :12] * 2
    y = torch.randint(0, 8, (count,), generator=draw)
    x = 0.25 * torch.rand(count, 1, 16, 16, generator=draw)
    shifts = torch.randint(0, 4, (count, 2), generator=draw).tolist()
    for row, (label, (top, left)) in enumerate(zip(y.tolist(), shifts, strict=True)):
        x[row, 0, top : top + 12, left : left + 12] += 0.75 * templates[label].clamp(0, 1)
    return _cut(x.clamp(0, 1), y, 8)


def _fabrics(count: int = 1600) -> Data:
    """Six weaves: a period and two dyes each, in any phase, `(N, 3, 16, 16)`, standardized."""
    draw = torch.Generator().manual_seed(102)
    y = torch.randint(0, 6, (count,), generator=draw)
    period = torch.tensor([2.0, 3.0, 4.0])[y % 3][:, None, None]
    i, j = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    phase = 8 * torch.rand(count, 2, 1, 1, generator=draw)
    threads = torch.sign(torch.sin((i + phase[:, 0]) * math.pi / period)) * torch.sign(
        torch.sin((j + phase[:, 1]) * math.pi / period)
    )
    dyes = torch.tensor([[1.0, 0.3, -0.6], [-0.5, 0.4, 1.0]])[y // 3][:, :, None, None]
    x = threads[:, None] * dyes + 0.9 * torch.randn(count, 3, 16, 16, generator=draw)
    return _cut((x - x.mean()) / x.std(), y, 6)


def _motifs(count: int = 2000) -> Data:
    """Rows of 18 tokens of 12; one of five pairs of neighbours is sown in three places, `(N, 18)`."""
    draw = torch.Generator().manual_seed(103)
    y = torch.randint(0, 5, (count,), generator=draw)
    x = torch.randint(0, 12, (count, 18), generator=draw)
    pairs = torch.tensor([[1, 7], [7, 2], [3, 9], [9, 1], [2, 3]])
    for place in range(3):
        at = 6 * place + torch.randint(0, 5, (count,), generator=draw)
        x[torch.arange(count), at] = pairs[y, 0]
        x[torch.arange(count), at + 1] = pairs[y, 1]
    return _cut(x, y, 5)


def _outlines(count: int = 1600) -> Data:
    """Ring, disk, cross, frame and bar anywhere and in any hue, `(N, 3, 18, 18)`, about -1 to 1."""
    draw = torch.Generator().manual_seed(104)
    y = torch.randint(0, 5, (count,), generator=draw)
    middle = 6 + 6 * torch.rand(count, 2, 1, 1, generator=draw)
    size = 3.2 + 1.8 * torch.rand(count, 1, 1, generator=draw)
    i, j = torch.meshgrid(torch.arange(18.0), torch.arange(18.0), indexing="ij")
    down, right = (i - middle[:, 0]).abs(), (j - middle[:, 1]).abs()
    far, edge = (down**2 + right**2).sqrt(), torch.maximum(down, right)
    inside = edge < size
    forms = torch.stack(
        [(far - size).abs() < 1, far < size, inside & ((down < 1) | (right < 1)), (edge - size).abs() < 0.9,
         inside & (down < 1.3)], 1,
    ).float()  # fmt: skip
    mask = forms[torch.arange(count), y][:, None]
    hue = 0.5 + torch.rand(count, 3, 1, 1, generator=draw)
    x = -0.8 + 1.2 * mask * hue + 0.25 * torch.randn(count, 3, 18, 18, generator=draw)
    return _cut(x, y, 5)


def _slopes(count: int = 1400) -> Data:
    """Height maps that rise in one of six directions under bumps and noise, `(N, 1, 16, 16)`."""
    draw = torch.Generator().manual_seed(105)
    y = torch.randint(0, 6, (count,), generator=draw)
    i, j = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    angle = (y * math.pi / 3)[:, None, None]
    rise = torch.cos(angle) * i + torch.sin(angle) * j
    bumps = F.interpolate(torch.randn(count, 1, 4, 4, generator=draw), size=16, mode="bilinear")
    x = rise[:, None] + 0.5 * bumps + 0.6 * torch.randn(count, 1, 16, 16, generator=draw)
    return _cut(x / x.std(), y, 6)


GLYPHS, FABRICS, MOTIFS, OUTLINES, SLOPES = _glyphs(), _fabrics(), _motifs(), _outlines(), _slopes()


# Networks


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Depthwise and pointwise convolution."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs), nn.ReLU6(),
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6(),
    )  # fmt: skip


class MobileGlyphs(nn.Module):
    """Depthwise-separable network with batch normalization."""

    def __init__(self, num_classes: int = 8) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU6())
        self.body = nn.Sequential(separable(12, 24), separable(24, 32, 2), separable(32, 32))
        self.classifier = nn.Linear(32 * 16, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.body(self.stem(x)).flatten(1))


class TinyVGG(nn.Module):
    """Two stages of two convolutions, dropout, two fully connected layers; no normalization."""

    def __init__(self, classes: int = 6, drop: float = 0.4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in (12, 24):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            before = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(24 * 16, 48), nn.ReLU(), nn.Dropout(drop), nn.Linear(48, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


class TokenTransformer(nn.Module):
    """Embedding, two blocks of self-attention, mean over positions."""

    def __init__(self, n_class: int = 5, d: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, d)
        self.position = nn.Parameter(0.1 * torch.randn(18, d))
        self.mix = nn.Conv1d(d, d, 2, padding=1)
        block = nn.TransformerEncoderLayer(d, 4, 64, 0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.out = nn.Linear(d, n_class)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.embed(tokens) + self.position
        h = h + self.mix(h.transpose(1, 2))[..., :18].transpose(1, 2)
        return self.out(self.encoder(h).mean(1))


class NextBlock(nn.Module):
    """Depthwise 5 x 5, LayerNorm over channels, widened MLP with GELU, scaled residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand, self.shrink = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)
        self.gamma = nn.Parameter(0.3 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        h = self.gamma * self.shrink(F.gelu(self.expand(h)))
        return x + h.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """Patches of 2 x 2, then blocks; the blocks may be given to it in a plain list."""

    def __init__(self, classes: int = 5, plain_list: bool = False) -> None:
        super().__init__()
        self.patchify = nn.Conv2d(3, 24, 2, 2)
        blocks = [NextBlock(24) for _ in range(3)]
        self.blocks: Any = blocks if plain_list else nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(24)
        self.fc = nn.Linear(24, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patchify(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(self.norm(x.amax((2, 3))))


class UNetClassifier(nn.Module):
    """Down, up again with a skip connection, then pooled to classes."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, 1)
        self.bottom = nn.Conv2d(16, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.fuse = nn.Conv2d(16, 12, 3, padding=1)
        self.bn = nn.BatchNorm2d(12)
        self.last = nn.Linear(12 * 16, classes)

    def forward(self, x: Tensor) -> Tensor:
        a = F.leaky_relu(self.down1(x), 0.1)
        b = F.leaky_relu(self.bottom(F.leaky_relu(self.down2(a), 0.1)), 0.1)
        c = F.leaky_relu(self.bn(self.fuse(torch.cat([a, self.up(b)], 1))), 0.1)
        return self.last(F.adaptive_avg_pool2d(c, 4).flatten(1))


class Mixer(nn.Module):
    """MLP-mixer: patches of 4 x 4, two layers that mix tokens, then channels."""

    def __init__(self, classes: int = 6, d: int = 32) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, d, 4, 4)
        self.norms = nn.ModuleList([nn.LayerNorm(d) for _ in range(5)])
        self.tokens = nn.ModuleList([self.mlp(16, 24) for _ in range(2)])
        self.channels = nn.ModuleList([self.mlp(d, 48) for _ in range(2)])
        self.head = nn.Linear(d, classes)

    @staticmethod
    def mlp(width: int, hidden: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.patch(x).flatten(2).transpose(1, 2)
        for k in range(2):
            h = h + self.tokens[k](self.norms[2 * k](h).transpose(1, 2)).transpose(1, 2)
            h = h + self.channels[k](self.norms[2 * k + 1](h))
        return self.head(self.norms[4](h).mean(1))


def right(logits: Tensor, labels: Tensor) -> float:
    """Accuracy."""
    return float((logits.argmax(-1) == labels).float().mean())


def draws(data: Data, size: int = 32) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order."""
    for index in torch.randperm(len(data.y)).split(size):
        yield data.x[index], data.y[index]


@torch.no_grad()
def tested(run: Any, model: nn.Module, data: Data) -> float:
    """Evaluate as most people do."""
    model.eval()
    logits = model(data.test_x)
    run.evaluate(logits, data.test_y)
    model.train()
    return right(logits, data.test_y)
