"""Losses, networks, and parts that are frozen or judged in unusual ways, all right."""

from __future__ import annotations

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 as scripts call it

from benchmarks.watched.independent5 import nets, sets
from benchmarks.watched.independent5.common import (
    correct,
    evaluate,
    hits,
    later,
    loader,
    say,
    train_one_epoch,
)
from benchmarks.watched.tasks import Bench
from cnnviz.watching import WatchedRun


@correct
def numerals_log_softmax_and_nll(bench: Bench) -> WatchedRun:
    torch.manual_seed(230)
    d = sets.numerals()
    model = nn.Sequential(nets.small_cnn(1, 10), nn.LogSoftmax(1))
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.nll_loss(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def sensors_own_cross_entropy(bench: Bench) -> WatchedRun:
    torch.manual_seed(231)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            out = model(x)
            loss = (out.logsumexp(1) - out.gather(1, y[:, None])[:, 0]).mean()
            optimizer.zero_grad()
            loss.backward()
            run.step(loss, out, y)
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def biopsies_probability_and_bce(bench: Bench) -> WatchedRun:
    torch.manual_seed(232)
    d = sets.biopsies()
    model = nn.Sequential(nets.mlp(30, 1), nn.Sigmoid())
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.binary_cross_entropy(model(x)[:, 0], y.float()).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            say(((model(d.test[0])[:, 0] > 0.5).long() == d.test[1]).float().mean())
    return run


@correct
def rings_one_logit(bench: Bench) -> WatchedRun:
    torch.manual_seed(233)
    d = sets.rings()
    model = nets.mlp(2, 1, 32)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    run = bench.watch(model, optimizer)
    for _epoch in range(12):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(x).squeeze(1), y.float()).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def biopsies_positive_weight(bench: Bench) -> WatchedRun:
    torch.manual_seed(234)
    d = sets.biopsies()
    model = nets.mlp(30, 1, drop=0.2)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.6))
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            criterion(model(x), y.float()[:, None]).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def votes_squared_error(bench: Bench) -> WatchedRun:
    torch.manual_seed(235)
    d = sets.votes()
    model = nets.mlp(24, 1)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.mse_loss(model(x)[:, 0], 2 * y.float() - 1).backward()
            optimizer.step()
        say(hits(model, *d.test))
    return run


