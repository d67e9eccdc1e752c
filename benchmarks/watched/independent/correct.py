"""Loops of `independent` without a fault that look suspicious: losses, targets, frozen layers, order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

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
    correct,
    draws,
    right,
    tested,
)


def _pretrained_glyphs() -> MobileGlyphs:
    """Trained on six of the classes, before anything is watched."""
    model = MobileGlyphs(6)
    some = GLYPHS.y < 6
    data = Data(GLYPHS.x[some], GLYPHS.y[some], GLYPHS.test_x, GLYPHS.test_y, 6)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for _ in range(4):
        for x, y in draws(data):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model


@correct
def frozen_backbone_new_head(bench: Any) -> float:
    torch.manual_seed(24)
    model = _pretrained_glyphs()
    model.requires_grad_(False)
    model.classifier = nn.Linear(512, 8)
    optimizer = torch.optim.Adam(model.classifier.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        model.eval()  # running statistics stay those of the earlier training
        for x, y in draws(GLYPHS):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, GLYPHS)
    return score


@correct
def batch_norm_kept_in_eval_while_tuning(bench: Any) -> float:
    torch.manual_seed(25)
    model = _pretrained_glyphs()
    model.classifier = nn.Linear(512, 8)
    optimizer = torch.optim.SGD(
        [{"params": [*model.stem.parameters(), *model.body.parameters()], "lr": 0.003},
         {"params": model.classifier.parameters(), "lr": 0.03}], momentum=0.9,
    )  # fmt: skip
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        model.train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        for x, y in draws(GLYPHS):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, GLYPHS)
    return score


@correct
def log_softmax_with_nll_loss_module(bench: Any) -> float:
    torch.manual_seed(26)
    model = nn.Sequential(TokenTransformer(), nn.LogSoftmax(dim=-1))
    optimizer, criterion = torch.optim.AdamW(model.parameters(), 2e-3), nn.NLLLoss()
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(3):
        for x, y in draws(MOTIFS, 30):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, MOTIFS)
    return score


@correct
def curriculum_small_to_large(bench: Any) -> float:
    torch.manual_seed(28)
    model = ConvNext()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    ease = OUTLINES.x.mean((1, 2, 3)).argsort(descending=True)
    score = 0.0
    for epoch in range(5):
        part = ease[: int(len(ease) * min(1.0, 0.4 + 0.2 * epoch))]
        jitter = torch.arange(len(part)) + 60 * torch.rand(len(part))
        for index in part[jitter.argsort()].split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(OUTLINES.x[index]), OUTLINES.y[index]).backward()
            optimizer.step()
        score = tested(run, model, OUTLINES)
    return score


@correct
def autocast_in_bfloat16(bench: Any) -> float:
    torch.manual_seed(29)
    model = Mixer()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        for x, y in draws(FABRICS, 40):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        score = tested(run, model, FABRICS)
    return score


@correct
def label_smoothing_and_weights(bench: Any) -> float:
    torch.manual_seed(30)
    model = UNetClassifier()
    criterion = nn.CrossEntropyLoss(weight=torch.linspace(0.8, 1.2, 6), label_smoothing=0.2)
    optimizer = torch.optim.NAdam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        for x, y in draws(SLOPES, 28):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, SLOPES)
    return score


@correct
def mixup_of_two_losses(bench: Any) -> float:
    torch.manual_seed(31)
    model = MobileGlyphs()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    beta = torch.distributions.Beta(0.4, 0.4)
    score = 0.0
    for _ in range(6):
        for x, y in draws(GLYPHS):
            part, other = float(beta.sample()), torch.randperm(len(x))
            logits = model(part * x + (1 - part) * x[other])
            loss = part * F.cross_entropy(logits, y) + (1 - part) * F.cross_entropy(logits, y[other])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        score = tested(run, model, GLYPHS)
    return score


class CheckpointedVGG(TinyVGG):
    """Computes its convolutions again in the backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(checkpoint(self.features, x, use_reentrant=False))


@correct
def gradient_checkpointing(bench: Any) -> float:
    torch.manual_seed(33)
    model = CheckpointedVGG()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(6):
        for x, y in draws(FABRICS):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, FABRICS)
    return score


@correct
def losses_summed_at_a_fitting_rate(bench: Any) -> float:
    torch.manual_seed(38)
    model = MobileGlyphs()
    criterion = nn.CrossEntropyLoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), 0.05 / 32, momentum=0.9)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(5):
        for x, y in draws(GLYPHS):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, GLYPHS)
    return score


@correct
def soft_targets(bench: Any) -> float:
    torch.manual_seed(39)
    model = Mixer()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        for x, y in draws(FABRICS):
            wanted = 0.7 * F.one_hot(y, 6) + 0.3 * torch.softmax(torch.randn(len(y), 6), 1)
            optimizer.zero_grad()
            F.cross_entropy(model(x), wanted).backward()
            optimizer.step()
        score = tested(run, model, FABRICS)
    return score


