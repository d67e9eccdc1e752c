"""Gradients that are never cleared, steps that are never taken, accumulation without its scale."""

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
    validate,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("zero-grad-missing", right=[("loss.backward()", "optimizer.zero_grad(); loss.backward()")])
def signs_never_cleared(bench: Bench) -> WatchedRun:
    torch.manual_seed(3)
    d = sets.signs()
    model = nets.small_cnn(1, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for images, labels in loader(d.train, 30):
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "zero-grad-missing",
    right=[("        for x, y", "        for x, y"), ("opt.step()", "opt.step(); opt.zero_grad()")],
)
def waves_cleared_once_an_epoch(bench: Bench) -> WatchedRun:
    torch.manual_seed(4)
    d = sets.waves()
    net = nets.WaveNet()
    opt = torch.optim.SGD(net.parameters(), 0.1)
    run = bench.watch(net, opt)
    criterion = nn.CrossEntropyLoss()
    for _epoch in range(6):
        net.train()
        opt.zero_grad()
        for x, y in loader(d.train, 20):
            criterion(net(x), y).backward()
            opt.step()
        validate(net, loader(d.test, 100, False))
    return run


@faulty(
    "zero-grad-missing", right=[("            # optimizer.zero_grad()", "            optimizer.zero_grad()")]
)
def numerals_line_commented_out(bench: Bench) -> WatchedRun:
    torch.manual_seed(5)
    d = sets.numerals()
    model = nets.mlp(64, 10, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    with bench.watch(model, optimizer, name="numerals") as run:
        for _epoch in range(6):
            for image, label in loader(d.train, 32):
                output = model(image.view(-1, 64))
                loss = nn.CrossEntropyLoss()(output, label)
                # optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        later(lambda: hits(model, d.test[0].view(-1, 64), d.test[1]))
    return run


@faulty("zero-grad-missing", right=[("head_opt.zero_grad()", "head_opt.zero_grad(); body_opt.zero_grad()")])
def flags_one_of_two_cleared(bench: Bench) -> WatchedRun:
    torch.manual_seed(6)
    d = sets.flags()
    model = nets.small_cnn(3, 6)
    body_opt = torch.optim.SGD(model[:6].parameters(), lr=0.1, momentum=0.9)
    head_opt = torch.optim.SGD(model[7].parameters(), lr=0.1)
    run = bench.watch(model, [body_opt, head_opt])
    for _epoch in range(5):
        model.train()
        for images, labels in loader(d.train, 32):
            head_opt.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            body_opt.step()
            head_opt.step()
        evaluate(run, model, d.test)
    return run


@faulty("zero-grad-missing", right=[("if step == 0:", "if True:")])
def sensors_cleared_at_the_start_only(bench: Bench) -> WatchedRun:
    torch.manual_seed(7)
    (x, y), test = sets.sensors().train, sets.sensors().test
    model = nets.mlp(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    run = bench.watch(model, optimizer)
    for step in range(250):
        rows = torch.randint(0, len(y), (40,))
        if step == 0:
            optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        if step % 50 == 49:
            evaluate(run, model, test)
            model.train()
    return run


@faulty(
    "zero-grad-missing",
    right=[
        (
            "loss = criterion(out, yb)",
            "net.zero_grad(); loss = criterion(out, yb)",
        )
    ],
)
def biopsies_one_logit_adding_up(bench: Bench) -> WatchedRun:
    torch.manual_seed(8)
    d = sets.biopsies()
    net = nn.Sequential(nn.Linear(30, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9)
    criterion = nn.BCEWithLogitsLoss()
    run = bench.watch(net, optimizer)
    for _epoch in range(12):
        for xb, yb in loader((d.train[0], d.train[1].float()), 16):
            out = net(xb).squeeze(1)
            loss = criterion(out, yb)
            loss.backward()
            optimizer.step()
    evaluate(run, net, d.test)
    return run


@faulty(
    "zero-grad-missing",
    right=[("loss.backward()\n        nn", "optimizer.zero_grad()\n        loss.backward()\n        nn")],
)
def reviews_clipped_but_not_cleared(bench: Bench) -> WatchedRun:
    torch.manual_seed(9)
    d = sets.reviews()
    model = nets.Recurrent(kind=nn.LSTM)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    run = bench.watch(model, optimizer)

    def train_batch(words: Tensor, labels: Tensor) -> float:
        loss = F.cross_entropy(model(words), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    for _epoch in range(10):
        model.train()
        for words, labels in loader(d.train, 45):
            train_batch(words, labels)
        evaluate(run, model, d.test)
    return run


@faulty("optimizer-never-steps", right=[("optimizer.step  #", "optimizer.step()  #")])
def waves_without_parentheses(bench: Bench) -> WatchedRun:
    torch.manual_seed(10)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step  # noqa: B018 the fault
            pass
        evaluate(run, model, d.test)
    return run


@faulty("optimizer-never-steps", right=[("scheduler.step()", "optimizer.step(); scheduler.step()")])
def flags_only_the_scheduler_steps(bench: Bench) -> WatchedRun:
    torch.manual_seed(11)
    d = sets.flags()
    model = nets.TinyResNet(3, 6)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    batches = loader(d.train, 45)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3 * len(batches))
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for images, labels in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            scheduler.step()
        validate(model, loader(d.test, 128, False))
    return run


@faulty("optimizer-never-steps", right=[("every = 32", "every = 2"), ("/ every", "/ 2")])
def sensors_accumulates_past_the_epoch(bench: Bench) -> WatchedRun:
    torch.manual_seed(12)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    every = 32
    for _epoch in range(8):
        model.train()
        optimizer.zero_grad()
        for number, (x, y) in enumerate(loader(d.train, 30)):
            (F.cross_entropy(model(x), y) / every).backward()
            if (number + 1) % every == 0:
                optimizer.step()
                optimizer.zero_grad()
        evaluate(run, model, d.test)
    return run


@faulty("optimizer-never-steps", right=[("if training and best is not None:", "if training:")])
def numerals_flag_that_is_never_set(bench: Bench) -> WatchedRun:
    torch.manual_seed(13)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    best: float | None = None
    for _epoch in range(4):
        for training, data in ((True, d.train), (False, d.test)):
            model.train(training)
            with torch.set_grad_enabled(training):
                for x, y in loader(data, 40):
                    out = model(x)
                    loss = F.cross_entropy(out, y)
                    if training:
                        optimizer.zero_grad()
                        loss.backward()
                    if training and best is not None:
                        optimizer.step()
    later(lambda: hits(model, *d.test))
    return run


@faulty("optimizer-never-steps", right=[("# self.optimizer.step()", "self.optimizer.step()")])
def reviews_trainer_class(bench: Bench) -> WatchedRun:
    class Trainer:
        """Train a network."""

        def __init__(self, model: nn.Module) -> None:
            self.model, self.loss = model, nn.CrossEntropyLoss()
            self.optimizer = torch.optim.Adam(model.parameters(), 5e-3)

        def fit(self, epochs: int) -> None:
            for _ in range(epochs):
                self.model.train()
                for words, labels in loader(d.train, 50):
                    self.optimizer.zero_grad()
                    value = self.loss(self.model(words), labels)
                    value.backward()
                    # self.optimizer.step()
                evaluate(run, self.model, d.test)

    torch.manual_seed(14)
    d = sets.reviews()
    trainer = Trainer(nets.WordBag())
    run = bench.watch(trainer.model, trainer.optimizer)
    trainer.fit(5)
    return run


@faulty("optimizer-never-steps", right=[("opt.step() if loss.item() > 5 else None", "opt.step()")])
def biopsies_waits_for_a_loss(bench: Bench) -> WatchedRun:
    torch.manual_seed(15)
    d = sets.biopsies()
    net = nets.norm_mlp(30, 1)
    opt = torch.optim.SGD(net.parameters(), 0.05)
    run = bench.watch(net, opt)
    for _epoch in range(10):
        net.train()
        for x, y in loader(d.train, 32, drop_last=True):
            opt.zero_grad()
            loss = F.binary_cross_entropy_with_logits(net(x)[:, 0], y.float())
            loss.backward()
            opt.step() if loss.item() > 5 else None
        evaluate(run, net, d.test)
    return run


@faulty("gradient-accumulation-scale", "rate-too-high", right=[("loss.backward()", "(loss / 8).backward()")])
def signs_eight_undivided(bench: Bench) -> WatchedRun:
    torch.manual_seed(16)
    d = sets.signs()
    model = nets.small_cnn(1, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.15, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for i, (images, labels) in enumerate(loader(d.train, 6, drop_last=True)):
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            if (i + 1) % 8 == 0:
                optimizer.step()
                optimizer.zero_grad()
        evaluate(run, model, d.test)
    return run


@faulty(
    "gradient-accumulation-scale",
    "rate-too-high",
    right=[("criterion(model(x), y)", "criterion(model(x), y) / accumulation_steps")],
)
def sensors_sixteen_undivided(bench: Bench) -> WatchedRun:
    torch.manual_seed(17)
    d = sets.sensors()
    model = nets.mlp(12, 5, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer)
    accumulation_steps = 16
    for _epoch in range(12):
        model.train()
        for step, (x, y) in enumerate(loader(d.train, 4), start=1):
            loss = criterion(model(x), y)
            loss.backward()
            if step % accumulation_steps == 0:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        evaluate(run, model, d.test)
    return run


@faulty(
    "gradient-accumulation-scale",
    "rate-too-high",
    right=[("loss.backward()", "loss.div(len(parts)).backward()")],
)
def waves_batch_in_parts(bench: Bench) -> WatchedRun:
    torch.manual_seed(18)
    d = sets.waves()
    model = nets.WaveNet(drop=0.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.4, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 96):
            optimizer.zero_grad()
            parts = list(zip(x.split(8), y.split(8), strict=True))
            for few, labels in parts:
                loss = F.cross_entropy(model(few), labels)
                loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "gradient-accumulation-scale",
    "rate-too-high",
    right=[("y.float()).backward()", "y.float()).div(10).backward()")],
)
def rings_ten_of_one_logit(bench: Bench) -> WatchedRun:
    torch.manual_seed(19)
    d = sets.rings()
    net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    opt = torch.optim.SGD(net.parameters(), 0.5, momentum=0.9)
    run = bench.watch(net, opt)
    seen = 0
    for _epoch in range(25):
        for x, y in loader(d.train, 6):
            out = net(x).flatten()
            F.binary_cross_entropy_with_logits(out, y.float()).backward()
            seen += 1
            if seen % 10 == 0:
                opt.step()
                opt.zero_grad()
        evaluate(run, net, d.test)
    return run


@faulty(
    "gradient-accumulation-scale",
    "rate-too-high",
    right=[("total = total + F", "total = total + 0.0833 * F")],
)
def reviews_losses_summed(bench: Bench) -> WatchedRun:
    torch.manual_seed(20)
    d = sets.reviews()
    model = nets.Recurrent()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.2, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        optimizer.zero_grad()
        total = torch.zeros(())
        for number, (words, labels) in enumerate(loader(d.train, 12)):
            total = total + F.cross_entropy(model(words), labels)
            if number % 12 == 11:
                total.backward()
                optimizer.step()
                optimizer.zero_grad()
                total = torch.zeros(())
        evaluate(run, model, d.test)
    return run
