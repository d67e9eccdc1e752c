"""Correct loops of `independent-3` that look odd: several phases, several networks, averaged weights."""

# The last epoch's figure is read after the loop, as scripts do.
# mypy: disable-error-code="possibly-undefined"

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.watched.independent3 import data
from benchmarks.watched.independent3.data import descend, evaluate, shuffled, sound, top1_accuracy
from benchmarks.watched.independent3.nets import (
    Dilated,
    GlyphResNet,
    Mobile,
    Plain,
    ResMlp,
    ShapeVgg,
    TableNet,
    stack,
)


@sound
def frozen_backbone_new_head(bench: Any) -> float:
    """Trained on twelve signs before; four of them are to be told apart by a head of its own."""
    torch.manual_seed(3)
    d, net = data.glyphs(), GlyphResNet()
    first = torch.optim.Adam(net.parameters(), 4e-3)
    for _ in range(5):
        for rows in shuffled(len(d.x), 32):
            first.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            first.step()
    net.requires_grad_(False)
    net.fc = nn.Linear(net.fc.in_features, 4)
    x, y = d.x[d.y < 4], d.y[d.y < 4]
    opt = torch.optim.Adam(net.fc.parameters(), lr=1e-2)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.eval()  # the norms of the backbone stay as they are
        for rows in shuffled(len(x), 20):
            opt.zero_grad()
            F.cross_entropy(net(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
    return evaluate(run, net, d.test_x[d.test_y < 4], d.test_y[d.test_y < 4])


@sound
def average_of_weights_is_tested(bench: Any) -> float:
    torch.manual_seed(7)
    d, net = data.scents(), ResMlp()
    ema = copy.deepcopy(net).requires_grad_(False)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for rows in shuffled(len(d.x), 40):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
            with torch.no_grad():
                for slow, fast in zip(ema.parameters(), net.parameters(), strict=True):
                    slow.lerp_(fast, 0.05)
        score = evaluate(run, ema, d.test_x, d.test_y)
    return score


@sound
def stochastic_weight_averaging(bench: Any) -> float:
    torch.manual_seed(8)
    d, net = data.shapes(), ShapeVgg()
    loader = DataLoader(TensorDataset(d.x, d.y), 25, shuffle=True)
    opt = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
    averaged, swa = AveragedModel(net), SWALR(opt, swa_lr=0.01, anneal_epochs=2)  # type: ignore[no-untyped-call]
    run = bench.watch(net, opt)
    for epoch in range(10):
        net.train()
        for xb, yb in loader:
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()  # type: ignore[no-untyped-call]
            opt.step()
        if epoch >= 6:
            averaged.update_parameters(net)  # type: ignore[no-untyped-call]
            swa.step()
        evaluate(run, net, d.test_x, d.test_y)
    update_bn(loader, averaged)
    return evaluate(run, averaged, d.test_x, d.test_y)


@sound
def stopped_early_best_restored(bench: Any) -> float:
    torch.manual_seed(17)
    d, net = data.wine(), TableNet(13, 3)
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    run = bench.watch(net, opt)
    best, kept, patience = -1.0, net.state_dict(), 0
    for _ in range(60):
        net.train()
        for rows in shuffled(len(d.x), 12):
            if len(rows) > 1:
                opt.zero_grad()
                F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
                opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
        patience += 1
        if score > best:
            best, kept, patience = score, copy.deepcopy(net.state_dict()), 0
        if patience == 8:
            break
    net.load_state_dict(kept)
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def rate_finder_first(bench: Any) -> float:
    """The rate grows until the loss does, the weights go back, and the training begins."""
    torch.manual_seed(18)
    d, net = data.blooms(), Plain()
    opt = torch.optim.SGD(net.parameters(), 1e-5, momentum=0.9)
    run = bench.watch(net, opt)
    start, lowest, rate = copy.deepcopy(net.state_dict()), math.inf, 1e-4
    while True:
        rows = torch.randint(0, len(d.x), (25,))
        opt.param_groups[0]["lr"] = rate
        loss = F.cross_entropy(net(d.x[rows]), d.y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        lowest = min(lowest, loss.item())
        if loss.item() > 2 * lowest or rate > 1:
            break
        rate *= 1.3
    net.load_state_dict(start)
    opt.state.clear()
    opt.param_groups[0]["lr"] = min(0.03, rate / 10)
    for _ in range(8):
        for rows in shuffled(len(d.x), 25):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def folds(bench: Any) -> float:
    """Five folds, a network and a run for each; the mean of the folds."""
    d, scores = data.cancer(), []
    x, y = torch.cat([d.x, d.test_x]), torch.cat([d.y, d.test_y])
    for fold in range(5):
        torch.manual_seed(fold)
        out = torch.arange(len(x)) % 5 == fold
        mean, std = x[~out].mean(0), x[~out].std(0)
        train, net = (x[~out] - mean) / std, TableNet()
        opt = torch.optim.Adam(net.parameters(), 0.01)
        run = bench.watch(net, opt, name=f"fold {fold}")
        for _ in range(5):
            net.train()
            for rows in shuffled(len(train), 20):
                opt.zero_grad()
                F.cross_entropy(net(train[rows]), y[~out][rows]).backward()  # type: ignore[no-untyped-call]
                opt.step()
        scores.append(evaluate(run, net, (x[out] - mean) / std, y[out]))
    return sum(scores) / 5


@sound
def sharpness_aware(bench: Any) -> float:
    """Two passes for each step: the gradients of the first only move the weights away and back."""
    torch.manual_seed(20)
    d, net = data.blooms(), Plain()
    opt = torch.optim.SGD(net.parameters(), 0.03, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(7):
        for rows in shuffled(len(d.x), 25):
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                grads = [p.grad for p in net.parameters() if p.grad is not None]
                norm = torch.stack([g.norm() for g in grads]).norm()
                moves = [0.03 * g / (norm + 1e-12) for g in grads]
                for p, move in zip(net.parameters(), moves, strict=True):
                    p.add_(move)
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                for p, move in zip(net.parameters(), moves, strict=True):
                    p.sub_(move)
            opt.step()
            opt.zero_grad()
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def lookahead(bench: Any) -> float:
    torch.manual_seed(21)
    d, net = data.shapes(), ShapeVgg()
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    slow, step = [p.detach().clone() for p in net.parameters()], 0
    run = bench.watch(net, opt)
    for _ in range(9):
        net.train()
        for rows in shuffled(len(d.x), 25):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
            step += 1
            if step % 5 == 0:
                with torch.no_grad():
                    for kept, p in zip(slow, net.parameters(), strict=True):
                        p.copy_(kept.lerp_(p, 0.5))
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def from_easy_to_hard(bench: Any) -> float:
    """Curriculum: the first epochs see the quiet recordings, in order of their noise."""
    torch.manual_seed(51)
    d, net = data.tones(), Dilated()
    rough = (d.x[:, :, 1:] - d.x[:, :, :-1]).abs().mean((1, 2)).argsort()
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    for epoch in range(7):
        net.train()
        rows = rough[: int(len(rough) * min(1.0, 0.4 + 0.15 * epoch))]
        rows = rows if epoch < 2 else rows[torch.randperm(len(rows))]
        for part in rows.split(30):
            descend(opt, F.cross_entropy(net(d.x[part]), d.y[part]))
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def features_against_a_critic(bench: Any) -> float:
    """A critic guesses whether a picture is inverted; the features are to make that impossible."""
    torch.manual_seed(52)
    d, net = data.digits(), Plain(10, side=8)
    critic = stack([64, 32, 2], nn.ReLU)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    critic_opt = torch.optim.Adam(critic.parameters(), 2e-3)
    run = bench.watch(net, [opt, critic_opt])
    for _ in range(8):
        for rows in shuffled(len(d.x), 32):
            side = torch.randint(0, 2, (len(rows),))
            x = torch.where(side[:, None, None, None] == 1, 1 - d.x[rows], d.x[rows])
            descend(critic_opt, F.cross_entropy(critic(net.features(x).detach()), side))
            fooled = -F.cross_entropy(critic(net.features(x)), side)
            descend(opt, F.cross_entropy(net(x), d.y[rows]) + 0.05 * fooled)
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def taught_by_a_larger_network(bench: Any) -> float:
    torch.manual_seed(58)
    d, teacher, student = data.scents(), ResMlp(width=96), stack([40, 24, 20], nn.ReLU)
    first = torch.optim.Adam(teacher.parameters(), 2e-3)
    for _ in range(5):
        for rows in shuffled(len(d.x), 40):
            descend(first, F.cross_entropy(teacher(d.x[rows]), d.y[rows]))
    teacher.eval()
    opt = torch.optim.Adam(student.parameters(), 5e-3)
    run = bench.watch(student, opt)
    for _ in range(10):
        for rows in shuffled(len(d.x), 40):
            with torch.no_grad():
                soft = (teacher(d.x[rows]) / 3).softmax(1)
            out = student(d.x[rows])
            kl = F.kl_div((out / 3).log_softmax(1), soft, reduction="batchmean") * 9
            descend(opt, 0.7 * kl + 0.3 * F.cross_entropy(out, d.y[rows]))
        score = evaluate(run, student, d.test_x, d.test_y)
    return score


@sound
def layers_thawed_one_by_one(bench: Any) -> float:
    torch.manual_seed(64)
    d, net = data.blooms(), Plain()
    first = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(3):  # on the mirrored half of the task: five petals or more
        for rows in shuffled(len(d.x), 25):
            descend(first, F.cross_entropy(net(d.x[rows].flip(3)), (d.y[rows] > 2).long()))
    net.f2 = nn.Linear(64, 6)
    layers = [net.f2, net.f1, net.c2, net.c1]
    net.requires_grad_(False)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for epoch in range(9):
        if epoch < 4:
            layers[epoch].requires_grad_(True)
        for rows in shuffled(len(d.x), 25):
            descend(opt, F.cross_entropy(net(d.x[rows]), d.y[rows]))
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def norms_kept_in_eval(bench: Any) -> float:
    """Fine-tuning from clean to noisy cloth with the normalization layers left as they are."""
    torch.manual_seed(69)
    d, net = data.weaves(), Mobile(drop=0.3)
    first = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(3):
        for rows in shuffled(len(d.x), 30):
            descend(first, F.cross_entropy(net(d.x[rows]), d.y[rows]))
    x = d.x + 0.3 * torch.randn_like(d.x)
    test_x = d.test_x + 0.3 * torch.randn_like(d.test_x)
    opt = torch.optim.SGD(net.parameters(), 5e-3, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        for rows in shuffled(len(x), 30):
            descend(opt, F.cross_entropy(net(x[rows]), d.y[rows]))
    return evaluate(run, net, test_x, d.test_y)


@sound
def attacked_while_it_learns(bench: Any) -> float:
    """Adversarial training: a backward pass to the pictures comes before the one to the weights."""
    torch.manual_seed(70)
    d, net = data.digits(), Plain(10, side=8)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        for rows in shuffled(len(d.x), 32):
            x = d.x[rows].clone().requires_grad_()
            F.cross_entropy(net(x), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            assert x.grad is not None
            worse = (x + 0.06 * x.grad.sign()).clamp(0, 1).detach()
            descend(opt, F.cross_entropy(net(torch.cat([d.x[rows], worse])), d.y[rows].repeat(2)))
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def few_labels_and_own_guesses(bench: Any) -> float:
    """A third is labeled; of the rest, what the network is sure of is learned too."""
    torch.manual_seed(71)
    d, net = data.digits(), Plain(10, side=8)
    x, y, rest = d.x[:450], d.y[:450], d.x[450:]
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for epoch in range(14):
        for rows in shuffled(len(x), 25):
            loss = F.cross_entropy(net(x[rows]), y[rows])
            if epoch > 3:
                some = rest[torch.randint(len(rest), (50,))]
                with torch.no_grad():
                    sure, guess = net(some).softmax(1).max(1)
                each = F.cross_entropy(net(some + 0.1 * torch.randn_like(some)), guess, reduction="none")
                loss = loss + 0.5 * (each * (sure > 0.95)).mean()
            descend(opt, loss)
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def snapshots_vote(bench: Any) -> float:
    """The rate falls to zero three times; the three networks' mean answer is tested."""
    torch.manual_seed(78)
    d, net = data.shapes(), ShapeVgg()
    opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    run = bench.watch(net, opt)
    kept = []
    for cycle in range(3):
        steps = 4 * 30
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
        for group in opt.param_groups:
            group["lr"] = 0.05 if cycle == 0 else 0.03
        net.train()
        for _ in range(4):
            for rows in shuffled(len(d.x), 25):
                descend(opt, F.cross_entropy(net(d.x[rows]), d.y[rows]))
                cosine.step()
        kept.append(copy.deepcopy(net).eval())
        evaluate(run, net, d.test_x, d.test_y)
    with torch.no_grad():
        votes = sum(each(d.test_x).softmax(1) for each in kept)
    assert isinstance(votes, Tensor)
    return top1_accuracy(votes, d.test_y)


@sound
def batches_of_one_layer_norm(bench: Any) -> float:
    torch.manual_seed(76)
    d, net = data.scents(), ResMlp(blocks=1, drop=0.0)
    opt = torch.optim.SGD(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    for _ in range(3):
        for row in torch.randperm(len(d.x)):
            descend(opt, F.cross_entropy(net(d.x[row][None]), d.y[row][None]))
        opt.param_groups[0]["lr"] *= 0.4
    return evaluate(run, net, d.test_x, d.test_y)
