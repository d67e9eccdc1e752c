"""Losses by an earlier reference, weights by detours, evaluation with gradients: ways to write a loop."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import binary_cross_entropy_with_logits as held_binary
from torch.nn.functional import cross_entropy as held_cross_entropy

import cnnviz
from cnnviz.tracking import Database
from cnnviz.watching import WatchedRun, loss_functions, sampled_step
from tests.watching.loops import CLASSES, Net, evaluate, images, loop, seeded

HELD = functional.mse_loss, functional.smooth_l1_loss
"""References that are taken before anything is watched."""


# Losses.


def test_a_loss_by_a_reference_that_was_taken_earlier_is_seen_once(database: Database) -> None:
    run = loop(database, loss=held_cross_entropy, epochs=2)
    counts = run.monitor.facts.counts
    assert counts["losses"] == counts["steps"] == 16
    assert list(run.monitor.functions) == ["cross_entropy"]
    assert run.diagnose().causes == ()


def test_options_of_a_loss_by_a_reference_are_seen(database: Database) -> None:
    calls: list[loss_functions.LossCall] = []

    class Listener:
        def loss_called(self, call: loss_functions.LossCall) -> None:
            calls.append(call)

    listener = Listener()
    logits, labels = torch.zeros(4, CLASSES), torch.tensor([0, 1, 2, 7])
    loss_functions.listen(listener)
    try:
        held_cross_entropy(
            logits, labels, torch.ones(CLASSES), ignore_index=7, reduction="sum", label_smoothing=0.1
        )
        with pytest.raises(IndexError):
            held_cross_entropy(logits, labels)
        held_binary(logits[:, 0], labels.float(), pos_weight=torch.tensor(2.0))
        with pytest.warns(UserWarning, match="broadcasting"):
            HELD[0](logits[:, :1], labels.float())
    finally:
        loss_functions.unlisten(listener)
    first, failed, binary, squares = calls
    assert (first.reduction, first.ignore_index, first.label_smoothing) == ("sum", 7, 0.1)
    assert first.is_weighted
    assert binary.is_weighted
    assert isinstance(failed.error, IndexError)
    assert (tuple(squares.input.shape), tuple(squares.target.shape)) == ((4, 1), (1, 4))


def _first(x: Tensor) -> Tensor:
    return x[:, 0]


WRONG_LOSSES: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "an activation before a held loss": (
        "output-activation",
        lambda x, y: held_cross_entropy(x.softmax(1), y),
    ),
    "ReLU6": ("output-activation", lambda x, y: held_cross_entropy(functional.relu6(x), y)),
    "hard tanh": ("output-activation", lambda x, y: held_cross_entropy(functional.hardtanh(x), y)),
    "over the batch": ("loss-mismatch", lambda x, y: functional.cross_entropy(_first(x), (y > 0).float())),
    "broadcast": ("loss-mismatch", lambda x, y: HELD[1](x[:, :1], y.float())),
    "labels of -1 and 1": (
        "labels-out-of-range",
        lambda x, y: functional.binary_cross_entropy_with_logits(_first(x), 2.0 * (y > 0) - 1),
    ),
}


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("how", WRONG_LOSSES)
def test_a_loss_that_does_not_fit_is_named_first(how: str, database: Database) -> None:
    cause, loss = WRONG_LOSSES[how]
    assert loop(database, loss=loss).diagnose().causes[:1] == (cause,)


def test_outputs_capped_far_out_are_no_activation(database: Database) -> None:
    run = loop(database, loss=lambda x, y: functional.cross_entropy(functional.hardtanh(x, -30, 30), y))
    assert run.diagnose().causes == ()


def test_sums_that_lie_between_0_and_1_have_passed_through_no_sigmoid(database: Database) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 1))
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].weight[0, :6] = 0.16
        model[1].bias.zero_()
    run = loop(
        database, model=model, make=lambda m: torch.optim.SGD(m.parameters(), 1e-7),
        loss=lambda x, y: functional.binary_cross_entropy_with_logits(_first(x), (y > 0).float()),
        evaluation=lambda run, model: None,
    )  # fmt: skip
    looks = [look for look in run.monitor.facts.looks if "low" in look]
    low, high = min(look["low"] for look in looks), max(look["high"] for look in looks)
    assert 0 < low < high - 0.5 < 0.5
    assert "loss-mismatch" not in run.diagnose().causes


# Weights.


def _loaded_before_evaluation(database: Database) -> WatchedRun:
    first: dict[str, Tensor] = {}

    def make(model: nn.Module) -> torch.optim.Optimizer:
        first.update(copy.deepcopy(model.state_dict()))
        return torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)

    def evaluation(run: WatchedRun, model: nn.Module) -> None:
        model.load_state_dict(first)
        evaluate(run, model)

    return loop(database, make=make, evaluation=evaluation)


def _assigned(model: nn.Module) -> None:
    model.train()
    for parameter, fresh in zip(model.parameters(), Net().parameters(), strict=True):
        parameter.data = fresh.detach()


def _zeroed(model: nn.Module) -> None:
    model.train()
    assert isinstance(model, Net)
    nn.init.zeros_(model.head.weight)


@pytest.mark.parametrize(
    "make",
    [
        _loaded_before_evaluation,
        lambda d: loop(d, begin=_assigned),
        lambda d: loop(d, begin=_zeroed),
    ],
    ids=["loaded before evaluation", "assigned to .data", "zeroed"],
)
def test_weights_that_are_made_anew_by_a_detour_are_said(
    make: Callable[[Database], WatchedRun], database: Database
) -> None:
    assert make(database).diagnose().causes[:1] == ("reinitialized",)


def test_averaged_weights_that_are_loaded_to_evaluate_are_no_fresh_ones(database: Database) -> None:
    average = Net()

    def evaluation(run: WatchedRun, model: nn.Module) -> None:
        trained = copy.deepcopy(model.state_dict())
        with torch.no_grad():
            for mean, new in zip(average.state_dict().values(), trained.values(), strict=True):
                mean.copy_(mean + 0.5 * (new - mean))
        model.load_state_dict(average.state_dict())
        evaluate(run, model)
        model.load_state_dict(trained)

    run = loop(database, evaluation=evaluation)
    run.diagnose()
    assert run.monitor.facts.counts["resets"] == 0


def _another_size(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    assert isinstance(model, Net)
    model.conv = nn.Conv2d(1, 6, 5, padding=2)
    return optimizer


def _without_the_middle(model: nn.Module) -> torch.optim.Optimizer:
    assert isinstance(model, nn.Sequential)
    return torch.optim.SGD([*model[0].parameters(), *model[-1].parameters()], 0.05, momentum=0.9)


def _three_layers() -> nn.Module:
    wide = nn.Sequential(nn.Flatten(), nn.Linear(36, 32), nn.ReLU())
    return nn.Sequential(wide, nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, CLASSES))


def _head_replaced(database: Database) -> WatchedRun:
    epochs = iter(range(4))

    def begin(model: nn.Module) -> None:
        model.train()
        if next(epochs) == 1:
            model.head = nn.Linear(6 * 36, CLASSES)

    return loop(database, begin=begin)


@pytest.mark.parametrize(
    "make",
    [
        lambda d: loop(d, make=_another_size),
        lambda d: loop(d, model=_three_layers(), make=_without_the_middle, epochs=12),
        _head_replaced,
    ],
    ids=["replaced by another size", "the middle is left out", "replaced while it learns"],
)
def test_layers_that_the_optimizer_does_not_hold_are_said(
    make: Callable[[Database], WatchedRun], database: Database
) -> None:
    assert make(database).diagnose().causes[:1] == ("optimizer-parameters",)


# Images and labels.


def test_one_batch_with_new_noise_in_each_step_is_the_same_batch(database: Database) -> None:
    values, labels = images()
    with seeded():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        run: WatchedRun = cnnviz.watch(model, optimizer, database=database)
        for _ in range(4):
            model.train()
            for _ in range(12):
                optimizer.zero_grad()
                noisy = values[:12] + 0.05 * torch.randn(12, 1, 6, 6)
                functional.cross_entropy(model(noisy), labels[:12]).backward()
                optimizer.step()
            evaluate(run, model)
    assert run.diagnose().causes[:1] == ("same-batch",)


def test_batches_of_each_class_in_turn_are_not_the_same_batch(database: Database) -> None:
    values, labels = images(300)
    turns = torch.stack([(labels == k).nonzero()[:64, 0] for k in range(CLASSES)], 1).reshape(-1)
    run = loop(database, data=(values, labels), order=lambda _: turns)
    assert "same-batch" not in run.diagnose().causes


@pytest.mark.parametrize("mean", [0.5, 0.449])
def test_pixels_divided_twice_and_then_normalized_are_scaled_twice(mean: float, database: Database) -> None:
    values, labels = images()
    report = loop(database, data=((values / 255 - mean) / 0.226, labels)).diagnose()
    assert report.causes[:1] == ("scaled-twice",)


# Modes.


def _with_gradients(run: WatchedRun, model: nn.Module) -> None:
    values, _ = images(60, seed=1)
    for chosen in values.split(12):
        model(chosen).argmax(1)


def test_images_judged_with_gradients_in_training_mode_are_said(database: Database) -> None:
    assert loop(database, evaluation=_with_gradients).diagnose().causes[:1] == ("evaluation-mode",)


def test_passes_in_each_step_that_give_targets_are_no_evaluation(database: Database) -> None:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
        target = model(x.flip(3)).detach().softmax(1)
        logits = model(x)
        loss = functional.cross_entropy(logits, y) + functional.mse_loss(logits.softmax(1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    values, labels = images()
    with seeded():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        run: WatchedRun = cnnviz.watch(model, optimizer, database=database)
        for _ in range(4):
            for chosen in torch.randperm(len(labels)).split(12):
                step(model, optimizer, values[chosen], labels[chosen])
    assert "evaluation-mode" not in run.diagnose().causes


def _children_in_evaluation(run: WatchedRun, model: nn.Module) -> None:
    values, labels = images(60, seed=1)
    for child in model.children():
        child.eval()
    with torch.no_grad():
        run.evaluate(model(values), labels)


@pytest.mark.parametrize("pretrained", [False, True])
def test_layers_left_in_evaluation_mode_are_said_of_a_network_from_scratch(
    pretrained: bool, database: Database
) -> None:
    model = Net()
    if pretrained:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(
                    0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
                )
    run = loop(database, model=model, begin=lambda m: None, evaluation=_children_in_evaluation)
    assert ("training-in-eval-mode" in run.diagnose().causes) is not pretrained


# Steps.


def _multi_step(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5], 0.1)
    optimizer.register_step_post_hook(lambda *_: scheduler.step())
    return optimizer


def test_a_schedule_of_few_changes_that_ends_in_the_first_epoch_is_said(database: Database) -> None:
    assert loop(database, make=_multi_step, epochs=6).diagnose().causes[:1] == ("scheduler-per-batch",)


@pytest.mark.parametrize("divisor", [4, 16])
def test_accumulated_losses_that_are_divided_twice_are_said(divisor: int, database: Database) -> None:
    values, labels = images()
    with seeded():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        run: WatchedRun = cnnviz.watch(model, optimizer, database=database)
        for _ in range(8):
            model.train()
            for number, chosen in enumerate(torch.randperm(96).split(6)):
                (functional.cross_entropy(model(values[chosen]), labels[chosen]) / divisor).backward()
                if number % 4 == 3:
                    optimizer.step()
                    optimizer.zero_grad()
            evaluate(run, model)
    assert ("gradient-accumulation-scale" in run.diagnose().causes) is (divisor == 16)


# Gradients.


def test_layers_called_one_by_one_have_no_detached_loss(database: Database) -> None:
    """As with gradient checkpointing of a part: the network's own forward pass runs in evaluation only."""
    with seeded():
        model = nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, CLASSES))
        optimizer = torch.optim.Adam(model.parameters(), 0.02)
        run = cnnviz.watch(model, optimizer, database=database)
        values, labels = images()
        for _ in range(30):
            model.train()
            optimizer.zero_grad()
            functional.cross_entropy(model[2:](model[:2](values)), labels).backward()
            optimizer.step()
        evaluate(run, model)
    report = run.diagnose()
    assert "loss-detached" not in report.causes
    assert any("one by one" in check.because for check in report.diagnosis.checked)


