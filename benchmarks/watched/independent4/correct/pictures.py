"""Correct loops on pictures whose structure looks odd, as in `honest_structures`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from torch.utils.data import DataLoader, IterableDataset

from benchmarks.watched.independent4 import sets
from benchmarks.watched.independent4.common import correct, hits, later, say
from benchmarks.watched.independent4.correct.structures import evaluate_loss, shuffled
from benchmarks.watched.independent4.nets import (
    Lenet,
    Perceptron,
    Separable,
    TinyResNet,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@correct
def digits_two_tasks(bench: Bench) -> WatchedRun:
    """Which digit, and whether it is even: two heads, two losses, one step."""

    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = Lenet(classes=48)
            self.digit, self.even = nn.Linear(48, 10), nn.Linear(48, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            h = self.trunk(x).relu()
            return self.digit(h), self.even(h).squeeze(1)

    torch.manual_seed(241)
    x, y, tx, ty = sets.turned_digits()
    model = TwoHeads()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    run = bench.watch(model, optimizer)
    for _ in range(8):
        model.train()
        for xb, yb in shuffled(x, y):
            digit, even = model(xb)
            loss = fn.cross_entropy(digit, yb)
            loss = loss + 0.3 * fn.binary_cross_entropy_with_logits(even, (yb % 2 == 0).float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            digit, _ = model(tx)
            run.evaluate(digit, ty)
        say((digit.argmax(1) == ty).float().mean())
    return run


@correct
def digits_from_a_teacher(bench: Bench) -> WatchedRun:
    """Distillation: the teacher is in evaluation mode and has no gradient."""
    torch.manual_seed(242)
    x, y, tx, ty = sets.turned_digits()
    teacher, student = Lenet(), Perceptron(64, 64, 10)
    first = torch.optim.Adam(teacher.parameters(), lr=4e-3)
    for _ in range(6):
        for xb, yb in shuffled(x, y, size=40):
            first.zero_grad()
            fn.cross_entropy(teacher(xb), yb).backward()
            first.step()
    teacher.eval()
    optimizer = torch.optim.Adam(student.parameters(), lr=4e-3)
    run = bench.watch(student, optimizer)
    for _ in range(12):
        student.train()
        for xb, yb in shuffled(x, y, size=40):
            with torch.no_grad():
                soft = (teacher(xb) / 2).softmax(1)
            out = student(xb.flatten(1))
            loss = fn.cross_entropy(out, yb) + 2 * fn.kl_div(
                (out / 2).log_softmax(1), soft, reduction="batchmean"
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate_loss(student, tx.flatten(1), ty)
    return run


@correct
def cloth_autoencoder_first(bench: Bench) -> WatchedRun:
    """Pictures are put together again first (not watched), then a classifier on the encoder is fine-tuned."""
    torch.manual_seed(244)
    x, y, tx, ty = sets.weaves()
    x, tx = x / 64 - 2, tx / 64 - 2
    encoder = nn.Sequential(nn.Conv2d(1, 12, 4, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 4, 2, 1), nn.ReLU())
    decoder = nn.Sequential(
        nn.ConvTranspose2d(24, 12, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(12, 1, 4, 2, 1)
    )
    both = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)
    for _ in range(2):
        for (xb,) in shuffled(x):
            both.zero_grad()
            fn.mse_loss(decoder(encoder(xb)), xb).backward()
            both.step()
    model = nn.Sequential(encoder, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(96, 6))
    optimizer = torch.optim.AdamW(
        [{"params": encoder.parameters(), "lr": 2e-3}, {"params": model[3].parameters()}], lr=1e-2
    )
    run = bench.watch(model, optimizer)
    for _ in range(7):
        model.train()
        for xb, yb in shuffled(x, y):
            optimizer.zero_grad()
            fn.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        evaluate_loss(model, tx, ty)
    return run


@correct
def cloth_two_optimizers(bench: Bench) -> WatchedRun:
    """Convolutions by SGD, the rest by Adam."""
    torch.manual_seed(246)
    x, y, tx, ty = sets.weaves()
    x, tx = x / 64 - 2, tx / 64 - 2
    model = Separable()
    first = torch.optim.SGD(model.features.parameters(), lr=0.05, momentum=0.9)
    second = torch.optim.Adam(model.classifier.parameters(), lr=5e-3)
    run = bench.watch(model, [first, second])
    for _ in range(5):
        model.train()
        for xb, yb in shuffled(x, y):
            first.zero_grad()
            second.zero_grad()
            fn.cross_entropy(model(xb), yb).backward()
            first.step()
            second.step()
        evaluate_loss(model, tx, ty)
    return run


@correct
def shapes_streamed(bench: Bench) -> WatchedRun:
    """A stream without an end; epochs are 40 batches, and it is judged on the CPU, in groups."""
    x, y, tx, ty = sets.shapes()

    class Stream(IterableDataset[tuple[Tensor, Tensor]]):
        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            while True:
                row = int(torch.randint(0, 900, ()))
                yield x[row] * 3 - 1.4, y[row]

    torch.manual_seed(250)
    model = TinyResNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    run = bench.watch(model, optimizer, steps_per_epoch=40)
    model.train()
    for step, (xb, yb) in enumerate(DataLoader(Stream(), 24), 1):
        optimizer.zero_grad()
        fn.cross_entropy(model(xb), yb).backward()
        optimizer.step()
        if step % 40 == 0:
            model.eval()
            with torch.no_grad():
                for xs, ys in zip(tx.split(125), ty.split(125), strict=True):
                    run.evaluate(model(xs * 3 - 1.4).cpu(), ys.cpu())
            model.train()
        if step == 280:
            break
    later(lambda: hits(model, tx * 3 - 1.4, ty))
    return run


@correct
def leaves_grow_in_size(bench: Bench) -> WatchedRun:
    """Progressive resizing: half the size for two epochs, then all of it."""
    torch.manual_seed(252)
    x, y, tx, ty = sets.leaves()
    x, tx = (x - 0.45) / 0.25, (tx - 0.45) / 0.25
    model = TinyResNet(3, 4, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for epoch in range(6):
        model.train()
        for xb, yb in shuffled(x, y):
            optimizer.zero_grad()
            fn.cross_entropy(model(fn.avg_pool2d(xb, 2) if epoch < 2 else xb), yb).backward()
            optimizer.step()
        evaluate_loss(model, tx, ty)
    return run


@correct
def digits_layer_after_layer(bench: Bench) -> WatchedRun:
    """Gradual unfreezing of a network that has been trained before: the head, then more."""
    torch.manual_seed(254)
    x, y, tx, ty = sets.turned_digits()
    model = Lenet()
    before = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(5):
        for xb, yb in shuffled(x[:600].flip(3), y[:600]):
            before.zero_grad()
            fn.cross_entropy(model(xb), yb).backward()
            before.step()
    model.requires_grad_(False)
    model.fc2.requires_grad_(True)
    optimizer = torch.optim.Adam(model.fc2.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for epoch in range(10):
        if epoch in (1, 2, 3):
            layer = (model.fc1, model.conv2, model.conv1)[epoch - 1]
            optimizer.add_param_group({"params": list(layer.requires_grad_(True).parameters())})
        model.train()
        for xb, yb in shuffled(x, y):
            optimizer.zero_grad()
            fn.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        evaluate_loss(model, tx, ty)
    return run
