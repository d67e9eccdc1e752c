"""Activations before a loss of logits, and losses that are not of these outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as scripts call it

from benchmarks.watched.independent5 import nets, sets
from benchmarks.watched.independent5.common import (
    evaluate,
    faulty,
    hits,
    later,
    loader,
    say,
    train_one_epoch,
    validate,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("output-activation", right=[(", nn.Softmax(dim=1)", "")])
def numerals_softmax_layer(bench: Bench) -> WatchedRun:
    torch.manual_seed(21)
    d = sets.numerals()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(dim=1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        train_one_epoch(model, loader(d.train, 32), nn.CrossEntropyLoss(), optimizer)
        validate(model, loader(d.test, 64, False))
    return run


@faulty("output-activation", right=[("torch.softmax(model(x), -1)", "model(x)")])
def flags_softmax_in_the_loop(bench: Bench) -> WatchedRun:
    torch.manual_seed(22)
    d = sets.flags(900, 0.7)
    model = nets.small_cnn(3, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            probabilities = torch.softmax(model(x), -1)
            loss = F.cross_entropy(probabilities, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "output-activation", right=[("return torch.sigmoid(super().forward(x))", "return super().forward(x)")]
)
def waves_sigmoid_at_the_end(bench: Bench) -> WatchedRun:
    class SigmoidNet(nets.WaveNet):
        """End in probabilities."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(super().forward(x))

    torch.manual_seed(23)
    d = sets.waves()
    model = SigmoidNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        train_one_epoch(model, loader(d.train, 25), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("output-activation", "dead-relu", right=[("F.relu(self.last(x))", "self.last(x)")])
def sensors_relu_on_the_last_layer(bench: Bench) -> WatchedRun:
    class Net(nn.Module):
        """Three layers."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.middle, self.last = nn.Linear(12, 32), nn.Linear(32, 32), nn.Linear(32, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.middle(F.relu(self.first(x))))
            return F.relu(self.last(x))

    torch.manual_seed(25)
    d = sets.sensors()
    net = Net()
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    run = bench.watch(net, opt)
    for _epoch in range(10):
        net.train()
        for x, y in loader(d.train, 25):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        evaluate(run, net, d.test)
    return run


@faulty("output-activation", "dead-relu", right=[("nn.Linear(216, 10), nn.ReLU()", "nn.Linear(216, 10)")])
def numerals_relu_after_every_layer(bench: Bench) -> WatchedRun:
    torch.manual_seed(26)
    d = sets.numerals()
    model = nn.Sequential(
        nn.Conv2d(1, 24, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(216, 10), nn.ReLU()
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer, name="relu everywhere")
    for _epoch in range(6):
        for x, y in loader(d.train, 64):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
    later(lambda: hits(model, *d.test))
    return run


@faulty("output-activation", right=[("F.softmax(self.net(words), dim=1)", "self.net(words)")])
def reviews_softmax_in_the_module(bench: Bench) -> WatchedRun:
    class Classifier(nn.Module):
        """Wrap a network so that it gives probabilities."""

        def __init__(self) -> None:
            super().__init__()
            self.net = nets.WordBag()

        def forward(self, words: Tensor) -> Tensor:
            return F.softmax(self.net(words), dim=1)

    torch.manual_seed(27)
    d = sets.reviews()
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        train_one_epoch(model, loader(d.train, 50), F.cross_entropy, optimizer)
        validate(model, loader(d.test, 100, False))
    return run


@faulty(
    "output-activation",
    "vanishing-gradients",
    right=[("nn.Linear(32, 3), nn.Softmax(1)", "nn.Linear(32, 3)")],
)
def irises_softmax_without_judging(bench: Bench) -> WatchedRun:
    torch.manual_seed(29)
    d = sets.irises()
    net = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3), nn.Softmax(1))
    optimizer = torch.optim.SGD(net.parameters(), 0.02)
    run = bench.watch(net, optimizer)
    for _epoch in range(15):
        for x, y in loader(d.train, 10):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
    later(lambda: hits(net, *d.test))
    return run


@faulty(
    "loss-mismatch", right=[("F.nll_loss(model(images), labels)", "F.cross_entropy(model(images), labels)")]
)
def signs_nll_of_logits(bench: Bench) -> WatchedRun:
    torch.manual_seed(30)
    d = sets.signs()
    model = nets.TinyResNet(1, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for images, labels in loader(d.train, 30):
            loss = F.nll_loss(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("loss-mismatch", right=[("torch.softmax(model(x), 1)", "torch.log_softmax(model(x), 1)")])
def sensors_nll_of_probabilities(bench: Bench) -> WatchedRun:
    torch.manual_seed(31)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    criterion = nn.NLLLoss()
    optimizer = torch.optim.SGD(model.parameters(), 0.03)
    run = bench.watch(model, optimizer)
    for _epoch in range(10):
        for x, y in loader(d.train, 30):
            optimizer.zero_grad()
            criterion(torch.softmax(model(x), 1), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("loss-mismatch", "output-activation", right=[(", nn.Sigmoid()", "")])
def rings_sigmoid_twice(bench: Bench) -> WatchedRun:
    torch.manual_seed(32)
    d = sets.rings()
    net = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 1), nn.Sigmoid())
    opt = torch.optim.SGD(net.parameters(), lr=0.1)
    run = bench.watch(net, opt)
    for _epoch in range(15):
        for x, y in loader(d.train, 20):
            opt.zero_grad()
            loss = F.binary_cross_entropy_with_logits(net(x).squeeze(1), y.float())
            loss.backward()
            opt.step()
    later(lambda: hits(net, d.test[0], d.test[1]))
    return run


@faulty("loss-mismatch", right=[("criterion(net(x), y.float())", "criterion(net(x)[:, 0], y.float())")])
def votes_column_against_row(bench: Bench) -> WatchedRun:
    torch.manual_seed(33)
    d = sets.votes()
    net = nets.mlp(24, 1, 32)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    criterion = nn.MSELoss()
    run = bench.watch(net, optimizer)
    for _epoch in range(10):
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            loss = criterion(net(x), y.float())
            loss.backward()
            optimizer.step()
    later(lambda: _above_half(net, *d.test))
    return run


@faulty("loss-mismatch", right=[("loss = -F.cross", "loss = F.cross")])
def flags_minus_the_loss(bench: Bench) -> WatchedRun:
    torch.manual_seed(34)
    d = sets.flags()
    model = nets.Separable(3, 6)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for images, labels in loader(d.train, 32):
            optimizer.zero_grad()
            loss = -F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "loss-mismatch",
    right=[
        (
            "F.cross_entropy(net(x), y.float()[:, None])",
            "F.binary_cross_entropy_with_logits(net(x), y.float()[:, None])",
        )
    ],
)
def biopsies_cross_entropy_of_one(bench: Bench) -> WatchedRun:
    torch.manual_seed(35)
    d = sets.biopsies()
    net = nets.mlp(30, 1)
    opt = torch.optim.Adam(net.parameters(), 1e-3)
    run = bench.watch(net, opt)
    for _epoch in range(6):
        net.train()
        for x, y in loader(d.train, 32):
            opt.zero_grad()
            loss = F.cross_entropy(net(x), y.float()[:, None])
            loss.backward()
            opt.step()
        evaluate(run, net, d.test)
    return run


@faulty("loss-mismatch", right=[("nn.NLLLoss()", "nn.CrossEntropyLoss()")])
def reviews_nll_from_a_tutorial(bench: Bench) -> WatchedRun:
    torch.manual_seed(36)
    d = sets.reviews()
    model = nets.Encoder()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    criterion = nn.NLLLoss()
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        train_one_epoch(model, loader(d.train, 60), criterion, optimizer)
        with torch.no_grad():
            model.eval()
            criterion(model(d.test[0]), d.test[1])
            say(hits(model, *d.test))
    return run


def _above_half(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float(((net(x)[:, 0] > 0.5).long() == y).float().mean())
