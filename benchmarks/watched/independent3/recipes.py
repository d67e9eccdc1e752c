"""Faulty loops of `independent-3` in what is fed: transforms, few pictures, paths, a module with hooks."""

# The last epoch's figure is read after the loop, as scripts do.
# mypy: disable-error-code="possibly-undefined"

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.utils.data import DataLoader, Dataset

from benchmarks.watched.independent3.data import (
    DIVERGED,
    MEMORIZED,
    blooms,
    digits,
    evaluate,
    glyphs,
    plant,
    top1_accuracy,
    walks,
    weaves,
)
from benchmarks.watched.independent3.nets import (
    Elman,
    GlyphResNet,
    Mobile,
    PatchMixer,
    Plain,
    ShapeVgg,
    stack,
)


class Cloth(Dataset[tuple[Tensor, Tensor]]):
    """Pictures with a list of transforms."""

    def __init__(self, x: Tensor, y: Tensor, transforms: Any = ()) -> None:
        self.x, self.y, self.transforms = x, y, transforms

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image = self.x[row]
        for transform in self.transforms:
            image = transform(image)
        return image, self.y[row]


def jitter(image: Tensor) -> Tensor:
    """A little brighter or darker."""
    return image + 0.05 * torch.randn(())


def any_turn_and_color(image: Tensor) -> Tensor:
    """Quarter and eighth turns and exchanged colors: what tells the classes apart."""
    image = torch.rot90(image, int(torch.randint(4, ())), (1, 2))
    return image[torch.randperm(3)]


def to_gray(image: Tensor) -> Tensor:
    """One channel for all three."""
    return image.mean(0, keepdim=True).expand(3, -1, -1)


def from_thumbnail(image: Tensor) -> Tensor:
    """Five pixels wide, enlarged to twenty."""
    small = F.interpolate(image[None], size=5, mode="area")
    return F.interpolate(small, size=20, mode="bilinear")[0]


def weaves_transforms(bench: Any, fault: str = "") -> float:
    """Cloth through datasets with transforms and loaders."""
    torch.manual_seed(81)
    d = weaves()
    x, y, test_x, test_y = d.x, d.y, d.test_x, d.test_y
    both = {"gray before all": [to_gray], "thumbnails enlarged": [from_thumbnail]}.get(fault, [])
    strong = [any_turn_and_color] if fault == "turned and recolored" else []
    size, epochs = 900 if fault == "nine hundred at once" else 30, 5
    if fault == "red cloth not collected":
        x, y = x[y < 5], y[y < 5]
    elif fault == "shuffled names":
        y = y[torch.randperm(len(y))]
    net = Mobile(drop=0.97 if fault == "drop ninety-seven" else 0.1)
    if fault == "one channel wide":
        net = Mobile(width=1)
    if fault == "weights by count":
        keep = (y == 3) | (torch.arange(len(y)) % 6 == 0)
        x, y = x[keep], y[keep]
        weight = y.bincount().float() ** 2
        weight = weight / weight.mean()
    else:
        weight = torch.ones(8)
    criterion = nn.CrossEntropyLoss(weight)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    train_loader = DataLoader(Cloth(x, y, [*both, jitter, *strong]), size, shuffle=True, drop_last=True)
    test_loader = DataLoader(Cloth(test_x, test_y, both), 100)
    run = bench.watch(net, optimizer)
    for epoch in range(epochs):
        net.train(fault != "in eval all along")
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
        net.eval()
        correct = 0
        with torch.no_grad():
            for images, labels in test_loader:
                outputs = net(images)
                run.evaluate(outputs, labels)
                correct += int((outputs.argmax(1) == labels).sum())
        print(f"Epoch {epoch + 1}: {correct / len(test_x):.3f}")
    return correct / len(test_x)


