"""Faulty loops by an author who had not read the rules: six scripts, each right but for one fault.

The author knew the causes' names, what `cnnviz diagnose --causes` says of each, and the page "Your own work".
Each fault does harm: `python -m benchmarks.watched.independent.harm` prints its accuracy without cnnviz
beside that of the script without it. Left out, since accuracy was not lower: softmax before cross-entropy
and division by 255 twice (separable network), tanh on the logits (ConvNeXt), NLL of probabilities
(transformer, VGG), training in evaluation mode (VGG with dropout, U-Net). `allowed` was stated before
anything was scored. Loops without a fault are in `correct` and `steps`.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent.nets import (
    FABRICS,
    GLYPHS,
    MOTIFS,
    OUTLINES,
    SLOPES,
    ConvNext,
    Data,
    Mixer,
    MobileGlyphs,
    TinyVGG,
    TokenTransformer,
    UNetClassifier,
    add,
    right,
)


def glyphs(bench: Any, fault: str = "") -> float:
    """One long script: DataLoader, SGD with momentum, a criterion module, StepLR, a test pass each epoch."""
    torch.manual_seed(11)
    x, y, test_x, test_y = GLYPHS.x, GLYPHS.y, GLYPHS.test_x, GLYPHS.test_y
    if fault == "sorted folders":
        order = y.argsort(stable=True)
        x, y = x[order], y[order]
    if fault == "other class order":
        test_y = torch.tensor([0, 1, 5, 6, 7, 2, 3, 4])[test_y]
    if fault == "seven labels of ten":
        guess = torch.rand(len(y)) < 0.7
        y = torch.where(guess, torch.randint(0, 8, y.shape), y)
    if fault == "images sorted, labels not":
        x = x[x.mean((1, 2, 3)).argsort()]
    if fault == "two classes":
        kept = (y < 2) | (torch.rand(len(y)) < 0.05)
        x, y = x[kept].repeat(3, 1, 1, 1), y[kept].repeat(3)
    if fault == "test left as bytes":
        test_x = test_x * 255
    model = MobileGlyphs(7 if fault == "seven outputs" else 8)
    criterion = nn.CrossEntropyLoss()
    rate = {"rate": 8.0, "small rate": 2e-6}.get(fault, 0.05)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    scheduler = lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=fault != "sorted folders")
    test_loader = DataLoader(TensorDataset(test_x, test_y), batch_size=8 if fault == "no eval" else 100)
    if fault == "no eval":  # and the test folder is walked class by class
        order = test_y.argsort(stable=True)
        test_loader = DataLoader(TensorDataset(test_x[order], test_y[order]), batch_size=8)
    run = bench.watch(model, optimizer, name="glyphs")
    accuracy = 0.0
    if fault == "eval above the loop":
        model.eval()
    for epoch in range(5):
        if fault not in ("eval above the loop", "train above the loop"):
            model.train()
        running_loss = 0.0
        for i, (inputs, labels) in enumerate(loader):
            if fault != "no zero_grad":
                optimizer.zero_grad()
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            if fault == "scheduler inside":
                scheduler.step()
            if i == 1 and fault == "two batches":
                break
        if fault != "scheduler inside":
            scheduler.step()
        if fault != "no eval":
            model.eval()
        hits = total = 0
        with torch.no_grad():
            for inputs, labels in test_loader:
                outputs = model(inputs)
                run.evaluate(outputs, labels)
                hits += int((outputs.argmax(1) == labels).sum())
                total += len(labels)
        accuracy = hits / total
        print(f"[{epoch + 1}] loss {running_loss / len(loader):.3f} test {accuracy:.3f}")
    run.finish()
    return accuracy


class FabricTrainer:
    """A Trainer of one's own: fit and validate, Adam, cosine schedule by epoch, early stopping."""

    def __init__(self, bench: Any, data: Data = FABRICS, fault: str = "") -> None:
        torch.manual_seed(12)
        self.fault, self.data = fault, data
        self.model = TinyVGG(data.classes, drop=0.97 if fault == "dropout" else 0.4)
        rates = {"rate": 0.3, "small rate": 3e-7}
        decay = 0.3 if fault == "decay" else 0.0
        if fault == "sunk biases":
            for module in self.model.features:
                if isinstance(module, nn.Conv2d):
                    nn.init.constant_(module.bias, -4.0)
        if fault == "zeros":
            for parameter in self.model.parameters():
                nn.init.zeros_(parameter)
        if fault == "frozen":
            for parameter in self.model.features.parameters():
                parameter.requires_grad = False
            for parameter in self.model.classifier[1].parameters():
                parameter.requires_grad = False
        if fault == "sigmoids":
            self.model.features = nn.Sequential(
                *(nn.Sigmoid() if isinstance(m, nn.ReLU) else m for m in self.model.features),
                *(m for _ in range(3) for m in (nn.Conv2d(24, 24, 3, padding=1), nn.Sigmoid())),
            )
        self.optimizer: Any = torch.optim.Adam(
            self.model.parameters(), lr=rates.get(fault, 2e-3), weight_decay=decay
        )
        if fault == "features exchanged":
            self.model.features = copy.deepcopy(self.model.features)
        if fault == "other instance":
            self.optimizer = torch.optim.Adam(TinyVGG(data.classes).parameters(), lr=2e-3)
        self.epochs = 60 if fault == "few images" else 7
        self.schedule = lr_scheduler.CosineAnnealingLR(self.optimizer, self.epochs)
        self.run = bench.watch(self.model, self.optimizer, name="fabrics")
        self.best, self.patience = 0.0, 30

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        x, y = self.data.x, self.data.y
        if self.fault == "few images":
            x, y = x[:48], y[:48]
        if self.fault == "divided again":
            x = x / 255
        for chosen in torch.randperm(len(x)).split(16 if self.fault == "few images" else 32):
            yield x[chosen], y[chosen]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.fault == "detached":
            return F.cross_entropy(torch.tensor(logits.tolist(), requires_grad=True), labels)
        if self.fault == "rectified":
            logits = F.relu(logits)
        return F.cross_entropy(logits.softmax(1) if self.fault == "softmax" else logits, labels)

    def validate(self) -> float:
        if self.fault != "validates in training mode":
            self.model.eval()
        x = self.data.test_x / 255 if self.fault == "divided again" else self.data.test_x
        with torch.no_grad():
            logits = self.model(x)
            self.run.evaluate(logits, self.data.test_y, part="validation")
        return right(logits, self.data.test_y)

    def fit(self) -> float:
        score = 0.0
        for epoch in range(self.epochs):
            self.model.train()
            if self.fault == "weights drawn each epoch":
                self.model.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
            for images, labels in self.batches():
                self.optimizer.zero_grad(set_to_none=True)
                loss = self.loss(self.model(images), labels)
                loss.backward()
                self.optimizer.step()
            self.schedule.step()
            score = self.validate()
            print(f"epoch {epoch} validation {score:.3f}")
            if score > self.best:
                self.best, self.patience = score, 30
            else:
                self.patience -= 1
            if self.patience == 0:
                break
        return score


