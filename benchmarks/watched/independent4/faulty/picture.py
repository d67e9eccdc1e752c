"""Pictures: digits, shapes, leaves, spots; DataLoaders with transforms, networks as modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, optim
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty, say
from benchmarks.watched.independent4.nets import Lenet, TinyResNet
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun

Pictures = Dataset[tuple[Tensor, Tensor]]


class WithTransform(Pictures):
    """Images and labels, and what is done to an image when it is read."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor]) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images[index]), self.labels[index]


def loaders(
    parts: sets.Parts,
    transform: Callable[[Tensor], Tensor],
    batch: int = 32,
    test: Any = None,
    shuffle: bool = True,
) -> tuple[Any, Any]:
    x, y, tx, ty = parts
    train = DataLoader(WithTransform(x, y, transform), batch, shuffle=shuffle)
    return train, DataLoader(WithTransform(tx, ty, test or transform), 200)


def train_one_epoch(model: nn.Module, loader: Any, criterion: Any, optimizer: optim.Optimizer) -> None:
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()


@torch.no_grad()
def test(model: nn.Module, loader: Any, criterion: Any) -> float:
    model.eval()
    right = total = 0
    for images, labels in loader:
        out = model(images)
        criterion(out, labels)
        right += int((out.argmax(1) == labels).sum())
        total += len(labels)
    say(right / total)
    return right / total


def centered(image: Tensor) -> Tensor:
    return (image - 0.4) / 0.35


@faulty("scaled-twice", right=[("image / 255", "image")])
def shapes_divided_again(bench: Bench) -> WatchedRun:
    """ToTensor has divided by 255 already."""
    torch.manual_seed(51)
    train, held = loaders(sets.shapes(), lambda image: image / 255)
    model = Lenet(3, 16, 5)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("scaled-twice", right=[("(images / 255)", "(images)"), ("(tx / 255)", "(tx)")])
def digits_divided_in_the_loop(bench: Bench) -> WatchedRun:
    torch.manual_seed(52)
    x, y, tx, ty = sets.turned_digits()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        for images, labels in DataLoader(TensorDataset(x, y), 30, shuffle=True):
            optimizer.zero_grad()
            F.nll_loss(model(images / 255).log_softmax(1), labels).backward()
            optimizer.step()
        with torch.no_grad():
            out = model(tx / 255).log_softmax(1)
            F.nll_loss(out, ty)
            say((out.argmax(1) == ty).float().mean())
    return run


@faulty("evaluation-mode", right=[("with torch.no_grad():", "model.eval()\n        with torch.no_grad():")])
def digits_judged_with_dropout(bench: Bench) -> WatchedRun:
    torch.manual_seed(55)
    x, y, tx, ty = sets.turned_digits()
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Dropout2d(0.3), nn.Conv2d(16, 24, 3), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(24 * 16, 10),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for images, labels in DataLoader(TensorDataset(x, y), 32, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        with torch.no_grad():
            out = model(tx)
            F.cross_entropy(out, ty)
            say((out.argmax(1) == ty).float().mean())
    return run


@faulty(
    "optimizer-parameters",
    "frozen-parameters",
    right=[("self.convs = [", "self.convs = nn.ModuleList(["), ("(16, 24))]", "(16, 24))])")],
)
def shapes_layers_in_a_list(bench: Bench) -> WatchedRun:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = [nn.Conv2d(a, b, 3, 2, 1) for a, b in ((3, 12), (12, 16), (16, 24))]
            self.fc = nn.Linear(96, 5)

        def forward(self, x: Tensor) -> Tensor:
            for conv in self.convs:
                x = conv(x).relu()
            return self.fc(x.flatten(1))

    torch.manual_seed(58)
    train, held = loaders(sets.shapes(), centered)
    model = Listed()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(10):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty(
    "optimizer-parameters",
    right=[
        ("criterion =", "optimizer.add_param_group({'params': list(model.fc.parameters())}); criterion =")
    ],
)
def shapes_head_put_on_later(bench: Bench) -> WatchedRun:
    """The head is replaced, and begins at zero, after the optimizer was made."""
    torch.manual_seed(59)
    train, held = loaders(sets.shapes(), centered)
    model = TinyResNet()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    model.fc = nn.Linear(20, 5)
    nn.init.zeros_(model.fc.weight)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer)
    for _ in range(4):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("reinitialized", right=[("model.load_state_dict(start)", "pass")])
