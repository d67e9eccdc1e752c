"""Faulty loops of `independent-3` over pictures: a trainer class, a script, and a main() with meters."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent3.data import (
    DIVERGED,
    MEMORIZED,
    blooms,
    digits,
    evaluate,
    glyphs,
    plant,
    shapes,
    top1_accuracy,
)
from benchmarks.watched.independent3.nets import GlyphResNet, PatchTransformer, Plain, ShapeVgg


class Trainer:
    """A class with fit, a batch and a validation, after a blog's template."""

    def __init__(self, bench: Any, fault: str) -> None:
        torch.manual_seed(31)
        self.fault = fault
        self.model: nn.Module = ShapeVgg()
        rate = {"rate ten": 10.0, "rate one in a million": 1e-6}.get(fault, 0.03)
        if fault == "features frozen":
            for parameter in self.model.parameters():
                parameter.requires_grad = False
            self.model.classifier[-1].requires_grad_(True)  # type: ignore[union-attr,index]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)
        if fault == "another network":
            self.model = ShapeVgg()
        if fault == "copy is trained":
            self.model = copy.deepcopy(self.model)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 5, 0.3)
        self.run = bench.watch(self.model, self.optimizer)
        data = shapes()
        labels = data.y
        if fault == "numbered from one":
            labels = labels + 1
        shuffle = fault not in ("same first batch", "sorted folders")
        order = labels.argsort(stable=True) if fault == "sorted folders" else torch.arange(len(labels))
        self.train = DataLoader(TensorDataset(data.x[order], labels[order]), 25, shuffle=shuffle)
        test_labels = (data.test_y + 2) % 5 if fault == "test folders in another order" else data.test_y
        order = test_labels.argsort()
        size = 10 if fault == "no eval" else 50
        self.val = DataLoader(TensorDataset(data.test_x[order], test_labels[order]), size)
        self.done = 0

    def batch(self, images: Tensor, labels: Tensor) -> Tensor:
        """One step."""
        if self.fault not in ("never zeroed", "zeroed before step"):
            self.optimizer.zero_grad()
        outputs = self.model(images)
        if self.fault == "relu at the end":
            outputs = torch.relu(outputs)
        loss = F.cross_entropy(outputs, labels)
        if self.fault == "new tensor of loss":
            loss = torch.tensor(loss.item(), requires_grad=True)
        loss.backward()
        if self.fault == "zeroed before step":
            self.optimizer.zero_grad()
        self.done += 1
        if self.fault != "steps every thousandth" or self.done % 1000 == 0:
            self.optimizer.step()
        if self.fault == "scheduler in the batch":
            self.scheduler.step()
        return loss.detach()

    def validate(self) -> float:
        """Accuracy over the validation loader."""
        if self.fault != "no eval":
            self.model.eval()
        hits = total = 0
        with torch.no_grad():
            for images, labels in self.val:
                outputs = self.model(images)
                self.run.evaluate(outputs, labels)
                hits += int((outputs.argmax(1) == labels).sum())
                total += len(labels)
        return hits / total

    def fit(self, epochs: int) -> float:
        """All epochs; the last accuracy."""
        score = 0.0
        for epoch in range(epochs):
            self.model.train()
            if self.fault == "eval for good":
                self.model.eval()
            if self.fault == "initialized in the loop":
                self.model.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
            losses = []
            for _ in range(len(self.train)):
                if self.fault == "same first batch":
                    losses.append(self.batch(*next(iter(self.train))))
            if not losses:
                losses = [self.batch(images, labels) for images, labels in self.train]
            if self.fault != "scheduler in the batch":
                self.scheduler.step()
            score = self.validate()
            print(epoch, float(torch.stack(losses).mean()), score)
        return score


def shapes_trainer(bench: Any, fault: str = "") -> float:
    """Shapes with the trainer."""
    return Trainer(bench, fault).fit(8)


