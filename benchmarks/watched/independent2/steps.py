"""Loops of `independent-2` without a fault that look suspicious: what happens between two steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.nn.utils import parametrizations

from benchmarks.watched.independent2.data import CURVES, MOSAICS, RINGS, ROWS, SPECTRA, sound
from benchmarks.watched.independent2.nets import (
    CurveGRU,
    GroupResNet,
    PatchTransformer,
    RowNet,
    SpectraNet,
    examine,
    shuffled,
)


@sound
def accumulated_with_a_short_end(bench: Any) -> float:
    """Five micro-batches a step, fewer at the end of an epoch; each loss is divided by their real number."""
    torch.manual_seed(111)
    net = GroupResNet()
    opt = torch.optim.AdamW(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(8):
        batches = list(shuffled(RINGS, 8))
        for first in range(0, len(batches), 5):
            group = batches[first : first + 5]
            opt.zero_grad()
            for x, y in group:
                loss = F.cross_entropy(net(x), y)
                loss /= len(group)
                loss.backward()
            opt.step()
        score = examine(run, net, RINGS)
    return score


@sound
def gradients_averaged_after_adding(bench: Any) -> float:
    """Losses are not divided, the gradients are, before the step."""
    torch.manual_seed(112)
    net = RowNet()
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(12):
        for count, (x, y) in enumerate(shuffled(ROWS, 10), start=1):
            F.cross_entropy(net(x), y).backward()
            if count % 4 == 0:
                for parameter in net.parameters():
                    parameter.grad.div_(4)
                opt.step()
                opt.zero_grad()
        opt.zero_grad()
        score = examine(run, net, ROWS)
    return score


@sound
def gradients_set_to_none_by_hand(bench: Any) -> float:
    """Without `zero_grad`, at the end of the loop's body."""
    torch.manual_seed(113)
    net = SpectraNet()
    opt = torch.optim.NAdam(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(6):
        for x, y in shuffled(SPECTRA, 24):
            F.cross_entropy(net(x), y).backward()
            opt.step()
            for parameter in net.parameters():
                parameter.grad = None
        score = examine(run, net, SPECTRA)
    return score


@sound
def scaled_in_half_precision(bench: Any) -> float:
    """Autocast with a GradScaler that is on: unscaled, clipped, stepped by it."""
    torch.manual_seed(114)
    net = PatchTransformer()
    opt = torch.optim.AdamW(net.parameters(), 3e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(7):
        for x, y in shuffled(MOSAICS, 30):
            opt.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(net(x), y)
            scaler.scale(loss).backward()
            scaler.unscale_(opt)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(opt)
            scaler.update()
        score = examine(run, net, MOSAICS)
    return score


@sound
def clipped_small_at_a_large_rate(bench: Any) -> float:
    """Gradients are cut to a norm of 0.1, and the rate is made for that."""
    torch.manual_seed(115)
    net = GroupResNet()
    opt = torch.optim.SGD(net.parameters(), 1.0, momentum=0.7)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(8):
        opt.param_groups[0]["lr"] *= 0.9
        for x, y in shuffled(RINGS):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            opt.step()
        score = examine(run, net, RINGS)
    return score


@sound
def sharpness_sought_and_left(bench: Any) -> float:
    """SAM: up the gradient, a second gradient there, back, and a step with the second."""
    torch.manual_seed(116)
    net = GroupResNet()
    opt = torch.optim.AdamW(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(6):
        for x, y in shuffled(RINGS, 40):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            with torch.no_grad():
                norm = torch.stack([p.grad.norm() for p in net.parameters()]).norm() + 1e-12
                climbs = [0.03 * p.grad / norm for p in net.parameters()]
                for parameter, climb in zip(net.parameters(), climbs, strict=True):
                    parameter.add_(climb)
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            with torch.no_grad():
                for parameter, climb in zip(net.parameters(), climbs, strict=True):
                    parameter.sub_(climb)
            opt.step()
        score = examine(run, net, RINGS)
    return score


@sound
def rows_disturbed_against_it(bench: Any) -> float:
    """Adversarial training: a backward pass to the rows first; what it leaves at weights is thrown away."""
    torch.manual_seed(117)
    net = RowNet()
    opt = torch.optim.AdamW(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(10):
        for x, y in shuffled(ROWS, 40):
            watched = x.clone().requires_grad_()
            F.cross_entropy(net(watched), y).backward()
            opt.zero_grad()
            loss = F.cross_entropy(net(x + 0.05 * watched.grad.sign()), y)
            loss.backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def slope_at_the_rows_is_punished(bench: Any) -> float:
    """A gradient penalty, by a graph of the gradient."""
    torch.manual_seed(118)
    net = RowNet()
    opt = torch.optim.Adam(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(10):
        for x, y in shuffled(ROWS):
            x = x.clone().requires_grad_()
            loss = F.cross_entropy(net(x), y)
            (slope,) = torch.autograd.grad(loss, x, create_graph=True)
            opt.zero_grad()
            (loss + 5.0 * slope.square().sum()).backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def gradients_by_grad_and_assigned(bench: Any) -> float:
    """`torch.autograd.grad`, and the result laid into `.grad`; nothing calls `backward`."""
    torch.manual_seed(119)
    net = CurveGRU()
    opt = torch.optim.Adam(net.parameters(), 1e-2)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(7):
        for x, y in shuffled(CURVES, 25):
            loss = F.cross_entropy(net(x), y)
            slopes = torch.autograd.grad(loss, list(net.parameters()))
            for parameter, slope in zip(net.parameters(), slopes, strict=True):
                parameter.grad = slope
            opt.step()
        score = examine(run, net, CURVES)
    return score


@sound
def second_order_with_a_closure(bench: Any) -> float:
    """L-BFGS on large batches: the optimizer asks for the loss several times in a step."""
    torch.manual_seed(120)
    net = RowNet(drop=0.0, norm=False)
    opt = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=6, line_search_fn="strong_wolfe")
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(6):
        for x, y in shuffled(ROWS, 420):

            def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
                opt.zero_grad()
                square = torch.stack([p.square().sum() for p in net.parameters()]).sum()
                loss = F.cross_entropy(net(x), y) + 1e-3 * square
                loss.backward()
                return loss

            opt.step(closure)
        score = examine(run, net, ROWS)
    return score


@sound
def noise_added_to_gradients(bench: Any) -> float:
    """A hook centers each filter's gradient; noise that fades is added before the step."""
    torch.manual_seed(121)
    net = SpectraNet()
    for parameter in net.parameters():
        if parameter.ndim == 3:
            parameter.register_hook(lambda slope: slope - slope.mean((1, 2), keepdim=True))
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    score, step = 0.0, 0
    for _ in range(6):
        for x, y in shuffled(SPECTRA):
            step += 1
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            for parameter in net.parameters():
                parameter.grad.add_(0.003 * torch.randn_like(parameter) / step**0.5)
            opt.step()
        score = examine(run, net, SPECTRA)
    return score


@sound
def two_views_of_each_row_agree(bench: Any) -> float:
    """Two forward passes with other dropout each, and a term that they agree."""
    torch.manual_seed(122)
    net = RowNet(drop=0.3)
    opt = torch.optim.Adam(net.parameters(), 5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(10):
        for x, y in shuffled(ROWS):
            one, two = net(x), net(x)
            apart = F.mse_loss(one.softmax(1), two.softmax(1))
            opt.zero_grad()
            (F.cross_entropy(one, y) + F.cross_entropy(two, y) + apart).backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def judged_every_ten_steps(bench: Any) -> float:
    """Evaluation in the middle of epochs, to and fro between the modes, on a part of the test images."""
    torch.manual_seed(123)
    net = SpectraNet()
    opt = torch.optim.AdamW(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    step = 0
    for _ in range(6):
        for x, y in shuffled(SPECTRA):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
            step += 1
            if step % 10 == 0:
                net.eval()
                with torch.no_grad():
                    F.cross_entropy(net(SPECTRA.test_x[:90]), SPECTRA.test_y[:90])
                net.train()
    return examine(run, net, SPECTRA)


@sound
def loss_of_training_part_read_in_training_mode(bench: Any) -> float:
    """A pass without gradients over training batches, in training mode, before each step, for a log."""
    torch.manual_seed(124)
    net = RowNet()
    opt = torch.optim.Adam(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score, log = 0.0, []
    for _ in range(8):
        for x, y in shuffled(ROWS):
            with torch.no_grad():
                log.append(float((net(x).argmax(1) == y).float().mean()))
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, ROWS)
    return score


@sound
def four_images_a_step(bench: Any) -> float:
    """Batches of four, with group normalization and a rate for that."""
    torch.manual_seed(125)
    net = GroupResNet()
    opt = torch.optim.AdamW(net.parameters(), 1.5e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(3):
        opt.param_groups[0]["lr"] *= 0.7
        for x, y in shuffled(RINGS, 4):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, RINGS)
    return score


@sound
def weights_of_fixed_length(bench: Any) -> float:
    """Weight normalization and a spectral norm: the weights that layers use are made in each pass."""
    torch.manual_seed(126)
    net = RowNet(norm=False, drop=0.1)
    parametrizations.weight_norm(net.body[0])
    parametrizations.weight_norm(net.body[3])
    opt = torch.optim.Adam(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for _ in range(10):
        for x, y in shuffled(ROWS):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
            with torch.no_grad():  # rows of the last layer are kept on a sphere of radius 3 or less
                net.top.weight.renorm_(2, 0, 3.0)
        score = examine(run, net, ROWS)
    return score


class StochasticDepth(GroupResNet):
    """Leaves out its second block now and then while it trains."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer1(self.stem(x))
        if not (self.training and torch.rand(()) < 0.15):
            h = self.layer2(h)
        return self.fc(F.relu(self.norm(h)).mean((2, 3)))


@sound
def block_left_out_at_random(bench: Any) -> float:
    """Stochastic depth: some layers have no gradient in some steps."""
    torch.manual_seed(127)
    net = StochasticDepth()
    opt = torch.optim.AdamW(net.parameters(), 4e-3)
    run = bench.watch(net, opt)
    score = 0.0
    for epoch in range(8):
        opt.param_groups[0]["lr"] = 4e-3 * (1 - epoch / 8)
        for x, y in shuffled(RINGS):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
        score = examine(run, net, RINGS)
    return score
