"""Loops of `independent-2` without a fault that look suspicious: losses, targets, data and its order."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset, WeightedRandomSampler

from benchmarks.watched.independent.nets import Data
from benchmarks.watched.independent2.data import (
    BLOBS,
    CURVES,
    MOSAICS,
    RINGS,
    ROWS,
    SEGMENTS,
    SPECTRA,
    pixels,
    sound,
)
from benchmarks.watched.independent2.nets import (
    CurveGRU,
    GroupResNet,
    Inception,
    PatchTransformer,
    RowNet,
    SpectraNet,
    SqueezeExcite,
    examine,
    hits,
    shuffled,
)

COLORS = Data(pixels(BLOBS.x), BLOBS.y, pixels(BLOBS.test_x), BLOBS.test_y, 7)


@sound
def boxes_cut_and_mixed(bench: Any) -> float:
    """CutMix: the label is shared by area."""
    torch.manual_seed(71)
    net = SqueezeExcite()
    opt = torch.optim.AdamW(net.parameters(), 6e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(7):
        for x, y in shuffled(COLORS):
            other = torch.randperm(len(x))
            side = int(torch.randint(2, 10, ()))
            top, left = torch.randint(0, 16 - side, (2,)).tolist()
            x = x.clone()
            x[:, :, top : top + side, left : left + side] = x[other, :, top : top + side, left : left + side]
            part = side**2 / 256
            out = net(x)
            opt.zero_grad()
            ((1 - part) * F.cross_entropy(out, y) + part * F.cross_entropy(out, y[other])).backward()
            opt.step()
        score = examine(run, net, COLORS)
    return score


@sound
def mixed_up_with_soft_labels(bench: Any) -> float:
    """Mixup, with the labels mixed too."""
    torch.manual_seed(72)
    net = RowNet()
    opt = torch.optim.Adam(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(14):
        for x, y in shuffled(ROWS):
            part, other = float(torch.distributions.Beta(0.3, 0.3).sample()), torch.randperm(len(x))
            code = F.one_hot(y, 9).float()
            opt.zero_grad()
            mixed = part * code + (1 - part) * code[other]
            F.cross_entropy(net(part * x + (1 - part) * x[other]), mixed).backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def squared_error_of_one_hot_labels(bench: Any) -> float:
    """Regression to the labels in one-hot code."""
    torch.manual_seed(73)
    net, mse = GroupResNet(), nn.MSELoss()
    opt = torch.optim.AdamW(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(6):
        for x, y in shuffled(RINGS):
            opt.zero_grad()
            mse(net(x), F.one_hot(y, 6).float()).backward()
            opt.step()
        score = examine(run, net, RINGS)
    return score


@sound
def sigmoid_with_plain_binary_cross_entropy(bench: Any) -> float:
    """Sigmoid once, and the loss that wants it."""
    torch.manual_seed(74)
    net = nn.Sequential(RowNet(), nn.Sigmoid())
    opt = torch.optim.RMSprop(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(12):
        for x, y in shuffled(ROWS, 36):
            opt.zero_grad()
            F.binary_cross_entropy(net(x), F.one_hot(y, 9).float()).backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def hinge_of_margins(bench: Any) -> float:
    """A loss that is told by `step`."""
    torch.manual_seed(75)
    net, hinge = CurveGRU(), nn.MultiMarginLoss()
    opt = torch.optim.Adam(net.parameters(), 1e-2)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(7):
        for x, y in shuffled(CURVES, 25):
            out = net(x)
            loss = hinge(out, y)
            opt.zero_grad()
            loss.backward()
            run.step(loss, out, y)
            opt.step()
        score = examine(run, net, CURVES)
    return score


@sound
def softmax_only_when_judging(bench: Any) -> float:
    """Its network gives probabilities in evaluation mode alone."""

    class SoftmaxInEvaluation(SpectraNet):
        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            return out if self.training else out.softmax(1)

    torch.manual_seed(76)
    net = SoftmaxInEvaluation()
    opt = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(6):
        for x, y in shuffled(SPECTRA):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, SPECTRA)
    return score


@sound
def rare_classes_weighed(bench: Any) -> float:
    """Unbalanced classes, weights that are inverse to their counts, smoothed labels."""
    torch.manual_seed(77)
    kept = (SPECTRA.y < 4) | (torch.rand(len(SPECTRA.y)) < 0.35)
    part = Data(SPECTRA.x[kept], SPECTRA.y[kept], SPECTRA.test_x, SPECTRA.test_y, 8)
    counts = part.y.bincount().float()
    criterion = nn.CrossEntropyLoss(counts.mean() / counts, label_smoothing=0.1)
    net = SpectraNet()
    opt = torch.optim.AdamW(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(9):
        for x, y in shuffled(part, 24):
            opt.zero_grad()
            criterion(net(x), y).backward()
            opt.step()
        score = examine(run, net, part)
    return score


@sound
def weights_of_each_image_for_a_sampler(bench: Any) -> float:
    """Rare classes are drawn more often, by a weight for each image."""
    torch.manual_seed(78)
    kept = (RINGS.y > 1) | (torch.rand(len(RINGS.y)) < 0.4)
    x, y = RINGS.x[kept], RINGS.y[kept]
    weights = (1 / y.bincount().float())[y]
    draw = torch.Generator().manual_seed(2)
    loader = DataLoader(TensorDataset(x, y), 32, sampler=WeightedRandomSampler(weights, 900, generator=draw))
    net = GroupResNet()
    opt = torch.optim.AdamW(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(6):
        opt.param_groups[0]["lr"] *= 0.75
        for images, labels in loader:
            opt.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            opt.step()
        score = examine(run, net, RINGS)
    return score


def balanced(labels: Tensor, each: int) -> Iterator[Tensor]:
    """Batches with equally many of every class, class after class within the batch."""
    piles = [torch.nonzero(labels == k)[:, 0] for k in labels.unique()]
    piles = [pile[torch.randperm(len(pile))] for pile in piles]
    for start in range(0, min(map(len, piles)) - each + 1, each):
        yield torch.cat([pile[start : start + each] for pile in piles])


@sound
def batches_balanced_and_sorted_within(bench: Any) -> float:
    """Each batch has four of each class, in order."""
    torch.manual_seed(79)
    net = PatchTransformer()
    opt = torch.optim.AdamW(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(9):
        for index in balanced(MOSAICS.y, 4):
            opt.zero_grad()
            F.cross_entropy(net(MOSAICS.x[index]), MOSAICS.y[index]).backward()
            opt.step()
        score = examine(run, net, MOSAICS)
    return score


@sound
def order_drawn_once_for_all_epochs(bench: Any) -> float:
    """The rows were shuffled when they were stored, and are read in that order."""
    torch.manual_seed(80)
    order = torch.randperm(len(ROWS.y))
    loader = DataLoader(TensorDataset(ROWS.x[order], ROWS.y[order]), 30, shuffle=False)
    net = RowNet()
    opt = torch.optim.Adam(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(10):
        for x, y in loader:
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def batch_sampler_and_test_by_class(bench: Any) -> float:
    """The test part is sorted, and read in small batches in evaluation mode."""
    torch.manual_seed(81)
    dataset = TensorDataset(SEGMENTS.x, SEGMENTS.y)
    loader = DataLoader(dataset, batch_sampler=BatchSampler(RandomSampler(dataset), 30, drop_last=True))
    order = SEGMENTS.test_y.argsort(stable=True)
    test_loader = DataLoader(TensorDataset(SEGMENTS.test_x[order], SEGMENTS.test_y[order]), 9)
    net = Inception()
    opt = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(5):
        net.train()
        opt.param_groups[0]["lr"] *= 0.6
        for x, y in loader:
            out, aux = net(x)
            opt.zero_grad()
            (F.cross_entropy(out, y) + 0.4 * F.cross_entropy(aux, y)).backward()
            opt.step()
        net.eval()
        right = 0
        with torch.no_grad():
            for x, y in test_loader:
                out = net(x)
                run.evaluate(out, y)
                right += int((out.argmax(1) == y).sum())
        score = right / len(order)
    return score


@sound
def easy_ones_first(bench: Any) -> float:
    """A curriculum: rows near the middle of their class first, farther ones with each epoch."""
    torch.manual_seed(82)
    middles = torch.stack([ROWS.x[ROWS.y == k].mean(0) for k in range(9)])
    order = (ROWS.x - middles[ROWS.y]).norm(dim=1).argsort()
    net = RowNet()
    opt = torch.optim.Adam(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for epoch in range(12):
        part = order[: int(min(1.0, 0.4 + 0.1 * epoch) * len(order))]
        for index in part[torch.randperm(len(part))].split(30):
            opt.zero_grad()
            F.cross_entropy(net(ROWS.x[index]), ROWS.y[index]).backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def taught_by_a_larger_network(bench: Any) -> float:
    """Distillation: most of the loss is the divergence from a teacher."""
    torch.manual_seed(83)
    teacher, pupil = RowNet(), RowNet(drop=0.0)
    first = torch.optim.Adam(teacher.parameters(), 4e-3)
    for _ in range(8):
        for x, y in shuffled(ROWS):
            first.zero_grad()
            F.cross_entropy(teacher(x), y).backward()
            first.step()
    teacher.eval().requires_grad_(False)
    opt = torch.optim.Adam(pupil.parameters(), 4e-3)
    run = bench.watch(pupil, opt)
    score = 0.0
    for _ in range(10):
        for x, y in shuffled(ROWS):
            out = pupil(x)
            soft = F.kl_div((out / 2).log_softmax(1), (teacher(x) / 2).softmax(1), reduction="batchmean")
            opt.zero_grad()
            (0.2 * F.cross_entropy(out, y) + 3.2 * soft).backward()
            opt.step()
        score = examine(run, pupil, ROWS)
    return score


@sound
def labels_invented_for_the_unlabelled(bench: Any) -> float:
    """Pseudo-labels: learn from a third, then from what the network itself is sure of."""
    torch.manual_seed(84)
    third = len(RINGS.y) // 3
    known = Data(RINGS.x[:third], RINGS.y[:third], RINGS.test_x, RINGS.test_y, 6)
    net = GroupResNet()
    opt = torch.optim.AdamW(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    part, score = known, 0.0
    for epoch in range(16):
        for x, y in shuffled(part):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, RINGS)
        if epoch >= 9:
            net.eval()
            with torch.no_grad():
                sure, guess = net(RINGS.x[third:]).softmax(1).max(1)
            net.train()
            new = sure > 0.9
            both = torch.cat([known.x, RINGS.x[third:][new]]), torch.cat([known.y, guess[new]])
            part = Data(*both, RINGS.test_x, RINGS.test_y, 6)
    return score


@sound
def views_averaged_in_the_test(bench: Any) -> float:
    """Test-time augmentation: four flips of each image, logarithms of their mean probabilities."""
    torch.manual_seed(85)
    net = SqueezeExcite()
    opt = torch.optim.AdamW(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for epoch in range(6):
        net.train()
        opt.param_groups[0]["lr"] = 6e-3 * (1 - epoch / 6)
        for x, y in shuffled(COLORS):
            opt.zero_grad()
            F.cross_entropy(net(x.flip(3) if torch.rand(()) < 0.5 else x), y).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            flips: list[tuple[int, ...]] = [(), (2,), (3,), (2, 3)]
            chances = torch.stack([net(COLORS.test_x.flip(sides)).softmax(1) for sides in flips]).mean(0)
        run.evaluate(chances.log(), COLORS.test_y)
        score = hits(chances, COLORS.test_y)
    return score


@sound
def best_weights_restored_at_the_end(bench: Any) -> float:
    """Early stopping: the best weights are loaded when patience is out."""
    torch.manual_seed(86)
    net = CurveGRU()
    opt = torch.optim.Adam(net.parameters(), 1.2e-2)
    run = bench.watch(net, opt)
    best, score, patience = copy.deepcopy(net.state_dict()), 0.0, 2
    for _ in range(12):
        for x, y in shuffled(CURVES, 25):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        now = examine(run, net, CURVES)
        if now > score:
            best, score, patience = copy.deepcopy(net.state_dict()), now, 2
            continue
        patience -= 1
        if patience == 0 or run.should_stop:
            break
    net.load_state_dict(best)
    return examine(run, net, CURVES)