plant(
    shapes_trainer,
    (
        ("scheduler in the batch", "scheduler-per-batch", "schedule-ended too-few-steps"),
        ("no eval", "evaluation-mode", ""),
        ("eval for good", "training-in-eval-mode", "batch-norm-unsettled one-class"),
        ("zeroed before step", "zero-grad-misplaced", ""),
        ("never zeroed", "zero-grad-missing", f"rate-too-high {DIVERGED}"),
        ("another network", "optimizer-parameters", ""),
        ("copy is trained", "optimizer-parameters", ""),
        ("features frozen", "frozen-parameters", ""),
        ("relu at the end", "output-activation", "dead-relu one-class"),
        ("test folders in another order", "labels-permuted", "split-mismatch"),
        ("new tensor of loss", "loss-detached", ""),
        ("same first batch", "same-batch", MEMORIZED),
        ("sorted folders", "not-shuffled", "unstable-training one-class"),
        ("initialized in the loop", "reinitialized", "too-few-steps"),
        ("steps every thousandth", "optimizer-never-steps", ""),
        ("rate ten", "rate-too-high", DIVERGED),
        ("rate one in a million", "rate-too-low", "too-few-steps"),
        ("numbered from one", "labels-out-of-range", ""),
    ),
)


def digits_vit(bench: Any, fault: str = "") -> float:
    """Warm-up and cosine per batch, clipping, AdamW; everything in one function."""
    torch.manual_seed(32)
    data = digits()
    x, y = data.x, data.y.clone()
    if fault == "labels from another order":
        y = y[torch.randperm(len(y))]
    if fault == "many clicked wrong":
        wrong = torch.rand(len(y)) < 0.65
        y[wrong] = torch.randint(0, 10, (int(wrong.sum()),))
    if fault == "sorted":
        order = y.argsort()
        x, y = x[order], y[order]
    model = PatchTransformer(dropout=0.85 if fault == "dropout everywhere" else 0.0)
    epochs, size = 9, 32
    if fault == "one big batch":
        size = 1348
    if fault == "one epoch":
        epochs = 1
    decay = 30.0 if fault == "decay thirty" else 0.01
    rate = 0.3 if fault == "rate of SGD" else 3e-6 if fault == "rate of fine-tuning" else 3e-3
    params: Any = model.parameters()
    if fault == "head only in optimizer":
        params = model.head.parameters()
    if fault == "frozen like pretrained":
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith("head")
    optimizer = torch.optim.AdamW(params, rate, weight_decay=decay)
    loader = DataLoader(TensorDataset(x, y), size, shuffle=fault != "sorted")
    total, warm = epochs * len(loader), min(40, epochs * len(loader) // 5)
    if fault == "schedule counts epochs":
        total, warm = epochs * 2, 2

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    run = bench.watch(model, optimizer)
    accuracy = 0.0
    for epoch in range(epochs):
        model.train()
        running = 0.0
        for images, labels in loader:
            logits = model(images)
            if fault == "nll of raw scores":
                loss = F.nll_loss(logits, labels)
            elif fault == "mse of class numbers":
                loss = F.mse_loss(logits.mean(1), labels.float())
            elif fault == "loss of predictions":
                hard = F.one_hot(logits.argmax(1), 10).float().requires_grad_()
                loss = F.cross_entropy(hard, labels)
            else:
                loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            if fault == "cleared after clipping":
                optimizer.zero_grad()
            optimizer.step()
            schedule.step()
            running += loss.item()
        accuracy = evaluate(run, model, data.test_x, data.test_y)
        print(f"[{epoch}] {running / len(loader):.3f} {accuracy:.3f}")
    return accuracy


plant(
    digits_vit,
    (
        ("labels from another order", "labels-shuffled", "labels-noisy one-class"),
        ("many clicked wrong", "labels-noisy", ""),
        ("sorted", "not-shuffled", "unstable-training one-class"),
        ("dropout everywhere", "dropout", "under-fitting"),
        ("one big batch", "batch-too-large", "too-few-steps rate-too-low one-class"),
        ("one epoch", "too-few-steps", "rate-too-low"),
        ("decay thirty", "weight-decay", "one-class"),
        ("rate of SGD", "rate-too-high", DIVERGED),
        ("rate of fine-tuning", "rate-too-low", "too-few-steps"),
        ("head only in optimizer", "optimizer-parameters", ""),
        ("frozen like pretrained", "frozen-parameters", ""),
        (
            "schedule counts epochs",
            "schedule-ended",
            "scheduler-per-batch too-few-steps rate-too-low one-class",
        ),
        ("nll of raw scores", "loss-mismatch", DIVERGED),
        ("mse of class numbers", "loss-mismatch", "one-class"),
        ("loss of predictions", "loss-detached", ""),
        ("cleared after clipping", "zero-grad-misplaced", ""),
    ),
)


class AverageMeter:
    """A running mean."""

    def __init__(self) -> None:
        self.sum, self.count = 0.0, 0

    def update(self, value: float, n: int = 1) -> None:
        self.sum, self.count = self.sum + value * n, self.count + n


def _train(loader: Any, model: nn.Module, optimizer: Any, scheduler: Any, fault: str) -> AverageMeter:
    losses = AverageMeter()
    model.train(fault != "train() lost")
    for images, target in loader:
        if fault == "erased and turned":
            images = torch.rot90(images, int(torch.randint(4, (1,))), (2, 3)).clone()
            images[:, :, torch.randperm(14)[:8]] = 0
            images = images + 0.5 * torch.randn_like(images)
        output = model(images)
        if fault == "log of softmax":
            p = (30 * output).softmax(1)
            loss = -(p.gather(1, target[:, None]).log()).mean()
        else:
            loss = F.cross_entropy(output, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler and fault not in ("one-cycle per epoch", "milestones too early"):
            scheduler.step()
        losses.update(loss.item(), len(images))
    return losses


def _validate(loader: Any, model: nn.Module, run: Any) -> AverageMeter:
    top1 = AverageMeter()
    model.eval()
    with torch.no_grad():
        for images, target in loader:
            output = model(images)
            run.evaluate(output, target)
            top1.update(top1_accuracy(output, target), len(images))
    return top1


def glyphs_main(bench: Any, fault: str = "") -> float:
    """train() and validate() after the ImageNet example, one-cycle per batch."""
    torch.manual_seed(33)
    data, epochs = glyphs(), 7
    x, y, test_x = (data.x - 0.3) / 0.25, data.y, (data.test_x - 0.3) / 0.25
    if fault == "validation not normalized":
        test_x = 255 * data.test_x
    if fault == "contrast by batch of one color":
        x = x * 0 + x.mean()
    if fault == "sixty pictures":
        x, y, epochs = x[:60], y[:60], 60
    if fault == "mostly mislabeled":
        hit = torch.rand(len(y)) < 0.75
        y = torch.where(hit, torch.randint(0, 12, y.shape), y)
    if fault == "eight classes collected":
        x, y = x[y < 8], y[y < 8]
    if fault == "pixels by their deviation":  # a border that is black on every picture deviates by 0
        x = data.x.clone()
        x[:, :, 0] = 0
        x = (x - x.mean(0)) / x.std(0)
    model = GlyphResNet()
    for module in model.modules():
        if fault == "norms at a thousandth" and isinstance(module, nn.BatchNorm2d):
            module.momentum = 5e-4
        if fault == "all weights zero" and isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.zeros_(module.weight)
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True, drop_last=True)
    val_loader = DataLoader(TensorDataset(test_x, data.test_y), 100)
    decay = 0.5 if fault == "decay one half" else 1e-4
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=decay)
    scheduler: Any = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs * len(loader))
    if fault == "one-cycle per epoch":
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 3000, pct_start=0.9, div_factor=1e4)
    if fault == "milestones too early":
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["initial_lr"] = 0.02
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2, 3], 0.02)
    if fault == "momentum without end":
        scheduler = None
        for group in optimizer.param_groups:
            group["lr"], group["momentum"] = 1.0, 0.97
    run = bench.watch(model, optimizer)
    score = 0.0
    for epoch in range(epochs):
        losses = _train(loader, model, optimizer, scheduler, fault)
        if scheduler and fault in ("one-cycle per epoch", "milestones too early"):
            scheduler.step()
        if fault != "sixty pictures" or epoch % 10 == 9:
            meter = _validate(val_loader, model, run)
            score = meter.sum / meter.count
            print(f"{epoch} loss {losses.sum / losses.count:.3f} top1 {score:.3f}")
    return score


