"""Rows: a class that trains, single outputs with BCE, NLL, squares of one-hot labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import faulty, hits, say
from benchmarks.watched.independent4.nets import Perceptron
from benchmarks.watched.independent4.sets import Parts
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun

Loss = Callable[[Tensor, Tensor], Tensor]


def standard(parts: Parts) -> Parts:
    x, y, tx, ty = parts
    mean, std = x.mean(0), x.std(0)
    return (x - mean) / std, y, (tx - mean) / std, ty


class Trainer:
    """A class as many people keep one in their utils.py."""

    def __init__(
        self, model: nn.Module, parts: Parts, optimizer: torch.optim.Optimizer, *, loss: Loss | None = None,
        epochs: int = 10, batch_size: int = 32, scheduler: Any = None,
    ) -> None:  # fmt: skip
        x, y, self.tx, self.ty = parts
        self.model, self.optimizer, self.scheduler, self.epochs = model, optimizer, scheduler, epochs
        self.loss = loss or nn.CrossEntropyLoss()
        self.loader = DataLoader(TensorDataset(x, y), batch_size, shuffle=True)

    def fit(self) -> None:
        for _ in range(self.epochs):
            self.model.train()
            for x, y in self.loader:
                self.train_batch(x, y)
            if self.scheduler is not None:
                self.scheduler.step()
            self.validate()

    def train_batch(self, x: Tensor, y: Tensor) -> None:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()

    @torch.no_grad()
    def validate(self) -> None:
        self.model.eval()
        self.loss(self.model(self.tx), self.ty)
        say(hits(self.model, self.tx, self.ty))


def bce(out: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(out.squeeze(1), labels.float())


@faulty("rate-too-low", "too-few-steps", right=[("lr=3e-6", "lr=3e-3")])
def clusters_barely_moving(bench: Bench) -> WatchedRun:
    torch.manual_seed(22)
    net = Perceptron(16, 64, 64, 4)
    opt = torch.optim.AdamW(net.parameters(), lr=3e-6)
    run = bench.watch(net, opt, name="clusters")
    Trainer(net, sets.clusters(), opt, epochs=12).fit()
    return run


@faulty("input-scale", right=[("sets.cultivars()", "standard(sets.cultivars())")])
def wines_in_their_own_units(bench: Bench) -> WatchedRun:
    """Proline is a thousand, hue is one, and nothing is standardized."""
    torch.manual_seed(23)
    net = Perceptron(13, 32, 32, 3)
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, sets.cultivars(), opt, epochs=12).fit()
    return run


@faulty("input-scale", right=[("sets.tumours()", "standard(sets.tumours())")])
def tumours_in_their_own_units(bench: Bench) -> WatchedRun:
    torch.manual_seed(24)
    net = Perceptron(30, 24, 1)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, sets.tumours(), opt, loss=bce, epochs=15).fit()
    return run


@faulty("split-mismatch", right=[("(tx - tx.mean(0)) / tx.std(0) * 0.2 + 3", "(tx - x.mean(0)) / x.std(0)")])
def wines_scaled_by_another_script(bench: Bench) -> WatchedRun:
    torch.manual_seed(25)
    x, y, tx, ty = sets.cultivars()
    parts = (x - x.mean(0)) / x.std(0), y, (tx - tx.mean(0)) / tx.std(0) * 0.2 + 3, ty
    net = Perceptron(13, 32, 3)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    Trainer(net, parts, opt).fit()
    return run


@faulty("weight-decay", right=[("weight_decay=0.3", "weight_decay=1e-4")])
def clusters_pulled_to_zero(bench: Bench) -> WatchedRun:
    torch.manual_seed(26)
    net = Perceptron(16, 64, 64, 4)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.3)
    run = bench.watch(net, opt)
    Trainer(net, sets.clusters(), opt, epochs=12).fit()
    return run


@faulty("labels-permuted", right=[("order = [2, 0, 1]", "order = [0, 1, 2]")])
def wines_numbered_by_two_files(bench: Bench) -> WatchedRun:
    """The test file's label encoder saw the classes in another order."""
    torch.manual_seed(29)
    x, y, tx, ty = standard(sets.cultivars())
    order = [2, 0, 1]
    net = Perceptron(13, 32, 3)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, (x, y, tx, torch.tensor(order)[ty]), opt).fit()
    return run


