"""A faulty script of `independent-2`: a Dataset with transforms, autocast, AdamW with OneCycle, on bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

from benchmarks.watched.independent2.data import BLOBS, MEMORIZED, pixels, planted
from benchmarks.watched.independent2.nets import SqueezeExcite


class BlobFolder(Dataset[tuple[Tensor, int]]):
    """Images as bytes, with a transform."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor]) -> None:
        self.images, self.labels, self.transform = images, labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.labels[index]


def transforms_for(fault: str) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """For training and for testing."""

    def flip(image: Tensor) -> Tensor:
        return pixels(image.flip(2) if torch.rand(()) < 0.5 else image)

    def whole_numbers(image: Tensor) -> Tensor:
        return (image // 255).float()

    def erase(image: Tensor) -> Tensor:
        image = flip(image)
        top, left = torch.randint(0, 13, (2,)).tolist()
        kept = torch.zeros_like(image)
        kept[:, top : top + 4, left : left + 4] = image[:, top : top + 4, left : left + 4]
        return kept

    def grayscale(image: Tensor) -> Tensor:
        return flip(image).mean(0, keepdim=True).expand(3, -1, -1).contiguous()

    if fault == "divided as whole numbers":
        return whole_numbers, whole_numbers
    if fault == "test not normalized":
        return flip, lambda image: image.float()
    if fault == "test in another channel order":
        return flip, lambda image: pixels(image.flip(0))
    if fault == "erased to a corner":
        return erase, pixels
    if fault == "gray by habit":
        return grayscale, lambda image: pixels(image).mean(0, keepdim=True).expand(3, -1, -1)
    return flip, pixels


def images_shuffled(items: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """Collate function that mixes the images, and forgets their labels."""
    images = torch.stack([image for image, _ in items])
    return images[torch.randperm(len(items))], torch.tensor([label for _, label in items])


def blobs(bench: Any, fault: str = "") -> float:
    """Set up, train with mixed precision, test each epoch."""
    torch.manual_seed(64)
    to_train, to_test = transforms_for(fault)
    train_set = BlobFolder(BLOBS.x, BLOBS.y, to_train)
    order = BLOBS.test_y.argsort(stable=True)  # a folder for each hue
    test_set = BlobFolder(BLOBS.test_x[order], BLOBS.test_y[order], to_test)
    options: dict[str, Any] = {"shuffle": True}
    if fault == "weights of classes as weights of images":
        weights = 1 / BLOBS.y.bincount().float()  # seven numbers: only images 0 to 6 are ever drawn
        options = {"sampler": WeightedRandomSampler(weights.tolist(), len(train_set))}
    if fault == "collated apart":
        options["collate_fn"] = images_shuffled
    train_loader: DataLoader[Any] = DataLoader(train_set, batch_size=28, num_workers=0, **options)
    test_loader: DataLoader[Any] = DataLoader(test_set, batch_size=20)
    model = SqueezeExcite(classes=7)
    if fault == "sigmoid kept":
        model.head.append(nn.Sigmoid())
    epochs = 5
    scaler = torch.amp.GradScaler("cpu", enabled="scale" in fault)
    optimizer: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    if fault.endswith("unscaled"):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    if fault == "penalty of a kilo":
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=3.0)
    total = epochs * len(train_loader)
    if not fault.endswith("unscaled"):
        schedule: Any = lr_scheduler.OneCycleLR(optimizer, max_lr=8e-3, total_steps=total + 1)
    else:
        schedule = lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total)
    if fault == "warm up of ten thousand":
        schedule = lr_scheduler.LinearLR(optimizer, 1e-4, 1.0, total_iters=100_000)
    if fault == "tenth every batch":
        schedule = lr_scheduler.ExponentialLR(optimizer, 0.1)
    run = bench.watch(model, optimizer, name="blobs")
    soft = nn.CrossEntropyLoss(label_smoothing=0.1)

    def objective(logits: Tensor, labels: Tensor) -> Tensor:
        if fault in ("sigmoid kept", "labels in one-hot code"):
            return F.binary_cross_entropy_with_logits(logits, F.one_hot(labels, 7).float())
        return soft(logits, labels)

    def train_one_epoch() -> None:
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=True):
                logits = model(images)
            loss = objective(logits.float(), labels)
            scaler.scale(loss).backward()
            if fault == "scaled and never stepped":
                pass
            elif fault == "scaled but not unscaled":
                optimizer.step()
            else:
                scaler.step(optimizer)
                scaler.update()
            schedule.step()

    @torch.no_grad()
    def test() -> float:
        model.eval()
        if fault == "copied from the training loop":
            model.train()
        right = 0
        for images, labels in test_loader:
            logits = model(images)
            run.evaluate(logits, labels)
            right += int((logits.argmax(1) == labels).sum())
        return right / len(test_set)

    accuracy = 0.0
    for epoch in range(1, epochs + 1):
        train_one_epoch()
        accuracy = test()
        print(f"{epoch:2d}/{epochs} {accuracy:.1%}")
    return accuracy


planted(
    blobs,
    (
        ("divided as whole numbers", "constant-input", "input-scale one-class"),
        ("test not normalized", "split-mismatch", "input-scale"),
        ("test in another channel order", "split-mismatch", "labels-permuted"),
        ("erased to a corner", "augmentation-too-strong", "split-mismatch"),
        ("gray by habit", "data-channels", ""),
        ("weights of classes as weights of images", "same-batch",
         MEMORIZED + " classes-missing"),
        ("collated apart", "labels-shuffled", ""),
        ("sigmoid kept", "loss-mismatch", "output-activation one-class"),
        ("scaled and never stepped", "optimizer-never-steps", ""),
        ("scaled but not unscaled", "rate-too-high", "exploding-gradients non-finite one-class"),
        ("penalty of a kilo", "weight-decay", ""),
        ("warm up of ten thousand", "rate-too-low", "too-few-steps"),
        ("tenth every batch", "scheduler-per-batch", "schedule-ended rate-too-low"),
        ("copied from the training loop", "evaluation-mode", ""),
    ),
    twins={"scaled but not unscaled": "scaled and unscaled", "sigmoid kept": "labels in one-hot code"},
)  # fmt: skip
