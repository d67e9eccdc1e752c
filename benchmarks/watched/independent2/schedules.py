"""Loops of `independent-2` without a fault that look suspicious: rates, frozen layers, averages."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.optim import lr_scheduler, swa_utils
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent.nets import Data
from benchmarks.watched.independent2.data import CURVES, MOSAICS, RINGS, ROWS, SPECTRA, TEXTURES, sound
from benchmarks.watched.independent2.nets import (
    CurveGRU,
    Dilated,
    GroupResNet,
    PatchTransformer,
    RowNet,
    SpectraNet,
    examine,
    shuffled,
)


def learned_before(classes: int = 5) -> SpectraNet:
    """A network that knows the first classes, before anything is watched."""
    net = SpectraNet(classes)
    opt = torch.optim.AdamW(net.parameters(), 3e-3)
    some = classes > SPECTRA.y
    known = Data(SPECTRA.x[some], SPECTRA.y[some], SPECTRA.test_x, SPECTRA.test_y, classes)
    for _ in range(5):
        for x, y in shuffled(known):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
    return net


@sound
def warm_restarts_in_each_batch(bench: Any) -> float:
    """Cosine restarts, told the epoch as a fraction."""
    torch.manual_seed(91)
    net = GroupResNet()
    opt = torch.optim.AdamW(net.parameters(), 5e-3)
    cosine = lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=1, T_mult=2)
    loader = DataLoader(TensorDataset(RINGS.x, RINGS.y), 32, shuffle=True)
    run = bench.watch(net, opt)
    score = 0.0
    for epoch in range(7):
        for i, (x, y) in enumerate(loader):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
            cosine.step(epoch + i / len(loader))
        score = examine(run, net, RINGS)
    return score


@sound
def triangles_of_the_rate(bench: Any) -> float:
    """A cyclic rate with a short period, stepped in each batch."""
    torch.manual_seed(92)
    net = RowNet()
    opt = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    cycle = lr_scheduler.CyclicLR(opt, 0.005, 0.15, step_size_up=15, mode="triangular2")
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(9):
        for x, y in shuffled(ROWS):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
            cycle.step()
        score = examine(run, net, ROWS)
    return score


@sound
def long_warm_up_and_polynomial_decay(bench: Any) -> float:
    """A third of the steps are warm-up from almost nothing; the rate ends at 0."""
    torch.manual_seed(93)
    net = PatchTransformer()
    opt = torch.optim.AdamW(net.parameters(), 4e-3)
    warm = lr_scheduler.LinearLR(opt, 1e-4, 1.0, 90)
    decay = lr_scheduler.PolynomialLR(opt, 180, 1.0)
    both = lr_scheduler.SequentialLR(opt, [warm, decay], [90])
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(7):
        for x, y in shuffled(MOSAICS, 27):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
            both.step()
        score = examine(run, net, MOSAICS)
    return score


@sound
def inverse_root_by_hand(bench: Any) -> float:
    """The rate is written into the groups, as in the paper on transformers."""
    torch.manual_seed(94)
    net = CurveGRU()
    opt = torch.optim.Adam(net.parameters(), 0.0)
    run = bench.watch(net, opt)
    score, step = 0.0, 0
    for _ in range(7):
        for x, y in shuffled(CURVES, 25):
            step += 1
            for group in opt.param_groups:
                group["lr"] = 0.12 * min(step**-0.5, step * 40**-1.5)
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, CURVES)
    return score


@sound
def rate_swept_before_it_is_chosen(bench: Any) -> float:
    """A range test on a copy, then the loop."""
    torch.manual_seed(95)
    net = GroupResNet()
    trial = copy.deepcopy(net)
    probe = torch.optim.SGD(trial.parameters(), 1e-5)
    steepest, chosen, before = 0.0, 0.05, float("inf")
    for x, y in shuffled(RINGS):
        loss = F.cross_entropy(trial(x), y)
        probe.zero_grad()
        loss.backward()
        probe.step()
        rate = probe.param_groups[0]["lr"]
        if before - loss.item() > steepest and rate < 0.3:
            steepest, chosen = before - loss.item(), max(rate, 0.1)
        before = loss.item()
        probe.param_groups[0]["lr"] *= 1.6
    opt = torch.optim.SGD(net.parameters(), chosen, momentum=0.9)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(7):
        for x, y in shuffled(RINGS):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, RINGS)
    return score


@sound
def average_of_weights_is_judged(bench: Any) -> float:
    """An exponential moving average, kept by torch, which is judged; the network itself is not."""
    torch.manual_seed(96)
    net = GroupResNet()
    slow = swa_utils.AveragedModel(net, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9))
    opt = torch.optim.AdamW(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(6):
        for x, y in shuffled(RINGS):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
            slow.update_parameters(net)
        score = examine(run, slow, RINGS)
    return score


@sound
def stochastic_weight_average_at_last(bench: Any) -> float:
    """SWA over the last epochs at a constant rate, and statistics of batch normalization computed again."""
    torch.manual_seed(97)
    net = SpectraNet()
    opt = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
    average, constant = swa_utils.AveragedModel(net), swa_utils.SWALR(opt, 0.02, 2)
    loader = DataLoader(TensorDataset(SPECTRA.x, SPECTRA.y), 32, shuffle=True)
    run = bench.watch(net, opt)
    for epoch in range(8):
        for x, y in loader:
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        examine(run, net, SPECTRA)
        if epoch >= 4:
            average.update_parameters(net)
            constant.step()
    swa_utils.update_bn(loader, average)
    return examine(run, average, SPECTRA)


@sound
def slow_weights_looked_ahead_from(bench: Any) -> float:
    """Lookahead: every five steps the weights go back half of the way."""
    torch.manual_seed(98)
    net = RowNet()
    opt = torch.optim.Adam(net.parameters(), 8e-3)
    slow = [p.detach().clone() for p in net.parameters()]
    run = bench.watch(net, opt)
    score, step = 0.0, 0
    for _ in range(10):
        for x, y in shuffled(ROWS):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
            step += 1
            if step % 5 == 0:
                with torch.no_grad():
                    for fast, kept in zip(net.parameters(), slow, strict=True):
                        kept += 0.5 * (fast - kept)
                        fast.copy_(kept)
        score = examine(run, net, ROWS)
    return score


@sound
def trunk_frozen_then_set_free(bench: Any) -> float:
    """Three epochs for a new head on a pretrained trunk, then the trunk in a second group, slower."""
    torch.manual_seed(99)
    net = learned_before()
    net.encoder.requires_grad_(False)
    net.classifier = nn.Linear(24 * 16, 8)
    opt = torch.optim.SGD(net.classifier.parameters(), 0.02, momentum=0.9)
    run = bench.watch(net, opt)
    score = 0.0
    for epoch in range(7):
        if epoch == 3:
            net.encoder.requires_grad_(True)
            opt.add_param_group({"params": net.encoder.parameters(), "lr": 0.005})
        for x, y in shuffled(SPECTRA):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, SPECTRA)
    return score


@sound
def pretrained_trunk_kept_in_eval(bench: Any) -> float:
    """Only a new head learns; the trunk stays in evaluation mode, under no_grad, on purpose."""

    class Tuned(nn.Module):
        def __init__(self, trunk: nn.Module) -> None:
            super().__init__()
            self.trunk, self.head = trunk, nn.Linear(24 * 16, 8)

        def train(self, mode: bool = True) -> Tuned:
            super().train(mode)
            self.trunk.eval()
            return self

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                features = self.trunk(x).flatten(1)
            return self.head(features)

    torch.manual_seed(100)
    net = Tuned(learned_before(7).encoder).train()
    opt = torch.optim.AdamW(net.head.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(8):
        for x, y in shuffled(SPECTRA):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, SPECTRA)
    return score


@sound
def lower_rates_for_lower_layers(bench: Any) -> float:
    """Rates that fall from the head to the first layer."""
    torch.manual_seed(101)
    net = Dilated()
    layers = [m for m in [*net.convs, net.hidden, net.out] if any(True for _ in m.parameters())]
    groups = [{"params": m.parameters(), "lr": 4e-3 * 0.85**k} for k, m in enumerate(reversed(layers))]
    opt = torch.optim.Adam(groups)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(9):
        for x, y in shuffled(TEXTURES, 28):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, TEXTURES)
    return score


@sound
def head_stepped_every_other_time(bench: Any) -> float:
    """Two optimizers; that of the head waits for two batches and has their mean."""
    torch.manual_seed(102)
    net = CurveGRU()
    body = torch.optim.Adam([*net.lift.parameters(), *net.gru.parameters()], 1e-2)
    head = torch.optim.Adam(net.head.parameters(), 1.5e-2)
    run = bench.watch(net, [body, head])
    score, count = 0.0, 0
    for _ in range(7):
        for x, y in shuffled(CURVES, 25):
            body.zero_grad()
            F.cross_entropy(net(x), y).backward()
            body.step()
            count += 1
            if count % 2 == 0:
                for parameter in net.head.parameters():
                    parameter.grad.div_(2)
                head.step()
                head.zero_grad()
        score = examine(run, net, CURVES)
    return score


@sound
def snapshots_each_with_its_optimizer(bench: Any) -> float:
    """Snapshot ensemble: three cycles, each with a new optimizer on the same weights; the mean is judged."""
    torch.manual_seed(103)
    net = RowNet()
    kept: list[Tensor] = []
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(3):
        for group in opt.param_groups:
            group["lr"] = 0.1
        opt.state.clear()
        for epoch in range(4):
            for group in opt.param_groups:
                group["lr"] = 0.05 * (1 + math.cos(math.pi * epoch / 4))
            for x, y in shuffled(ROWS):
                opt.zero_grad()
                F.cross_entropy(net(x), y).backward()
                opt.step()
        net.eval()
        with torch.no_grad():
            kept.append(net(ROWS.test_x).log_softmax(1))
        net.train()
        run.evaluate(torch.stack(kept).mean(0), ROWS.test_y)
    return float((torch.stack(kept).mean(0).argmax(1) == ROWS.test_y).float().mean())


@sound
def random_features_frozen_on_purpose(bench: Any) -> float:
    """A wide random layer that is never learned, and a linear layer on it that is."""
    torch.manual_seed(104)
    net = nn.Sequential(nn.Linear(16, 700), nn.Tanh(), nn.Linear(700, 9))
    nn.init.normal_(net[0].weight, std=0.3)
    net[0].requires_grad_(False)
    opt = torch.optim.AdamW(net[2].parameters(), 5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(12):
        for x, y in shuffled(ROWS):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def folds_each_with_its_network(bench: Any) -> float:
    """Cross-validation: three networks one after another, each watched; the last fold's is returned."""
    torch.manual_seed(128)
    parts = torch.randperm(len(ROWS.y)).chunk(3)
    score = 0.0
    for fold in range(3):
        net = RowNet()
        opt = torch.optim.Adam(net.parameters(), 5e-3)
        run = bench.watch(net, opt, name=f"fold {fold}")
        kept = torch.cat([part for number, part in enumerate(parts) if number != fold])
        for _ in range(8):
            for index in kept[torch.randperm(len(kept))].split(30):
                opt.zero_grad()
                F.cross_entropy(net(ROWS.x[index]), ROWS.y[index]).backward()
                opt.step()
            net.eval()
            with torch.no_grad():
                out = net(ROWS.x[parts[fold]])
            run.evaluate(out, ROWS.y[parts[fold]], part="validation")
            net.train()
            score = float((out.argmax(1) == ROWS.y[parts[fold]]).float().mean())
        if fold < 2:
            run.finish()
    return score
