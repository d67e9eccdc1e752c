"""Faulty loops of `independent-3` over signals, tables and paths: a notebook, a fit(), loops over indices."""

# The last epoch's figure is read after the loop, as scripts do.
# mypy: disable-error-code="possibly-undefined"

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for

from benchmarks.watched.independent3.data import (
    DIVERGED,
    MEMORIZED,
    cancer,
    evaluate,
    plant,
    scents,
    spirals,
    tones,
    top1_accuracy,
    walks,
)
from benchmarks.watched.independent3.nets import Dilated, PathGru, ResMlp, TableNet, stack


def tones_notebook(bench: Any, fault: str = "") -> float:
    """Cells of a notebook run from top to bottom; indices by hand; Adam."""
    random.seed(0)
    torch.manual_seed(41)
    data = tones()
    x, y, x_val, y_val = data.x, data.y, data.test_x, data.test_y
    if fault == "counts of the converter":
        x, x_val = 30000 + 2000 * x, 30000 + 2000 * x_val
    if fault == "one buffer for all":  # the list holds the same array again and again
        buffer = torch.zeros(1, 96)
        records = [buffer for _ in range(len(x))]
        for record, signal in zip(records, x, strict=True):
            record.copy_(signal)
        x = torch.stack(records)
    if fault == "gain of the other amplifier":
        x_val = 0.02 * x_val + 3
    if fault == "encoder fitted on each part":
        names = sorted(["sine", "square", "saw", "chirp", "burst", "beat"])
        seen = {name: k for k, name in enumerate(["sine", "square", "saw", "chirp", "burst", "beat"])}
        y_val = torch.tensor([names.index(list(seen)[k]) for k in y_val.tolist()])
    if fault == "first part of the sorted files":
        keep = y < 4
        x, y = x[keep], y[keep]
    if fault == "mostly sine":
        keep = (y == 0) | (torch.arange(len(y)) % 36 == 0)
        x, y = x[keep].repeat(4, 1, 1), y[keep].repeat(4)
    if fault == "labels zipped with shuffled files":
        x = x[torch.randperm(len(x))]
    net = Dilated(norm=fault != "counts of the converter")
    opt: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    together = 1
    if fault in ("sums of sixteen", "means of sixteen", "never emptied", "SGD"):
        opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        together = 16 if "sixteen" in fault else 1
    if fault == "rate of sgd":
        opt = torch.optim.Adam(net.parameters(), lr=5.0)
    run = bench.watch(net, opt)
    history = []
    size = 30 if together == 1 else 8
    for epoch in range(6 if together == 1 else 12):
        net.train()
        index = list(range(len(x)))
        random.shuffle(index)
        for number, i in enumerate(range(0, len(index), size)):
            pick = list(range(size)) if fault == "slice without i" else index[i : i + size]
            out = net(x[pick])
            if fault == "through numpy":
                out = torch.from_numpy(out.detach().numpy()).requires_grad_()
            loss = F.cross_entropy(out, y[pick]) / (together if fault == "means of sixteen" else 1)
            if together == 1 and fault != "never emptied":
                opt.zero_grad()
            loss.backward()
            if (number + 1) % together == 0 and fault != "step without parentheses":
                opt.step()
                if together > 1:
                    opt.zero_grad()
            history.append(float(loss.detach()))
        if fault == "no eval and one by one":
            with torch.no_grad():
                out = torch.cat([net(x_val[k : k + 1]) for k in range(len(x_val))])
            run.evaluate(out, y_val)
            score = top1_accuracy(out, y_val)
        else:
            score = evaluate(run, net, x_val, y_val)
        print(f"epoch {epoch}: {score:.3f}")
    return score