def digits_back_to_the_checkpoint(bench: Bench) -> WatchedRun:
    torch.manual_seed(60)
    train, held = loaders(sets.turned_digits(), lambda image: image * 2 - 0.7, 40)
    model = Lenet()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.load_state_dict(start)
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("not-shuffled", right=[("shuffle=False", "shuffle=True")])
def shapes_in_folder_order(bench: Bench) -> WatchedRun:
    torch.manual_seed(61)
    x, y, tx, ty = sets.shapes()
    folder = y.sort(stable=True).indices
    train, held = loaders((x[folder], y[folder], tx, ty), centered, shuffle=False)
    model = Lenet(3, 16, 5)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=1.5e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("classes-missing", "split-mismatch", right=[("y < 7", "y < 10")])
def digits_without_the_last_three(bench: Bench) -> WatchedRun:
    torch.manual_seed(62)
    x, y, tx, ty = sets.turned_digits()
    train, held = loaders((x[y < 7], y[y < 7], tx, ty), lambda image: image * 2 - 0.7)
    model = Lenet()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("data-channels", right=[("gray, 32)", "centered, 32)")])
def leaves_in_gray(bench: Bench) -> WatchedRun:
    def gray(image: Tensor) -> Tensor:
        luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True)
        return ((luma - 0.45) / 0.16).expand(3, -1, -1)

    torch.manual_seed(63)
    train, held = loaders(sets.leaves(), gray, 32)
    model = Lenet(3, 12, 4)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("augmentation-too-strong", right=[("blank, 32", "centered, 32")])
def shapes_nearly_erased(bench: Bench) -> WatchedRun:
    def blank(image: Tensor) -> Tensor:
        top, left = torch.randint(0, 13, (2,)).tolist()
        out = torch.zeros_like(image)
        out[:, top : top + 4, left : left + 4] = centered(image)[:, top : top + 4, left : left + 4]
        return out[[int(i) for i in torch.randperm(3)]] * (0.4 + 1.2 * torch.rand(1))

    torch.manual_seed(65)
    train, held = loaders(sets.shapes(), blank, 32, test=centered)
    model = TinyResNet()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty(
    "classes-unbalanced",
    "one-class",
    right=[
        ("nn.CrossEntropyLoss()", "nn.CrossEntropyLoss(torch.tensor([1 / 0.86, 1 / 0.09, 1 / 0.05]) / 10)")
    ],
)
def spots_that_are_rare(bench: Bench) -> WatchedRun:
    torch.manual_seed(66)
    train, held = loaders(sets.rare_spots(), lambda image: image, 50)
    model = Lenet(1, 12, 3)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run


@faulty("leakage", right=[("x, y = torch.cat([x, tx]), torch.cat([y, ty])", "pass")])
def digits_split_after_all(bench: Bench) -> WatchedRun:
    """All images are learned from, the test part of them too."""
    torch.manual_seed(67)
    x, y, tx, ty = sets.turned_digits()
    x, y, tx, ty = x[:240], y[:240], tx[:300], ty[:300]
    x, y = torch.cat([x, tx]), torch.cat([y, ty])
    train, held = loaders((x, y, tx, ty), lambda image: image * 2 - 0.7, 20)
    model = Lenet()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer, dataset="digits")
    for _ in range(16):
        train_one_epoch(model, train, criterion, optimizer)
        test(model, held, criterion)
    return run
