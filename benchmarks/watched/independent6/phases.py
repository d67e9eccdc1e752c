"""Training in phases, frozen parts, orders of data, and networks that are called in other ways."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as scripts call it
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from benchmarks.watched.independent5.nets import mlp
from benchmarks.watched.independent6 import nets_and_sets as own
from benchmarks.watched.independent6.nets_and_sets import (
    REPORTED,
    check,
    correct,
    evaluate,
    loader,
    without_evaluation,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


def _fit(model: nn.Module, data: tuple[Tensor, Tensor], epochs: int, rate: float = 3e-3) -> None:
    """Train as before anything is watched: what a downloaded network has behind it."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    model.train()
    for _ in range(epochs):
        for x, y in loader(*data):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()


@correct
def glyphs_autoencoder_then_classes(bench: Bench) -> WatchedRun:
    torch.manual_seed(60)
    data = own.glyphs()
    model = own.Bottleneck(100, 8, code=16)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(4):
        model.train()
        for x, _labels in loader(*data.train):
            optimizer.zero_grad()
            F.mse_loss(model.decoder(model.encoder(x)), x.flatten(1)).backward()
            optimizer.step()
    for _ in range(9):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def lamps_contrastive_then_probe(bench: Bench) -> WatchedRun:
    torch.manual_seed(61)
    data = own.lamps()
    model = own.StrideNet(3, 5, drop=0.0)
    first = torch.optim.Adam(model.features.parameters(), 2e-3)
    for _ in range(3):
        model.train()
        for x, _labels in loader(*data.train, size=64):
            views = torch.cat([x + 0.2 * torch.randn_like(x), x + 0.2 * torch.randn_like(x)])
            codes = F.normalize(model.features(views), dim=1)
            alike = (codes @ codes.T / 0.2).masked_fill(torch.eye(len(codes)).bool(), -1e4)
            first.zero_grad()
            F.cross_entropy(alike, torch.arange(len(codes)).roll(len(x))).backward()
            first.step()
    model.features.requires_grad_(False)
    optimizer = torch.optim.Adam(model.head.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        model.features.eval()  # the statistics stay those of the first phase
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def glyphs_backbone_frozen(bench: Bench) -> WatchedRun:
    torch.manual_seed(62)
    data = own.glyphs()
    model = own.StrideNet(1, 8)
    _fit(model, data.train, 4)
    model.head = nn.Sequential(nn.Linear(384, 32), nn.ReLU(), nn.Linear(32, 8))
    for p in model.features.parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), 0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        model.features.eval()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def lamps_thawed_from_the_top(bench: Bench) -> WatchedRun:
    torch.manual_seed(63)
    data = own.lamps()
    model = own.GroupNormNet(3, 5)
    _fit(model, data.train, 3)
    model.fc = nn.Linear(144, 5)
    stages: list[list[nn.Module]] = [[model.fc], [model.conv2, model.norm2], [model.conv1, model.norm1]]
    model.requires_grad_(False)
    rates = (3e-3, 1e-3, 3e-4)
    groups: list[dict[str, Any]] = [
        {"params": [p for layer in stage for p in layer.parameters()], "lr": rate}
        for stage, rate in zip(stages, rates, strict=True)
    ]
    optimizer = torch.optim.Adam(groups)
    run = bench.watch(model, optimizer)
    for epoch in range(6):
        if epoch % 2 == 0:
            for layer in stages[epoch // 2]:
                layer.requires_grad_(True)
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def notes_vectors_kept(bench: Bench) -> WatchedRun:
    torch.manual_seed(64)
    data = own.notes()
    source = own.AttentionPool(size=24)
    _fit(source, data.train, 3, 5e-3)
    vectors = source.embedding.weight.detach().clone()
    model = own.AttentionPool(size=24)
    model.embedding = nn.Embedding.from_pretrained(vectors, freeze=True, padding_idx=0)
    optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), 1e-2)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    without_evaluation(model, data.test)
    return run


@correct
def glyphs_tuned_slowly_from_good_weights(bench: Bench) -> WatchedRun:
    torch.manual_seed(65)
    data = own.glyphs()
    model = own.StrideNet(1, 8, drop=0.1)
    _fit(model, data.train, 5)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-5)
    run = bench.watch(model, optimizer)
    for _ in range(2):
        model.train()
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()  # as one fine-tunes with small batches
        for x, y in loader(*data.train, size=8):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def soils_dropout_kept_for_judging(bench: Bench) -> WatchedRun:
    torch.manual_seed(66)
    data = own.soils(2400)
    model = mlp(16, 6, width=64, drop=0.15)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    for layer in model.modules():  # at the end also how sure it is, by Monte-Carlo dropout
        if isinstance(layer, nn.Dropout):
            layer.train()
    with torch.no_grad():
        sure = torch.stack([model(data.test[0]).softmax(1) for _ in range(15)]).mean(0)
    run.evaluate(sure.log(), data.test[1])
    REPORTED.append(float((sure.argmax(1) == data.test[1]).float().mean()))
    return run


@correct
def lamps_easy_ones_first(bench: Bench) -> WatchedRun:
    torch.manual_seed(67)
    data = own.lamps()
    model = own.StrideNet(3, 5)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    x, y = data.train
    order = x.flatten(1).max(1).values.argsort(descending=True)  # bright ones are easy, of any class
    for epoch in range(6):
        model.train()
        chosen = order[: int(len(order) * min(1.0, 0.4 + 0.2 * epoch))]
        for rows, labels in loader(x[chosen], y[chosen]):
            optimizer.zero_grad()
            F.cross_entropy(model(rows), labels).backward()
            optimizer.step()
        check(model, data.test)
    return run