plant(
    tones_notebook,
    (
        ("counts of the converter", "input-scale", f"{DIVERGED} rate-too-high"),
        ("one buffer for all", "constant-input", "one-class"),
        ("gain of the other amplifier", "split-mismatch", "one-class input-scale"),
        ("encoder fitted on each part", "labels-permuted", "split-mismatch"),
        ("first part of the sorted files", "classes-missing", "split-mismatch classes-unbalanced"),
        ("mostly sine", "classes-unbalanced", "split-mismatch one-class"),
        ("labels zipped with shuffled files", "labels-shuffled", "labels-noisy"),
        ("sums of sixteen", "gradient-accumulation-scale", f"rate-too-high {DIVERGED}"),
        ("never emptied", "zero-grad-missing", f"rate-too-high {DIVERGED}"),
        ("rate of sgd", "rate-too-high", DIVERGED),
        ("slice without i", "same-batch", MEMORIZED),
        ("through numpy", "loss-detached", ""),
        ("step without parentheses", "optimizer-never-steps", ""),
        ("no eval and one by one", "evaluation-mode", ""),
    ),
)


class Model(nn.Module):
    """compile() and fit(), for those who come from Keras."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def compile(self, optimizer: torch.optim.Optimizer, loss: Callable[[Tensor, Tensor], Tensor]) -> None:  # type: ignore[override]
        self.optimizer, self.loss = optimizer, loss

    def fit(self, x: Tensor, y: Tensor, epochs: int, batch_size: int, shuffle: bool = True) -> None:
        for _ in range(epochs):
            order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
            for rows in order.split(batch_size):
                self.optimizer.zero_grad()
                self.loss(self(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
                self.optimizer.step()


def cancer_fit(bench: Any, fault: str = "") -> float:
    """A table with two classes through compile() and fit()."""
    torch.manual_seed(42)
    data = cancer()
    x, y, test_x = data.x, data.y, data.test_x
    norm = fault != "columns as measured"
    if norm:
        mean, std = x.mean(0), x.std(0)
        x = (x - mean) / std
        if fault != "test without the scaler":
            test_x = (test_x - mean) / std
    outputs = 1 if fault == "one output and softmax" else 2
    model = Model(TableNet(outputs=outputs, norm=norm and fault != "divided by the largest as well"))
    rate = {"rate e-7": 1e-7, "rate three": 3.0}.get(fault, 0.02)
    opt = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    loss: Any = nn.CrossEntropyLoss()
    if fault == "one output and softmax":

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(logits, labels.float()[:, None])
    elif fault == "argmax in the loss":

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            return F.mse_loss(logits.argmax(1).float().requires_grad_(), labels.float())
    elif fault == "minus forgotten":

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            return F.nll_loss(logits.softmax(1).log().neg().clamp(max=8), labels)

    if fault == "divided by the largest as well":
        x, test_x = x / 400, test_x / 400
    if fault == "malignant are rare":
        rows = (y == 1) | (torch.arange(len(y)) % 45 == 0)
        x, y = x[rows], y[rows]
    if fault == "new network after compile":
        model.compile(opt, loss)
        model.net = TableNet(outputs=2)
    model.compile(opt, loss)
    run = bench.watch(model, opt)
    whole = fault == "whole table at once"
    model.fit(x, y, 6, 399 if whole else 16)
    if outputs == 1:  # she reads both: which side of 0.5 the probability is on
        model.eval()
        with torch.no_grad():
            hit = (model(test_x).sigmoid()[:, 0] > 0.5).long()
        return float((hit == data.test_y).float().mean())
    return evaluate(run, model, test_x, data.test_y)


plant(
    cancer_fit,
    (
        ("columns as measured", "input-scale", f"{DIVERGED} rate-too-high"),
        ("test without the scaler", "split-mismatch", "one-class input-scale"),
        (
            "divided by the largest as well",
            "scaled-twice",
            "input-scale rate-too-low too-few-steps one-class",
        ),
        ("one output and softmax", "loss-mismatch", ""),
        ("argmax in the loss", "loss-detached", "loss-mismatch"),
        ("minus forgotten", "loss-mismatch", "non-finite one-class"),
        ("rate e-7", "rate-too-low", "too-few-steps"),
        ("rate three", "rate-too-high", DIVERGED),
        ("malignant are rare", "classes-unbalanced", "one-class split-mismatch"),
        ("new network after compile", "optimizer-parameters", "one-class"),
        (
            "whole table at once",
            "batch-too-large",
            "too-few-steps batch-norm-unsettled rate-too-low one-class",
        ),
    ),
)


def walks_gru(bench: Any, fault: str = "") -> float:
    """A recurrent network, clipped; batches by a generator function."""
    torch.manual_seed(43)
    data = walks()

    def batches(x: Tensor, y: Tensor, size: int) -> Any:
        order = torch.randperm(len(x))
        for k in range(len(x) // size):
            yield x[order[k * size : (k + 1) * size]], y[order[k * size : (k + 1) * size]]

    def fresh() -> PathGru:
        return PathGru()

    net = fresh()
    if fault == "gate weights of three":
        for name, parameter in net.named_parameters():
            if "weight" in name:
                nn.init.normal_(parameter, 0, 4.0)
    if fault == "recurrence frozen":
        net.gru.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=0.01)
    if fault == "tied to the old one":
        net = fresh()
    run = bench.watch(net, optimizer)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.85 if fault != "decays per batch" else 0.8)
    score = 0.0
    for epoch in range(8):
        if fault == "load_state_dict each epoch":
            if epoch == 0:
                start = {key: value.clone() for key, value in net.state_dict().items()}
            net.load_state_dict(start)
        net.train()
        for x, y in batches(data.x, data.y, 20):
            optimizer.zero_grad()
            scores = net(x)
            error = F.cross_entropy(scores, y)
            error.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            if fault == "zeroed by the model":
                net.zero_grad()
            optimizer.step()
            if fault == "decays per batch":
                decay.step()
        if fault != "decays per batch":
            decay.step()
        score = evaluate(run, net, data.test_x, data.test_y)
        print(epoch, score)
    return score


plant(
    walks_gru,
    (
        ("gate weights of three", "initialisation", "exploding-gradients rate-too-low vanishing-gradients"),
        ("recurrence frozen", "frozen-parameters", "one-class"),
        ("tied to the old one", "optimizer-parameters", ""),
        ("load_state_dict each epoch", "reinitialized", "too-few-steps"),
        ("zeroed by the model", "zero-grad-misplaced", ""),
        ("decays per batch", "scheduler-per-batch", "schedule-ended rate-too-low too-few-steps one-class"),
    ),
)


def spirals_sketch(bench: Any, fault: str = "") -> float:
    """A sketch of twenty lines: `range`, slices, SGD, accuracy at the end."""
    torch.manual_seed(44)
    data = spirals()
    x, y = 2 * data.x, data.y
    sizes = [2, 48, 48, 3]
    act: type[nn.Module] = nn.Tanh
    if fault == "one neuron":
        sizes = [2, 1, 3]
    if fault == "eight sigmoids":
        sizes, act = [2, *[24] * 8, 3], nn.Sigmoid
    net = stack(sizes, act)
    if fault == "weights all equal":
        for p in net.parameters():
            nn.init.constant_(p, 0.1)
    size = 15
    opt = torch.optim.SGD(net.parameters(), lr=1e-5 if fault == "small rate" else 0.1, momentum=0.9)
    run = bench.watch(net, opt)
    for step in range(1 if fault == "one look" else 60):
        if step and fault == "net inside the loop":
            net.load_state_dict(stack(sizes, act).state_dict())
        mixed = torch.randperm(len(x))
        x, y = x[mixed], y[mixed]
        for i in range(0, len(x), size):
            out = net(x[i : i + size])
            loss = F.cross_entropy(out, y[i : i + size])
            if fault == "negative":
                loss = -loss
            loss.backward()
            opt.step()
            opt.zero_grad()
    return evaluate(run, net, 2 * data.test_x, data.test_y)


plant(
    spirals_sketch,
    (
        ("one neuron", "under-fitting", ""),
        ("eight sigmoids", "vanishing-gradients", "initialisation one-class"),
        ("weights all equal", "initialisation", "vanishing-gradients"),
        ("small rate", "rate-too-low", "too-few-steps"),
        ("one look", "too-few-steps", ""),
        ("net inside the loop", "reinitialized", "too-few-steps"),
        ("negative", "loss-mismatch", DIVERGED),
    ),
)


def scents_run(bench: Any, fault: str = "") -> float:
    """Twenty substances; a config, build functions, `run_epoch` for both parts."""
    config = {
        "width": 64,
        "blocks": 2,
        "drop": 0.1,
        "lr": 3e-3,
        "batch": 50,
        "epochs": 7,
        "decay": 1e-3,
    }
    classes = 20
    torch.manual_seed(45)
    data = scents()
    x, y, test_x, test_y = data.x, data.y, data.test_x, data.test_y
    if fault == "head for nineteen":
        classes = 19
    elif fault == "batches of one":
        config.update(batch=1, lr=0.03, epochs=1)
    elif fault == "hundred samples":
        config.update(epochs=40)
        x, y = x[:100], y[:100]
    elif fault == "decay of ten":
        config["decay"] = 100.0
    elif fault == "width one":
        config.update(width=2, blocks=1, drop=0.0)
    elif fault == "twelve substances measured":
        x, y = x[y < 12], y[y < 12]
    elif fault == "test rows among them":
        x, y = torch.cat([x[:150], test_x]), torch.cat([y[:150], test_y])
        config.update(epochs=30, drop=0.0, lr=1e-3)
    elif fault == "percent of percent":
        x, test_x = x / 255 / 255, test_x / 255 / 255
    net = ResMlp(classes, int(config["width"]), int(config["blocks"]), config["drop"])
    optimizer = torch.optim.AdamW(net.parameters(), lr=config["lr"], weight_decay=config["decay"])
    run = bench.watch(net, optimizer)

    def run_epoch(inputs: Tensor, labels: Tensor, train: bool) -> float:
        net.train(train)
        hits = 0
        with torch.set_grad_enabled(train):
            for rows in (torch.randperm if train else torch.arange)(len(inputs)).split(int(config["batch"])):
                logits = net(inputs[rows])
                loss = F.cross_entropy(logits, labels[rows])
                hits += int((logits.argmax(1) == labels[rows]).sum())
                if train:
                    optimizer.zero_grad()
                    loss.backward()
                    if fault == "step in the test branch":
                        continue
                    optimizer.step()
                else:
                    run.evaluate(logits, labels[rows])
        return hits / len(inputs)

    for epoch in range(int(config["epochs"])):
        train_accuracy = run_epoch(x, y, True)
        if (epoch + 1) % max(1, int(config["epochs"]) // 7) == 0:
            test_accuracy = run_epoch(test_x, test_y, False)
            print(epoch, train_accuracy, test_accuracy)
    return test_accuracy


plant(
    scents_run,
    (
        ("head for nineteen", "labels-out-of-range", ""),
        ("batches of one", "batch-too-small", "rate-too-high unstable-training"),
        ("hundred samples", "over-fitting-data", "over-fitting-model over-fitting-augmentation"),
        ("decay of ten", "weight-decay", "one-class"),
        ("width one", "under-fitting", ""),
        ("twelve substances measured", "classes-missing", "split-mismatch classes-unbalanced"),
        ("test rows among them", "leakage", "over-fitting-data"),
        ("percent of percent", "scaled-twice", "input-scale rate-too-low too-few-steps one-class"),
        ("step in the test branch", "optimizer-never-steps", ""),
    ),
)