def fabrics(bench: Any, fault: str = "") -> float:
    """The Trainer, used."""
    return FabricTrainer(bench, fault=fault).fit()


def motifs(bench: Any, fault: str = "") -> float:
    """A step counter and `itertools.cycle`, AdamW, warm-up, log_softmax and NLL, one test at the end."""
    torch.manual_seed(13)
    model = TokenTransformer(5)
    rate = {"rate": 0.4, "small rate": 1e-7}.get(fault, 2e-3)
    opt: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    warm = lr_scheduler.LambdaLR(opt, lambda step: min(1.0, (step + 1) / 20))
    shift = 1 if fault == "labels from one" else 0
    parts = list(zip(MOTIFS.x.split(30), MOTIFS.y.split(30), strict=True))
    run = bench.watch(model, opt, name="motifs", steps_per_epoch=len(parts))
    model.train()
    stream = itertools.cycle(parts)
    for step in range(170):
        tokens, target = next(iter(parts)) if fault == "first batch" else next(stream)
        scores = model(tokens)
        if fault == "raw scores":
            loss = F.nll_loss(scores, target)
        elif fault == "detached":
            with torch.no_grad():
                scores = model(tokens)
            loss = F.nll_loss(F.log_softmax(scores, -1).requires_grad_(), target)
        else:
            loss = F.nll_loss(F.log_softmax(scores, dim=-1), target + shift)
        if fault != "cleared late":
            opt.zero_grad()
        loss.backward()
        if fault == "cleared late":
            opt.zero_grad()
        if fault != "schedule only":
            opt.step()
        warm.step()
        if step % 50 == 0:
            print(step, loss.item())
    model.eval()
    with torch.inference_mode():
        scores = model(MOTIFS.test_x)
        run.evaluate(scores, MOTIFS.test_y)
    return right(scores, MOTIFS.test_y)


