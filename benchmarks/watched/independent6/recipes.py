"""Optimizers, schedules, gradients, and averages of weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as scripts call it
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn

from benchmarks.watched.independent5.nets import NormCnn, TinyResNet, mlp, norm_mlp, small_cnn
from benchmarks.watched.independent6 import nets_and_sets as own
from benchmarks.watched.independent6.nets_and_sets import check, correct, evaluate, loader, without_evaluation
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@correct
def glyphs_clipped_by_norm(bench: Bench) -> WatchedRun:
    torch.manual_seed(30)
    data = own.glyphs()
    model = small_cnn(1, 8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(7):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def notes_clipped_by_value(bench: Bench) -> WatchedRun:
    torch.manual_seed(31)
    data = own.notes()
    model = own.AttentionPool()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_value_(model.parameters(), 0.05)
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def lamps_last_group_is_smaller(bench: Bench) -> WatchedRun:
    torch.manual_seed(32)
    data = own.lamps()
    model = own.GroupNormNet(3, 5)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        parts = list(loader(*data.train, size=10))
        for start in range(0, len(parts), 4):
            group = parts[start : start + 4]
            rows = sum(len(y) for _, y in group)
            optimizer.zero_grad()
            for x, y in group:
                (F.cross_entropy(model(x), y, reduction="sum") / rows).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def soils_four_small_batches(bench: Bench) -> WatchedRun:
    torch.manual_seed(33)
    data = own.soils(2400)
    model = own.ResidualRows(16, 6)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _ in range(4):
        model.train()
        optimizer.zero_grad()
        batches = loader(*data.train, size=15)
        for number, (x, y) in enumerate(batches, 1):
            loss = F.cross_entropy(model(x), y) / 4
            loss.backward()
            if number % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()
        check(model, data.test)
    return run


@correct
def glyphs_one_cycle(bench: Bench) -> WatchedRun:
    torch.manual_seed(34)
    data = own.glyphs()
    model = NormCnn(1, 8)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    batches = loader(*data.train)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=5, steps_per_epoch=len(batches))
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
        evaluate(run, model, data.test)
    return run


@correct
def lamps_warm_restarts(bench: Bench) -> WatchedRun:
    torch.manual_seed(35)
    data = own.lamps(640)
    model = TinyResNet(3, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=1, T_mult=2)
    run = bench.watch(model, optimizer)
    batches = loader(*data.train)
    for epoch in range(7):  # 1 + 2 + 4
        model.train()
        for number, (x, y) in enumerate(batches):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step(epoch + (number + 1) / len(batches))
        evaluate(run, model, data.test)
    return run


@correct
def notes_warm_up_and_padding(bench: Bench) -> WatchedRun:
    torch.manual_seed(36)
    data = own.notes()
    model = own.PaddedEncoder()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 40, (40 / (step + 1)) ** 0.5)
    )
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            schedule.step()
        evaluate(run, model, data.test)
    return run


@correct
def glyphs_smoothed_no_decay_for_norms(bench: Bench) -> WatchedRun:
    torch.manual_seed(38)
    data = own.glyphs()
    model = own.StrideNet(1, 8)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y, label_smoothing=0.1).backward()
            optimizer.step()
    without_evaluation(model, data.test)
    return run


@correct
def lamps_sgd_below_adam_above(bench: Bench) -> WatchedRun:
    torch.manual_seed(39)
    data = own.lamps()
    model = own.StrideNet(3, 5)
    below = torch.optim.SGD(model.features.parameters(), 0.02, momentum=0.9)
    above = torch.optim.Adam(model.head.parameters(), 2e-3)
    run = bench.watch(model, [below, above])
    for _ in range(5):
        model.train()
        for x, y in loader(*data.train):
            below.zero_grad()
            above.zero_grad()
            F.cross_entropy(model(x), y).backward()
            below.step()
            above.step()
        evaluate(run, model, data.test)
    return run


@correct
def wines_lbfgs(bench: Bench) -> WatchedRun:
    torch.manual_seed(40)
    data = own.wines()
    model = nn.Sequential(nn.Linear(13, 12), nn.Tanh(), nn.Linear(12, 3))
    optimizer = torch.optim.LBFGS(model.parameters(), 0.3, max_iter=5)
    run = bench.watch(model, optimizer)
    x, y = data.train

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) + 1e-3 * sum(p.pow(2).sum() for p in model.parameters())
        loss.backward()
        return loss

    for _ in range(12):
        model.train()
        optimizer.step(closure)  # type: ignore[arg-type]
        evaluate(run, model, data.test)
    return run


@correct
def glyphs_sharpness_aware(bench: Bench) -> WatchedRun:
    torch.manual_seed(41)
    data = own.glyphs()
    model = small_cnn(1, 8)
    optimizer = torch.optim.SGD(model.parameters(), 0.08, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(7):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            slopes = [p.grad.clone() for p in model.parameters() if p.grad is not None]
            length = torch.stack([slope.norm() for slope in slopes]).norm() + 1e-12
            with torch.no_grad():
                for p, slope in zip(model.parameters(), slopes, strict=True):
                    p.add_(slope, alpha=0.03 / float(length))
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                for p, slope in zip(model.parameters(), slopes, strict=True):
                    p.sub_(slope, alpha=0.03 / float(length))
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def soils_lookahead(bench: Bench) -> WatchedRun:
    torch.manual_seed(42)
    data = own.soils(2400)
    model = mlp(16, 6)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    slow = [p.detach().clone() for p in model.parameters()]
    step = 0
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            step += 1
            if step % 5 == 0:
                with torch.no_grad():
                    for kept, p in zip(slow, model.parameters(), strict=True):
                        kept.lerp_(p, 0.5)
                        p.copy_(kept)
        check(model, data.test)
    return run


@correct
def lamps_moving_average(bench: Bench) -> WatchedRun:
    torch.manual_seed(43)
    data = own.lamps()
    model = own.GroupNormNet(3, 5)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.95))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            averaged.update_parameters(model)
        evaluate(run, averaged, data.test)
    return run


@correct
def glyphs_swa(bench: Bench) -> WatchedRun:
    torch.manual_seed(44)
    data = own.glyphs()
    model = NormCnn(1, 8, drop=0.1, width=8)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    averaged, schedule = AveragedModel(model), SWALR(optimizer, swa_lr=0.02, anneal_epochs=2)
    run = bench.watch(model, optimizer)
    batches = loader(*data.train)
    for epoch in range(6):
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        if epoch >= 3:
            averaged.update_parameters(model)
            schedule.step()
        evaluate(run, model, data.test)
    update_bn(batches, averaged)
    evaluate(run, averaged, data.test)
    return run


@correct
def wines_best_weights_restored(bench: Bench) -> WatchedRun:
    torch.manual_seed(45)
    data = own.wines()
    model = mlp(13, 3, 32)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    x, y = data.train[0][:80], data.train[1][:80]
    held_out = (data.train[0][80:], data.train[1][80:])
    best, kept, waited = float("inf"), copy.deepcopy(model.state_dict()), 0
    for _ in range(40):
        model.train()
        for rows, labels in loader(x, y, size=16):
            optimizer.zero_grad()
            F.cross_entropy(model(rows), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss = float(F.cross_entropy(model(held_out[0]), held_out[1]))
        waited += 1
        if loss < best - 1e-3:
            best, kept, waited = loss, copy.deepcopy(model.state_dict()), 0
        if waited >= 4:
            break
    model.load_state_dict(kept)
    evaluate(run, model, data.test)
    return run


@correct
def lamps_autocast(bench: Bench) -> WatchedRun:
    torch.manual_seed(46)
    data = own.lamps(600)
    model = small_cnn(3, 5)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def soils_scaler_that_is_off(bench: Bench) -> WatchedRun:
    torch.manual_seed(47)
    data = own.soils(2400)
    model = norm_mlp(16, 6)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            scaler.step(optimizer)
            scaler.update()
        evaluate(run, model, data.test)
    return run


@correct
def lamps_gradient_noise(bench: Bench) -> WatchedRun:
    torch.manual_seed(48)
    data = own.lamps()
    model = small_cnn(3, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    step = 0
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad(set_to_none=False)
            F.cross_entropy(model(x), y).backward()
            step += 1
            for p in model.parameters():
                if p.grad is not None:
                    p.grad += 0.01 / (1 + step) ** 0.55 * torch.randn_like(p)
            optimizer.step()
    without_evaluation(model, data.test)
    return run


@correct
def soils_one_epoch_gradients_set_to_none(bench: Bench) -> WatchedRun:
    torch.manual_seed(49)
    data = own.soils()
    model = own.ResidualRows(16, 6)
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3)
    run = bench.watch(model, optimizer)
    model.train()
    for x, y in loader(*data.train, size=16):
        for p in model.parameters():
            p.grad = None
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    check(model, data.test)
    return run


@correct
def wines_gradients_by_autograd_grad(bench: Bench) -> WatchedRun:
    torch.manual_seed(50)
    data = own.wines()
    model = mlp(13, 3, 24)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    parameters: list[Any] = list(model.parameters())
    for _ in range(12):
        model.train()
        for x, y in loader(*data.train, size=16):
            loss = F.cross_entropy(model(x), y)
            for p, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                p.grad = slope
            optimizer.step()
    without_evaluation(model, data.test)
    return run
