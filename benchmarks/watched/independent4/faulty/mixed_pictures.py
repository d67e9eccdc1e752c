"""Pictures, by the author of `mixed_loops`."""

from __future__ import annotations

import torch
from torch import Tensor, nn, optim
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty, hits, say
from benchmarks.watched.independent4.faulty.mixed import CE, cloth, figures, go
from benchmarks.watched.independent4.nets import (
    Lenet,
    Separable,
    TinyResNet,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("output-activation", right=[("nn.Softmax(dim=1)", "nn.Identity()")])
def shapes_softmax_in_the_network(bench: Bench) -> WatchedRun:
    torch.manual_seed(92)
    net = nn.Sequential(Lenet(3, 16, 5), nn.Softmax(dim=1))
    opt = optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(net, opt)
    go(net, opt, figures(), 6)
    return run


@faulty("labels-shuffled", right=[("torch.randperm(900)", "torch.arange(900)")])
def cloth_labels_from_another_sort(bench: Bench) -> WatchedRun:
    torch.manual_seed(94)
    x, y, tx, ty = cloth()
    y = y[torch.randperm(900)]
    net = Separable()
    opt = optim.AdamW(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    go(net, opt, (x, y, tx, ty), 7)
    return run


@faulty(
    "same-batch",
    right=[("next(iter(loader))", "next(iter(DataLoader(TensorDataset(x, y), 30, shuffle=True)))")],
)
def cloth_next_of_a_new_iterator(bench: Bench) -> WatchedRun:
    torch.manual_seed(96)
    x, y, tx, ty = cloth()
    loader = DataLoader(TensorDataset(x, y), 30)
    net = Lenet(1, 20, 6)
    opt = optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(net, opt, steps_per_epoch=30)
    for step in range(150):
        inputs, targets = next(iter(loader))
        net.train()
        opt.zero_grad()
        CE(net(inputs), targets).backward()
        opt.step()
        if step % 30 == 29:
            net.eval()
            with torch.no_grad():
                CE(net(tx), ty)
            say(hits(net, tx, ty))
    return run


@faulty(
    "dropout",
    "too-few-steps",
    right=[("nn.Dropout2d(0.9)", "nn.Dropout2d(0.1)"), ("nn.Dropout(0.9)", "nn.Dropout(0.2)")],
)
def digits_nine_tenths_dropped(bench: Bench) -> WatchedRun:
    torch.manual_seed(101)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.9), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.9), nn.Linear(256, 10),
    )  # fmt: skip
    opt = optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    go(net, opt, sets.turned_digits(), 10)
    return run


@faulty("training-in-eval-mode", "input-scale", right=[("train_mode=False", "train_mode=True")])
def shapes_eval_for_good(bench: Bench) -> WatchedRun:
    """model.eval() stands where the network is made, and statistics of batches are never taken."""
    torch.manual_seed(102)
    net = TinyResNet()
    opt = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    go(net, opt, figures(), 4, train_mode=False)
    return run


@faulty("data-enlarged", "too-few-steps", "under-fitting", right=[("larger(tx)", "tx"), ("larger(x)", "x")])
def digits_three_times_as_wide(bench: Bench) -> WatchedRun:
    """Eight pixels are stretched to twenty-four, and 3 × 3 filters see a stroke's inside."""

    def larger(images: Tensor) -> Tensor:
        return interpolate(images, size=(24, 24), mode="bilinear")

    torch.manual_seed(103)
    x, y, tx, ty = (part[:600] for part in sets.turned_digits())
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(),
        nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(96, 10),
    )  # fmt: skip
    opt = optim.Adam(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    go(net, opt, (larger(x), y, larger(tx), ty), 8, 40)
    return run


@faulty(
    "loss-detached",
    "frozen-parameters",
    right=[("with torch.no_grad():\n                return", "if True:\n                return")],
)
def shapes_trunk_without_gradients(bench: Bench) -> WatchedRun:
    """The trunk runs under no_grad, as when it was pre-trained, and only the last layer learns."""

    class Headed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.head = Lenet(3, 16, 8), nn.Linear(8, 5)

        def embed(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                return self.trunk(x)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.embed(x).relu())

    torch.manual_seed(104)
    net = Headed()
    opt = optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    go(net, opt, figures(), 7)
    return run


@faulty(
    "vanishing-gradients",
    "initialisation",
    "rate-too-low",
    right=[("nn.init.normal_(layer.weight, std=0.05)", "nn.init.xavier_normal_(layer.weight, 5 / 3)")],
)
def digits_deep_and_timid(bench: Bench) -> WatchedRun:
    torch.manual_seed(105)
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(64, 48), nn.Tanh()]
    for _ in range(7):
        layers += [nn.Linear(48, 48), nn.Tanh()]
    net = nn.Sequential(*layers, nn.Linear(48, 10))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.05)
    opt = optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(net, opt)
    x, y, tx, ty = sets.turned_digits()
    go(net, opt, (x * 2 - 0.7, y, tx * 2 - 0.7, ty), 12)
    return run