@correct
def flags_one_hot_targets(bench: Bench) -> WatchedRun:
    torch.manual_seed(236)
    d = sets.flags()
    model = nets.Separable(3, 6)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), F.one_hot(y, 6).float()).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def waves_focal_loss(bench: Bench) -> WatchedRun:
    torch.manual_seed(237)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            out = model(x)
            each = F.cross_entropy(out, y, reduction="none")
            loss = ((1 - (-each).exp()) ** 2 * each).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def sensors_margin_loss(bench: Bench) -> WatchedRun:
    torch.manual_seed(238)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.multi_margin_loss(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def sensors_classes_and_inputs(bench: Bench) -> WatchedRun:
    torch.manual_seed(239)
    d = sets.sensors()
    model = nets.Autoencoded(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 6e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(12):
        model.train()
        for x, y in loader(d.train, 32):
            out, again = model(x)
            loss = F.cross_entropy(out, y) + 0.1 * F.mse_loss(again, x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            out = model(d.test[0])[0]
            run.evaluate(out, d.test[1])
            say((out.argmax(1) == d.test[1]).float().mean())
    return run


@correct
def reviews_transformer_at_low_rate(bench: Bench) -> WatchedRun:
    torch.manual_seed(240)
    d = sets.reviews()
    model = nets.Encoder()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def reviews_lstm(bench: Bench) -> WatchedRun:
    torch.manual_seed(241)
    d = sets.reviews()
    model = nets.Recurrent(kind=nn.LSTM)
    optimizer = torch.optim.Adam(model.parameters(), 8e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 48):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def reviews_bag_at_high_rate(bench: Bench) -> WatchedRun:
    torch.manual_seed(242)
    d = sets.reviews()
    model = nets.WordBag()
    optimizer = torch.optim.Adagrad(model.parameters(), 0.1)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def textures_mixer(bench: Bench) -> WatchedRun:
    torch.manual_seed(243)
    d = sets.textures()
    model = nets.Mixer(3, 4, 14, 7)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(6):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def signs_separable(bench: Bench) -> WatchedRun:
    torch.manual_seed(244)
    d = sets.signs()
    model = nets.Separable(1, 5)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def sensors_selu(bench: Bench) -> WatchedRun:
    torch.manual_seed(245)
    d = sets.sensors()
    model = nn.Sequential(
        nn.Linear(12, 32), nn.SELU(), nn.AlphaDropout(0.05), nn.Linear(32, 32), nn.SELU(), nn.Linear(32, 5)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def numerals_checkpointed(bench: Bench) -> WatchedRun:
    torch.manual_seed(246)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            out = model[3:](torch.utils.checkpoint.checkpoint(model[:3], x, use_reentrant=False))
            loss = F.cross_entropy(out, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def biopsies_lbfgs(bench: Bench) -> WatchedRun:
    torch.manual_seed(247)
    d = sets.biopsies()
    model = nn.Linear(30, 2)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)
    run = bench.watch(model, optimizer)
    for _epoch in range(12):
        model.train()

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(d.train[0]), d.train[1]) + 1e-3 * model.weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        evaluate(run, model, d.test)
    return run


@correct
def numerals_trunk_frozen_after_training(bench: Bench) -> WatchedRun:
    torch.manual_seed(248)
    d = sets.numerals()
    model = nets.NormCnn(1, 10)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(3):
        train_one_epoch(model, loader(d.train, 32), F.cross_entropy, optimizer)
    model.body.requires_grad_(False)
    model.classifier.reset_parameters()
    optimizer = torch.optim.Adam(model.classifier.parameters(), 5e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        model.body.eval()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def signs_fine_tuned_slowly(bench: Bench) -> WatchedRun:
    torch.manual_seed(249)
    d = sets.signs()
    model = nets.NormCnn(1, 5)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(5):
        train_one_epoch(model, loader(d.train, 32), F.cross_entropy, optimizer)
    optimizer = torch.optim.Adam(model.parameters(), 1e-5)
    run = bench.watch(model, optimizer)
    for _epoch in range(3):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def flags_trunk_slower_than_head(bench: Bench) -> WatchedRun:
    torch.manual_seed(250)
    d = sets.flags()
    model = nets.NormCnn(3, 6)
    optimizer = torch.optim.SGD(
        [{"params": model.body.parameters(), "lr": 0.01}, {"params": model.classifier.parameters()}],
        lr=0.1,
        momentum=0.9,
    )
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def waves_norm_frozen_late(bench: Bench) -> WatchedRun:
    torch.manual_seed(251)
    d = sets.waves()
    model = nets.WaveNet()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for epoch in range(5):
        model.train()
        if epoch > 2:
            model.net[1].eval()
            model.net[5].eval()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def sensors_easy_rows_first(bench: Bench) -> WatchedRun:
    torch.manual_seed(252)
    d = sets.sensors()
    model = nets.mlp(12, 5)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            near = x.abs().amax(1) < 2.2 + 0.4 * epoch
            if not near.any():
                continue
            optimizer.zero_grad()
            F.cross_entropy(model(x[near]), y[near]).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def numerals_never_judged(bench: Bench) -> WatchedRun:
    torch.manual_seed(253)
    d = sets.numerals()
    model = nets.small_cnn(1, 10)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(4):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    later(lambda: hits(model, *d.test))
    return run


@correct
def textures_orthogonal_weights(bench: Bench) -> WatchedRun:
    torch.manual_seed(254)
    d = sets.textures()
    model = nets.small_cnn(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for module in model:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def signs_group_norm(bench: Bench) -> WatchedRun:
    torch.manual_seed(255)
    d = sets.signs()
    model = nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.GroupNorm(4, 16),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(256, 5),
    )
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(5):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        evaluate(run, model, d.test)
    return run


@correct
def votes_gradient_noise(bench: Bench) -> WatchedRun:
    torch.manual_seed(256)
    d = sets.votes()
    model = nets.mlp(24, 2)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    run = bench.watch(model, optimizer)
    for _epoch in range(8):
        model.train()
        for x, y in loader(d.train, 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            for p in model.parameters():
                p.grad += 0.001 * torch.randn_like(p)
            optimizer.step()
        evaluate(run, model, d.test)
    return run
