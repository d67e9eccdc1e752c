"""Schedules, accumulation, clipping and other recipes, all right."""

from __future__ import annotations

import copy

import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn import functional as F  # noqa: N812 as scripts call it

from benchmarks.watched.independent5 import nets, sets
from benchmarks.watched.independent5.common import (
    correct,
    evaluate,
    hits,
    later,
    loader,
    validate,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@correct
def signs_clipped_by_norm(bench: Bench) -> WatchedRun:
    torch.manual_seed(200)
    d = sets.signs()
    model = nets.small_cnn(1, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def waves_clipped_by_value(bench: Bench) -> WatchedRun:
    torch.manual_seed(201)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            loss = nn.CrossEntropyLoss()(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.1)
            optimizer.step()
        validate(model, loader(d.test, 50, False))
    return run


@correct
def signs_accumulated_and_divided(bench: Bench) -> WatchedRun:
    torch.manual_seed(202)
    d = sets.signs()
    model = nets.small_cnn(1, 5)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    seen = 0
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for x, y in loader(d.train, 16):
            (F.cross_entropy(model(x), y) / 2).backward()
            seen += 1
            if seen % 2 == 0:
                optimizer.step()
                optimizer.zero_grad()
        evaluate(run, model, d.test)
    return run


@correct
def sensors_accumulated_sums_over_rows(bench: Bench) -> WatchedRun:
    torch.manual_seed(203)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 40):
            optimizer.zero_grad()
            for few, labels in zip(x.split(10), y.split(10), strict=True):
                (F.cross_entropy(model(few), labels, reduction="sum") / len(y)).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def flags_one_cycle_by_batches(bench: Bench) -> WatchedRun:
    torch.manual_seed(204)
    d = sets.flags()
    model = nets.NormCnn(3, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.08, total_steps=4 * 22)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            scheduler.step()
        evaluate(run, model, d.test)
    return run


@correct
def numerals_cosine_by_batches(bench: Bench) -> WatchedRun:
    torch.manual_seed(205)
    d = sets.numerals()
    model = nets.TinyResNet(1, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3 * 43)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            cosine.step()
        evaluate(run, model, d.test)
    return run


@correct
def waves_warm_up_then_constant(bench: Bench) -> WatchedRun:
    torch.manual_seed(206)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, total_iters=20)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            warm.step()
        evaluate(run, model, d.test)
    return run


@correct
def reviews_plateau(bench: Bench) -> WatchedRun:
    torch.manual_seed(207)
    d = sets.reviews()
    model = nets.Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), 6e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        plateau.step(validate(model, loader(d.test, 100, False)))
    return run


@correct
def sensors_step_by_epochs(bench: Bench) -> WatchedRun:
    torch.manual_seed(208)
    d = sets.sensors()
    model = nets.norm_mlp(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.3)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        scheduler.step()
        evaluate(run, model, d.test)
    return run


@correct
def numerals_weight_decay_groups(bench: Bench) -> WatchedRun:
    torch.manual_seed(209)
    d = sets.numerals()
    model = nets.NormCnn(1, 10)
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.05},
            {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=4e-3,
    )
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def textures_label_smoothing(bench: Bench) -> WatchedRun:
    torch.manual_seed(210)
    d = sets.textures()
    model = nets.NormCnn(3, 4)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y, label_smoothing=0.1).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def signs_mixup(bench: Bench) -> WatchedRun:
    torch.manual_seed(211)
    d = sets.signs()
    model = nets.NormCnn(1, 5, 0.1)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            part = float(torch.rand(())) * 0.5
            other = torch.randperm(len(y))
            out = model((1 - part) * x + part * x[other])
            loss = (1 - part) * F.cross_entropy(out, y) + part * F.cross_entropy(out, y[other])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def sensors_class_weights(bench: Bench) -> WatchedRun:
    torch.manual_seed(212)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    weights = 1 / d.train[1].bincount().float()
    criterion = nn.CrossEntropyLoss(weight=5 * weights / weights.sum())
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def waves_average_of_weights(bench: Bench) -> WatchedRun:
    torch.manual_seed(213)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    average = copy.deepcopy(model).requires_grad_(False)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            for a, p in zip(average.parameters(), model.parameters(), strict=True):
                a.data.lerp_(p.data, 0.1)
        for kept, seen in zip(average.buffers(), model.buffers(), strict=True):
            kept.copy_(seen)
        evaluate(run, average, d.test)
    return run


@correct
def sensors_early_stopping(bench: Bench) -> WatchedRun:
    torch.manual_seed(214)
    d = sets.sensors()
    model = nets.mlp(12, 5, drop=0.1)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    best, bad = 0.0, 0
    run = bench.watch(model, optimizer)
    for _epoch in range(20):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        now = hits(model, *d.test)
        best, bad = (now, 0) if now > best else (best, bad + 1)
        if bad == 4:
            break
        evaluate(run, model, d.test)
    return run


@correct
def flags_in_bfloat16(bench: Bench) -> WatchedRun:
    torch.manual_seed(215)
    d = sets.flags()
    model = nets.small_cnn(3, 6)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def reviews_two_optimizers(bench: Bench) -> WatchedRun:
    torch.manual_seed(216)
    d = sets.reviews()
    model = nets.Recurrent()
    optimizer = torch.optim.Adam(model.rnn.parameters(), 5e-3)
    other = torch.optim.SGD([*model.embedding.parameters(), *model.head.parameters()], lr=0.2, momentum=0.9)
    run = bench.watch(model, [optimizer, other])
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            other.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            other.step()
        evaluate(run, model, d.test)
    return run


@correct
def numerals_small_batches_low_rate(bench: Bench) -> WatchedRun:
    torch.manual_seed(217)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for x, y in loader(d.train, 8):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def rings_full_batch(bench: Bench) -> WatchedRun:
    torch.manual_seed(218)
    d = sets.rings()
    model = nets.mlp(2, 2, 32)
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    run = bench.watch(model, optimizer)
    for _epoch in range(80):
        model.train()
        for x, y in loader(d.train, 600):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    later(lambda: hits(model, *d.test))
    return run


@correct
def irises_tiny_but_enough(bench: Bench) -> WatchedRun:
    torch.manual_seed(219)
    d = sets.irises()
    model = nets.mlp(4, 3, 16)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    for _epoch in range(12):
        model.train()
        for x, y in loader(d.train, 9):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def waves_scheduled_dropout(bench: Bench) -> WatchedRun:
    torch.manual_seed(220)
    d = sets.waves()
    model = nets.WaveNet(drop=0.0)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for epoch in range(4):
        model.drop.p = 0.1 * epoch
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def biopsies_nesterov_and_decay(bench: Bench) -> WatchedRun:
    torch.manual_seed(221)
    d = sets.biopsies()
    model = nets.norm_mlp(30, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def textures_noise_and_flips(bench: Bench) -> WatchedRun:
    torch.manual_seed(222)
    d = sets.textures()
    model = nets.TinyResNet(3, 4)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for x, y in loader(d.train, 32):
            x = x.flip(3) if torch.rand(()) < 0.5 else x
            x = x + 0.1 * torch.randn_like(x)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def numerals_frequent_checks(bench: Bench) -> WatchedRun:
    torch.manual_seed(223)
    d = sets.numerals()
    model = nets.NormCnn(1, 10)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if torch.rand(()) < 0.1:
                evaluate(run, model, d.test)
                model.train()
        evaluate(run, model, d.test)
    return run
