"""Networks of `independent-2`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for

from benchmarks.watched.independent.nets import Data


class GroupBlock(nn.Module):
    """Two convolutions with group normalization before them, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.gn1, self.gn2 = nn.GroupNorm(4, inputs), nn.GroupNorm(4, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.relu(self.gn1(x)))
        return self.shortcut(x) + self.conv2(F.relu(self.gn2(h)))


class GroupResNet(nn.Module):
    """Residual network with group normalization."""

    def __init__(self, num_classes: int = 6, width: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.layer1 = GroupBlock(width, 2 * width, 2)
        self.layer2 = GroupBlock(2 * width, 2 * width, 2)
        self.norm = nn.GroupNorm(4, 2 * width)
        self.fc = nn.Linear(2 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer2(self.layer1(self.stem(x)))
        return self.fc(F.relu(self.norm(h)).mean((2, 3)))


class SpectraNet(nn.Module):
    """Three 1-D convolutions with batch normalization, dropout, one fully connected layer."""

    def __init__(self, n_substances: int = 8, keep_out: float = 0.3) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(1, 12, 7, padding=3), nn.BatchNorm1d(12), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(12, 24, 5, padding=2), nn.BatchNorm1d(24), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(24, 24, 3, padding=1), nn.BatchNorm1d(24), nn.ReLU(), nn.AdaptiveAvgPool1d(16),
        )  # fmt: skip
        self.dropout = nn.Dropout(keep_out)
        self.classifier = nn.Linear(24 * 16, n_substances)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.encoder(x).flatten(1)))


def conv_bn(inputs: int, outputs: int, size: int) -> nn.Sequential:
    """Convolution, batch normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs: int, each: int) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({
            "one": conv_bn(inputs, each, 1),
            "three": conv_bn(inputs, each, 3),
            "five": nn.Sequential(conv_bn(inputs, each, 1), conv_bn(each, each, 5)),
            "pool": nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn(inputs, each, 1)),
        })  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches.values()], 1)


class Inception(nn.Module):
    """Two blocks of branches and a head after each; the first head only while it is in training mode."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = conv_bn(1, 8, 3)
        self.mixed1, self.mixed2 = Mixed(8, 5), Mixed(20, 8)
        self.aux = nn.Linear(20 * 9, classes)
        self.fc = nn.Linear(32 * 16, classes)

    def forward(self, x: Tensor) -> Any:
        h = F.max_pool2d(self.mixed1(self.stem(x)), 2)
        out = self.fc(F.adaptive_max_pool2d(self.mixed2(h), 4).flatten(1))
        if self.training:
            return out, self.aux(F.adaptive_avg_pool2d(h, 3).flatten(1))
        return out


class Squeeze(nn.Module):
    """Convolution whose channels are weighed by a gate."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        self.reduce, self.expand = nn.Linear(outputs, outputs // 4), nn.Linear(outputs // 4, outputs)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.bn(self.conv(x)))
        gate = torch.sigmoid(self.expand(F.relu(self.reduce(h.mean((2, 3))))))
        return h * gate[:, :, None, None]


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation network."""

    def __init__(self, classes: int = 7, width: int = 12, drop: float = 0.1) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            Squeeze(3, width), nn.MaxPool2d(2), Squeeze(width, 2 * width), nn.MaxPool2d(2),
            Squeeze(2 * width, 2 * width),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(drop), nn.Linear(2 * width * 16, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x))


class Dilated(nn.Module):
    """Convolutions that reach ever farther, without normalization; averages over the picture."""

    def __init__(self, classes: int = 8, width: int = 20, act: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for reach in (1, 1, 2, 4):
            layers += [nn.Conv2d(before, width, 3, padding=reach, dilation=reach), act()]
            before = width
            if len(layers) == 4:
                layers.append(nn.AvgPool2d(2))
        self.convs = nn.Sequential(*layers)
        self.hidden, self.out = nn.Linear(width, 32), nn.Linear(32, classes)
        self.act = act()

    def pool(self, h: Tensor) -> Tensor:
        return h.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.act(self.hidden(self.pool(self.convs(x)))))


class PatchTransformer(nn.Module):
    """Patches of 4 x 4, a class token, two blocks of self-attention."""

    def __init__(self, classes: int = 9, dim: int = 32, drop: float = 0.1) -> None:
        super().__init__()
        self.to_patches = nn.Conv2d(3, dim, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(0.02 * torch.randn(1, 17, dim))
        block = nn.TransformerEncoderLayer(dim, 4, 64, drop, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, classes)

    def encode(self, x: Tensor) -> Tensor:
        h = self.to_patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(len(h), -1, -1), h], 1) + self.position
        return self.norm(self.blocks(h))[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encode(x))


class RowNet(nn.Module):
    """Fully connected layers with batch normalization and dropout, either of which may be left out."""

    def __init__(self, classes: int = 9, drop: float = 0.2, norm: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in ((16, 64), (64, 48)):
            layers += [nn.Linear(before, width)]
            layers += [nn.BatchNorm1d(width)] if norm else []
            layers += [nn.ReLU(), nn.Dropout(drop)]
        self.body = nn.Sequential(*layers)
        self.top = nn.Linear(48, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.body(x))


class CurveGRU(nn.Module):
    """A recurrent layer that reads in both directions, its mean over time, dropout, one linear layer."""

    def __init__(self, classes: int = 12, hidden: int = 24, drop: float = 0.2) -> None:
        super().__init__()
        self.lift = nn.Linear(2, 16)
        self.gru = nn.GRU(16, hidden, batch_first=True, bidirectional=True)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.gru(torch.tanh(self.lift(x)))
        return self.head(self.drop(states.mean(1)))


def shuffled(data: Data, size: int = 32) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order."""
    for index in torch.randperm(len(data.y)).split(size):
        yield data.x[index], data.y[index]


def hits(logits: Tensor, labels: Tensor) -> float:
    """Accuracy."""
    return float((logits.argmax(1) == labels).float().mean())


@torch.no_grad()
def examine(run: Any, model: nn.Module, data: Data) -> float:
    """Accuracy on the test part, in evaluation mode; back in training mode after it."""
    model.eval()
    logits = model(data.test_x)
    run.evaluate(logits, data.test_y)
    model.train()
    return hits(logits, data.test_y)