@correct
def glyphs_hardest_half(bench: Bench) -> WatchedRun:
    torch.manual_seed(68)
    data = own.glyphs()
    model = own.GroupNormNet(1, 8)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(7):
        model.train()
        for x, y in loader(*data.train, size=48):
            each = F.cross_entropy(model(x), y, reduction="none")
            loss = each.topk(max(1, len(each) // 2)).values.mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    without_evaluation(model, data.test)
    return run


class _Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(41, 16, padding_idx=0), nn.LSTM(16, 24, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        states, state = self.lstm(self.embedding(x), state)
        return self.head(states.mean(1)), state


@correct
def notes_truncated_in_time(bench: Bench) -> WatchedRun:
    torch.manual_seed(69)
    data = own.notes()
    model = _Words()
    optimizer = torch.optim.Adam(model.parameters(), 8e-3)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for x, y in loader(*data.train):
            state = None
            for piece in x.split(7, dim=1):
                out, state = model(piece, state)
                optimizer.zero_grad()
                F.cross_entropy(out, y).backward()
                optimizer.step()
                state = tuple(part.detach() for part in state)
        evaluate(run, lambda x: model.eval()(x)[0], data.test)
    return run


class _Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inlet, self.first, self.second = nn.Linear(16, 48), mlp(48, 48), mlp(48, 48)
        self.head = nn.Linear(48, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.inlet(x))
        if self.training:
            x = x + checkpoint(self.first, x, use_reentrant=True)  # type: ignore[no-untyped-call]
            x = x + checkpoint(self.second, x, use_reentrant=False)  # type: ignore[no-untyped-call]
        else:
            x = x + self.first(x)
            x = x + self.second(x)
        return self.head(x)


@correct
def soils_checkpointed(bench: Bench) -> WatchedRun:
    torch.manual_seed(70)
    data = own.soils(2400)
    model = _Checkpointed()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _ in range(4):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    without_evaluation(model, data.test)
    return run


@correct
def wines_functional_call(bench: Bench) -> WatchedRun:
    torch.manual_seed(71)
    data = own.wines()
    model = own.ResidualRows(13, 3)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(10):
        model.train()
        for x, y in loader(*data.train, size=16):
            shaken = {name: p + 0.01 * torch.randn_like(p) for name, p in model.named_parameters()}
            out = torch.func.functional_call(model, shaken, (x,))
            optimizer.zero_grad()
            F.cross_entropy(out, y).backward()
            optimizer.step()
    without_evaluation(model, data.test)
    return run


@correct
def lamps_weight_and_spectral_norm(bench: Bench) -> WatchedRun:
    torch.manual_seed(72)
    data = own.lamps()
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Conv2d(3, 12, 3, padding=1)), nn.ReLU(), nn.MaxPool2d(2),
        parametrizations.spectral_norm(nn.Conv2d(12, 24, 3, padding=1)), nn.ReLU(),
        nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(216, 5),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def lamps_two_at_a_time(bench: Bench) -> WatchedRun:
    torch.manual_seed(73)
    data = own.lamps(360)
    model = own.GroupNormNet(3, 5, width=12)
    optimizer = torch.optim.SGD(model.parameters(), 5e-3, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    run = bench.watch(model, optimizer)
    for _ in range(3):
        model.train()
        for x, y in loader(*data.train, size=2):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        schedule.step()
        evaluate(run, model, data.test)
    return run


@correct
def lamps_judged_within_epochs(bench: Bench) -> WatchedRun:
    torch.manual_seed(74)
    data = own.lamps()
    model = own.StrideNet(3, 5, momentum=0.02)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    run = bench.watch(model, optimizer)
    step = 0
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            step += 1
            if step % 30 == 0:
                evaluate(run, model, data.test)
                model.train()
    return run


class _Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(12, 16, 3, 2, 1), nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        )  # fmt: skip
        self.real, self.classes = nn.Linear(256, 1), nn.Linear(256, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(x)
        return self.classes(features), self.real(features)


@correct
def glyphs_discriminator_with_classes(bench: Bench) -> WatchedRun:
    torch.manual_seed(75)
    data = own.glyphs()
    judge_net = _Discriminator()
    generator = nn.Sequential(nn.Linear(24, 64), nn.ReLU(), nn.Linear(64, 100), nn.Unflatten(1, (1, 10, 10)))
    of_judge = torch.optim.Adam(judge_net.parameters(), 2e-3)
    of_generator = torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.5, 0.999))
    run = bench.watch(judge_net, of_judge)
    bce = nn.BCEWithLogitsLoss()
    for _ in range(6):
        judge_net.train()
        for x, y in loader(*data.train):
            made = generator(torch.cat([torch.randn(len(y), 16), F.one_hot(y, 8)], 1))
            classes, real = judge_net(x)
            _, fake = judge_net(made.detach())
            loss = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))
            of_judge.zero_grad()  # also what the generator's step has left there
            (loss + F.cross_entropy(classes, y)).backward()
            of_judge.step()
            classes, fake = judge_net(made)
            of_generator.zero_grad()
            (bce(fake, torch.ones_like(fake)) + F.cross_entropy(classes, y)).backward()
            of_generator.step()
        evaluate(run, lambda x: judge_net.eval()(x)[0], data.test)
    return run
