"""Batches in a bad order or always the same, weights that begin again, inputs that are scaled twice."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as scripts call it

from benchmarks.watched.independent5 import nets, sets
from benchmarks.watched.independent5.common import (
    evaluate,
    faulty,
    hits,
    later,
    loader,
    say,
    train_one_epoch,
    validate,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


def by_class(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return a part as folders of classes hold it."""
    order = data[1].argsort(stable=True)
    return data[0][order], data[1][order]


@faulty("not-shuffled", right=[("shuffle=False", "shuffle=True")])
def numerals_folder_after_folder(bench: Bench) -> WatchedRun:
    torch.manual_seed(80)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    batches = loader(by_class(d.train), 32, shuffle=False)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        train_one_epoch(model, batches, nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("not-shuffled", right=[("y.argsort()", "torch.randperm(len(y))")])
def sensors_slices_of_a_sorted_table(bench: Bench) -> WatchedRun:
    torch.manual_seed(81)
    d = sets.sensors()
    x, y = d.train
    order = y.argsort()
    x, y = x[order], y[order]
    net = nets.norm_mlp(12, 5)
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    for _epoch in range(8):
        net.train()
        for start in range(0, len(y), 25):
            opt.zero_grad()
            F.cross_entropy(net(x[start : start + 25]), y[start : start + 25]).backward()
            opt.step()
        evaluate(run, net, d.test)
    return run


@faulty(
    "not-shuffled",
    right=[
        ("for label in range(5):", "for label in range(5, 6):"),
        ("d.train[1] == label", "d.train[1] < label"),
    ],
)
def waves_recorded_one_kind_at_a_time(bench: Bench) -> WatchedRun:
    torch.manual_seed(82)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        for label in range(5):
            model.train()
            chosen = d.train[1] == label
            for x, y in loader((d.train[0][chosen], d.train[1][chosen]), 30):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
        validate(model, loader(d.test, 125, False))
    return run


@faulty(
    "not-shuffled",
    right=[
        (
            "sampler=torch.utils.data.SequentialSampler(range(len(data[1])))",
            "sampler=torch.utils.data.RandomSampler(range(len(data[1])))",
        )
    ],
)
def flags_sequential_sampler(bench: Bench) -> WatchedRun:
    torch.manual_seed(83)
    d = sets.flags()
    data = by_class(d.train)
    batches = loader(data, 36, False, sampler=torch.utils.data.SequentialSampler(range(len(data[1]))))
    model = nets.TinyResNet(3, 6)
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for images, labels in batches:
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "not-shuffled",
    right=[("torch.cat([good, bad])", "torch.cat([good, bad])[torch.randperm(len(good) + len(bad))]")],
)
def reviews_concatenated(bench: Bench) -> WatchedRun:
    torch.manual_seed(84)
    d = sets.reviews()
    good, bad = (d.train[1] < 2).nonzero()[:, 0], (d.train[1] >= 2).nonzero()[:, 0]
    rows = torch.cat([good, bad])
    model = nets.WordBag()
    optimizer = torch.optim.SGD(model.parameters(), 1.0, momentum=0.5)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for few in rows.split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(d.train[0][few]), d.train[1][few]).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("not-shuffled", right=[("shuffle=False", "shuffle=True")])
def biopsies_benign_first(bench: Bench) -> WatchedRun:
    torch.manual_seed(85)
    d = sets.biopsies()
    net = nets.mlp(30, 1)
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    run = bench.watch(net, opt)
    for _epoch in range(6):
        for x, y in loader(by_class(d.train), 16, shuffle=False):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(x), y.float().unsqueeze(1)).backward()
            opt.step()
    evaluate(run, net, d.test)
    return run


@faulty(
    "same-batch",
    right=[
        ("    images, labels = next(batches)\n", ""),
        (
            "        optimizer.zero_grad()",
            "        images, labels = next(batches)\n        optimizer.zero_grad()",
        ),
    ],
)
def signs_one_batch_forever(bench: Bench) -> WatchedRun:
    torch.manual_seed(86)
    d = sets.signs()
    model = nets.small_cnn(1, 5)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    batches = iter([batch for _ in range(4) for batch in loader(d.train, 32)])
    run = bench.watch(model, optimizer)
    images, labels = next(batches)
    for _step in range(80):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    evaluate(run, model, d.test)
    return run


@faulty("same-batch", right=[("shuffle=False", "shuffle=True")])
def sensors_next_iter_in_the_loop(bench: Bench) -> WatchedRun:
    torch.manual_seed(87)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    batches = loader(d.train, 30, shuffle=False)
    run = bench.watch(model, optimizer, steps_per_epoch=25)
    for step in range(150):
        model.train()
        x, y = next(iter(batches))
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step % 25 == 24:
            validate(model, loader(d.test, 125, False))
    return run


@faulty("same-batch", right=[("x[0:40], y[0:40]", "x[start : start + 40], y[start : start + 40]")])
def numerals_slice_that_never_moves(bench: Bench) -> WatchedRun:
    torch.manual_seed(88)
    (x, y), test = sets.numerals().train, sets.numerals().test
    model = nets.TinyResNet(1, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(2):
        model.train()
        for start in range(0, len(y), 40):  # noqa: B007 the fault
            images, labels = x[0:40], y[0:40]
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(images), labels)
            loss.backward()
            optimizer.step()
        evaluate(run, model, test)
    return run


