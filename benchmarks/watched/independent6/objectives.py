"""Losses, targets, and what a batch is made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as scripts call it
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from benchmarks.watched.independent5.nets import mlp, norm_mlp, small_cnn
from benchmarks.watched.independent6 import nets_and_sets as own
from benchmarks.watched.independent6.nets_and_sets import REPORTED, check, correct, evaluate, loader
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@correct
def wines_log_softmax_layer(bench: Bench) -> WatchedRun:
    torch.manual_seed(2)
    data = own.wines()
    model = nn.Sequential(*mlp(13, 3, 24), nn.LogSoftmax(dim=1))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    criterion = nn.NLLLoss()
    for _ in range(12):
        model.train()
        for x, y in loader(*data.train, size=16):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def moons_logit_and_bce(bench: Bench) -> WatchedRun:
    torch.manual_seed(3)
    data = own.moons()
    model = mlp(2, 1, 24)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    for _ in range(10):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y.float())
            loss.backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def moons_sigmoid_and_bce_loss(bench: Bench) -> WatchedRun:
    torch.manual_seed(4)
    data = own.moons()
    model = nn.Sequential(*mlp(2, 1, 24), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    criterion = nn.BCELoss()
    for _ in range(10):
        model.train()
        for x, y in loader(*data.train):
            loss = criterion(model(x), y.float().unsqueeze(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            sure = model(data.test[0])
        run.evaluate(sure, data.test[1])
        REPORTED.append(float(((sure[:, 0] > 0.5) == data.test[1]).float().mean()))
    return run


@correct
def moons_two_outputs_full_batch(bench: Bench) -> WatchedRun:
    torch.manual_seed(5)
    data = own.moons(240)
    model = norm_mlp(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True)
    run = bench.watch(model, optimizer)
    x, y = data.train
    for step in range(150):
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step % 10 == 9:
            check(model, data.test)
    return run


@correct
def tags_multi_label(bench: Bench) -> WatchedRun:
    torch.manual_seed(6)
    data = own.tags()
    model = own.ResidualRows(12, 4)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    criterion = nn.BCEWithLogitsLoss()
    for _ in range(8):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            out = model(data.test[0])
            criterion(out, data.test[1])
        REPORTED.append(float(((out > 0) == (data.test[1] > 0)).float().mean()))
    return run


@correct
def springs_squared_error(bench: Bench) -> WatchedRun:
    torch.manual_seed(7)
    data = own.springs()
    model = own.ResidualRows(8, 1)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 15)
    run = bench.watch(model, optimizer)
    for _ in range(15):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            error = F.mse_loss(model(data.test[0]), data.test[1])
        REPORTED.append(1 - float(error / data.test[1].var()))
    return run


@correct
def springs_in_order_of_size(bench: Bench) -> WatchedRun:
    torch.manual_seed(8)
    data = own.springs(1600)
    bounds = torch.tensor([-0.7, 0.0, 0.7])
    model = own.ResidualRows(8, 3)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    for _ in range(14):
        model.train()
        for x, y in loader(*data.train):
            above = (y > bounds).float()  # as many ones as bounds lie below it
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(x), above).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            level = (model(data.test[0]) > 0).sum(1)
        REPORTED.append(float((level == (data.test[1] > bounds).sum(1)).float().mean()))
    return run


@correct
def crops_class_weights(bench: Bench) -> WatchedRun:
    torch.manual_seed(9)
    data = own.crops()
    counts = data.train[1].bincount().float()
    criterion = nn.CrossEntropyLoss(weight=counts.sum() / (3 * counts))
    model = mlp(10, 3, 32)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def crops_weighted_sampler(bench: Bench) -> WatchedRun:
    torch.manual_seed(10)
    data = own.crops()
    chances = 1 / data.train[1].bincount().float()
    sampler = WeightedRandomSampler(chances[data.train[1]].tolist(), len(data.train[1]))
    rows = DataLoader(TensorDataset(*data.train), batch_size=32, sampler=sampler)
    model = own.ResidualRows(10, 3)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _ in range(5):
        model.train()
        for x, y in rows:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        check(model, data.test)
    return run


@correct
def crops_focal(bench: Bench) -> WatchedRun:
    torch.manual_seed(11)
    data = own.crops()
    model = norm_mlp(10, 3)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            out = model(x)
            each = F.cross_entropy(out, y, reduction="none")
            loss = ((1 - torch.exp(-each)) ** 2 * each).mean()
            optimizer.zero_grad()
            loss.backward()
            run.step(loss, out, y)
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def lamps_mixup(bench: Bench) -> WatchedRun:
    torch.manual_seed(13)
    data = own.lamps()
    model = small_cnn(3, 5)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    shares = torch.distributions.Beta(0.4, 0.4)
    for _ in range(7):
        model.train()
        for x, y in loader(*data.train):
            share, other = float(shares.sample()), torch.randperm(len(y))
            out = model(share * x + (1 - share) * x[other])
            loss = share * F.cross_entropy(out, y) + (1 - share) * F.cross_entropy(out, y[other])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def glyphs_cutmix(bench: Bench) -> WatchedRun:
    torch.manual_seed(14)
    data = own.glyphs()
    model = own.GroupNormNet(1, 8)
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _ in range(7):
        model.train()
        for x, y in loader(*data.train):
            other, x = torch.randperm(len(y)), x.clone()
            top, left, size = (int(torch.randint(low, high, ())) for low, high in ((0, 6), (0, 6), (2, 5)))
            x[:, :, top : top + size, left : left + size] = x[other, :, top : top + size, left : left + size]
            part = size * size / 100
            targets = (1 - part) * F.one_hot(y, 8) + part * F.one_hot(y[other], 8)
            optimizer.zero_grad()
            F.cross_entropy(model(x), targets).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def soils_weight_for_each_row(bench: Bench) -> WatchedRun:
    torch.manual_seed(15)
    data = own.soils(2000)
    trust = 0.2 + 0.8 * torch.rand(len(data.train[1]))
    model = own.ResidualRows(16, 6)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    criterion = nn.CrossEntropyLoss(reduction="none")
    for _ in range(5):
        model.train()
        rows = TensorDataset(*data.train, trust)
        for x, y, weight in DataLoader(rows, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = (criterion(model(x), y) * weight).sum() / weight.sum()
            loss.backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def soils_half_without_labels(bench: Bench) -> WatchedRun:
    torch.manual_seed(16)
    data = own.soils(2000)
    x_train, y_train = data.train[0], data.train[1].clone()
    y_train[torch.rand(len(y_train)) < 0.4] = -100  # nobody has labeled these
    model = norm_mlp(16, 6)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    criterion = nn.CrossEntropyLoss(ignore_index=-100)
    for _ in range(6):
        model.train()
        for x, y in loader(x_train, y_train):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        check(model, data.test)
    return run


@correct
def soils_two_passes_that_agree(bench: Bench) -> WatchedRun:
    torch.manual_seed(17)
    data = own.soils(2000)
    model = mlp(16, 6, drop=0.2)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            one, two = model(x), model(x)  # dropout differs
            apart = F.kl_div(one.log_softmax(1), two.softmax(1), reduction="batchmean")
            loss = F.cross_entropy(one, y) + F.cross_entropy(two, y) + 0.5 * apart
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


@correct
def glyphs_taught_by_a_larger_net(bench: Bench) -> WatchedRun:
    torch.manual_seed(18)
    data = own.glyphs()
    teacher = own.StrideNet(1, 8)
    learn = torch.optim.Adam(teacher.parameters(), 3e-3)
    for _ in range(4):
        for x, y in loader(*data.train):
            learn.zero_grad()
            F.cross_entropy(teacher(x), y).backward()
            learn.step()
    teacher.eval()
    student = small_cnn(1, 8, width=8)
    optimizer = torch.optim.Adam(student.parameters(), 5e-3)
    run = bench.watch(student, optimizer)
    for _ in range(9):
        student.train()
        for x, y in loader(*data.train):
            with torch.no_grad():
                soft = (teacher(x) / 3).softmax(1)
            out = student(x)
            near = F.kl_div((out / 3).log_softmax(1), soft, reduction="batchmean") * 9
            loss = 0.5 * near + 0.5 * F.cross_entropy(out, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, student, data.test)
    return run


@correct
def lamps_two_questions(bench: Bench) -> WatchedRun:
    torch.manual_seed(19)
    data = own.lamps()
    model = own.TwoHeads(3, 5, 2)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _ in range(6):
        model.train()
        for x, y in loader(*data.train):
            corner, middle = model(x)
            loss = F.cross_entropy(corner, y) + 0.4 * F.cross_entropy(middle, (y == 4).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, lambda x: model.eval()(x)[0], data.test)
    return run


@correct
def wines_gradient_penalty(bench: Bench) -> WatchedRun:
    torch.manual_seed(20)
    data = own.wines()
    model = nn.Sequential(nn.Linear(13, 24), nn.Tanh(), nn.Linear(24, 3))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    for _ in range(10):
        model.train()
        for x, y in loader(*data.train, size=16):
            x = x.clone().requires_grad_()
            loss = F.cross_entropy(model(x), y)
            (slope,) = torch.autograd.grad(loss, x, create_graph=True)
            optimizer.zero_grad()
            (loss + 0.1 * (slope * len(y)).pow(2).sum(1).mean()).backward()
            optimizer.step()
        evaluate(run, model, data.test)
    return run


class _SamePair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = small_cnn(1, 16)
        self.near = nn.Linear(16, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.near((self.embed(a) - self.embed(b)).abs()).squeeze(1)


def _pairs(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    x, y = data
    other = torch.randperm(len(y))
    for row in torch.arange(0, len(y), 2).tolist():  # every second pair is of one class
        alike = (y == y[row]).nonzero()[:, 0]
        other[row] = alike[torch.randint(0, len(alike), ())]
    return x, x[other], (y == y[other]).float()


@correct
def glyphs_siamese(bench: Bench) -> WatchedRun:
    torch.manual_seed(21)
    data = own.glyphs(classes=4)
    model = _SamePair()
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    held_out = _pairs(data.test)
    for _ in range(9):
        model.train()
        for a, b, same in DataLoader(TensorDataset(*_pairs(data.train)), batch_size=32, shuffle=True):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(a, b), same).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            out = model(*held_out[:2])
        run.evaluate(out, held_out[2].long())
        REPORTED.append(float(((out > 0) == (held_out[2] > 0)).float().mean()))
    return run


class _Adversarial(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head, self.domain = nn.Linear(16, 32), nn.Linear(32, 6), nn.Linear(32, 2)

    def forward(self, x: Tensor, factor: float = 0.0) -> tuple[Tensor, Tensor]:
        features = torch.relu(self.trunk(x))
        reversed_features: Tensor = own.Reverse.apply(features, factor)  # type: ignore[no-untyped-call]
        return self.head(features), self.domain(reversed_features)


@correct
def soils_gradient_reversal(bench: Bench) -> WatchedRun:
    torch.manual_seed(22)
    data = own.soils(2400)
    model = _Adversarial()
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for epoch in range(6):
        model.train()
        for x, y in loader(*data.train, size=48):
            out, here = model(x, epoch / 10)
            moved = data.train[0][torch.randint(0, len(data.train[1]), (len(y),))] + 0.5
            _, there = model(moved, epoch / 10)
            sides = torch.cat([torch.zeros(len(y)), torch.ones(len(y))]).long()
            loss = F.cross_entropy(out, y) + 0.3 * F.cross_entropy(torch.cat([here, there]), sides)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, lambda x: model.eval()(x)[0], data.test)
    return run
