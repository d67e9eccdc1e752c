"""Settings: rates, first weights, depth, scale of inputs, too few or too unequal data."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 as scripts call it

from benchmarks.watched.independent5 import nets, sets
from benchmarks.watched.independent5.common import evaluate, faulty, loader
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("rate-too-high", right=[("lr=8.0", "lr=0.1")])
def sensors_leaping(bench: Bench) -> WatchedRun:
    torch.manual_seed(300)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=8.0)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("rate-too-high", right=[("lr=0.3", "lr=0.004")])
def numerals_adam_at_a_third(bench: Bench) -> WatchedRun:
    torch.manual_seed(301)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("rate-too-high", right=[("lr=0.5", "lr=0.004")])
def reviews_momentum_and_three(bench: Bench) -> WatchedRun:
    torch.manual_seed(302)
    d = sets.reviews()
    model = nets.Recurrent()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.5)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("rate-too-low", right=[("lr=1e-5", "lr=0.1")])
def flags_hardly_moving(bench: Bench) -> WatchedRun:
    torch.manual_seed(303)
    d = sets.flags()
    model = nets.small_cnn(3, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("rate-too-low", right=[("1e-6", "2e-3")])
def waves_adam_at_a_millionth(bench: Bench) -> WatchedRun:
    torch.manual_seed(304)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("rate-too-low", right=[("2e-5", "0.1")])
def biopsies_crawling(bench: Bench) -> WatchedRun:
    torch.manual_seed(305)
    d = sets.biopsies()
    model = nets.mlp(30, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=2e-5)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("initialisation", right=[("nn.init.zeros_(p)", "pass")])
def sensors_all_zero(bench: Bench) -> WatchedRun:
    torch.manual_seed(306)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for p in model.parameters():
        nn.init.zeros_(p)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("initialisation", "exploding-gradients", right=[("nn.init.normal_(p, 0, 2.0)", "pass")])
def sensors_normal_of_two(bench: Bench) -> WatchedRun:
    torch.manual_seed(307)
    d = sets.sensors()
    model = nets.mlp(12, 5, 64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for p in model.parameters():
        nn.init.normal_(p, 0, 2.0)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("initialisation", "vanishing-gradients", right=[("nn.init.normal_(p, 0, 0.001)", "pass")])
def numerals_a_thousandth(bench: Bench) -> WatchedRun:
    torch.manual_seed(308)
    d = sets.numerals()
    model = nn.Sequential(nn.Flatten(), nets.mlp(64, 10, 32))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for p in model.parameters():
        nn.init.normal_(p, 0, 0.001)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("vanishing-gradients", right=[("nn.Sigmoid()", "nn.ReLU()")])
def sensors_five_sigmoids(bench: Bench) -> WatchedRun:
    torch.manual_seed(309)
    d = sets.sensors()
    model = nn.Sequential(
        nn.Linear(12, 24),
        *[m for _ in range(5) for m in (nn.Sigmoid(), nn.Linear(24, 24))],
        nn.ReLU(),
        nn.Linear(24, 5),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(14):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("vanishing-gradients", right=[("nn.Sigmoid()", "nn.ReLU()")])
def biopsies_six_logistic_layers(bench: Bench) -> WatchedRun:
    torch.manual_seed(310)
    d = sets.biopsies()
    model = nn.Sequential(
        nn.Linear(30, 24),
        *[m for _ in range(6) for m in (nn.Sigmoid(), nn.Linear(24, 24))],
        nn.ReLU(),
        nn.Linear(24, 2),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(14):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("input-scale", right=[("raw=True", "raw=False")])
def sensors_in_their_own_units(bench: Bench) -> WatchedRun:
    torch.manual_seed(312)
    d = sets.sensors(raw=True)
    model = nets.mlp(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("input-scale", right=[("raw=True", "raw=False")])
def biopsies_in_their_own_units(bench: Bench) -> WatchedRun:
    torch.manual_seed(313)
    d = sets.biopsies(raw=True)
    model = nets.mlp(30, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("input-scale", right=[("* 255", "* 1")])
def numerals_times_255(bench: Bench) -> WatchedRun:
    torch.manual_seed(314)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for x, y in loader(d.train, 32):
            x = x * 255
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, (d.test[0] * 255, d.test[1]))
    return run


@faulty(
    "over-fitting-data",
    "over-fitting-model",
    "over-fitting-augmentation",
    right=[("few = 30", "few = 1300"), ("range(60)", "range(6)")],
)
def sensors_thirty_rows(bench: Bench) -> WatchedRun:
    torch.manual_seed(315)
    d = sets.sensors()
    model = nets.mlp(12, 5, 128)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    few = 30
    run = bench.watch(model, optimizer)
    for epoch in range(60):
        model.train()
        for x, y in loader((d.train[0][:few], d.train[1][:few]), 20):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        if epoch % 5 == 0:
            evaluate(run, model, d.test)
    return run


@faulty(
    "over-fitting-data",
    "over-fitting-model",
    "over-fitting-augmentation",
    right=[("few = 25", "few = 1300"), ("range(60)", "range(6)")],
)
def numerals_twenty_five_images(bench: Bench) -> WatchedRun:
    torch.manual_seed(316)
    d = sets.numerals()
    model = nets.small_cnn(1, 10, 24)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    few = 25
    run = bench.watch(model, optimizer)
    for epoch in range(60):
        model.train()
        for x, y in loader((d.train[0][:few], d.train[1][:few]), 20):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        if epoch % 5 == 0:
            evaluate(run, model, d.test)
    return run


@faulty(
    "over-fitting-data",
    "over-fitting-model",
    "over-fitting-augmentation",
    right=[("few = 40", "few = 1300"), ("range(60)", "range(6)")],
)
def reviews_forty(bench: Bench) -> WatchedRun:
    torch.manual_seed(317)
    d = sets.reviews()
    model = nets.WordBag(drop=0.0)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    few = 40
    run = bench.watch(model, optimizer)
    for epoch in range(60):
        model.train()
        for x, y in loader((d.train[0][:few], d.train[1][:few]), 20):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        if epoch % 5 == 0:
            evaluate(run, model, d.test)
    return run


@faulty("classes-unbalanced", right=[("(rank % 20 == 0)", "(rank >= 0)")])
def sensors_one_state_is_common(bench: Bench) -> WatchedRun:
    torch.manual_seed(318)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    rank = torch.arange(len(d.train[1]))
    kept = (d.train[1] < 1) | (rank % 20 == 0)
    train = (d.train[0][kept], d.train[1][kept])
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(train, 20):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("classes-unbalanced", right=[("(rank % 20 == 0)", "(rank >= 0)")])
def waves_mostly_sines(bench: Bench) -> WatchedRun:
    torch.manual_seed(319)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    rank = torch.arange(len(d.train[1]))
    kept = (d.train[1] < 1) | (rank % 20 == 0)
    train = (d.train[0][kept], d.train[1][kept])
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(train, 20):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("classes-unbalanced", right=[("(rank % 20 == 0)", "(rank >= 0)")])
def flags_two_rare_orders(bench: Bench) -> WatchedRun:
    torch.manual_seed(320)
    d = sets.flags(900, 0.7)
    model = nets.small_cnn(3, 6)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    rank = torch.arange(len(d.train[1]))
    kept = (d.train[1] < 1) | (rank % 20 == 0)
    train = (d.train[0][kept], d.train[1][kept])
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(train, 20):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run