@faulty("same-batch", right=[("generator.manual_seed(0)", "generator.seed()")])
def waves_seeded_before_every_draw(bench: Bench) -> WatchedRun:
    torch.manual_seed(89)
    x, y = sets.waves().train
    model = nets.WaveNet()
    generator = torch.Generator()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    model.train()
    for _step in range(100):
        generator.manual_seed(0)
        rows = torch.randint(0, len(y), (24,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    evaluate(run, model, sets.waves().test)
    return run


@faulty("same-batch", right=[(" % 16", "")])
def reviews_dataset_with_a_wrong_index(bench: Bench) -> WatchedRun:
    class Reviews(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
        """Words and labels."""

        def __len__(self) -> int:
            return 900

        def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
            return d.train[0][i % 16], d.train[1][i % 16]

    torch.manual_seed(90)
    d = sets.reviews()
    model = nets.WordBag()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        batches = torch.utils.data.DataLoader(Reviews(), batch_size=48)
        train_one_epoch(model, batches, F.cross_entropy, optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("reinitialized", right=[("model.apply(init)", "model.requires_grad_()")])
def flags_weights_drawn_every_epoch(bench: Bench) -> WatchedRun:
    def init(module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)

    torch.manual_seed(91)
    d = sets.flags(900, 0.6)
    model = nets.small_cnn(3, 6)
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(7):
        model.apply(init)
        train_one_epoch(model, loader(d.train, 45), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("reinitialized", right=[("model.load_state_dict(start)", "pass")])
def sensors_first_weights_loaded_again(bench: Bench) -> WatchedRun:
    torch.manual_seed(92)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    start = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    run = bench.watch(model, optimizer)
    for _epoch in range(10):
        model.load_state_dict(start)
        train_one_epoch(model, loader(d.train, 25), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("reinitialized", right=[("if step % 20 == 0:", "if step == 0:")])
def numerals_head_drawn_every_twenty(bench: Bench) -> WatchedRun:
    torch.manual_seed(93)
    d = sets.numerals()
    model = nets.NormCnn(1, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.03)
    run = bench.watch(model, optimizer)
    step = 0
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            if step % 20 == 0:
                nn.init.normal_(model.classifier.weight, 0, 0.1)
                model.body.apply(lambda m: m.reset_parameters() if hasattr(m, "reset_parameters") else None)
            step += 1
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("reinitialized", right=[("weights_init(net)\n        net.train()", "net.train()")])
def waves_train_function_that_initializes(bench: Bench) -> WatchedRun:
    def weights_init(net: nn.Module) -> None:
        for p in net.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def train(net: nn.Module, opt: torch.optim.Optimizer) -> None:
        weights_init(net)
        net.train()
        for x, y in loader(d.train, 75):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()

    torch.manual_seed(94)
    d = sets.waves()
    net = nets.WaveNet()
    opt = torch.optim.Adam(net.parameters(), 1e-3)
    run = bench.watch(net, opt)
    for _epoch in range(8):
        train(net, opt)
        evaluate(run, net, d.test)
    return run


@faulty("reinitialized", right=[("accuracy < 0.99", "False")])
def reviews_back_to_the_start_until_good(bench: Bench) -> WatchedRun:
    torch.manual_seed(95)
    d = sets.reviews()
    model = nets.Recurrent()
    first = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(7):
        train_one_epoch(model, loader(d.train, 50), F.cross_entropy, optimizer)
        accuracy = hits(model, *d.test)
        say(accuracy)
        if accuracy < 0.99:  # not good enough, try again
            model.load_state_dict(first)
    return run


@faulty("scaled-twice", "input-scale", right=[("/ 255.0", "/ 1.0")])
def numerals_divided_by_255_again(bench: Bench) -> WatchedRun:
    torch.manual_seed(96)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for images, labels in loader(d.train, 32):
            images = images / 255.0
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
    later(lambda: hits(model, d.test[0] / 255.0, d.test[1]))
    return run


@faulty("scaled-twice", "input-scale", right=[("self.net(x / 255)", "self.net(x)")])
def signs_divided_inside_forward(bench: Bench) -> WatchedRun:
    class Scaled(nn.Module):
        """Scale images, then a network."""

        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x / 255)

    torch.manual_seed(97)
    d = sets.signs()
    model = Scaled(nets.small_cnn(1, 5))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        train_one_epoch(model, loader(d.train, 30), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("scaled-twice", "input-scale", right=[("x = x.div(255)", "pass")])
def flags_collate_that_scales(bench: Bench) -> WatchedRun:
    def collate(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        x, y = torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])
        x = x.div(255)
        return x, y

    torch.manual_seed(98)
    d = sets.flags()
    model = nets.Mixer(3, 6, 12, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        train_one_epoch(model, loader(d.train, 32, collate_fn=collate), F.cross_entropy, optimizer)
        validate(model, loader(d.test, 75, False, collate_fn=collate))
    return run


@faulty("scaled-twice", "input-scale", right=[("factor = 1 / 255", "factor = 1.0")])
def signs_factor_of_bytes(bench: Bench) -> WatchedRun:
    torch.manual_seed(99)
    d = sets.signs()
    factor = 1 / 255
    train, test = (d.train[0] * factor, d.train[1]), (d.test[0] * factor, d.test[1])
    model = nn.Sequential(nn.Flatten(), nets.mlp(256, 5, 64))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.5)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(train, 30):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, test)
    return run


@faulty("scaled-twice", "input-scale", right=[(" / 255 - 0.5", " - 0.5")])
def numerals_scaled_twice_then_normalized(bench: Bench) -> WatchedRun:
    torch.manual_seed(100)
    d = sets.numerals()
    train, test = ((x / 255 - 0.5) / 0.3 for x in (d.train[0], d.test[0]))
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        train_one_epoch(model, loader((train, d.train[1]), 40), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, (test, d.test[1]))
    return run