def test_undivided_losses_that_kill_all_units_come_before_what_they_cause(database: Database) -> None:
    with seeded():
        model = nn.Sequential(
            nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)
        )
        optimizer = torch.optim.SGD(model.parameters(), 1.0, momentum=0.9)
        run = cnnviz.watch(model, optimizer, database=database)
        values, labels = images()
        for _ in range(30):
            model.train()
            optimizer.zero_grad()
            for few, wanted in zip(values.split(8), labels.split(8), strict=True):
                functional.cross_entropy(model(few), wanted).backward()
            optimizer.step()
            evaluate(run, model)
    report = run.diagnose()
    assert report.causes[0] == "gradient-accumulation-scale"
    assert "dead-relu" in report.causes
    assert report.root_causes == ("gradient-accumulation-scale",)
    assert {"dead-relu", "one-class"} <= set(report.diagnosis.findings[0].explains)


@pytest.mark.parametrize(("value", "cleared"), [(0.0, None), (1.0, True)])
def test_a_buffer_of_zeros_was_cleared_only_if_something_had_come(value: float, cleared: bool | None) -> None:
    """Gradients of layers below dead units are zeros by themselves."""
    parameter = nn.Parameter(torch.ones(3))
    facts: dict[str, object] = {}
    arrived = sampled_step._stale_check(sampled_step._Gradients(parameter), facts)
    arrived(torch.full((3,), value))
    parameter.grad = torch.zeros(3)
    arrived(torch.full((3,), value))
    assert facts.get("cleared_between") is cleared


# A whole data set as one batch, and dropout at evaluation.


@pytest.mark.parametrize(("count", "repeated"), [(96, False), (24, True)])
def test_one_batch_that_may_be_the_whole_data_set(database: Database, count: int, repeated: bool) -> None:
    """Full-batch gradient descent, where others are known well; one small batch again and again."""
    run = loop(database, order=lambda labels: torch.arange(count), batch=count, epochs=60)
    evaluate(run, run.monitor.model)
    assert ("same-batch" in run.diagnose().causes) == repeated


@pytest.mark.parametrize("only_dropout", [True, False])
def test_monte_carlo_dropout_is_meant(database: Database, only_dropout: bool) -> None:
    """Gal and Ghahramani, 2016: dropout alone is switched on; all of the network is by a forgotten eval()."""

    def evaluate_repeatedly(run: WatchedRun, model: nn.Module) -> None:
        model.train(not only_dropout)
        model.drop.train()
        with torch.no_grad():
            values, labels = images(48, 1)
            run.evaluate(torch.stack([model(values) for _ in range(5)]).mean(0), labels)

    run = loop(database, evaluation=evaluate_repeatedly)
    assert ("evaluation-mode" in run.diagnose().causes) != only_dropout