def outline_batches(size: int, by_class: bool = False) -> Iterator[dict[str, Tensor]]:
    """Generator of dictionaries."""
    order = OUTLINES.y.argsort(stable=True) if by_class else torch.randperm(len(OUTLINES.y))
    for start in range(0, len(order), size):
        index = order[start : start + size]
        yield {"image": OUTLINES.x[index], "label": OUTLINES.y[index]}


def outlines(bench: Any, fault: str = "") -> float:
    """Accumulated micro-batches, Nesterov momentum, OneCycle by step, metrics kept in a dictionary."""
    torch.manual_seed(14)
    net = ConvNext(OUTLINES.classes, plain_list=fault == "plain list")
    if fault == "huge weights":
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=4.0)
    if fault == "all zeros":
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
    epochs, micro, every = 4, 16, 2
    if fault.startswith("twelve"):
        micro, every = 8, 12
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    total = epochs * (-(-len(OUTLINES.y) // micro) // every) + epochs
    cycle = lr_scheduler.OneCycleLR(sgd, max_lr=0.12, total_steps=total + 1, pct_start=0.2)
    first = copy.deepcopy(net.state_dict())
    bench.watch(net, sgd, name="outlines")
    history: dict[str, list[float]] = {"accuracy": []}
    for _ in range(epochs):
        net.train()
        if fault == "checkpoint loaded":
            net.load_state_dict(first)
        if fault == "cleared once an epoch":
            sgd.zero_grad()
        for number, batch in enumerate(outline_batches(micro, fault == "by class"), start=1):
            loss = F.cross_entropy(net(batch["image"]), batch["label"])
            (loss if fault == "twelve, added up" else loss / every).backward()
            if number % every == 0 and not (fault == "never full" and number < 1000):
                sgd.step()
                cycle.step()
                if fault != "cleared once an epoch":
                    sgd.zero_grad()
        net.eval()
        with torch.no_grad():
            logits = net(OUTLINES.test_x)
            if fault == "alphabetical test":
                named = torch.tensor([4, 2, 3, 0, 1])[OUTLINES.test_y]
            else:
                named = OUTLINES.test_y
            F.cross_entropy(logits, named)
            history["accuracy"].append(right(logits, named))
    return history["accuracy"][-1]


def slopes(bench: Any, fault: str = "") -> float:
    """Binary cross-entropy of one-hot labels, RMSprop, exponential schedule, a function for each part."""
    torch.manual_seed(15)
    unet = UNetClassifier(SLOPES.classes)
    if fault == "one score, labels spread":
        return slopes_up_or_down(bench, squeezed=False)
    if fault == "frozen":
        unet.requires_grad_(False)
        unet.last.bias.requires_grad_(True)
    if fault == "copied":
        rms = torch.optim.RMSprop(unet.parameters(), lr=1e-3)
        unet = copy.deepcopy(unet)
    else:
        rms = torch.optim.RMSprop([p for p in unet.parameters() if p.requires_grad], lr=1e-3)
    decay = lr_scheduler.ExponentialLR(rms, gamma=0.7)
    run = bench.watch(unet, rms, name="slopes")

    def loss_of(scores: Tensor, labels: Tensor) -> Tensor:
        wanted = F.one_hot(labels, SLOPES.classes).float()
        if fault == "sigmoid twice":
            return F.binary_cross_entropy_with_logits(torch.sigmoid(scores), wanted)
        return F.binary_cross_entropy_with_logits(scores, wanted)

    def train_one_epoch() -> None:
        unet.train()
        for pick in torch.randperm(len(SLOPES.y)).split(25):
            loss = loss_of(unet(SLOPES.x[pick]), SLOPES.y[pick])
            loss.backward()
            rms.step()
            rms.zero_grad()
            if fault == "decay per step":
                decay.step()

    def test() -> float:
        unet.eval()
        with torch.no_grad():
            scores = unet(SLOPES.test_x)
        run.evaluate(scores, SLOPES.test_y)
        return right(scores, SLOPES.test_y)

    score = test()
    for _ in range(4):
        train_one_epoch()
        score = test()
        if fault != "decay per step":
            decay.step()
    return score


def slopes_up_or_down(bench: Any, squeezed: bool = True) -> float:
    """One output with MSE for two classes: labels `(N,)` against scores `(N, 1)` unless squeezed."""
    torch.manual_seed(16)
    unet, up = UNetClassifier(1), (SLOPES.y < 3).float()
    adam = torch.optim.Adam(unet.parameters(), 1e-3)
    bench.watch(unet, adam, name="up or down")
    mse = nn.MSELoss()
    for _ in range(4):
        unet.train()
        for pick in torch.randperm(len(up)).split(25):
            adam.zero_grad()
            scores = unet(SLOPES.x[pick])
            mse(scores.squeeze(1) if squeezed else scores, up[pick]).backward()
            adam.step()
    unet.eval()
    with torch.no_grad():
        return float(((unet(SLOPES.test_x)[:, 0] > 0.5) == (SLOPES.test_y < 3)).float().mean())


def mixed(bench: Any, fault: str = "") -> float:
    """`train(model, loader, …)` and `evaluate(…)`, SGD, MultiStepLR, losses as modules."""
    torch.manual_seed(17)
    train_set, test_set = TensorDataset(FABRICS.x, FABRICS.y), TensorDataset(FABRICS.test_x, FABRICS.test_y)
    train_loader = DataLoader(train_set, 40, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, 200)
    model: nn.Module = Mixer(6)
    held = next(iter(train_loader))
    if fault == "sigmoid":
        model = nn.Sequential(model, nn.Sigmoid())
    if fault == "wide weights":
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=3.0)
    rate = {"rate": 20.0, "small rate": 3e-6}.get(fault, 0.1)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
    scheduler = lr_scheduler.MultiStepLR(optimizer, [3], 0.1)
    if fault == "milestones in batches":
        scheduler = lr_scheduler.MultiStepLR(optimizer, [2, 4, 6], 0.1)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer, name="mixer", steps_per_epoch=len(train_loader))
    scale = {"never standardized": 500.0, "divided by 255": 1 / 255}.get(fault, 1.0)
    offset = 900.0 if fault == "never standardized" else 0.0

    def add_up(data: Tensor, target: Tensor) -> None:
        optimizer.zero_grad()
        parts = list(zip(data.split(2), target.split(2), strict=True))
        for few, of_few in parts:
            value = criterion(model(few), of_few)
            (value if fault == "twenty, added up" else value / len(parts)).backward()
        optimizer.step()

    def train() -> None:
        model.train()
        for count, (data, target) in enumerate(train_loader):
            if fault == "held batch":
                data, target = held
            if fault.startswith("twenty"):  # images are read two at a time, as for a small memory
                add_up(data, target)
                continue
            loss = criterion(model(data * scale + offset), target)
            if fault != "gradients added up":
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if fault == "milestones in batches":
                scheduler.step()
            if fault == "three batches" and count == 2:
                break

    def evaluate() -> float:
        model.eval()
        hits = 0
        with torch.no_grad():
            for data, target in test_loader:
                output = model(data * scale + offset)
                criterion(output, target)
                hits += int((output.argmax(1) == target).sum())
        return hits / len(test_set)

    score = 0.0
    for epoch in range(1, 6 if fault != "three batches" else 4):
        train()
        score = evaluate()
        print(f"Epoch {epoch}: {100 * score:.1f}%")
        if fault != "milestones in batches":
            scheduler.step()
    run.finish()
    return score