@faulty("labels-permuted", right=[("1 - ty", "ty")])
def tumours_benign_is_one(bench: Bench) -> WatchedRun:
    torch.manual_seed(30)
    x, y, tx, ty = standard(sets.tumours())
    net = Perceptron(30, 32, 2)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    Trainer(net, (x, y, tx, 1 - ty), opt, epochs=8).fit()
    return run


@faulty("labels-out-of-range", right=[("y + 1, tx, ty + 1", "y, tx, ty")])
def wines_numbered_from_one(bench: Bench) -> WatchedRun:
    torch.manual_seed(31)
    x, y, tx, ty = standard(sets.cultivars())
    net = Perceptron(13, 32, 3)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    Trainer(net, (x, y + 1, tx, ty + 1), opt, epochs=4).fit()
    return run


@faulty("classes-missing", "split-mismatch", right=[("keep = y != 1", "keep = y != 9")])
def wines_without_the_second(bench: Bench) -> WatchedRun:
    torch.manual_seed(32)
    x, y, tx, ty = standard(sets.cultivars())
    keep = y != 1
    net = Perceptron(13, 32, 3)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    Trainer(net, (x[keep], y[keep], tx, ty), opt, epochs=10).fit()
    return run


@faulty("loss-mismatch", "output-activation", right=[("nn.Softmax(1)", "nn.LogSoftmax(1)")])
def clusters_nll_of_softmax(bench: Bench) -> WatchedRun:
    torch.manual_seed(33)
    net = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4), nn.Softmax(1))
    opt = torch.optim.SGD(net.parameters(), lr=0.015, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, sets.clusters(), opt, loss=nn.NLLLoss(), epochs=8).fit()
    return run


@faulty("loss-mismatch", right=[("nn.Linear(32, 3))", "nn.Linear(32, 3), nn.LogSoftmax(1))")])
def wines_nll_of_logits(bench: Bench) -> WatchedRun:
    torch.manual_seed(34)
    net = nn.Sequential(nn.Linear(13, 32), nn.Tanh(), nn.Linear(32, 3))
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    Trainer(net, standard(sets.cultivars()), opt, loss=nn.NLLLoss(), epochs=10).fit()
    return run


@faulty(
    "output-activation",
    "dead-relu",
    "rate-too-high",
    right=[("nn.Linear(64, 10), nn.ReLU())", "nn.Linear(64, 10))")],
)
def digits_relu_at_the_end(bench: Bench) -> WatchedRun:
    """A class whose output is 0 for every image gets no gradient any more."""
    torch.manual_seed(44)
    x, y, tx, ty = sets.turned_digits()
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10), nn.ReLU())
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, (x, y, tx, ty), opt, epochs=10).fit()
    return run


@faulty(
    "under-fitting",
    right=[
        (
            "nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 3)",
            "nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3)",
        )
    ],
)
def spirals_without_activations(bench: Bench) -> WatchedRun:
    """Three linear layers are one linear layer."""
    torch.manual_seed(35)
    net = nn.Sequential(nn.Linear(2, 64), nn.Linear(64, 64), nn.Linear(64, 3))
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    run = bench.watch(net, opt)
    Trainer(net, sets.spirals(), opt, epochs=30).fit()
    return run


@faulty(
    "under-fitting",
    right=[
        ("nn.Linear(16, 1), nn.Tanh(), nn.Linear(1, 64)", "nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 64)")
    ],
)
def clusters_through_one_unit(bench: Bench) -> WatchedRun:
    torch.manual_seed(36)
    net = nn.Sequential(nn.Linear(16, 1), nn.Tanh(), nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 4))
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    run = bench.watch(net, opt)
    Trainer(net, sets.clusters(), opt, epochs=25).fit()
    return run


