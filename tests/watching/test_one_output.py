"""Two classes by one output: binary cross-entropy gives a watched loop labels, predictions and probes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz import tracking
from cnnviz.tracking import Database
from cnnviz.watching import WatchedRun
from cnnviz.watching.step_loss import NO_CLASS, binary_labels, two_class_logits
from tests.watching.loops import Net, images, seeded

Loss = Callable[[Tensor, Tensor], Tensor]


def lit(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images whose first row is bright or not, `(N, 1, 6, 6)`, and 1.0 or 0.0, `(N,)`."""
    pixels, labels = images(count, seed)
    return pixels, (labels == 0).float()


def watch_loop(
    database: Database, network: nn.Module, loss: Loss, *, target: Callable[[Tensor], Tensor] = lambda y: y
) -> WatchedRun:
    """Train for six epochs; the loss is also taken of the test images, without a gradient."""
    (pixels, labels), (unseen, truth) = lit(240, 0), lit(90, 1)
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    run = cnnviz.watch(network, optimizer, database=database)
    for _ in range(6):
        network.train()
        for batch in torch.randperm(len(pixels)).split(24):
            optimizer.zero_grad()
            loss(network(pixels[batch]), target(labels[batch])).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            loss(network(unseen), target(truth))
    return run


def body(database: Database, run: WatchedRun, kind: str) -> dict[str, object]:
    record = tracking.latest_record(database, run.id or 0, kind)
    assert record is not None
    assert isinstance(record.body, dict)
    return record.body


WAYS: dict[str, tuple[bool, Loss]] = {
    "logits (N,)": (False, lambda z, y: functional.binary_cross_entropy_with_logits(z.squeeze(1), y)),
    "logits (N, 1)": (False, lambda z, y: nn.BCEWithLogitsLoss()(z, y[:, None])),
    "sigmoid in the network": (True, lambda p, y: functional.binary_cross_entropy(p[:, 0], y)),
    "sigmoid in the loop": (False, lambda z, y: nn.BCELoss()(torch.sigmoid(z).view(-1), y)),
}


@pytest.mark.parametrize("way", WAYS)
def test_accuracy_and_classes_are_recorded(database: Database, way: str) -> None:
    ends_in_sigmoid, loss = WAYS[way]
    with seeded():
        network = nn.Sequential(Net(1), nn.Sigmoid()) if ends_in_sigmoid else Net(1)
        run = watch_loop(database, network, loss)
        report = run.diagnose()
    run.finish()
    known, (unseen, truth) = tracking.get_run(database, run.id or 0), lit(90, 1)
    with torch.no_grad():
        right = (network(unseen)[:, 0] > (0.5 if ends_in_sigmoid else 0.0)) == truth.bool()
        expected = float(loss(network(unseen), truth))
    assert known.metrics["test/accuracy"].last == pytest.approx(float(right.float().mean()))
    assert known.metrics["test/accuracy"].last > 0.95
    assert known.metrics["test/loss"].last == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert known.metrics["train/accuracy"].last > 0.9
    ones = int(lit(240, 0)[1].sum())
    assert body(database, run, "data")["counts"] == [240 - ones, ones]
    assert report.outcome == "healthy"


def test_one_image_a_step_with_a_target_without_dimensions(database: Database) -> None:
    pixels, labels = lit(40, 0)
    network = Net(1)
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    run = cnnviz.watch(network, optimizer, database=database)
    for image, label in zip(pixels, labels, strict=True):
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(network(image[None])[0, 0], label).backward()
        optimizer.step()
    run.finish()
    ones = int(labels.sum())
    assert dict(run.monitor.facts.labels) == {0: 40 - ones, 1: ones}


def test_smoothed_targets_are_labels_and_mixed_ones_are_not(database: Database) -> None:
    loss = WAYS["logits (N,)"][1]
    smoothed = watch_loop(database, Net(1), loss, target=lambda y: 0.9 * y + 0.05)
    smoothed.finish()
    mixed = watch_loop(database, Net(1), loss, target=lambda y: 0.7 * y + 0.3 * y.flip(0))
    mixed.finish()
    assert len(smoothed.monitor.facts.labels) == 2
    assert not mixed.monitor.facts.labels


