"""Correct loops of `independent-3` that look odd: losses, weights of samples, shapes of answers."""

# The last epoch's figure is read after the loop, as scripts do.
# mypy: disable-error-code="possibly-undefined"

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for

from benchmarks.watched.independent3 import data
from benchmarks.watched.independent3.data import descend, evaluate, shuffled, sound, top1_accuracy
from benchmarks.watched.independent3.nets import (
    Dilated,
    Mobile,
    PathGru,
    Plain,
    ResMlp,
    ShapeVgg,
    TableNet,
    stack,
)


@sound
def focal_loss_rare_classes(bench: Any) -> float:
    torch.manual_seed(54)
    d, net = data.weaves(), Mobile()
    keep = (d.y < 5) | (torch.arange(len(d.y)) % 3 == 0)
    x, y = d.x[keep], d.y[keep]
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    for _ in range(7):
        net.train()
        for rows in shuffled(len(x), 25):
            logits = net(x[rows])
            logp = logits.log_softmax(1).gather(1, y[rows][:, None])[:, 0]
            loss = -((1 - logp.exp()) ** 2 * logp).mean()
            opt.zero_grad()
            loss.backward()
            run.step(loss, logits, y[rows])
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def dropout_of_sixty_percent(bench: Any) -> float:
    torch.manual_seed(55)
    d = data.digits()
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.6), nn.Linear(256, 128), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(128, 10),
    )  # fmt: skip
    opt = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(12):
        net.train()
        for rows in shuffled(len(d.x), 32):
            descend(opt, F.cross_entropy(net(d.x[rows]), d.y[rows]))
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def weights_for_rare_classes(bench: Any) -> float:
    torch.manual_seed(56)
    d, net = data.tones(), Dilated()
    keep = (d.y != 2) | (torch.arange(len(d.y)) % 4 == 0)
    x, y = d.x[keep], d.y[keep]
    criterion = nn.CrossEntropyLoss(weight=len(y) / 6 / y.bincount().float())
    opt = torch.optim.AdamW(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for rows in shuffled(len(x), 30):
            descend(opt, criterion(net(x[rows]), y[rows]))
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def mixed_pairs(bench: Any) -> float:
    torch.manual_seed(57)
    d, net = data.shapes(), ShapeVgg()
    opt = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 12)
    run = bench.watch(net, opt)
    for _ in range(12):
        net.train()
        for rows in shuffled(len(d.x), 25):
            lam, other = float(torch.distributions.Beta(0.4, 0.4).sample()), rows.flip(0)  # type: ignore[no-untyped-call]
            out = net(lam * d.x[rows] + (1 - lam) * d.x[other])
            descend(opt, lam * F.cross_entropy(out, d.y[rows]) + (1 - lam) * F.cross_entropy(out, d.y[other]))
        sched.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


