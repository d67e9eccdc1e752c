"""Loops of `independent` without a fault that look suspicious: optimizers, schedules, averaged weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.optim import lr_scheduler, swa_utils
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent.nets import (
    FABRICS,
    GLYPHS,
    MOTIFS,
    OUTLINES,
    SLOPES,
    ConvNext,
    Mixer,
    MobileGlyphs,
    TinyVGG,
    TokenTransformer,
    UNetClassifier,
    correct,
    draws,
    tested,
)


@correct
def gradients_clipped_hard(bench: Any) -> float:
    torch.manual_seed(21)
    model = ConvNext()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(4):
        for x, y in draws(OUTLINES):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.05)
            optimizer.step()
        score = tested(run, model, OUTLINES)
    return score


@correct
def accumulation_done_right(bench: Any) -> float:
    torch.manual_seed(22)
    model, every = MobileGlyphs(), 4
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(6):
        optimizer.zero_grad()
        for i, (x, y) in enumerate(draws(GLYPHS, 10)):
            (F.cross_entropy(model(x), y) / every).backward()
            if (i + 1) % every == 0:
                optimizer.step()
                optimizer.zero_grad()
        score = tested(run, model, GLYPHS)
    return score


@correct
def one_cycle_each_batch(bench: Any) -> float:
    torch.manual_seed(23)
    loader = DataLoader(TensorDataset(FABRICS.x, FABRICS.y), 40, shuffle=True)
    model = Mixer()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    cycle = lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, epochs=5, steps_per_epoch=len(loader))
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(5):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            cycle.step()
        score = tested(run, model, FABRICS)
    return score


@correct
def two_optimizers_at_once(bench: Any) -> float:
    torch.manual_seed(27)
    model = TinyVGG()
    trunk = torch.optim.AdamW(model.features.parameters(), 2e-3)
    head = torch.optim.Adam(model.classifier.parameters(), 2e-3)
    run = bench.watch(model, [trunk, head])
    score = 0.0
    for _ in range(6):
        for x, y in draws(FABRICS):
            trunk.zero_grad()
            head.zero_grad()
            F.cross_entropy(model(x), y).backward()
            head.step()
            trunk.step()
        score = tested(run, model, FABRICS)
    return score


@correct
def moving_average_is_judged(bench: Any) -> float:
    torch.manual_seed(32)
    model = Mixer()
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(5):
        for x, y in draws(FABRICS):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
                slow.lerp_(fast.detach(), 0.05)
        score = tested(run, average, FABRICS)
    return score


@correct
def decay_groups_with_layer_rates(bench: Any) -> float:
    torch.manual_seed(34)
    model = TokenTransformer()
    flat = [p for p in model.parameters() if p.ndim < 2]
    deep = [p for p in model.parameters() if p.ndim >= 2]
    optimizer = torch.optim.AdamW(
        [{"params": deep, "weight_decay": 0.1}, {"params": flat, "weight_decay": 0.0, "lr": 1e-3}], 2e-3
    )
    run = bench.watch(model, optimizer)
    score = 0.0
    for _ in range(3):
        for x, y in draws(MOTIFS, 30):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, MOTIFS)
    return score


@correct
def stochastic_weight_averaging(bench: Any) -> float:
    torch.manual_seed(35)
    model = MobileGlyphs()
    averaged = swa_utils.AveragedModel(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    schedule = swa_utils.SWALR(optimizer, swa_lr=0.03, anneal_epochs=2)
    loader = DataLoader(TensorDataset(GLYPHS.x, GLYPHS.y), 32, shuffle=True)
    run = bench.watch(model, optimizer, steps_per_epoch=len(loader))
    for epoch in range(6):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        if epoch >= 3:
            averaged.update_parameters(model)
            schedule.step()
    swa_utils.update_bn(loader, averaged)
    return tested(run, averaged, GLYPHS)


@correct
def validated_every_25_steps(bench: Any) -> float:
    torch.manual_seed(36)
    model = UNetClassifier()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer, steps_per_epoch=42)
    step, score = 0, 0.0
    for _ in range(4):
        for x, y in draws(SLOPES, 25):
            model.train()
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            step += 1
            if step % 25 == 0:
                score = tested(run, model, SLOPES)
    return score


@correct
def noise_added_to_gradients(bench: Any) -> float:
    torch.manual_seed(37)
    model = ConvNext()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    step, score = 0, 0.0
    for _ in range(4):
        for x, y in draws(OUTLINES):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            step += 1
            for p in model.parameters():
                p.grad.add_(torch.randn_like(p.grad), alpha=0.01 / step**0.5)
            optimizer.step()
        score = tested(run, model, OUTLINES)
    return score


@correct
def lbfgs_on_the_whole_set(bench: Any) -> float:
    torch.manual_seed(43)
    model = UNetClassifier()
    x, y = SLOPES.x[:400], SLOPES.y[:400]
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5, line_search_fn="strong_wolfe")
    run = bench.watch(model, optimizer)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    score = 0.0
    for _ in range(10):
        optimizer.step(closure)
        score = tested(run, model, SLOPES)
    return score


@correct
def loader_restarted_by_hand(bench: Any) -> float:
    torch.manual_seed(44)
    loader = DataLoader(TensorDataset(GLYPHS.x, GLYPHS.y), 32, shuffle=True)
    model = MobileGlyphs()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    iterator = iter(loader)
    score = 0.0
    for iteration in range(1, 181):
        try:
            x, y = next(iterator)
        except StopIteration:
            iterator = iter(loader)
            x, y = next(iterator)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if iteration % 60 == 0:
            score = tested(run, model, GLYPHS)
    return score


@correct
def cosine_with_restarts(bench: Any) -> float:
    torch.manual_seed(45)
    model = Mixer()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    warm = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, eta_min=1e-4)
    run = bench.watch(model, optimizer)
    score = 0.0
    for epoch in range(6):
        for i, (x, y) in enumerate(draws(FABRICS)):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            warm.step(epoch + i / 38)
        score = tested(run, model, FABRICS)
    return score


@correct
def sharpness_aware_minimization(bench: Any) -> float:
    torch.manual_seed(46)
    model = ConvNext()
    base = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, base)
    score = 0.0
    for _ in range(3):
        for x, y in draws(OUTLINES):
            base.zero_grad()
            F.cross_entropy(model(x), y).backward()
            moved = []
            with torch.no_grad():
                norm = math.sqrt(
                    float(torch.stack([p.grad.square().sum() for p in model.parameters()]).sum())
                )
                for p in model.parameters():
                    moved.append(p.grad * (0.05 / (norm + 1e-12)))
                    p.add_(moved[-1])
            base.zero_grad()
            F.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                for p, shift in zip(model.parameters(), moved, strict=True):
                    p.sub_(shift)
            base.step()
        score = tested(run, model, OUTLINES)
    return score


@correct
def lookahead_pulls_weights_back(bench: Any) -> float:
    torch.manual_seed(49)
    model = TokenTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    slow = [p.detach().clone() for p in model.parameters()]
    run = bench.watch(model, optimizer)
    step, score = 0, 0.0
    for _ in range(4):
        for x, y in draws(MOTIFS, 40):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            step += 1
            if step % 6 == 0:
                with torch.no_grad():
                    for kept, p in zip(slow, model.parameters(), strict=True):
                        kept.lerp_(p, 0.5)
                        p.copy_(kept)
        score = tested(run, model, MOTIFS)
    return score


@correct
def best_weights_brought_back_on_a_plateau(bench: Any) -> float:
    torch.manual_seed(50)
    model = UNetClassifier()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.3, patience=0)
    run = bench.watch(model, optimizer)
    best, kept = 0.0, copy.deepcopy(model.state_dict())
    for _ in range(7):
        for x, y in draws(SLOPES, 30):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        score = tested(run, model, SLOPES)
        if score > best:
            best, kept = score, copy.deepcopy(model.state_dict())
        else:
            model.load_state_dict(kept)
        plateau.step(score)
    return best
