"""A faulty script of `independent-2`: closures, an optimizer each for convolutions and head, on textures."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for

from benchmarks.watched.independent2.data import TEXTURES, planted
from benchmarks.watched.independent2.nets import Dilated


class ClampedOutput(Dilated):
    """Its author puts the activation after every layer."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


class Deep(Dilated):
    """Nine more layers with sigmoids between them."""

    def __init__(self) -> None:
        super().__init__(act=nn.Sigmoid)
        self.convs.append(nn.Sequential(*(m for _ in range(5) for m in (nn.Conv2d(20, 20, 1), nn.Sigmoid()))))


class ListedLayers(nn.Module):
    """Convolutions in a list of Python's."""

    def __init__(self, classes: int = 8) -> None:
        super().__init__()
        self.convs: Any = nn.Conv2d(1, 20, 3, padding=1)
        self.more = [nn.Conv2d(20, 20, 3, padding=reach, dilation=reach) for reach in (1, 2, 4)]
        self.hidden, self.out = nn.Linear(20, 32), nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.convs(x))
        for number, layer in enumerate(self.more):
            h = F.relu(layer(h))
            h = F.avg_pool2d(h, 2) if number == 0 else h
        return self.out(F.relu(self.hidden(h.mean((2, 3)))))


def build(fault: str) -> Any:
    """The network, with what went wrong in it."""
    if fault == "all layers rectified":
        return ClampedOutput()
    if fault == "deep with sigmoids":
        return Deep()
    if fault == "layers in a list":
        return ListedLayers()
    net = Dilated()
    for module in net.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if fault == "tiny weights":
            nn.init.normal_(module.weight, std=1e-3)
        if fault == "large weights":
            nn.init.normal_(module.weight, std=2.0)
        if fault == "biases at minus four":
            nn.init.constant_(module.bias, -4.0)
    return net


def textures(bench: Any, fault: str = "") -> float:
    """Closures over everything."""
    torch.manual_seed(65)
    net = build(fault)
    trunk = torch.optim.Adam(net.convs.parameters(), lr=3e-3)
    head = torch.optim.Adam([*net.hidden.parameters(), *net.out.parameters()], lr=3e-3)
    both: list[torch.optim.Optimizer] = [trunk, head]
    if fault == "clipped to a millionth":
        both = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)]
    if fault == "plain steps of fifty":
        both = [torch.optim.SGD(net.parameters(), lr=50.0)]
    if fault == "network made again":
        net = build(fault)
    run = bench.watch(net, both, name="textures")
    scale, offset = {"as stored": (30.0, 900.0), "divided once more": (1 / 255, 0.0)}.get(fault, (1.0, 0.0))

    def prepared(images: Tensor) -> Tensor:
        if fault == "one blank picture":  # the shutter was closed, and each picture is divided by its spread
            blank = (images == TEXTURES.x[7]).flatten(1).all(1)
            images = torch.where(blank[:, None, None, None], 0.0, images)
            return (images - images.mean((2, 3), keepdim=True)) / images.std((2, 3), keepdim=True)
        return images * scale + offset

    def batches() -> list[Tensor]:
        size = {"all at once": len(TEXTURES.y)}.get(fault, 30)
        order = torch.randperm(len(TEXTURES.y))
        if fault == "in the order of the folders":
            order = TEXTURES.y.argsort(stable=True)
        return list(order.split(size))

    def learn(index: Tensor) -> None:
        for optimizer in both:
            optimizer.zero_grad()
        loss = F.cross_entropy(net(prepared(TEXTURES.x[index])), TEXTURES.y[index])
        loss.backward()
        if fault == "clipped to a millionth":
            nn.utils.clip_grad_norm_(net.parameters(), 1e-6)
        if fault == "cleared by a helper":
            for optimizer in both:
                optimizer.zero_grad()
        for optimizer in both:
            if fault == "one of two steps" and optimizer is trunk:
                continue
            if fault == "named without brackets":
                optimizer.step  # noqa: B018 the brackets are missing
                continue
            optimizer.step()

    def test_accuracy() -> float:
        net.eval()
        with torch.no_grad():
            logits = net(prepared(TEXTURES.test_x))
        run.evaluate(logits, TEXTURES.test_y)
        net.train()
        return float((logits.argmax(1) == TEXTURES.test_y).float().mean())

    epochs = {"stopped for a look": 1}.get(fault, 8)
    result = 0.0
    for _ in range(epochs):
        for number, index in enumerate(batches()):
            if fault == "stopped for a look" and number == 8:
                break
            learn(index)
        result = test_accuracy()
        print(f"{result:.3f}", end=" ")
    return result


planted(
    textures,
    (
        ("all layers rectified", "output-activation", ""),
        ("deep with sigmoids", "vanishing-gradients", "initialisation one-class"),
        ("layers in a list", "optimizer-parameters", ""),
        ("one blank picture", "non-finite", "one-class"),
        ("tiny weights", "initialisation", "vanishing-gradients one-class"),
        ("large weights", "initialisation", "exploding-gradients"),
        ("biases at minus four", "dead-relu", "initialisation one-class"),
        ("clipped to a millionth", "rate-too-low", "too-few-steps one-class"),
        ("plain steps of fifty", "rate-too-high", "dead-relu non-finite one-class"),
        ("network made again", "optimizer-parameters", "one-class"),
        ("as stored", "input-scale", "exploding-gradients one-class"),
        ("divided once more", "scaled-twice", "input-scale one-class"),
        ("all at once", "batch-too-large", "too-few-steps"),
        ("in the order of the folders", "not-shuffled", "one-class"),
        ("cleared by a helper", "zero-grad-misplaced", "one-class"),
        ("one of two steps", "optimizer-never-steps", "optimizer-parameters"),
        ("named without brackets", "optimizer-never-steps", "one-class"),
        ("stopped for a look", "too-few-steps", "one-class"),
    ),
)