@faulty("initialisation", "exploding-gradients", "rate-too-high", right=[("std=8.0", "std=0.05")])
def cloth_last_layer_too_sure(bench: Bench) -> WatchedRun:
    torch.manual_seed(106)
    net = Lenet(1, 20, 6)
    nn.init.normal_(net.fc2.weight, std=8.0)
    opt = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    run = bench.watch(net, opt)
    go(net, opt, cloth(), 6)
    return run


@faulty("split-mismatch", "labels-permuted", right=[("tx.flip(1)", "tx")])
def leaves_blue_green_red(bench: Bench) -> WatchedRun:
    """The reader of the test folder gives BGR."""
    torch.manual_seed(107)
    x, y, tx, ty = (part - 0.45 if part.dim() == 4 else part for part in sets.leaves())
    tx = tx.flip(1)
    net = Lenet(3, 12, 4)
    opt = optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    go(net, opt, (x * 4, y, tx * 4, ty), 6)
    return run


@faulty("rate-too-low", "too-few-steps", right=[("lr=4e-7", "lr=1e-3")])
def cloth_rmsprop_asleep(bench: Bench) -> WatchedRun:
    torch.manual_seed(108)
    net = Separable()
    opt = optim.RMSprop(net.parameters(), lr=4e-7)
    run = bench.watch(net, opt)
    go(net, opt, cloth(), 6)
    return run


@faulty(
    "labels-noisy",
    "over-fitting-data",
    "over-fitting-model",
    "over-fitting-augmentation",
    right=[("torch.rand(1200) < 0.4", "torch.rand(1200) < 0")],
)
def digits_often_one_too_many(bench: Bench) -> WatchedRun:
    torch.manual_seed(109)
    x, y, tx, ty = sets.turned_digits()
    y = torch.where(torch.rand(1200) < 0.4, (y + torch.randint(1, 10, y.shape)) % 10, y)
    net = Lenet()
    opt = optim.Adam(net.parameters(), lr=4e-3)
    run = bench.watch(net, opt)
    go(net, opt, (x, y, tx, ty), 20)
    return run


@faulty(
    "under-fitting",
    right=[
        (
            "nn.Conv2d(3, 1, 3, padding=1), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(4, 5)",
            "Lenet(3, 16, 5)",
        )
    ],
)
def shapes_seen_through_one_filter(bench: Bench) -> WatchedRun:
    torch.manual_seed(110)
    net = nn.Sequential(
        nn.Conv2d(3, 1, 3, padding=1), nn.ReLU(), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(4, 5)
    )
    opt = optim.Adam(net.parameters(), lr=5e-3)
    run = bench.watch(net, opt)
    go(net, opt, figures(), 15)
    return run


@faulty(
    "over-fitting-data",
    "over-fitting-model",
    "over-fitting-augmentation",
    "batch-too-large",
    right=[("x[:40], y[:40]", "x, y"), ("80, 10", "8, 30")],
)
def shapes_forty_pictures(bench: Bench) -> WatchedRun:
    torch.manual_seed(112)
    x, y, tx, ty = figures()
    net = Lenet(3, 16, 5)
    opt = optim.Adam(net.parameters(), lr=1e-3)
    run = bench.watch(net, opt)
    go(net, opt, (x[:40], y[:40], tx, ty), 80, 10)
    return run