class Supervised(Plain):
    """A head on the first maps too."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Linear(16 * 9, 6)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = F.adaptive_avg_pool2d(F.relu(self.c1(x)), 3)
        return self(x), self.early(maps.flatten(1))


@sound
def deep_supervision(bench: Any) -> float:
    torch.manual_seed(59)
    d, net = data.blooms(), Supervised()
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for _ in range(7):
        for rows in shuffled(len(d.x), 25):
            main, early = net.both(d.x[rows])
            descend(opt, F.cross_entropy(main, d.y[rows]) + 0.3 * F.cross_entropy(early, d.y[rows]))
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def several_answers_for_each(bench: Any) -> float:
    """Multi-label: is the digit even, above four, a prime; each answer has its own sigmoid."""
    torch.manual_seed(60)
    d, net = data.digits(), Plain(3, side=8)
    table = torch.tensor([[k % 2 == 0, k > 4, k in (2, 3, 5, 7)] for k in range(10)]).float()
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    bench.watch(net, opt)
    for epoch in range(8):
        for rows in shuffled(len(d.x), 32):
            descend(opt, F.binary_cross_entropy_with_logits(net(d.x[rows]), table[d.y[rows]]))
        with torch.no_grad():
            hits = (net(d.test_x) > 0) == (table[d.test_y] > 0)
        print(epoch, float(hits.float().mean()))
    return float(hits.all(1).float().mean())


@sound
def one_logit_for_two_classes(bench: Any) -> float:
    torch.manual_seed(61)
    d = data.cancer()
    mean, std = d.x.mean(0), d.x.std(0)
    net = TableNet(30, 1)
    opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    bench.watch(net, opt)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.6))
    for _ in range(10):
        net.train()
        for rows in shuffled(len(d.x), 20):
            out = net((d.x[rows] - mean) / std).squeeze(1)
            descend(opt, criterion(out, d.y[rows].float()))
    net.eval()
    with torch.no_grad():
        sick = net((d.test_x - mean) / std).squeeze(1) > 0
    return float((sick.long() == d.test_y).float().mean())


@sound
def ordered_petals(bench: Any) -> float:
    """Ordinal: "more than k petals" for every k, read as a number."""
    torch.manual_seed(62)
    d, net = data.blooms(), Plain(5)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    bench.watch(net, opt)
    for _ in range(8):
        for rows in shuffled(len(d.x), 25):
            above = (d.y[rows][:, None] > torch.arange(5)).float()
            descend(opt, F.binary_cross_entropy_with_logits(net(d.x[rows]), above))
        with torch.no_grad():
            score = float(((net(d.test_x) > 0).sum(1) == d.test_y).float().mean())
    return score


@sound
def triplets_then_nearest_center(bench: Any) -> float:
    torch.manual_seed(63)
    d, net = data.scents(), stack([40, 64, 32], nn.ReLU)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    members = [(d.y == k).nonzero()[:, 0] for k in range(20)]
    criterion = nn.TripletMarginLoss(margin=1.0)
    for _ in range(8):
        for rows in shuffled(len(d.x), 40):
            same = torch.stack([members[k][torch.randint(len(members[k]), ())] for k in d.y[rows].tolist()])
            away = [members[(k + int(torch.randint(1, 20, ()))) % 20] for k in d.y[rows].tolist()]
            other = torch.stack([rest[torch.randint(len(rest), ())] for rest in away])
            descend(opt, criterion(net(d.x[rows]), net(d.x[same]), net(d.x[other])))
        with torch.no_grad():
            codes = net(d.x)
            centers = torch.stack([codes[m].mean(0) for m in members])
            logits = -torch.cdist(net(d.test_x), centers)
        run.evaluate(logits, d.test_y)
    return top1_accuracy(logits, d.test_y)


@sound
def weight_of_each_sample(bench: Any) -> float:
    torch.manual_seed(65)
    d, net = data.walks(), PathGru()
    trust = 0.5 + torch.rand(len(d.x))
    opt = torch.optim.Adam(net.parameters(), 8e-3)
    run = bench.watch(net, opt)
    for _ in range(10):
        for rows in shuffled(len(d.x), 20):
            each = F.cross_entropy(net(d.x[rows]), d.y[rows], reduction="none")
            opt.zero_grad()
            ((each * trust[rows]).sum() / trust[rows].sum()).backward()
            nn.utils.clip_grad_value_(net.parameters(), 0.5)
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


class Standardized(nn.Conv2d):
    """A convolution whose filters are standardized before they are used."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, w / (w[0].numel() ** 0.5), self.bias, self.stride, self.padding)


