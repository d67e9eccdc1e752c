"""Networks that are trained in evaluation mode, or judged in training mode."""

from __future__ import annotations

import copy
from itertools import pairwise

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
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


class Tower(nn.Module):
    """Eight layers that need their batch normalization."""

    def __init__(self, inputs: int, classes: int, drop: float = 0.0) -> None:
        super().__init__()
        widths = [inputs] + [32] * 7
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(drop)]
        self.layers, self.out = nn.Sequential(*layers), nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layers(x.flatten(1)))


@faulty("training-in-eval-mode", right=[("model.eval()  # batch", "model.train()  # batch")])
def sensors_tower_in_eval(bench: Bench) -> WatchedRun:
    torch.manual_seed(60)
    d = sets.sensors()
    model = Tower(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.eval()  # batch statistics were too noisy
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("training-in-eval-mode", right=[("    model.eval()\n", "    model.train()\n")])
def numerals_tower_reloaded_for_training(bench: Bench) -> WatchedRun:
    torch.manual_seed(61)
    d = sets.numerals()
    model = Tower(64, 10, 0.05)
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    model.eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.03)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
    later(lambda: hits(model, *d.test))
    return run


@faulty(
    "training-in-eval-mode",
    right=[("for x, y in loader(d.train, 25)", "model.train()\n        for x, y in loader(d.train, 25)")],
)
def waves_eval_after_the_first_look(bench: Bench) -> WatchedRun:
    torch.manual_seed(62)
    d = sets.waves()
    model = Tower(48, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.04)
    run = bench.watch(model, optimizer)
    evaluate(run, model, d.test)
    for _epoch in range(7):
        for x, y in loader(d.train, 25):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("training-in-eval-mode", right=[("model.train(False)", "model.train()")])
def textures_train_of_false(bench: Bench) -> WatchedRun:
    torch.manual_seed(63)
    d = sets.textures()
    model = nn.Sequential(*[
        layer for a in (3, 12, 12, 12, 12)
        for layer in (nn.Conv2d(a, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU())
    ], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4))  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train(False)
        for x, y in loader(d.train, 25):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "training-in-eval-mode",
    right=[
        (
            "        net.eval()\n        for x, y in loader(part, 20)",
            "        net.train()\n        for x, y in loader(part, 20)",
        )
    ],
)
def votes_dropout_off_while_learning(bench: Bench) -> WatchedRun:
    torch.manual_seed(64)
    d = sets.votes()
    part = (d.train[0][:160], d.train[1][:160])
    net = nn.Sequential(nn.Dropout(0.4), Tower(24, 2, 0.3))
    opt = torch.optim.SGD(net.parameters(), 0.1)
    run = bench.watch(net, opt)
    for _epoch in range(30):
        net.eval()
        for x, y in loader(part, 20):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
    evaluate(run, net, d.test)
    return run


@faulty("evaluation-mode", right=[("with torch.no_grad():", "model.eval()\n        with torch.no_grad():")])
def signs_judged_with_heavy_dropout(bench: Bench) -> WatchedRun:
    torch.manual_seed(65)
    d = sets.signs()
    model = nets.NormCnn(1, 5, drop=0.9)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for images, labels in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        with torch.no_grad():
            logits = model(d.test[0])
            run.evaluate(logits, d.test[1])
            say((logits.argmax(1) == d.test[1]).float().mean())
    return run


@faulty("evaluation-mode", right=[("with torch.no_grad():", "net.eval()\n        with torch.no_grad():")])
def waves_judged_kind_after_kind(bench: Bench) -> WatchedRun:
    torch.manual_seed(66)
    d = sets.waves()
    net = nets.WaveNet()
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    order = d.test[1].argsort()
    for _epoch in range(4):
        net.train()
        for x, y in loader(d.train, 32):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        with torch.no_grad():
            right = 0.0
            for x, y in loader((d.test[0][order], d.test[1][order]), 25, False):
                out = net(x)
                run.evaluate(out, y)
                right += float((out.argmax(1) == y).sum())
            say(right / len(order))
    return run


@faulty(
    "evaluation-mode",
    right=[
        ("def check(model: nn.Module) -> None:", "def check(model: nn.Module) -> None:\n        model.eval()")
    ],
)
def reviews_check_without_eval(bench: Bench) -> WatchedRun:
    torch.manual_seed(67)
    d = sets.reviews()

    @torch.no_grad()
    def check(model: nn.Module) -> None:
        right = 0
        for words, labels in loader(d.test, 60, False):
            out = model(words)
            F.cross_entropy(out, labels)
            right += int((out.argmax(1) == labels).sum())
        say(right / len(d.test[1]))

    model = nets.WordBag(drop=0.7)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        train_one_epoch(model, loader(d.train, 50), nn.CrossEntropyLoss(), optimizer)
        check(model)
    return run


@faulty(
    "evaluation-mode",
    right=[("logits = model(d.test[0])", "logits = model.eval()(d.test[0]); model.train()")],
)
def sensors_train_once_for_all(bench: Bench) -> WatchedRun:
    torch.manual_seed(68)
    d = sets.sensors()
    model = nets.mlp(12, 5, drop=0.5)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    model.train()  # once for all
    for _epoch in range(8):
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            logits = model(d.test[0])
            run.evaluate(logits, d.test[1])
            say((logits.argmax(1) == d.test[1]).float().mean())
    return run


@faulty("evaluation-mode", right=[("model.train()\n            out", "model.eval()\n            out")])
def numerals_judged_four_at_a_time(bench: Bench) -> WatchedRun:
    torch.manual_seed(69)
    d = sets.numerals()
    model = nets.NormCnn(1, 10, 0.4)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        train_one_epoch(model, loader(d.train, 32), F.cross_entropy, optimizer)
        right = 0
        for images, labels in loader(d.test, 4, False):
            model.train()
            out = model(images).detach()
            run.evaluate(out, labels)
            right += int((out.argmax(1) == labels).sum())
        say(right / len(d.test[1]))
    return run


@faulty(
    "evaluation-mode",
    right=[("torch.no_grad():\n        out", "torch.no_grad():\n        net.eval()\n        out")],
)
def biopsies_one_logit_with_dropout_on(bench: Bench) -> WatchedRun:
    torch.manual_seed(70)
    d = sets.biopsies()
    net = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Dropout(0.95), nn.Linear(16, 1))
    opt = torch.optim.Adam(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    net.train()
    for _epoch in range(10):
        for x, y in loader(d.train, 32):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(x).squeeze(1), y.float()).backward()
            opt.step()
    with torch.no_grad():
        out = net(d.test[0]).squeeze(1)
        run.evaluate(out, d.test[1])
        say(((out > 0).long() == d.test[1]).float().mean())
    return run
