"""Networks of `independent-3`."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for


class ShapeVgg(nn.Module):
    """Pairs of convolutions with batch normalization, and a classifier with dropout."""

    def __init__(self, classes: int = 5, channels: int = 3, width: int = 12, side: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for out in (width, 2 * width):
            for _ in range(2):
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
                channels = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(channels * (side // 4) ** 2, 48), nn.ReLU(), nn.Dropout(0.3), nn.Linear(48, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


class PatchTransformer(nn.Module):
    """2x2 patches, positions, two blocks of attention, the mean of the tokens."""

    def __init__(self, classes: int = 10, side: int = 8, width: int = 32, dropout: float = 0.0) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn(1, (side // 2) ** 2, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(2)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens).mean(1))


class Dilated(nn.Module):
    """One-dimensional convolutions with growing dilation over a signal."""

    def __init__(self, classes: int = 6, width: int = 16, norm: bool = True) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(1 if k == 0 else width, width, 5, padding=2 * 2**k, dilation=2**k) for k in range(3)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) if norm else nn.Identity() for _ in range(3))
        self.out = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
        return self.out(torch.cat([x.mean(2), x.amax(2)], 1))


class TableNet(nn.Module):
    """Fully connected, with or without batch normalization."""

    def __init__(self, columns: int = 30, outputs: int = 2, norm: bool = True, drop: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(columns, 32),
            nn.BatchNorm1d(32) if norm else nn.Identity(),
            nn.ReLU(),
            nn.Dropout(drop),
            nn.Linear(32, 16),
            nn.ReLU(),
        )
        self.out = nn.Linear(16, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layers(x))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 around a shortcut."""

    def __init__(self, inside: int, out: int, stride: int = 1) -> None:
        super().__init__()
        half = out // 2
        self.body = nn.Sequential(
            nn.Conv2d(inside, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(),
            nn.Conv2d(half, half, 3, stride, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(),
            nn.Conv2d(half, out, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.shortcut = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class GlyphResNet(nn.Module):
    """A stem, three bottlenecks, average pooling."""

    def __init__(self, classes: int = 12, width: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = Bottleneck(width, 2 * width, 2)
        self.layer2 = Bottleneck(2 * width, 3 * width, 2)
        self.layer3 = Bottleneck(3 * width, 4 * width)
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class PathGru(nn.Module):
    """A recurrent layer over the points of a path, or the rows of a picture."""

    def __init__(self, classes: int = 4, columns: int = 3, width: int = 24) -> None:
        super().__init__()
        self.gru = nn.GRU(columns, width, batch_first=True)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.gru(x.squeeze(1) if x.dim() == 4 else x)
        return self.fc(states[:, -1])


class Mobile(nn.Module):
    """Depthwise separable convolutions."""

    def __init__(self, classes: int = 8, width: int = 16, channels: int = 3, drop: float = 0.1) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU6())
        blocks = []
        for inside, out in ((width, 2 * width), (2 * width, 2 * width)):
            blocks += [
                nn.Conv2d(inside, inside, 3, padding=1, groups=inside), nn.BatchNorm2d(inside), nn.ReLU6(),
                nn.Conv2d(inside, out, 1), nn.BatchNorm2d(out), nn.ReLU6(),
            ]  # fmt: skip
        self.blocks = nn.Sequential(*blocks)
        self.drop, self.head = nn.Dropout(drop), nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.blocks(self.stem(x)).mean((2, 3))))


def stack(sizes: list[int], act: type[nn.Module]) -> nn.Sequential:
    """Fully connected layers with an activation between them."""
    layers: list[nn.Module] = []
    for inside, out in pairwise(sizes):
        layers += [nn.Linear(inside, out), act()]
    return nn.Sequential(*layers[:-1])


class ResMlp(nn.Module):
    """Residual fully connected blocks behind layer normalization."""

    def __init__(self, classes: int = 20, width: int = 64, blocks: int = 2, drop: float = 0.1) -> None:
        super().__init__()
        self.embed = nn.Linear(40, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Dropout(drop),
                nn.Linear(width, width),
            )
            for _ in range(blocks)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = x + block(x)
        return self.head(x)


class Dense(nn.Module):
    """Each convolution sees all maps before it; group normalization."""

    def __init__(self, classes: int = 12, growth: int = 8, layers: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, growth, 3, stride=2, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(growth * (k + 1), growth, 3, padding=1) for k in range(layers))
        self.norms = nn.ModuleList(nn.GroupNorm(2, growth * (k + 1)) for k in range(layers))
        self.fc = nn.Linear(growth * (layers + 1) * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(F.relu(norm(x)))], 1)
        return self.fc(F.adaptive_avg_pool2d(F.relu(x), 2).flatten(1))


class Plain(nn.Module):
    """Convolutions without any normalization, then two fully connected layers."""

    def __init__(self, classes: int = 6, channels: int = 1, side: int = 18) -> None:
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(channels, 16, 5, padding=2), nn.Conv2d(16, 32, 3, padding=1)
        self.f1, self.f2 = nn.Linear(32 * (side // 4) ** 2, 64), nn.Linear(64, classes)

    def features(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return F.relu(self.f1(x.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.f2(self.features(x))


class PatchMixer(nn.Module):
    """Patches mixed across places and across features, with batch normalization between."""

    def __init__(self, classes: int = 10, width: int = 24) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, width, 2, stride=2)
        self.across = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(2))
        self.inside = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.fc = nn.Linear(width * 16, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2)
        for across, norm, inside in zip(self.across, self.norms, self.inside, strict=True):
            tokens = tokens + F.hardswish(across(norm(tokens)))
            tokens = tokens + F.hardswish(inside(tokens.transpose(1, 2))).transpose(1, 2)
        return self.fc(tokens.flatten(1))


class Elman(nn.Module):
    """The oldest recurrent network, with rectified states that nothing keeps small."""

    def __init__(self, classes: int = 4, width: int = 32) -> None:
        super().__init__()
        self.inside, self.again = nn.Linear(3, width), nn.Linear(width, width, bias=False)
        nn.init.eye_(self.again.weight)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros(len(x), self.fc.in_features)
        for k in range(x.shape[1]):
            state = F.relu(self.inside(x[:, k]) + self.again(state))
        return self.fc(state)