BOUNDS = "output-activation"
MEMORIZED = "over-fitting-augmentation over-fitting-model"
RATE = "rate-too-high"
FAULTS: tuple[tuple[Any, str, str, str, str], ...] = (
    (glyphs, "glyphs-no-zero-grad", "no zero_grad", "zero-grad-missing", ""),
    (glyphs, "glyphs-sorted-folders", "sorted folders", "not-shuffled", ""),
    (glyphs, "glyphs-tested-without-eval", "no eval", "evaluation-mode", ""),
    (glyphs, "glyphs-class-order", "other class order", "labels-permuted", ""),
    (glyphs, "glyphs-seven-outputs", "seven outputs", "labels-out-of-range", ""),
    (glyphs, "glyphs-scheduler-inside", "scheduler inside", "scheduler-per-batch", ""),
    (glyphs, "glyphs-rate-eight", "rate", RATE, "unstable-training"),
    (glyphs, "glyphs-rate-tiny", "small rate", "rate-too-low", ""),
    (glyphs, "glyphs-labels-guessed", "seven labels of ten", "labels-noisy", "over-fitting-data"),
    (glyphs, "glyphs-images-sorted-alone", "images sorted, labels not", "labels-shuffled", ""),
    (
        glyphs,
        "glyphs-two-classes-dominate",
        "two classes",
        "classes-unbalanced",
        "over-fitting-data",
    ),
    (glyphs, "glyphs-test-in-bytes", "test left as bytes", "split-mismatch", ""),
    (fabrics, "fabrics-dropout", "dropout", "dropout", ""),
    (fabrics, "fabrics-weight-decay", "decay", "weight-decay", ""),
    (fabrics, "fabrics-rate", "rate", RATE, "dead-relu unstable-training"),
    (fabrics, "fabrics-rate-tiny", "small rate", "rate-too-low", ""),
    (fabrics, "fabrics-biases-sunk", "sunk biases", "dead-relu", "initialisation"),
    (fabrics, "fabrics-all-zeros", "zeros", "initialisation", "dead-relu"),
    (fabrics, "fabrics-frozen-at-random", "frozen", "frozen-parameters", ""),
    (fabrics, "fabrics-deep-sigmoids", "sigmoids", "vanishing-gradients", "initialisation"),
    (fabrics, "fabrics-features-exchanged", "features exchanged", "optimizer-parameters", ""),
    (fabrics, "fabrics-other-instance", "other instance", "optimizer-parameters", ""),
    (
        fabrics,
        "fabrics-few-images",
        "few images",
        "over-fitting-data",
        "over-fitting-augmentation over-fitting-model",
    ),
    (fabrics, "fabrics-divided-again", "divided again", "scaled-twice", "input-scale"),
    (fabrics, "fabrics-loss-of-lists", "detached", "loss-detached", ""),
    (fabrics, "fabrics-validated-in-training-mode", "validates in training mode", "evaluation-mode", ""),
    (fabrics, "fabrics-softmax", "softmax", BOUNDS, ""),
    (fabrics, "fabrics-rectified", "rectified", BOUNDS, "dead-relu"),
    (glyphs, "glyphs-train-above-the-loop", "train above the loop", "training-in-eval-mode", ""),
    (glyphs, "glyphs-eval-above-the-loop", "eval above the loop", "training-in-eval-mode", ""),
    (mixed, "mixer-twenty-added-up", "twenty, added up", "gradient-accumulation-scale", RATE),
    (mixed, "mixer-held-batch", "held batch", "same-batch", "over-fitting-data"),
    (mixed, "mixer-divided-by-255", "divided by 255", "scaled-twice", "input-scale"),
    (fabrics, "fabrics-drawn-each-epoch", "weights drawn each epoch", "reinitialized", ""),
    (motifs, "motifs-rate", "rate", RATE, "unstable-training"),
    (motifs, "motifs-rate-tiny", "small rate", "rate-too-low", ""),
    (motifs, "motifs-labels-from-one", "labels from one", "labels-out-of-range", ""),
    (motifs, "motifs-first-batch", "first batch", "same-batch", "over-fitting-data"),
    (motifs, "motifs-raw-scores", "raw scores", "loss-mismatch", ""),
    (motifs, "motifs-no-grad", "detached", "loss-detached", ""),
    (motifs, "motifs-cleared-late", "cleared late", "zero-grad-misplaced", ""),
    (motifs, "motifs-schedule-only", "schedule only", "optimizer-never-steps", ""),
    (outlines, "outlines-plain-list", "plain list", "optimizer-parameters", ""),
    (outlines, "outlines-huge-weights", "huge weights", "initialisation", "exploding-gradients"),
    (outlines, "outlines-all-zeros", "all zeros", "initialisation", ""),
    (outlines, "outlines-twelve-added-up", "twelve, added up", "gradient-accumulation-scale", RATE),
    (outlines, "outlines-checkpoint-loaded", "checkpoint loaded", "reinitialized", ""),
    (outlines, "outlines-cleared-once-an-epoch", "cleared once an epoch", "zero-grad-missing", ""),
    (outlines, "outlines-by-class", "by class", "not-shuffled", ""),
    (outlines, "outlines-accumulation-never-full", "never full", "optimizer-never-steps", ""),
    (outlines, "outlines-alphabetical-test", "alphabetical test", "labels-permuted", ""),
    (slopes, "slopes-labels-spread", "one score, labels spread", "loss-mismatch", ""),
    (slopes, "slopes-frozen", "frozen", "frozen-parameters", ""),
    (slopes, "slopes-copied", "copied", "optimizer-parameters", ""),
    (slopes, "slopes-sigmoid-twice", "sigmoid twice", "loss-mismatch", BOUNDS),
    (slopes, "slopes-decay-per-step", "decay per step", "scheduler-per-batch", ""),
    (mixed, "mixer-sigmoid", "sigmoid", BOUNDS, ""),
    (mixed, "mixer-wide-weights", "wide weights", "initialisation", "exploding-gradients"),
    (mixed, "mixer-rate", "rate", RATE, "unstable-training"),
    (mixed, "mixer-rate-tiny", "small rate", "rate-too-low", ""),
    (mixed, "mixer-milestones-in-batches", "milestones in batches", "scheduler-per-batch", ""),
    (mixed, "mixer-never-standardized", "never standardized", "input-scale", ""),
    (mixed, "mixer-gradients-added-up", "gradients added up", "zero-grad-missing", ""),
    (mixed, "mixer-nine-steps", "three batches", "too-few-steps", ""),
)
TWINS: dict[str, Any] = {
    "slopes-labels-spread": slopes_up_or_down,
    "outlines-twelve-added-up": partial(outlines, fault="twelve, divided"),
    "mixer-twenty-added-up": partial(mixed, fault="twenty, divided"),
}
for author, name, fault, cause, allowed in FAULTS:
    same = TWINS.get(name, author)
    add(name, cause, partial(author, fault=fault), twin=same, allowed=allowed)
for script in (glyphs, fabrics, motifs, outlines, slopes, mixed):
    add(f"{script.__name__}-without-a-fault", None, script)
for name, twin in TWINS.items():
    add(f"{name}-mended", None, twin)