@sound
def standardized_filters_never_eval(bench: Any) -> float:
    """Group normalization and no dropout: evaluation mode would change nothing, and nobody calls it."""
    torch.manual_seed(66)
    d = data.shapes()
    net = nn.Sequential(
        Standardized(3, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.ReLU(), nn.MaxPool2d(2),
        Standardized(16, 32, 3, padding=1), nn.GroupNorm(4, 32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 5),
    )  # fmt: skip
    opt = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(9):
        for rows in shuffled(len(d.x), 25):
            descend(opt, F.cross_entropy(net(d.x[rows]), d.y[rows]))
        with torch.no_grad():
            logits = net(d.test_x)
        run.evaluate(logits, d.test_y)
    return top1_accuracy(logits, d.test_y)


@sound
def backward_for_each_loss(bench: Any) -> float:
    """Two backward passes add up what one pass over the sum would give."""
    torch.manual_seed(67)
    d, net = data.walks(), PathGru(width=32)
    opt = torch.optim.Adam(net.parameters(), 8e-3)
    run = bench.watch(net, opt)
    for _ in range(10):
        for rows in shuffled(len(d.x), 20):
            opt.zero_grad()
            logits = net(d.x[rows])
            F.cross_entropy(logits, d.y[rows]).backward(retain_graph=True)  # type: ignore[no-untyped-call]
            (1e-3 * logits.pow(2).mean()).backward()
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def raw_columns_into_batch_norm(bench: Any) -> float:
    """The table is not standardized: the network's first layer does it."""
    torch.manual_seed(68)
    d = data.cancer()
    net = nn.Sequential(nn.BatchNorm1d(30), nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 2))
    opt = torch.optim.Adam(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    for _ in range(10):
        net.train()
        for rows in shuffled(len(d.x), 20):
            if len(rows) > 1:
                descend(opt, F.cross_entropy(net(d.x[rows]), d.y[rows]))
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def margin_instead_of_probabilities(bench: Any) -> float:
    torch.manual_seed(72)
    d, net = data.scents(), nn.Linear(40, 20)
    opt = torch.optim.SGD(net.parameters(), 0.2, momentum=0.9, weight_decay=1e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        for rows in shuffled(len(d.x), 30):
            descend(opt, F.multi_margin_loss(net(d.x[rows]), d.y[rows]))
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def squares_to_one_hot(bench: Any) -> float:
    torch.manual_seed(73)
    d, net = data.tones(), Dilated()
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    for _ in range(7):
        net.train()
        for rows in shuffled(len(d.x), 30):
            descend(opt, F.mse_loss(net(d.x[rows]).softmax(1), F.one_hot(d.y[rows], 6).float()))
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def sums_with_a_small_rate(bench: Any) -> float:
    torch.manual_seed(74)
    d, net = data.blooms(), Plain()
    opt = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(8):
        for rows in shuffled(len(d.x), 25):
            for p in net.parameters():
                p.grad = None
            F.cross_entropy(net(d.x[rows]), d.y[rows], reduction="sum").backward()  # type: ignore[no-untyped-call]
            opt.step()
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def head_and_last_norm_begin_at_zero(bench: Any) -> float:
    torch.manual_seed(75)
    d, net = data.scents(), ResMlp(blocks=3)
    nn.init.zeros_(net.head.weight)
    for block in net.blocks:
        nn.init.zeros_(block[-1].weight)  # type: ignore[index]
    opt = torch.optim.AdamW(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for rows in shuffled(len(d.x), 40):
            descend(opt, F.cross_entropy(net(d.x[rows]), d.y[rows]))
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def two_views_should_agree(bench: Any) -> float:
    """R-Drop: the same batch twice under dropout, and the distance of the two answers."""
    torch.manual_seed(77)
    d, net = data.scents(), ResMlp(drop=0.3)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for _ in range(7):
        net.train()
        for rows in shuffled(len(d.x), 40):
            a, b = net(d.x[rows]).log_softmax(1), net(d.x[rows]).log_softmax(1)
            apart = F.kl_div(a, b, log_target=True, reduction="batchmean")
            descend(opt, F.nll_loss(a, d.y[rows]) + F.nll_loss(b, d.y[rows]) + 0.5 * apart)
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


class Tied(nn.Module):
    """An encoder whose transposed weight decodes, and a classifier on the code."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(64, 64))
        self.bias, self.back = nn.Parameter(torch.zeros(64)), nn.Parameter(torch.zeros(64))
        self.out = nn.Linear(64, 10)

    def encode(self, x: Tensor) -> Tensor:
        return F.relu(F.linear(x.flatten(1), self.weight, self.bias))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encode(x))


@sound
def tied_autoencoder(bench: Any) -> float:
    torch.manual_seed(53)
    d, net = data.digits(), Tied()
    opt = torch.optim.Adam(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    for _ in range(7):
        for rows in shuffled(len(d.x), 32):
            x = d.x[rows]
            again = F.linear(net.encode(x), net.weight.t(), net.back)
            descend(opt, F.cross_entropy(net(x), d.y[rows]) + F.mse_loss(again, x.flatten(1)))
    return evaluate(run, net, d.test_x, d.test_y)