plant(
    weaves_transforms,
    (
        ("gray before all", "data-channels", "under-fitting"),
        ("thumbnails enlarged", "data-enlarged", "under-fitting"),
        ("turned and recolored", "augmentation-too-strong", "under-fitting split-mismatch"),
        ("nine hundred at once", "batch-too-large", "too-few-steps batch-norm-unsettled one-class"),
        ("red cloth not collected", "classes-missing", "split-mismatch classes-unbalanced"),
        ("shuffled names", "labels-shuffled", "labels-noisy"),
        ("drop ninety-seven", "dropout", "under-fitting"),
        ("one channel wide", "under-fitting", ""),
        ("in eval all along", "training-in-eval-mode", "batch-norm-unsettled"),
        ("weights by count", "classes-unbalanced", "one-class split-mismatch"),
    ),
)


def few_blooms(bench: Any, fault: str = "") -> float:
    """A hundred and fifty flowers, turned and mirrored, sixty epochs."""
    torch.manual_seed(82)
    d = blooms()
    count = 30 if fault == "thirty flowers" else 150
    x, y = d.x[:count], d.y[:count]
    if fault == "tested flowers among thirty":
        x, y = torch.cat([x[:30], d.test_x]), torch.cat([y[:30], d.test_y])
    net = Plain()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    run = bench.watch(net, opt)
    for epoch in range(50):
        for rows in torch.randperm(len(x)).split(25):
            images = x[rows]
            if fault != "never turned":
                images = torch.rot90(images, int(torch.randint(4, ())), (2, 3))
                images = images.flip(3) if torch.rand(()) < 0.5 else images
                images = images.roll((int(torch.randint(-1, 2, ())), int(torch.randint(-1, 2, ()))), (2, 3))
            opt.zero_grad()
            F.cross_entropy(net(images), y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
        if epoch % 5 == 4:
            score = evaluate(run, net, d.test_x, d.test_y)
    return score


plant(
    few_blooms,
    (
        ("thirty flowers", "over-fitting-data", MEMORIZED),
        ("tested flowers among thirty", "leakage", ""),
        ("never turned", "over-fitting-augmentation", MEMORIZED),
    ),
)


def glyphs_by_stride(bench: Any, fault: str = "") -> float:
    """Signs in twelve epochs of Adam, batches by stride, one report at the end of each epoch."""
    torch.manual_seed(86)
    d = glyphs()
    x, y = d.x, d.y
    net: nn.Module = ShapeVgg(12, 1, 8, 14)
    if fault == "two million weights":
        net = nn.Sequential(nn.Flatten(), *stack([196, 1024, 1024, 512, 12], nn.ReLU))
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    run = bench.watch(net, opt)
    for _ in range(12):
        net.train()
        for k in torch.randperm(40).tolist():
            opt.zero_grad()
            F.cross_entropy(net(x[k::40]), y[k::40]).backward()  # type: ignore[no-untyped-call]
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


plant(glyphs_by_stride, (("two million weights", "over-fitting-model", MEMORIZED),))


def elman_paths(bench: Any, fault: str = "") -> float:
    """Rectified recurrence on standardized paths, its gradients clipped."""
    torch.manual_seed(83)
    d, net = walks(), Elman()
    if fault == "begins above one":
        nn.init.eye_(net.again.weight).data.mul_(1.8)
    if fault == "begins near zero":
        for p in net.parameters():
            nn.init.normal_(p, 0, 1e-3)
    opt = torch.optim.SGD(net.parameters(), 0.02 if fault != "rate e-6" else 1e-6, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(14):
        for rows in torch.randperm(len(d.x)).split(20):
            opt.zero_grad()
            scores = net(d.x[rows])
            if fault == "sigmoid and softmax":
                scores = scores.sigmoid().softmax(1)
            F.cross_entropy(scores, d.y[rows]).backward()  # type: ignore[no-untyped-call]
            if fault != "not clipped":
                nn.utils.clip_grad_norm_(net.parameters(), 1e-5 if fault == "clipped to nothing" else 1.0)
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


plant(
    elman_paths,
    (
        ("not clipped", "exploding-gradients", f"rate-too-high {DIVERGED}"),
        ("begins above one", "initialisation", f"rate-too-high {DIVERGED}"),
        ("begins near zero", "initialisation", "vanishing-gradients one-class rate-too-low"),
        ("sigmoid and softmax", "output-activation", "one-class"),
        ("clipped to nothing", "rate-too-low", "vanishing-gradients too-few-steps"),
    ),
)


def glyphs_constant_rate(bench: Any, fault: str = "") -> float:
    """Cosine to zero over eight epochs, or not."""
    torch.manual_seed(84)
    d, net = glyphs(), GlyphResNet()
    opt = torch.optim.SGD(net.parameters(), 0.35, momentum=0.95)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 8)
    run = bench.watch(net, opt)
    for _ in range(1 if fault == "pairs of signs" else 8):
        net.train()
        for rows in torch.randperm(len(d.x)).split(2 if fault == "pairs of signs" else 20):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
        if fault != "never lowered":
            sched.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


plant(
    glyphs_constant_rate,
    (
        ("never lowered", "unstable-training", "rate-too-high batch-too-small one-class"),
        ("pairs of signs", "batch-too-small", f"rate-too-high {DIVERGED}"),
    ),
)


class Module(nn.Module):
    """training_step, validation_step, configure_optimizers, and a small `fit` around them."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault, self.net = fault, PatchMixer()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        chosen = self.net.fc.parameters() if self.fault == "head configured" else self.parameters()
        sgd = torch.optim.SGD(chosen, lr=0.02, momentum=0.9)
        return sgd, torch.optim.lr_scheduler.StepLR(sgd, 2, 0.5)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        out = self(x)
        loss = F.cross_entropy(out, y)
        if self.fault == "logged value returned":
            return loss.detach().requires_grad_()
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self(batch[0]), batch[1]

    def on_epoch_start(self) -> None:
        if self.fault == "setup in every epoch":
            with torch.no_grad():
                for old, new in zip(self.parameters(), PatchMixer().parameters(), strict=True):
                    old.copy_(new)


def digits_module(bench: Any, fault: str = "") -> float:
    """Digits with the module."""
    torch.manual_seed(85)
    d = digits()
    module = Module(fault)
    optimizer, scheduler = module.configure_optimizers()
    if fault == "frozen since the sanity check":
        module.net.requires_grad_(False)
        module.net.norms.requires_grad_(True)
    run = bench.watch(module, optimizer)
    y, test_y = d.y, d.test_y
    if fault == "test labels from nine down":
        test_y = 9 - test_y
    if fault == "many wrong clicks":
        y = torch.where(torch.rand(len(y)) < 0.7, torch.randint(0, 10, y.shape), y)
    order = y.argsort() if fault == "digit after digit" else torch.arange(len(y))
    score = 0.0
    for epoch in range(6):
        module.on_epoch_start()
        module.train()
        if fault != "digit after digit":
            seed = 0 if fault == "seeded in the loop" else epoch
            order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
        for rows in order.split(16):
            if fault == "seeded in the loop":
                rows = order[:16]
            loss = module.training_step((d.x[rows], y[rows]))
            if fault != "optimizer_zero_grad overridden":
                optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if fault == "cleared by on_after_backward":
                optimizer.zero_grad()
            if fault != "automatic optimization off":
                optimizer.step()
            if fault == "interval step":
                scheduler.step()
        if fault != "interval step":
            scheduler.step()
        module.eval()
        with torch.no_grad():
            out, labels = module.validation_step((d.test_x, test_y))
        run.evaluate(out, labels)
        score = top1_accuracy(out, labels)
        print(f"epoch={epoch} val_acc={score:.3f}")
    return score


plant(
    digits_module,
    (
        ("head configured", "optimizer-parameters", ""),
        ("logged value returned", "loss-detached", ""),
        ("setup in every epoch", "reinitialized", "too-few-steps"),
        ("frozen since the sanity check", "frozen-parameters", ""),
        ("test labels from nine down", "labels-permuted", "split-mismatch"),
        ("many wrong clicks", "labels-noisy", ""),
        ("digit after digit", "not-shuffled", DIVERGED),
        ("seeded in the loop", "same-batch", MEMORIZED),
        ("optimizer_zero_grad overridden", "zero-grad-missing", f"rate-too-high {DIVERGED}"),
        ("cleared by on_after_backward", "zero-grad-misplaced", ""),
        ("automatic optimization off", "optimizer-never-steps", ""),
        ("interval step", "scheduler-per-batch", "schedule-ended too-few-steps rate-too-low"),
    ),
)