def focal_loss(logits: Tensor, labels: Tensor, gamma: float = 2.0) -> Tensor:
    """Cross-entropy of one's own, with easy images counted less."""
    right_class = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    return (-((1 - right_class.exp()) ** gamma) * right_class).mean()


@correct
def focal_loss_of_ones_own(bench: Any) -> float:
    torch.manual_seed(40)
    model = ConvNext()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        for x, y in draws(OUTLINES):
            logits = model(x)
            loss = focal_loss(logits, y)
            run.step(loss, logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        score = tested(run, model, OUTLINES)
    return score


class TwoHeads(nn.Module):
    """Direction and, beside it, whether the slope rises."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = UNetClassifier(24)
        self.direction, self.rising = nn.Linear(24, 6), nn.Linear(24, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = F.relu(self.trunk(x))
        return self.direction(h), self.rising(h)


@correct
def two_heads_two_losses(bench: Any) -> float:
    torch.manual_seed(41)
    model = TwoHeads()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        model.train()
        for x, y in draws(SLOPES, 28):
            direction, rising = model(x)
            loss = F.cross_entropy(direction, y) + 0.5 * F.cross_entropy(rising, (y < 3).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            direction, _ = model(SLOPES.test_x)
        run.evaluate(direction, SLOPES.test_y)
        score = right(direction, SLOPES.test_y)
    return score


@correct
def distilled_from_a_teacher(bench: Any) -> float:
    torch.manual_seed(42)
    teacher, student = Mixer(), Mixer(d=16)
    learned = torch.optim.AdamW(teacher.parameters(), 3e-3)
    for _ in range(4):
        for x, y in draws(FABRICS):
            learned.zero_grad()
            F.cross_entropy(teacher(x), y).backward()
            learned.step()
    teacher.eval()
    optimizer = torch.optim.AdamW(student.parameters(), 4e-3)
    run = bench.watch(student, optimizer)
    score = 0.0
    for _ in range(6):
        for x, y in draws(FABRICS):
            with torch.no_grad():
                wanted = F.softmax(teacher(x) / 3, 1)
            logits = student(x)
            soft = F.kl_div(F.log_softmax(logits / 3, 1), wanted, reduction="batchmean") * 9
            optimizer.zero_grad()
            (0.3 * F.cross_entropy(logits, y) + 0.7 * soft).backward()
            optimizer.step()
        score = tested(run, student, FABRICS)
    return score


@correct
def layers_unfrozen_one_after_another(bench: Any) -> float:
    torch.manual_seed(47)
    model = _pretrained_glyphs()
    model.classifier = nn.Linear(512, 8)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for epoch in range(5):
        model.stem.requires_grad_(epoch >= 3)
        model.body.requires_grad_(epoch >= 1)
        for x, y in draws(GLYPHS):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, GLYPHS)
    return score


@correct
def two_dropout_passes_agree(bench: Any) -> float:
    torch.manual_seed(48)
    model = TinyVGG()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(6):
        for x, y in draws(FABRICS):
            one, two = model(x), model(x)
            apart = F.kl_div(one.log_softmax(1), two.softmax(1), reduction="batchmean")
            optimizer.zero_grad()
            (0.5 * F.cross_entropy(one, y) + 0.5 * F.cross_entropy(two, y) + 0.3 * apart).backward()
            optimizer.step()
        score = tested(run, model, FABRICS)
    return score


@correct
def rare_classes_drawn_more_often(bench: Any) -> float:
    torch.manual_seed(51)
    kept = (OUTLINES.y < 3) | (torch.rand(len(OUTLINES.y)) < 0.3)
    x, y = OUTLINES.x[kept], OUTLINES.y[kept]
    counts = torch.bincount(y).float()
    sampler = WeightedRandomSampler(
        (1 / counts)[y].tolist(), 1200, generator=torch.Generator().manual_seed(0)
    )
    loader = DataLoader(TensorDataset(x, y), 32, sampler=sampler)
    model = ConvNext()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        for images, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        score = tested(run, model, OUTLINES)
    return score


@correct
def one_hot_with_binary_cross_entropy(bench: Any) -> float:
    torch.manual_seed(52)
    model = MobileGlyphs()
    optimizer = torch.optim.RMSprop(model.parameters(), 2e-3)
    criterion = nn.BCEWithLogitsLoss()
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(5):
        for x, y in draws(GLYPHS):
            optimizer.zero_grad()
            criterion(model(x), F.one_hot(y, 8).float()).backward()
            optimizer.step()
        score = tested(run, model, GLYPHS)
    return score
