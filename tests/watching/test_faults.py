"""Faults of loops are named first, with a fix in words and code; correct loops get no wrong statement."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz import tracking
from cnnviz.diagnosis import gather
from cnnviz.tracking import Database
from cnnviz.watching import WatchedRun
from cnnviz.watching.loop_facts import is_untrained
from tests.watching.loops import CLASSES, Net, evaluate, images, loop, seeded

Make = Callable[[Database], WatchedRun]


def _reset(model: nn.Module) -> None:
    model.train()
    for part in model.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.reset_parameters()


def _once(model: nn.Module) -> None:
    """model.train() stands before the loop: a fresh module is in training mode."""


def _no_eval(run: WatchedRun, model: nn.Module) -> None:
    values, labels = images(60, seed=1)
    with torch.no_grad():
        run.evaluate(model(values), labels)


def _renamed(run: WatchedRun, model: nn.Module) -> None:
    model.eval()
    values, labels = images(60, seed=1)
    with torch.no_grad():
        run.evaluate(model(values), (labels + 1) % 3)


def _between(model: nn.Module) -> torch.optim.Optimizer:
    class Cleared(torch.optim.SGD):
        def step(self, closure: object = None) -> None:  # type: ignore[override]
            super().step()

    optimizer = Cleared(model.parameters(), 0.05)
    optimizer.register_step_pre_hook(lambda *_: model.zero_grad())
    return optimizer


def _scheduled(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.1)
    optimizer.register_step_post_hook(lambda *_: scheduler.step())
    return optimizer


class _Sleeping(torch.optim.SGD):
    """An optimizer whose step is never called, as far as anybody can see."""


def _never_steps(database: Database) -> WatchedRun:
    import cnnviz

    model = Net()
    run: WatchedRun = cnnviz.watch(model, _Sleeping(model.parameters(), 0.1), database=database)
    values, labels = images()
    for start in range(0, 96, 6):
        model.zero_grad()
        functional.cross_entropy(model(values[start : start + 6]), labels[start : start + 6]).backward()
    return run


FAULTS: dict[str, tuple[str, Make]] = {
    "zero-grad-missing": ("optimizer.zero_grad()", lambda d: loop(d, clear=False)),
    "zero-grad-misplaced": ("loss.backward()", lambda d: loop(d, make=_between)),
    "output-activation": (
        "cross_entropy(logits",
        lambda d: loop(d, model=nn.Sequential(Net(), nn.Softmax(1))),
    ),
    "loss-mismatch": ("log_softmax", lambda d: loop(d, loss=lambda x, y: functional.nll_loss(x, y))),
    "training-in-eval-mode": ("model.train()", lambda d: loop(d, begin=_once)),
    "evaluation-mode": ("model.eval()", lambda d: loop(d, evaluation=_no_eval)),
    "optimizer-parameters": (
        "model.parameters()",
        lambda d: loop(d, make=lambda m: torch.optim.SGD(copy.deepcopy(m).parameters(), 0.05)),
    ),
    "loss-detached": (
        "cross_entropy(logits",
        lambda d: loop(d, loss=lambda x, y: functional.cross_entropy(x.detach().requires_grad_(), y)),
    ),
    "optimizer-never-steps": ("optimizer.step()", _never_steps),
    "not-shuffled": ("shuffle=True", lambda d: loop(d, order=lambda labels: labels.argsort())),
    "same-batch": ("in loader", lambda d: loop(d, order=lambda labels: torch.arange(12).repeat(8))),
    "reinitialized": ("", lambda d: loop(d, begin=_reset)),
    "scaled-twice": ("/ 255", lambda d: loop(d, data=(images()[0] / 255, images()[1]))),
    "labels-permuted": ("sorted(classes)", lambda d: loop(d, evaluation=_renamed, epochs=8)),
    "scheduler-per-batch": ("scheduler.step()", lambda d: loop(d, make=_scheduled, epochs=8)),
}


@pytest.mark.parametrize("cause", FAULTS)
def test_a_fault_of_the_loop_is_named_first_and_alone(cause: str, database: Database) -> None:
    code, make = FAULTS[cause]
    report = make(database).diagnose()
    assert report.causes == (cause,)
    finding = report.findings[0]
    assert (report.outcome, report.healthy) == ("cause-found", False)
    assert finding.changes == ()
    assert finding.fix is not None
    assert code in finding.fix.code
    assert finding.fix.text in str(report)
    assert finding.fix.text.split()[0] in report._repr_html_()


def _in_a_row(labels: Tensor) -> Tensor:
    """Twenty steps with a batch, before the next comes."""
    return torch.cat([torch.arange(start, start + 12).repeat(20) for start in range(0, 48, 12)])


def test_a_batch_that_is_used_for_many_steps_in_a_row_is_said(database: Database) -> None:
    report = loop(database, order=_in_a_row, epochs=2).diagnose()
    assert report.causes == ("same-batch",)
    assert "for some 20 steps in a row: 160 steps see 4 different ones" in report.verdict


class _Sunk(nn.Module):
    """Layers whose values lie far below 0, and activations in code."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(36, 24), nn.Linear(24, 24), nn.Linear(24, CLASSES)
        for layer in (self.first, self.second):
            nn.init.constant_(layer.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        out: Tensor = self.head(functional.relu(self.second(functional.relu(self.first(x.flatten(1))))))
        return out


def test_an_activation_in_code_that_lets_nothing_through_is_named_first(database: Database) -> None:
    report = loop(database, model=_Sunk(-20.0), epochs=8).diagnose()
    assert report.causes[0] == "dead-relu"
    assert "after 'first'" in report.verdict
    assert "dead-relu" not in loop(database, model=_Sunk(0.0), epochs=8).diagnose().causes


def _watch(database: Database, lr: float) -> tuple[WatchedRun, Net, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr, momentum=0.9)
    return cnnviz.watch(model, optimizer, database=database), model, optimizer


def _accumulate(divide: bool) -> Make:
    def run(database: Database) -> WatchedRun:
        watched, model, optimizer = _watch(database, 0.02)
        values, labels = images()
        for _ in range(6):
            model.train()
            rows = torch.randperm(96)
            for number, start in enumerate(range(0, 96, 6), 1):
                chosen = rows[start : start + 6]
                loss = functional.cross_entropy(model(values[chosen]), labels[chosen])
                (loss / 4 if divide else loss).backward()
                if number % 4 == 0:
                    optimizer.step()
                    optimizer.zero_grad()
            evaluate(watched, model)
        return watched

    return run


def test_accumulation_is_said_where_it_is_not_divided(database: Database) -> None:
    report = _accumulate(divide=False)(database).diagnose()
    assert report.causes[0] == "gradient-accumulation-scale"
    assert "(loss / 4).backward()" in str(report)


def test_small_batches_that_are_accumulated_are_no_small_batch(database: Database) -> None:
    watched, model, optimizer = _watch(database, 0.3)
    values, labels = images()
    for start in range(0, 96, 2):
        model.train()
        functional.cross_entropy(model(values[start : start + 2]), labels[start : start + 2]).backward()
        if start % 24 == 22:
            optimizer.step()
            optimizer.zero_grad()
    evaluate(watched, model)
    assert "batch-too-small" not in watched.diagnose().causes


def _sharpness_aware(database: Database) -> WatchedRun:
    """Foret et al. (2021): a step along the gradient, which is cleared, and one from there."""
    watched, model, optimizer = _watch(database, 0.02)
    values, labels = images()
    for _ in range(8):
        model.train()
        for chosen in torch.randperm(96).split(12):
            functional.cross_entropy(model(values[chosen]), labels[chosen]).backward()
            moved = [(p, 0.02 * p.grad) for p in model.parameters() if p.grad is not None]
            with torch.no_grad():
                for p, by in moved:
                    p.add_(by)
            optimizer.zero_grad()
            functional.cross_entropy(model(values[chosen]), labels[chosen]).backward()
            with torch.no_grad():
                for p, by in moved:
                    p.sub_(by)
            optimizer.step()
            optimizer.zero_grad()
        evaluate(watched, model)
    return watched


def test_validation_in_training_mode_is_said_as_for_test_images(database: Database) -> None:
    def evaluation(run: WatchedRun, model: nn.Module) -> None:
        values, labels = images(60, seed=1)
        with torch.no_grad():
            run.evaluate(model(values), labels, "validation")

    assert "evaluation-mode" in loop(database, evaluation=evaluation, epochs=8).diagnose().causes


class _Listed(nn.Module):
    """Layers in a plain list, which are in no optimizer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, 24), nn.ReLU()]
        self.head, self.unused = nn.Linear(24, CLASSES), nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        x = x.flatten(1)
        for layer in self.layers:
            x = layer(x)
        out: Tensor = self.head(x)
        return out


def test_layers_in_a_plain_list_and_one_that_never_runs_are_diagnosed(database: Database) -> None:
    noise = torch.rand(96, 1, 6, 6, generator=torch.Generator().manual_seed(3)), images()[1]
    report = loop(database, model=_Listed(), data=noise, epochs=20).diagnose()
    assert report.causes, "and no trace"


def _frozen(model: nn.Module) -> torch.optim.Optimizer:
    assert isinstance(model, Net)
    model.conv.requires_grad_(False)
    return torch.optim.Adam(model.head.parameters(), 0.02)


def _clipped(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    optimizer.register_step_pre_hook(lambda *_: nn.utils.clip_grad_value_(model.parameters(), 0.01))
    return optimizer


def _one_cycle(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=66)
    optimizer.register_step_post_hook(lambda *_: scheduler.step())
    return optimizer


def _steps(
    database: Database, step: Callable[[Net, torch.optim.Optimizer, Tensor, Tensor], None]
) -> WatchedRun:
    """Run 12 epochs of a loop that makes its steps by itself."""
    with seeded():
        run, model, optimizer = _watch(database, 0.02)
        values, labels = images()
        for _ in range(12):
            for chosen in torch.randperm(len(labels)).split(12):
                step(model, optimizer, values[chosen], labels[chosen])
            evaluate(run, model)
            model.train()
    return run


def _adversarial(model: Net, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    x = x.clone().requires_grad_()
    functional.cross_entropy(model(x), y).backward()
    assert x.grad is not None
    optimizer.zero_grad()
    functional.cross_entropy(model(x.detach() + 0.02 * x.grad.sign()), y).backward()
    optimizer.step()


def _assigned(model: Net, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    gradients = torch.autograd.grad(functional.cross_entropy(model(x), y), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()


def _averaged_after_adding(model: Net, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    optimizer.zero_grad()
    for part, labels in zip(x.split(3), y.split(3), strict=True):
        functional.cross_entropy(model(part), labels).backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.grad.div_(4)
    optimizer.step()


def _two_views(model: Net, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    one, two = model(x), model(x)
    optimizer.zero_grad()
    (functional.cross_entropy(one, y) + functional.cross_entropy(two, y)).backward()
    optimizer.step()


def _head_waits(database: Database) -> WatchedRun:
    with seeded():
        model, count = Net(), 0
        body = torch.optim.SGD([*model.conv.parameters(), *model.norm.parameters()], 0.05, momentum=0.9)
        head = torch.optim.SGD(model.head.parameters(), 0.05)
        run: WatchedRun = cnnviz.watch(model, [body, head], database=database)
        values, labels = images()
        for _ in range(12):
            for chosen in torch.randperm(len(labels)).split(12):
                count += 1
                body.zero_grad()
                functional.cross_entropy(model(values[chosen]), labels[chosen]).backward()
                body.step()
                if count % 2 == 0:
                    head.step()
                    head.zero_grad()
            evaluate(run, model)
            model.train()
    return run


CORRECT: dict[str, Make] = {
    "plain": lambda d: loop(d, epochs=8),
    "clipped by value": lambda d: loop(d, make=_clipped, epochs=8),
    "accumulated and divided": _accumulate(divide=True),
    "one cycle a batch": lambda d: loop(d, make=_one_cycle, epochs=8),
    "frozen trunk": lambda d: loop(d, make=_frozen, epochs=10),
    "log-softmax with NLL": lambda d: loop(
        d, model=nn.Sequential(Net(), nn.LogSoftmax(1)), loss=lambda x, y: functional.nll_loss(x, y), epochs=8
    ),
    "log-softmax with cross-entropy": lambda d: loop(
        d, model=nn.Sequential(Net(), nn.LogSoftmax(1)), epochs=8
    ),
    "from clear to noisy": lambda d: loop(d, order=lambda labels: torch.arange(len(labels)), epochs=8),
    "sharpness-aware": _sharpness_aware,
    "autocast": lambda d: loop(d, model=_Autocast(), epochs=8),
    "adversarial": lambda d: _steps(d, _adversarial),
    "gradients assigned": lambda d: _steps(d, _assigned),
    "averaged after adding": lambda d: _steps(d, _averaged_after_adding),
    "two views": lambda d: _steps(d, _two_views),
    "head waits": _head_waits,
}


class _Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out: Tensor = self.net(x)
        return out.float()


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_loop_gets_no_wrong_statement(name: str, database: Database) -> None:
    report = CORRECT[name](database).diagnose()
    assert report.causes == ()
    assert report.healthy is not False


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.filterwarnings("always:Two losses of one output")
def test_mixup_as_two_weighted_losses_is_read_as_what_it_is(
    given: bool, database: Database, recwarn: pytest.WarningsRecorder
) -> None:
    with seeded():
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
        run = cnnviz.watch(model, optimizer, database=database)
        values, labels = images()
        for _ in range(12):
            model.train()
            for chosen in torch.randperm(len(labels)).split(12):
                x, y, other = values[chosen], labels[chosen], torch.randperm(len(chosen))
                logits = model(0.1 * x + 0.9 * x[other])  # the first labels are of the fainter image
                loss = 0.1 * functional.cross_entropy(logits, y)
                loss = loss + 0.9 * functional.cross_entropy(logits, y[other])
                if given:
                    run.step(loss, logits, y[other])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            evaluate(run, model)
    report = run.diagnose()
    assert (report.outcome, report.causes) == ("healthy", ())
    assert ["run.step(loss, logits, labels)" in str(one.message) for one in recwarn] == [True] * (not given)
    assert run.id is not None
    curves = gather(database, run.id).curves
    assert "train/epoch_accuracy" not in curves
    assert ("train/epoch_loss" in curves) is given


def test_further_losses_with_the_same_labels_are_no_mixup(database: Database) -> None:
    run = loop(
        database,
        loss=lambda x, y: functional.cross_entropy(x, y) + functional.nll_loss(x.log_softmax(1), y.clone()),
    )
    run.finish()
    assert run.id is not None
    assert "train/epoch_accuracy" in gather(database, run.id).curves


def test_a_weight_is_known_to_be_as_torch_draws_it() -> None:
    with seeded():
        for layer in (nn.Linear(20, 7), nn.Conv2d(3, 8, 3), nn.Linear(300, 200)):
            assert is_untrained(layer.weight)
            assert not is_untrained(layer.weight * 0.7)
            assert not is_untrained(layer.weight + 0.02 * torch.randn_like(layer.weight))
        assert not is_untrained(0.99 * nn.Linear(300, 200).weight)
        assert not is_untrained(nn.init.kaiming_normal_(torch.empty(50, 20)))
        assert not is_untrained(torch.zeros(50, 20))
        assert not is_untrained(nn.Linear(3, 3).weight), "too few values"
        assert not is_untrained(nn.Linear(20, 7).bias)


def _random_trunk(model: nn.Module) -> torch.optim.Optimizer:
    model.conv.requires_grad_(False)
    return torch.optim.SGD(model.head.parameters(), 0.002)


class Trunk(nn.Module):
    """A wide layer, and a narrow one that all goes through."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 12, 6), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        out: Tensor = self.head(functional.relu(self.conv(x)).flatten(1))
        return out


@pytest.mark.parametrize("pretrained", [False, True])
def test_a_frozen_trunk_that_was_never_trained_is_found(database: Database, pretrained: bool) -> None:
    with seeded():
        model = Trunk()
        if pretrained:  # weights that torch does not draw so
            nn.init.normal_(model.conv.weight, 0, 0.1)
    run = loop(database, model=model, make=_random_trunk, epochs=4)
    report = run.diagnose()
    assert report.causes[0] == "frozen-parameters"  # it hardly learns either way
    assert ("at weights as torch draws them" in report.findings[0].verdict) is not pretrained


@pytest.mark.parametrize("factor", [255.0, 1.0])
def test_images_that_are_judged_with_other_values(database: Database, factor: float) -> None:
    def evaluation(run: WatchedRun, model: nn.Module) -> None:
        model.eval()
        values, labels = images(60, seed=1)
        with torch.no_grad():
            run.evaluate(model(factor * values.flip(2) if factor > 1 else values), labels)

    report = loop(database, evaluation=evaluation, epochs=8).diagnose()
    assert report.causes[:1] == (("split-mismatch",) if factor > 1 else ())
    assert "labels-shuffled" not in report.causes
    if factor > 1:
        assert "prepared otherwise where they are judged: they have mean" in report.findings[0].verdict


@pytest.mark.parametrize(("scale", "found"), [(1 / 255, True), (1.0, False), (1 / 20, False)])
def test_standardized_inputs_that_are_divided_by_255(database: Database, scale: float, found: bool) -> None:
    values, labels = images()
    standardized = (values - values.mean()) / values.std() * scale
    run = loop(database, data=(standardized, labels), evaluation=lambda run, model: None)
    assert ("scaled-twice" in run.diagnose().causes) is found


def test_dropout_that_drops_nothing_hides_no_initialization(database: Database) -> None:
    class Large(nn.Sequential):
        def __init__(self) -> None:
            layers = (nn.Flatten(), nn.Linear(36, 32), nn.Tanh(), nn.Dropout(0.0), nn.Linear(32, CLASSES))
            super().__init__(*layers)
            for part in self:
                if isinstance(part, nn.Linear):
                    nn.init.normal_(part.weight, 0, 4)

    report = loop(database, model=Large(), epochs=3, make=lambda m: torch.optim.SGD(m.parameters(), 0.05))
    assert "initialisation" in report.diagnose().causes


def test_outputs_between_0_and_1_without_a_sigmoid_are_no_sigmoid(database: Database) -> None:
    """What has hardly learned anything may lie there."""
    network = Net(1)
    with torch.no_grad():
        network.head.weight.mul_(0.01)
        network.head.bias.fill_(0.5)

    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], (labels == 0).float())

    report = loop(
        database, model=network, loss=loss, make=lambda m: torch.optim.SGD(m.parameters(), 1e-6)
    ).diagnose()
    looks = gather(database, 1).loop.losses  # type: ignore[union-attr]
    assert all((look.low or 0) >= 0 and (look.high or 0) <= 1 for look in looks)
    assert {look.activation for look in looks} == {"linear"}
    assert "loss-mismatch" not in report.causes


