"""Layers that the optimizer misses, first weights, and what follows from what: loops of one's own."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz.diagnosis import gather
from cnnviz.diagnosis.evidence.learning_curves import chance_loss, summarize_loss
from cnnviz.tracking import Database
from cnnviz.watching import WatchedRun, sampled_step
from cnnviz.watching.image_sample import ImageSample
from tests.watching.loops import CLASSES, Net, evaluate, images, loop, seeded


def _replaced_afterwards(model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    model.conv = copy.deepcopy(model.conv)
    return optimizer


def test_layers_that_were_replaced_after_the_optimizer_was_made_are_named(database: Database) -> None:
    report = loop(database, make=_replaced_afterwards, epochs=8).diagnose()
    assert report.causes == ("optimizer-parameters",)
    assert "'conv'" in report.verdict
    assert report.findings[0].fix is not None
    assert "# then" in report.findings[0].fix.code


def test_a_second_network_in_the_optimizer_is_no_replaced_layer(database: Database) -> None:
    # The trunk is left out on purpose; the optimizer has the head and a layer of the loss.
    def make(model: nn.Module) -> torch.optim.Optimizer:
        centers = nn.Linear(7, 5)
        return torch.optim.SGD([*model.head.parameters(), *centers.parameters()], 0.05, momentum=0.9)

    assert loop(database, make=make, epochs=12).diagnose().causes == ()


class Narrow(nn.Module):
    """A trunk of fresh weights through which all goes, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 12, 6), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        out: Tensor = self.head(functional.relu(self.conv(x)).flatten(1))
        return out


@pytest.mark.parametrize("pretrained", [False, True])
def test_a_fresh_trunk_that_the_optimizer_leaves_out_is_found_where_little_is_learned(
    pretrained: bool, database: Database
) -> None:
    with seeded():
        model = Narrow()
        if pretrained:  # weights that torch does not draw so
            nn.init.normal_(model.conv.weight, 0, 0.1)

    def make(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.head.parameters(), 0.02)

    causes = loop(database, model=model, make=make, epochs=4).diagnose().causes
    assert ("optimizer-parameters" in causes) is not pretrained


@pytest.mark.parametrize("function", ["cross_entropy", "binary_cross_entropy_with_logits", "mse_loss"])
def test_chance_level_is_that_of_the_loss_function(function: str, database: Database) -> None:
    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        wanted = functional.one_hot(labels, CLASSES).float()
        of = {"mse_loss": functional.mse_loss}.get(function, functional.binary_cross_entropy_with_logits)
        return functional.cross_entropy(logits, labels) if function == "cross_entropy" else of(logits, wanted)

    def frozen(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), 0.0)

    run = loop(database, loss=loss, make=frozen, evaluation=lambda run, model: None, epochs=2)
    run.finish()
    assert run.id is not None
    evidence = gather(database, run.id)
    labels = images()[1]
    shares = labels.bincount(minlength=CLASSES) / len(labels)
    constant = {"cross_entropy": shares.log(), "mse_loss": shares}.get(function, torch.logit(shares))
    expected = float(loss(constant.expand(len(labels), -1), labels))
    assert chance_loss(evidence) == pytest.approx(expected, abs=0.02)
    curve = summarize_loss(evidence)
    assert curve is not None
    assert curve.stuck  # it has learned nothing, whatever its loss is measured in


class Normalized(nn.Sequential):
    """Normalization between layers, which keeps their size from the head."""

    def __init__(self, std: float) -> None:
        super().__init__(
            nn.Flatten(), nn.Linear(36, 24), nn.LayerNorm(24), nn.ReLU(), nn.Linear(24, 24), nn.LayerNorm(24),
            nn.ReLU(), nn.Linear(24, CLASSES),
        )  # fmt: skip
        for part in self:
            if isinstance(part, nn.Linear) and std:
                nn.init.normal_(part.weight, 0, std)


@pytest.mark.parametrize(("std", "found"), [(4.0, True), (0.0, False)])
def test_first_weights_that_make_the_softmax_certain_are_found_behind_normalization(
    std: float, found: bool, database: Database
) -> None:
    with seeded():
        model = Normalized(std)
    values, labels = images()
    standardized = ((values - values.mean()) / values.std(), labels)

    def make(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), 0.003)

    report = loop(database, model=model, data=standardized, make=make).diagnose()
    assert (report.causes[:1] == ("initialisation",)) is found
    assert not found or "certain, and wrong, before any learning" in report.verdict


