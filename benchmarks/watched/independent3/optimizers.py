"""Correct loops of `independent-3` that look odd: schedules, optimizers, memory and precision."""

# The last epoch's figure is read after the loop, as scripts do.
# mypy: disable-error-code="possibly-undefined"

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as in the scripts that these stand for
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from benchmarks.watched.independent3 import data
from benchmarks.watched.independent3.data import evaluate, shuffled, sound, top1_accuracy
from benchmarks.watched.independent3.nets import (
    Dense,
    Dilated,
    GlyphResNet,
    Mobile,
    PatchTransformer,
    PathGru,
    Plain,
    ShapeVgg,
    stack,
)


@sound
def clipped_accumulation(bench: Any) -> float:
    torch.manual_seed(1)
    d, net, every = data.shapes(), ShapeVgg(), 4
    opt = torch.optim.SGD(net.parameters(), 0.08, momentum=0.9)
    run = bench.watch(net, opt)
    for _ in range(9):
        net.train()
        opt.zero_grad()
        for n, rows in enumerate(shuffled(len(d.x), 8), 1):
            (F.cross_entropy(net(d.x[rows]), d.y[rows]) / every).backward()  # type: ignore[no-untyped-call]
            if n % every == 0:
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                opt.step()
                opt.zero_grad()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def one_cycle_every_batch(bench: Any) -> float:
    torch.manual_seed(2)
    d, net = data.glyphs(), GlyphResNet()
    loader = DataLoader(TensorDataset(d.x, d.y), batch_size=40, shuffle=True)
    opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.2, epochs=8, steps_per_epoch=len(loader))
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for xb, yb in loader:
            loss = F.cross_entropy(net(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def log_softmax_and_nll(bench: Any) -> float:
    torch.manual_seed(4)
    d = data.scents()
    net = nn.Sequential(*stack([40, 96, 96, 20], nn.ELU), nn.LogSoftmax(dim=1))
    criterion, opt = nn.NLLLoss(), torch.optim.RMSprop(net.parameters(), 1e-3)
    run = bench.watch(net, opt)
    for _epoch in range(8):
        for rows in shuffled(len(d.x), 32):
            opt.zero_grad()
            criterion(net(d.x[rows]), d.y[rows]).backward()
            opt.step()
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def optimizer_for_each_half(bench: Any) -> float:
    torch.manual_seed(5)
    d, net = data.blooms(), Plain()
    conv = torch.optim.SGD([*net.c1.parameters(), *net.c2.parameters()], 0.02, momentum=0.9)
    dense = torch.optim.Adam([*net.f1.parameters(), *net.f2.parameters()], 1e-3)
    run = bench.watch(net, [conv, dense])
    for _ in range(8):
        for rows in shuffled(len(d.x), 25):
            loss = F.cross_entropy(net(d.x[rows]), d.y[rows])
            for opt in (conv, dense):
                opt.zero_grad()
            loss.backward()
            for opt in (conv, dense):
                opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def bfloat16_autocast(bench: Any) -> float:
    torch.manual_seed(6)
    d, net = data.tones(), Dilated()
    opt = torch.optim.AdamW(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    for _ in range(6):
        net.train()
        for rows in shuffled(len(d.x), 30):
            opt.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                out = net(d.x[rows])
                loss = F.cross_entropy(out.float(), d.y[rows])
            loss.backward()
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def warm_restarts(bench: Any) -> float:
    torch.manual_seed(9)
    d, net = data.weaves(), Mobile()
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    cosine = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=1, T_mult=2)
    run = bench.watch(net, opt)
    for epoch in range(7):
        net.train()
        batches = list(shuffled(len(d.x), 30))
        for n, rows in enumerate(batches):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
            cosine.step(epoch + n / len(batches))  # type: ignore[arg-type]
    return evaluate(run, net, d.test_x, d.test_y)


class Checkpointed(ShapeVgg):
    """Activations of the features are computed again in the backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = (
            checkpoint(self.features, x, use_reentrant=False) if self.training else self.features(x)
        )
        return self.classifier(maps.flatten(1))


@sound
def gradient_checkpointing(bench: Any) -> float:
    torch.manual_seed(10)
    d, net = data.shapes(), Checkpointed()
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for _ in range(8):
        net.train()
        for rows in shuffled(len(d.x), 30):
            loss = F.cross_entropy(net(d.x[rows]), d.y[rows])
            opt.zero_grad()
            loss.backward()
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def warm_up_from_zero(bench: Any) -> float:
    torch.manual_seed(11)
    d, net = data.digits(), PatchTransformer()
    opt = torch.optim.Adam(net.parameters(), 4e-3)
    total = 10 * 43
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(s / 60, max(0, total - s) / (total - 60)))
    run = bench.watch(net, opt)
    for _ in range(10):
        net.train()
        for rows in shuffled(len(d.x), 32):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
            sched.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def rate_for_each_layer(bench: Any) -> float:
    torch.manual_seed(12)
    d, net = data.digits(), PatchTransformer()
    groups = [
        {"params": [*net.patches.parameters(), net.position], "lr": 1e-3},
        {"params": net.blocks[0].parameters(), "lr": 2e-3},
        {"params": net.blocks[1].parameters(), "lr": 3e-3},
        {"params": [*net.norm.parameters(), *net.head.parameters()], "lr": 1e-2, "weight_decay": 0.0},
    ]
    opt = torch.optim.AdamW(groups)
    run = bench.watch(net, opt)
    for _ in range(10):
        for rows in shuffled(len(d.x), 32):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
    return evaluate(run, net, d.test_x, d.test_y)


class Lamb(torch.optim.Optimizer):
    """Adam with each layer's step scaled to the norm of its weights."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                s = self.state[p]
                s["t"] = s.get("t", 0) + 1
                s["m"] = 0.9 * s.get("m", 0) + 0.1 * p.grad
                s["v"] = 0.99 * s.get("v", 0) + 0.01 * p.grad**2
                update = s["m"] / (1 - 0.9 ** s["t"]) / ((s["v"] / (1 - 0.99 ** s["t"])).sqrt() + 1e-6)
                trust = p.norm().clamp(0.1, 10) / update.norm().clamp_min(1e-6)
                p.sub_(group["lr"] * trust * update)


@sound
def own_optimizer_like_lamb(bench: Any) -> float:
    torch.manual_seed(13)
    d, net = data.blooms(), Plain()
    opt = Lamb(net.parameters(), 0.02)
    run = bench.watch(net, opt)
    for _ in range(8):
        for rows in shuffled(len(d.x), 25):
            loss = F.cross_entropy(net(d.x[rows]), d.y[rows])
            opt.zero_grad()
            loss.backward()
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


class Signed(torch.optim.Optimizer):
    """The sign of an average of gradients, as in Lion."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                p.add_((0.9 * mean + 0.1 * p.grad).sign(), alpha=-group["lr"])
                mean.lerp_(p.grad, 0.02)


@sound
def own_optimizer_of_signs(bench: Any) -> float:
    torch.manual_seed(14)
    d, net = data.walks(), PathGru()
    opt = Signed(net.parameters(), 2e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 14)
    run = bench.watch(net, opt)
    for _ in range(14):
        for rows in shuffled(len(d.x), 20):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
        decay.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def functional_call_and_grad(bench: Any) -> float:
    torch.manual_seed(15)
    d, net = data.scents(), stack([40, 64, 20], nn.SiLU)
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    run = bench.watch(net, opt)

    def objective(params: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(net, params, (x,)), y)

    for _ in range(7):
        for rows in shuffled(len(d.x), 30):
            params = dict(net.named_parameters())
            loss = objective(params, d.x[rows], d.y[rows])
            for p, g in zip(params.values(), torch.autograd.grad(loss, list(params.values())), strict=True):
                p.grad = g
            opt.step()
    return evaluate(run, net, d.test_x, d.test_y)


@sound
def channels_last_memory(bench: Any) -> float:
    torch.manual_seed(16)
    d = data.weaves()
    net = Mobile().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = d.x.contiguous(memory_format=torch.channels_last)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for _ in range(5):
        net.train()
        for rows in shuffled(len(x), 30):
            loss = F.cross_entropy(net(x[rows]), d.y[rows], label_smoothing=0.1)
            opt.zero_grad()
            loss.backward()
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def noise_on_gradients(bench: Any) -> float:
    torch.manual_seed(19)
    d, net = data.tones(), Dilated()
    opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    run = bench.watch(net, opt)
    step = 0
    for _ in range(7):
        net.train()
        for rows in shuffled(len(d.x), 30):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            step += 1
            for p in net.parameters():
                if p.grad is not None:
                    p.grad += 0.02 / (1 + step) ** 0.55 * torch.randn_like(p)
            opt.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score


@sound
def lbfgs_with_closure(bench: Any) -> float:
    torch.manual_seed(22)
    d = data.spirals()
    net = stack([2, 40, 40, 3], nn.Tanh)
    opt = torch.optim.LBFGS(
        net.parameters(), lr=0.5, max_iter=20, history_size=20, line_search_fn="strong_wolfe"
    )
    run = bench.watch(net, opt)

    def closure() -> Tensor:
        opt.zero_grad()
        loss = F.cross_entropy(net(2 * d.x), d.y)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for _ in range(10):
        opt.step(closure)  # type: ignore[arg-type]
    return evaluate(run, net, 2 * d.test_x, d.test_y)


@sound
def plateau_and_many_epochs(bench: Any) -> float:
    torch.manual_seed(23)
    d, net = data.wine(), stack([13, 24, 3], nn.LeakyReLU)
    opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=1e-3)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=3)
    run = bench.watch(net, opt)
    for _ in range(15):
        for rows in shuffled(len(d.x), 10):
            opt.zero_grad()
            F.cross_entropy(net(d.x[rows]), d.y[rows]).backward()  # type: ignore[no-untyped-call]
            opt.step()
        with torch.no_grad():
            logits = net(d.test_x)
            plateau.step(F.cross_entropy(logits, d.test_y))
        run.evaluate(logits, d.test_y)
    return top1_accuracy(logits, d.test_y)


@sound
def drawn_by_weight(bench: Any) -> float:
    """A tenth of the signs is rare; the sampler draws them as often as the others."""
    torch.manual_seed(24)
    d, net = data.glyphs(), Dense()
    keep = (d.y >= 4) | (torch.arange(len(d.y)) % 3 == 0)
    x, y = d.x[keep], d.y[keep]
    weights = 1.0 / y.bincount()[y].float()
    loader = DataLoader(TensorDataset(x, y), 32, sampler=WeightedRandomSampler(weights.tolist(), 1200))
    opt = torch.optim.Adam(net.parameters(), 6e-3)
    sched = torch.optim.lr_scheduler.PolynomialLR(opt, 12)
    run = bench.watch(net, opt)
    for _ in range(12):
        for xb, yb in loader:
            opt.zero_grad()
            F.cross_entropy(net(xb), yb).backward()  # type: ignore[no-untyped-call]
            opt.step()
        sched.step()
        score = evaluate(run, net, d.test_x, d.test_y)
    return score
