"""Labels under other numbers, labels without an output, and schedules that step with every batch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 as scripts call it

from benchmarks.watched.independent5 import nets, sets
from benchmarks.watched.independent5.common import (
    evaluate,
    faulty,
    loader,
    say,
    train_one_epoch,
    validate,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@faulty("labels-permuted", "split-mismatch", right=[("9 - d.test[1]", "d.test[1]")])
def numerals_test_counts_down(bench: Bench) -> WatchedRun:
    torch.manual_seed(110)
    d = sets.numerals()
    test = (d.test[0], 9 - d.test[1])
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        train_one_epoch(model, loader(d.train, 32), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, test)
    return run


@faulty("labels-permuted", "split-mismatch", right=[("sorted(set(kinds), key=len)", "sorted(set(kinds))")])
def waves_names_sorted_by_length(bench: Bench) -> WatchedRun:
    torch.manual_seed(111)
    d = sets.waves()
    kinds = ["sinusoid", "square", "saw", "chirped", "pulsed-train"]
    train_index = {name: i for i, name in enumerate(sorted(set(kinds)))}
    test_index = {name: i for i, name in enumerate(sorted(set(kinds), key=len))}
    train_labels = torch.tensor([train_index[kinds[i]] for i in d.train[1].tolist()])
    test_labels = torch.tensor([test_index[kinds[i]] for i in d.test[1].tolist()])
    model = nets.WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        train_one_epoch(model, loader((d.train[0], train_labels), 32), F.cross_entropy, optimizer)
        evaluate(run, model, (d.test[0], test_labels))
    return run


@faulty("labels-permuted", "split-mismatch", right=[("(y + 1) % 5", "y")])
def sensors_test_numbered_from_one(bench: Bench) -> WatchedRun:
    torch.manual_seed(112)
    d = sets.sensors()
    model = nets.norm_mlp(12, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for x, y in loader(d.train, 30):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        model.eval()
        right = 0.0
        with torch.no_grad():
            for x, y in loader(d.test, 50, False):
                y = (y + 1) % 5
                out = model(x)
                run.evaluate(out, y)
                right += float((out.argmax(1) == y).sum())
        say(right / len(d.test[1]))
    return run


@faulty("labels-permuted", "split-mismatch", right=[("1 - d.test[1]", "d.test[1]")])
def biopsies_malignant_is_one_elsewhere(bench: Bench) -> WatchedRun:
    torch.manual_seed(113)
    d = sets.biopsies()
    net = nets.mlp(30, 1)
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    run = bench.watch(net, opt)
    for _epoch in range(8):
        net.train()
        for x, y in loader(d.train, 32):
            opt.zero_grad()
            F.binary_cross_entropy_with_logits(net(x).squeeze(1), y.float()).backward()
            opt.step()
        evaluate(run, net, (d.test[0], 1 - d.test[1]))
    return run


@faulty("labels-permuted", "split-mismatch", right=[("torch.tensor([2, 0, 3, 1])[d.test[1]]", "d.test[1]")])
def reviews_vocabulary_of_labels_rebuilt(bench: Bench) -> WatchedRun:
    torch.manual_seed(114)
    d = sets.reviews()
    labels = torch.tensor([2, 0, 3, 1])[d.test[1]]
    model = nets.WordBag()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        train_one_epoch(model, loader(d.train, 50), F.cross_entropy, optimizer)
        validate(model, loader((d.test[0], labels), 100, False))
    return run


@faulty("labels-permuted", "split-mismatch", right=[("str(label)", "f'{label:02d}'")])
def flags_folders_ten_before_two(bench: Bench) -> WatchedRun:
    torch.manual_seed(115)
    d = sets.flags()
    names = [8, 9, 10, 11, 12, 13]
    place = {label: i for i, label in enumerate(sorted(names, key=lambda label: str(label)))}
    test = torch.tensor([place[names[i]] for i in d.test[1].tolist()])
    model = nets.NormCnn(3, 6)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        train_one_epoch(model, loader(d.train, 32), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, (d.test[0], test))
    return run


@faulty("labels-out-of-range", right=[("d.train[1] + 1", "d.train[1]"), ("d.test[1] + 1", "d.test[1]")])
def signs_numbered_from_one(bench: Bench) -> WatchedRun:
    torch.manual_seed(116)
    d = sets.signs()
    train, test = (d.train[0], d.train[1] + 1), (d.test[0], d.test[1] + 1)
    model = nets.TinyResNet(1, 5)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        train_one_epoch(model, loader(train, 32), nn.CrossEntropyLoss(), optimizer)
        evaluate(run, model, test)
    return run


@faulty("labels-out-of-range", right=[("int(d.train[1].max())", "int(d.train[1].max()) + 1")])
def waves_largest_label_taken_for_the_count(bench: Bench) -> WatchedRun:
    torch.manual_seed(117)
    d = sets.waves()
    model = nets.WaveNet(classes=int(d.train[1].max()))
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 25):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty("labels-out-of-range", right=[("labels[::90] = -1", "labels[::90] = -100")])
def sensors_unknown_is_minus_one(bench: Bench) -> WatchedRun:
    torch.manual_seed(118)
    d = sets.sensors()
    labels = d.train[1].clone()
    labels[::90] = -1
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        train_one_epoch(model, loader((d.train[0], labels), 30), F.cross_entropy, optimizer)
        evaluate(run, model, d.test)
    return run


@faulty("labels-out-of-range", right=[("nn.Linear(16, 2)", "nn.Linear(16, 3)")])
def irises_two_outputs_for_three(bench: Bench) -> WatchedRun:
    torch.manual_seed(119)
    d = sets.irises()
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    opt = torch.optim.Adam(net.parameters(), 1e-2)
    run = bench.watch(net, opt)
    for _epoch in range(20):
        for x, y in loader(d.train, 15):
            opt.zero_grad()
            loss = F.nll_loss(F.log_softmax(net(x), dim=1), y)
            loss.backward()
            opt.step()
    evaluate(run, net, d.test)
    return run


@faulty("labels-out-of-range", right=[("[:-2]", "")])
def numerals_two_classes_forgotten(bench: Bench) -> WatchedRun:
    torch.manual_seed(120)
    d = sets.numerals()
    classes = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][:-2]
    model = nets.small_cnn(1, len(classes))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 16):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "scheduler-per-batch",
    "schedule-ended",
    right=[("            scheduler.step()", "        scheduler.step()")],
)
def signs_step_lr_by_batches(bench: Bench) -> WatchedRun:
    torch.manual_seed(121)
    d = sets.signs()
    model = nets.small_cnn(1, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for images, labels in loader(d.train, 25):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
            scheduler.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "scheduler-per-batch",
    "schedule-ended",
    right=[("                schedule.step()", "                pass\n        schedule.step()")],
)
def sensors_exponential_by_batches(bench: Bench) -> WatchedRun:
    torch.manual_seed(122)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.85)
    run = bench.watch(model, optimizer)
    for _epoch in range(10):
        model.train()
        for number, (x, y) in enumerate(loader(d.train, 30)):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if number >= 0:
                schedule.step()
        validate(model, loader(d.test, 50, False))
    return run


@faulty(
    "scheduler-per-batch",
    "schedule-ended",
    right=[("            scheduler.step()", "        scheduler.step()")],
)
def waves_milestones_in_epochs(bench: Bench) -> WatchedRun:
    torch.manual_seed(123)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 6], gamma=0.01)
    run = bench.watch(model, optimizer)
    for _epoch in range(7):
        model.train()
        for x, y in loader(d.train, 25):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            scheduler.step()
        evaluate(run, model, d.test)
    return run


@faulty(
    "scheduler-per-batch",
    "schedule-ended",
    right=[
        ("                    scheduler.step()", "                    pass\n            scheduler.step()")
    ],
)
def reviews_decay_inside_fit(bench: Bench) -> WatchedRun:
    def fit(model: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> None:
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.8**epoch)
        for _ in range(epochs):
            model.train()
            for words, labels in loader(d.train, 50):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(words), labels)
                loss.backward()
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
            evaluate(run, model, d.test)

    torch.manual_seed(124)
    d = sets.reviews()
    model = nets.Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    fit(model, optimizer, 5)
    return run


@faulty(
    "scheduler-per-batch", "schedule-ended", right=[("            cosine.step()", "        cosine.step()")]
)
def flags_polynomial_by_batches(bench: Bench) -> WatchedRun:
    torch.manual_seed(125)
    d = sets.flags(900, 0.6)
    net = nets.small_cnn(3, 6)
    opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    cosine = torch.optim.lr_scheduler.PolynomialLR(opt, total_iters=8, power=1.5)
    run = bench.watch(net, opt)
    for _epoch in range(8):
        net.train()
        for x, y in loader(d.train, 45):
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()
            cosine.step()
    evaluate(run, net, d.test)
    return run