def test_dead_relus_and_one_class_follow_from_weights_of_zero(database: Database) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, CLASSES)
    )
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    report = loop(database, model=model, epochs=8).diagnose()
    assert report.causes[0] == "initialisation"
    assert {"dead-relu", "one-class"} <= set(report.causes[1:])
    assert report.root_causes == ("initialisation",)
    assert str(report).count("It follows from 1, which is to be fixed first.") == len(report.causes) - 1
    assert "It follows from “Poor weight initialization”" in report._repr_html_()
    found = {one["cause"]: one["follows_from"] for one in report.diagnosis.as_json()["findings"]}
    assert found["initialisation"] is None
    assert found["one-class"] == "initialisation"


def test_gradients_that_nobody_uses_are_no_second_cause(database: Database) -> None:
    # It counts to four batches before it steps, and an epoch has three: it neither steps nor clears.
    with seeded():
        model = Net()
        run: WatchedRun = cnnviz.watch(model, torch.optim.SGD(model.parameters(), 0.05), database=database)
        values, labels = images(36)
        for _ in range(8):
            for chosen in torch.randperm(36).split(12):
                functional.cross_entropy(model(values[chosen]), labels[chosen]).backward()
            evaluate(run, model)
            model.train()
    assert run.diagnose().causes == ("optimizer-never-steps",)


@pytest.mark.parametrize("value", [0.0, 0.05])
def test_equal_weights_are_a_poor_initialization(value: float, database: Database) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, CLASSES))
    for part in (model[1], model[3]):
        nn.init.constant_(part.weight, value)
    report = loop(database, model=model).diagnose()
    assert report.causes[0] == "initialisation"
    assert "'1', '3' began with one value" in report.verdict


def test_equal_weights_that_a_run_got_over_are_no_finding(database: Database) -> None:
    model = Net()  # its dropout makes units differ
    for part in (model.conv, model.head):
        nn.init.constant_(part.weight, 0.05)
    assert loop(database, model=model, epochs=8).diagnose().causes == ()


def test_a_last_layer_that_begins_at_zero_is_none(database: Database) -> None:
    # As some networks begin, with random weights before it.
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 3)
    )
    with seeded():
        model = copy.deepcopy(model)
    nn.init.zeros_(model[-1].weight)
    assert "initialisation" not in loop(database, model=model, epochs=12).diagnose().causes


@pytest.mark.parametrize("hidden", [False, True])
def test_outputs_that_begin_at_zero_are_told_apart_by_their_labels(hidden: bool, database: Database) -> None:
    # Softmax regression, and a head at zero over one layer: after one epoch neither has learned well yet.
    with seeded():
        layers = (
            [nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, CLASSES)] if hidden else [nn.Linear(36, CLASSES)]
        )
        model = nn.Sequential(nn.Flatten(), *layers)
    nn.init.zeros_(layers[-1].weight)
    assert "initialisation" not in loop(database, model=model, epochs=1).diagnose().causes


def test_a_network_that_reads_one_value_is_said_to_and_not_to_see_one_batch(database: Database) -> None:
    values, labels = images()
    report = loop(database, data=((values * 0.9).floor(), labels)).diagnose()
    assert report.causes[:1] == ("constant-input",)
    assert "same-batch" not in report.causes
    assert report.findings[0].fix is not None
    assert ".float() / 255" in report.findings[0].fix.code


def _judge(change: Callable[[Tensor], Tensor]) -> Callable[[WatchedRun, nn.Module], None]:
    def evaluation(run: WatchedRun, model: nn.Module) -> None:
        model.eval()
        values, labels = images(300, seed=1)
        with torch.no_grad():
            run.evaluate(model(change(values)), labels)

    return evaluation


@pytest.mark.parametrize("turned", [True, False])
def test_judged_images_of_another_kind_are_told_from_shuffled_labels_by_the_first_epoch(
    turned: bool, database: Database
) -> None:
    evaluation = _judge((lambda x: x.transpose(2, 3)) if turned else (lambda x: x))
    report = loop(database, data=images(600), evaluation=evaluation, epochs=6).diagnose()
    assert report.causes == (("split-mismatch",) if turned else ())
    assert not turned or "Judged images are not like those" in report.verdict


def test_where_neighbors_tell_nothing_the_first_epoch_tells_judged_images_of_another_kind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageSample, "agreement", lambda self, classes: {})
    evaluation = _judge(lambda x: x.transpose(2, 3))
    report = loop(database, data=images(600), evaluation=evaluation, epochs=6).diagnose()
    assert report.causes == ("split-mismatch",)
    assert "in the first epoch" in report.verdict