def test_discriminator_has_no_classes(database: Database) -> None:
    discriminator, generator = Net(1), nn.Sequential(nn.Linear(4, 36), nn.Unflatten(1, (1, 6, 6)))
    of_it = torch.optim.Adam(discriminator.parameters(), 1e-3)
    of_generator = torch.optim.Adam(generator.parameters(), 1e-3)
    genuine, loss = lit(64, 0)[0], nn.BCEWithLogitsLoss()
    run = cnnviz.watch(discriminator, of_it, database=database)
    for _ in range(12):
        of_it.zero_grad()
        made = generator(torch.randn(64, 4))
        (
            loss(discriminator(genuine), torch.ones(64, 1))
            + loss(discriminator(made.detach()), torch.zeros(64, 1))
        ).backward()
        of_it.step()
        of_generator.zero_grad()
        loss(discriminator(made), torch.ones(64, 1)).backward()
        of_generator.step()
    report = run.diagnose()
    run.finish()
    assert not run.monitor.facts.labels
    assert not {"labels-shuffled", "label-noise", "not-shuffled"} & set(report.causes)


def test_sorted_classes_are_said_to_be_not_shuffled(database: Database) -> None:
    pixels, labels = lit(240, 0)
    network, order = Net(1), labels.argsort()
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    run = cnnviz.watch(network, optimizer, database=database)
    for _ in range(6):
        for batch in order.split(24):
            optimizer.zero_grad()
            functional.binary_cross_entropy_with_logits(
                network(pixels[batch])[:, 0], labels[batch]
            ).backward()
            optimizer.step()
    report = run.diagnose()
    run.finish()
    assert report.causes[0] == "not-shuffled"


def test_probes_run_on_one_output(database: Database) -> None:
    run = watch_loop(database, Net(1), WAYS["logits (N,)"][1])
    report = run.diagnose(probes=True)
    run.finish()
    results = " ".join(result for _, result in report.probes)
    assert "chance level is 0.6931" in results
    assert "16 images" in results
    assert "failed" not in results


def test_evaluate_and_step_take_one_output(database: Database) -> None:
    pixels, labels = lit(240, 0)
    network = nn.Sequential(Net(1), nn.Sigmoid())
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    run = cnnviz.watch(network, optimizer, database=database)
    for batch in torch.arange(240).split(24):
        optimizer.zero_grad()
        out, truth = network(pixels[batch]), labels[batch][:, None]
        loss = ((1 - truth + (2 * truth - 1) * out).log() * -1).mean()
        loss.backward()
        run.step(loss, out, truth)
        optimizer.step()
    network.eval()
    with torch.no_grad():
        out = network(pixels)
    run.evaluate(out, labels.long())
    run.finish()
    known = tracking.get_run(database, run.id or 0)
    right = float(((out[:, 0] > 0.5) == labels.bool()).float().mean())
    assert known.metrics["test/accuracy"].last == pytest.approx(right)
    assert sum(run.monitor.facts.labels.values()) == 240


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=9), st.data())
def test_two_class_logits_have_the_loss_of_one(values: list[float], data: st.DataObject) -> None:
    logits = torch.tensor(values)
    labels = torch.tensor([data.draw(st.integers(0, 1)) for _ in values])
    expected = functional.binary_cross_entropy_with_logits(logits, labels.float())
    columns = two_class_logits(logits[:, None], probability=False)
    torch.testing.assert_close(functional.cross_entropy(columns, labels), expected)
    probabilities = logits.double().sigmoid().float()
    columns = two_class_logits(probabilities, probability=True)
    assert columns.isfinite().all()
    torch.testing.assert_close(columns.softmax(1)[:, 1], probabilities)


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.floats(0, 0.4375, width=32))
def test_binary_labels_are_the_classes_of_smoothed_targets(classes: list[bool], smoothing: float) -> None:
    targets = torch.tensor(classes).float() * (1 - 2 * smoothing) + smoothing
    assert binary_labels(targets[:, None]).tolist() == [int(one) for one in classes]


@pytest.mark.parametrize("targets", [[0.0, 0.3, 1.0], [0.2, 0.3], [0.5, 0.5], [2.0, 0.0], [-1.0, 1.0]])
def test_other_targets_are_no_classes(targets: list[float]) -> None:
    assert binary_labels(torch.tensor(targets)).tolist() == [NO_CLASS] * len(targets)