plant(
    glyphs_main,
    (
        ("one-cycle per epoch", "rate-too-low", "too-few-steps batch-norm-unsettled"),
        ("milestones too early", "schedule-ended", "rate-too-low too-few-steps"),
        ("momentum without end", "rate-too-high", DIVERGED),
        ("decay one half", "weight-decay", "one-class"),
        ("norms at a thousandth", "batch-norm-unsettled", "one-class"),
        ("all weights zero", "initialisation", "one-class vanishing-gradients"),
        ("erased and turned", "augmentation-too-strong", "under-fitting one-class split-mismatch"),
        ("log of softmax", "non-finite", "loss-mismatch one-class"),
        ("pixels by their deviation", "non-finite", "constant-input input-scale one-class"),
        ("validation not normalized", "split-mismatch", "one-class input-scale"),
        ("contrast by batch of one color", "constant-input", "one-class"),
        ("train() lost", "training-in-eval-mode", "batch-norm-unsettled one-class"),
        ("sixty pictures", "over-fitting-data", "over-fitting-augmentation over-fitting-model"),
        ("mostly mislabeled", "labels-noisy", ""),
        ("eight classes collected", "classes-missing", "split-mismatch classes-unbalanced"),
    ),
)


def blooms_plain(bench: Any, fault: str = "") -> float:
    """No normalization layers, batches cut from a permutation, plain SGD, evaluation at the end."""
    torch.manual_seed(34)
    data = blooms()
    x, y, test_x = data.x, data.y, data.test_x
    if fault == "bytes as they are":
        x, test_x = 1000 * (x + 3), 1000 * (test_x + 3)
    if fault == "to a byte and again":
        x, test_x = x / 255 / 255, test_x / 255 / 255
    net = Plain()
    if fault == "biases below zero":
        for layer in (net.c1, net.c2, net.f1):
            nn.init.constant_(layer.bias, -6.0)
    if fault == "normal of deviation one":
        for layer in (net.c1, net.c2, net.f1, net.f2):
            nn.init.normal_(layer.weight, 0, 1.0)
    if fault == "weights of a thousandth":
        for layer in (net.c1, net.c2, net.f1, net.f2):
            nn.init.normal_(layer.weight, 0, 1e-3)
            nn.init.zeros_(layer.bias)
    lr = 0.6 if fault == "rate just too high" else 0.03
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    run = bench.watch(net, opt)
    together = 8 if fault in ("eight sums", "eight means") else 1
    for _epoch in range(10):
        opt.zero_grad()
        for n, chosen in enumerate(torch.randperm(len(x)).split(32 if together == 1 else 4)):
            scores = net(x[chosen])
            if fault == "probabilities to cross-entropy":
                scores = F.softmax(scores, dim=1)
            loss = F.cross_entropy(scores, y[chosen])
            (loss / together if fault == "eight means" else loss).backward()
            if (n + 1) % together == 0:
                opt.step()
                if fault != "gradients pile up":
                    opt.zero_grad()
    return evaluate(run, net, test_x, data.test_y)


plant(
    blooms_plain,
    (
        ("bytes as they are", "input-scale", f"{DIVERGED} rate-too-high"),
        ("biases below zero", "dead-relu", "initialisation one-class vanishing-gradients"),
        ("normal of deviation one", "initialisation", f"{DIVERGED} rate-too-high"),
        ("weights of a thousandth", "initialisation", "vanishing-gradients one-class rate-too-low"),
        ("to a byte and again", "scaled-twice", "input-scale rate-too-low too-few-steps one-class"),
        ("probabilities to cross-entropy", "output-activation", ""),
        ("rate just too high", "rate-too-high", DIVERGED),
        ("eight sums", "gradient-accumulation-scale", f"rate-too-high {DIVERGED}"),
        ("gradients pile up", "zero-grad-missing", f"rate-too-high {DIVERGED}"),
    ),
)