def test_labels_that_are_shuffled_in_training_are_no_other_kind_of_image(database: Database) -> None:
    values, labels = images(240)
    with seeded():
        labels = labels[torch.randperm(240)]

    def make(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), 0.01)

    evaluation = _judge(lambda x: x)
    causes = (
        loop(database, data=(values, labels), make=make, evaluation=evaluation, epochs=40).diagnose().causes
    )
    assert "split-mismatch" not in causes
    assert causes[:1] == ("labels-shuffled",)


def test_a_first_epoch_of_a_network_that_goes_on_is_not_one_of_new_images(database: Database) -> None:
    # It knows its training images by heart, with labels dealt out at random, before it is watched.
    values, labels = images(240)
    with seeded():
        labels = labels[torch.randperm(240)]
        model = nn.Sequential(nn.Flatten(), nn.Linear(36, 256), nn.ReLU(), nn.Linear(256, CLASSES))
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(300):
            optimizer.zero_grad()
            functional.cross_entropy(model(values), labels).backward()
            optimizer.step()
    report = loop(database, model=model, data=(values, labels), evaluation=_judge(lambda x: x)).diagnose()
    assert "split-mismatch" not in report.causes
    assert all("each image was new" not in result.because for result in report.diagnosis.checked)


@pytest.mark.parametrize("rate", [float("nan"), float("inf")])
@pytest.mark.parametrize("epoch", [0, 2])
def test_a_rate_that_is_no_number_is_said(rate: float, epoch: int, database: Database) -> None:
    optimizers: list[torch.optim.Optimizer] = []

    def make(model: nn.Module) -> torch.optim.Optimizer:
        optimizers.append(torch.optim.SGD(model.parameters(), 0.05))
        return optimizers[0]

    begun: list[int] = []

    def begin(model: nn.Module) -> None:
        model.train()
        if len(begun) == epoch:
            optimizers[0].param_groups[0]["lr"] = rate
        begun.append(epoch)

    report = loop(database, make=make, begin=begin).diagnose()
    assert report.root_causes == ("non-finite",)
    assert f"in {8 * (4 - epoch)} steps" in report.verdict


@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_settings_that_no_recipe_has_raise_nothing(smoothing: float, database: Database) -> None:
    def make(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), 5_000.0)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(x, y, label_smoothing=smoothing)

    report = loop(database, make=make, loss=loss).diagnose()
    assert report.outcome == "cause-found"
    assert not [result for result in report.diagnosis.checked if "failed with" in result.because]


@pytest.mark.parametrize(("decay", "cause"), [(60.0, "weight-decay"), (0.02, "rate-too-high")])
def test_an_ordinary_decay_is_not_blamed_for_the_rate(decay: float, cause: str, database: Database) -> None:
    rate = 0.01 if decay > 1 else 30.0
    with seeded():
        model = Narrow()

    def make(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)

    causes = loop(database, model=model, make=make, epochs=12).diagnose().causes
    assert cause in causes
    assert {"weight-decay", "rate-too-high"} & set(causes) == {cause}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_in_the_input_are_named(value: float, database: Database) -> None:
    values, labels = images()
    values[:, :, 0, 0] = value
    report = loop(database, data=(values, labels)).diagnose()
    assert report.causes == ("non-finite",)
    assert "in the very first batch" in report.verdict
    assert report.findings[0].fix is not None
    assert "isfinite" in report.findings[0].fix.code


def test_a_hook_that_fails_does_not_end_the_backward_pass(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Tensor) -> Tensor:
        raise MemoryError("no room for a copy")

    monkeypatch.setattr(sampled_step, "_values", failing)
    report = loop(database, epochs=8).diagnose()
    assert report.outcome == "healthy"


@pytest.mark.parametrize("times", [1, 3])
def test_one_reset_after_a_rate_finder_is_none_and_several_are(times: int, database: Database) -> None:
    first: list[dict[str, Tensor]] = []
    epochs: list[int] = []

    def begin(model: nn.Module) -> None:
        model.train()
        first.extend([copy.deepcopy(model.state_dict())] if not first else [])
        epochs.append(1)
        if 1 < len(epochs) <= 1 + times:
            model.load_state_dict(first[0])

    causes = loop(database, begin=begin, evaluation=_judge(lambda x: x), epochs=16).diagnose().causes
    assert ("reinitialized" in causes) is (times > 1)