@faulty(
    "over-fitting-data",
    "over-fitting-model",
    "over-fitting-augmentation",
    "batch-too-large",
    right=[("x[:48], y[:48]", "x, y"), ("epochs=60", "epochs=10")],
)
def clusters_from_few_rows(bench: Bench) -> WatchedRun:
    torch.manual_seed(37)
    x, y, tx, ty = sets.clusters()
    net = Perceptron(16, 128, 128, 4)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    run = bench.watch(net, opt)
    Trainer(net, (x[:48], y[:48], tx, ty), opt, epochs=60, batch_size=8).fit()
    return run


@faulty("dead-relu", "initialisation", right=[("fill_(-6.0)", "fill_(0.0)")])
def clusters_biases_far_below(bench: Bench) -> WatchedRun:
    torch.manual_seed(38)
    net = Perceptron(16, 64, 64, 4)
    for layer in net.modules():
        if isinstance(layer, nn.Linear) and layer.out_features == 64:
            layer.bias.data.fill_(-6.0)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, sets.clusters(), opt, epochs=10).fit()
    return run


@faulty(
    "non-finite",
    "output-activation",
    "rate-too-high",
    right=[
        ("torch.log(p)", "torch.log(p.clamp(1e-6, 1 - 1e-6))"),
        ("torch.log(1 - p)", "torch.log((1 - p).clamp(1e-6, 1))"),
    ],
)
def tumours_log_of_nothing(bench: Bench) -> WatchedRun:
    """A cross-entropy written by hand: 0 · log 0 is no number."""
    torch.manual_seed(40)
    x, y, tx, ty = standard(sets.tumours())
    net = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())
    opt = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9)
    run = bench.watch(net, opt)
    loader = DataLoader(TensorDataset(x, y), 20, shuffle=True)
    for _ in range(25):
        net.train()
        for xb, yb in loader:
            p = net(xb)[:, 0]
            loss = -(yb * torch.log(p) + (1 - yb) * torch.log(1 - p)).mean()
            opt.zero_grad()
            loss.backward()
            run.step(loss)
            opt.step()
        net.eval()
        with torch.no_grad():
            say(((net(tx)[:, 0] > 0.5).long() == ty).float().mean())
    return run


@faulty(
    "batch-too-small",
    "rate-too-high",
    "unstable-training",
    "one-class",
    "dead-relu",
    right=[("batch_size=1)", "batch_size=25)")],
)
def clusters_one_row_a_step(bench: Bench) -> WatchedRun:
    torch.manual_seed(42)
    net = Perceptron(16, 32, 32, 4)
    opt = torch.optim.SGD(net.parameters(), lr=0.15, momentum=0.8)
    run = bench.watch(net, opt)
    Trainer(net, sets.clusters(), opt, epochs=2, batch_size=1).fit()
    return run


@faulty("frozen-parameters", right=[("parameter.requires_grad_(False)", "pass")])
def clusters_only_the_head(bench: Bench) -> WatchedRun:
    """Frozen as for fine-tuning, though nothing was pre-trained, and few features come through."""
    torch.manual_seed(45)
    net = Perceptron(16, 6, 6, 4)
    for name, parameter in net.named_parameters():
        if not name.startswith("layers.6"):
            parameter.requires_grad_(False)
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=5e-3)
    run = bench.watch(net, opt)
    Trainer(net, sets.clusters(), opt, epochs=20).fit()
    return run


@faulty(
    "exploding-gradients",
    "initialisation",
    "rate-too-high",
    "unstable-training",
    right=[("layer.weight.data.mul_(5)", "pass")],
)
def clusters_gain_of_five(bench: Bench) -> WatchedRun:
    torch.manual_seed(46)
    net = Perceptron(16, 48, 48, 48, 48, 48, 4)
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            layer.weight.data.mul_(5)
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(net, opt)
    Trainer(net, sets.clusters(), opt, epochs=10).fit()
    return run
