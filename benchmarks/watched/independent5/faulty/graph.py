"""Losses without their graph, optimizers of other parameters, and layers that are not trained."""

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
    train_one_epoch,
    validate,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("loss-detached", right=[("model(x).detach().requires_grad_()", "model(x)")])
def numerals_detached_output(bench: Bench) -> WatchedRun:
    torch.manual_seed(40)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 50):
            optimizer.zero_grad()
            out = model(x).detach().requires_grad_()
            F.cross_entropy(out, y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("loss-detached", right=[("torch.tensor(loss.item(), requires_grad=True)", "loss")])
def sensors_loss_made_a_tensor_again(bench: Bench) -> WatchedRun:
    torch.manual_seed(41)
    d = sets.sensors()
    model = nets.norm_mlp(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 30):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss = torch.tensor(loss.item(), requires_grad=True)
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "loss-detached",
    right=[
        ("logits = torch.from_numpy(logits.detach().numpy())", "pass"),
        ("loss.requires_grad = True", "pass"),
    ],
)
def reviews_by_way_of_numpy(bench: Bench) -> WatchedRun:
    torch.manual_seed(42)
    d = sets.reviews()
    model = nets.Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for words, labels in loader(d.train, 60):
            logits = model(words)
            logits = torch.from_numpy(logits.detach().numpy())
            loss = F.cross_entropy(logits, labels)
            loss.requires_grad = True
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        validate(model, loader(d.test, 100, False))
    return run


@faulty(
    "loss-detached",
    right=[("with torch.no_grad():  # saves memory", "if True:"), ("loss.requires_grad_(True)", "loss")],
)
def flags_without_gradients_to_save_memory(bench: Bench) -> WatchedRun:
    torch.manual_seed(43)
    d = sets.flags()
    model = nets.NormCnn(3, 6)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for images, labels in loader(d.train, 40):
            optimizer.zero_grad()
            with torch.no_grad():  # saves memory
                out = model(images)
            loss = F.cross_entropy(out, labels)
            loss.requires_grad_(True)
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("loss-detached", right=[("(net(x)[:, 0] > 0).float().requires_grad_()", "net(x)[:, 0].sigmoid()")])
def votes_loss_of_decisions(bench: Bench) -> WatchedRun:
    torch.manual_seed(44)
    d = sets.votes()
    net = nets.mlp(24, 1)
    opt = torch.optim.Adam(net.parameters(), 3e-3)
    run = bench.watch(net, opt)
    for _epoch in range(6):
        for x, y in loader(d.train, 32):
            opt.zero_grad()
            answer = (net(x)[:, 0] > 0).float().requires_grad_()
            loss = F.mse_loss(answer, y.float())
            loss.backward()
            opt.step()
    later(lambda: hits(net, *d.test))
    return run