def test_relu_before_a_binary_cross_entropy_is_an_activation_on_the_outputs(database: Database) -> None:
    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        return nn.BCEWithLogitsLoss()(outputs[:, 0], (labels == 0).float())

    report = loop(database, model=nn.Sequential(Net(1), nn.ReLU()), loss=loss).diagnose()
    assert report.causes[0] == "output-activation"
    assert "ReLU" in report.verdict


def test_layers_of_a_closure_are_those_of_its_first_call(database: Database) -> None:
    """L-BFGS calls the network many times in a step, each time with other weights."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))
    optimizer = torch.optim.LBFGS(network.parameters(), lr=1.0, max_iter=8)
    run = cnnviz.watch(network, optimizer, database=database)
    values, labels = images()
    with torch.no_grad():
        first = float(network(values).std(correction=0))

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(values), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    for _ in range(3):
        optimizer.step(closure)
    run.finish()
    body = tracking.read_records(database, run.id or 0, "layers")[0].body
    layers = {layer["name"]: layer for layer in body}
    assert layers["1"]["spread"] == pytest.approx(first, rel=1e-3)
    assert layers["1"]["update"] > 0


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 3.0])])
def test_weights_of_classes_in_the_loss_are_recorded(database: Database, weights: Tensor | None) -> None:
    run = loop(database, loss=nn.CrossEntropyLoss(weights))
    run.finish()
    recorded = gather(database, run.id or 0).loop
    assert recorded is not None
    assert recorded.is_weighted == (weights is not None)


MISMATCHED: dict[str, tuple[str, Make]] = {
    "cross-entropy of one output": (
        "binary_cross_entropy_with_logits",
        lambda d: loop(
            d, model=Net(1), loss=lambda x, y: functional.cross_entropy(x, y.float()[:, None] / 2)
        ),
    ),
    "a loss that is maximized": (
        "no minus",
        lambda d: loop(d, loss=lambda x, y: -functional.cross_entropy(x, y)),
    ),
}


@pytest.mark.parametrize("what", MISMATCHED)
def test_a_loss_that_cannot_be_learned_from_is_named_first(what: str, database: Database) -> None:
    code, make = MISMATCHED[what]
    finding = make(database).diagnose().findings[0]
    assert finding.cause == "loss-mismatch"
    assert finding.fix is not None
    assert code in finding.fix.code


def test_a_loss_of_which_a_second_part_is_subtracted_is_no_mismatch(database: Database) -> None:
    """Confidence penalty: Pereyra et al. (2017)."""

    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        surprise = functional.cross_entropy(outputs, outputs.softmax(1))
        return functional.cross_entropy(outputs, labels) - 0.1 * surprise

    assert loop(database, loss=loss, epochs=8).diagnose().causes == ()