@faulty("loss-detached", right=[("logits.data", "logits")])
def waves_by_data(bench: Bench) -> WatchedRun:
    torch.manual_seed(45)
    d = sets.waves()
    model = nets.WaveNet()
    scale = nn.Parameter(torch.ones(()))
    optimizer = torch.optim.Adam([*model.parameters(), scale], lr=2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            logits = model(x)
            loss = F.cross_entropy(scale * logits.data, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("optimizer-parameters", right=[("copy.deepcopy(model)", "model")])
def signs_optimizer_of_a_copy(bench: Bench) -> WatchedRun:
    torch.manual_seed(46)
    d = sets.signs()
    model = nets.NormCnn(1, 5)
    before = copy.deepcopy(model)
    optimizer = torch.optim.Adam(before.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        train_one_epoch(model, loader(d.train, 32), F.cross_entropy, optimizer)
        evaluate(run, model, d.test)
    return run


@faulty(
    "optimizer-parameters",
    right=[("self.blocks = [", "self.blocks = nn.ModuleList(["), ("(12, 6, 6)]", "(12, 6, 6)])")],
)
def sensors_blocks_in_a_list(bench: Bench) -> WatchedRun:
    class Deep(nn.Module):
        """Blocks between two layers."""

        def __init__(self) -> None:
            super().__init__()
            self.blocks = [nn.Linear(a, 6) for a in (12, 6, 6)]
            self.outlet = nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = F.relu(block(x))
            return self.outlet(x)

    torch.manual_seed(47)
    d = sets.sensors()
    model = Deep()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(14):
        train_one_epoch(model, loader(d.train, 32), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, d.test)
    return run


@faulty(
    "optimizer-parameters",
    right=[
        (
            '"params": model.layer1.parameters()}',
            '"params": [*model.layer1.parameters(), *model.stem.parameters(), *model.fc.parameters()]}',
        )
    ],
)
def flags_groups_without_head_and_stem(bench: Bench) -> WatchedRun:
    torch.manual_seed(48)
    d = sets.flags(900, 0.5)
    model = nets.TinyResNet(3, 6)
    groups = [{"params": model.layer1.parameters()}, {"params": model.layer2.parameters(), "lr": 0.002}]
    optimizer = torch.optim.SGD(groups, lr=0.005, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for images, labels in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "optimizer-parameters",
    right=[
        ("    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)\n", ""),
        ("    run =", "    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)\n    run ="),
    ],
)
def waves_model_made_twice(bench: Bench) -> WatchedRun:
    torch.manual_seed(49)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    model = nets.WaveNet(drop=0.1)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        validate(model, loader(d.test, 125, False))
    return run


@faulty("optimizer-parameters", right=[("[model.embedding.weight]", "model.parameters()")])
def reviews_only_the_embedding(bench: Bench) -> WatchedRun:
    torch.manual_seed(50)
    d = sets.reviews()
    model = nets.Recurrent(kind=nn.LSTM)
    optimizer = torch.optim.SGD([model.embedding.weight], lr=0.5, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for words, labels in loader(d.train, 40):
            optimizer.zero_grad()
            F.cross_entropy(model(words), labels).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("optimizer-parameters", right=[("if p.dim() < 2", "if p.dim() > 0")])
def numerals_biases_only(bench: Bench) -> WatchedRun:
    torch.manual_seed(51)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    decayed = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(decayed, lr=4e-3, weight_decay=1e-2)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        train_one_epoch(model, loader(d.train, 32), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("optimizer-parameters", right=[("student = nets", "student = net; nets")])
def biopsies_other_network_in_the_optimizer(bench: Bench) -> WatchedRun:
    torch.manual_seed(52)
    d = sets.biopsies()
    net = nets.mlp(30, 2)
    student = nets.mlp(30, 2)
    optimizer = torch.optim.RMSprop(student.parameters(), lr=1e-3)
    run = bench.watch(net, optimizer)
    for _epoch in range(5):
        net.train()
        for x, y in loader(d.train, 32):
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    later(lambda: hits(net, *d.test))
    return run


@faulty("frozen-parameters", right=[("parameter.requires_grad = False", "pass")])
def signs_random_trunk_frozen(bench: Bench) -> WatchedRun:
    torch.manual_seed(53)
    d = sets.signs()
    model = nets.NormCnn(1, 5, drop=0.0, width=4)
    for parameter in model.body.parameters():
        parameter.requires_grad = False
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        train_one_epoch(model, loader(d.train, 32), F.cross_entropy, optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("frozen-parameters", right=[('if not name.startswith("head"):', "if False:")])
def waves_frozen_by_name(bench: Bench) -> WatchedRun:
    torch.manual_seed(54)
    d = sets.waves()
    model = nets.WaveNet()
    for name, parameter in model.named_parameters():
        if not name.startswith("head"):
            parameter.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for x, y in loader(d.train, 25):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("frozen-parameters", right=[("requires_grad_(False)", "requires_grad_(True)")])
def flags_nothing_left_to_train(bench: Bench) -> WatchedRun:
    torch.manual_seed(55)
    d = sets.flags()
    model = nets.Separable(3, 6).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for images, labels in loader(d.train, 32):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            if not loss.requires_grad:
                loss = loss.requires_grad_()
            loss.backward()
            optimizer.step()
        validate(model, loader(d.test, 150, False))
    return run


@faulty(
    "frozen-parameters",
    right=[("model.embedding.requires_grad_(False)", "pass"), ("model.rnn.requires_grad_(False)", "pass")],
)
def reviews_as_if_pretrained(bench: Bench) -> WatchedRun:
    torch.manual_seed(56)
    d = sets.reviews()
    model = nets.Recurrent()
    model.embedding.requires_grad_(False)
    model.rnn.requires_grad_(False)
    optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=5e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        train_one_epoch(model, loader(d.train, 48), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("frozen-parameters", right=[("if epoch == 99:", "if epoch == 1:")])
def sensors_never_unfrozen(bench: Bench) -> WatchedRun:
    torch.manual_seed(57)
    d = sets.sensors()
    model = nets.mlp(12, 5, 24)
    for p in model[:4].parameters():
        p.requires_grad = False
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for epoch in range(10):
        if epoch == 99:  # unfreeze after the warm-up
            model.requires_grad_(True)
        train_one_epoch(model, loader(d.train, 30), F.cross_entropy, optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("frozen-parameters", right=[("for p in list(net.parameters())[:-1]:", "for p in ():")])
def numerals_all_but_the_last_bias(bench: Bench) -> WatchedRun:
    torch.manual_seed(58)
    d = sets.numerals()
    net = nets.small_cnn(1, 10)
    for p in list(net.parameters())[:-1]:
        p.requires_grad = False
    opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    run = bench.watch(net, opt)
    for _epoch in range(4):
        for x, y in loader(d.train, 32):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
    later(lambda: hits(net, *d.test))
    return run
