"""What is counted of a loop: losses, labels and batches, fetched for many steps at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz import tracking
from cnnviz.tracking import Database, Status
from cnnviz.watching import WatchedRun, sampled_step
from cnnviz.watching.loop_facts import MAX_LABELS, LoopFacts
from cnnviz.watching.monitor import CHECKSUM_EARLY, CHECKSUM_PIECES, CHECKSUM_VALUES
from cnnviz.watching.sampled_step import SampledStep
from tests.watching.loops import Net, loop

BATCHES = st.lists(st.lists(st.integers(-2, 300), min_size=1, max_size=20), min_size=1, max_size=8)


@given(BATCHES)
def test_labels_of_many_batches_are_counted_as_one_by_one(batches: list[list[int]]) -> None:
    facts = LoopFacts(nn.Linear(1, 1), [])
    facts.add_labels([np.array(batch) for batch in batches[:2]])
    facts.add_labels([np.array(batch) for batch in batches[2:]])
    everything = [label for batch in batches for label in batch]
    assert facts.labels == Counter(everything)
    assert (facts.label_low, facts.label_high) == (min(everything), max(everything))
    assert facts.batch_sizes == Counter(map(len, batches))
    body = facts.body()
    majorities = [max(Counter(batch).values()) / len(batch) for batch in batches]
    assert body["commonest"] == pytest.approx(sum(majorities) / len(majorities))
    pairs = [a == b for batch in batches for a, b in pairwise(batch)]
    assert body["neighbours_alike"] == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


def test_labels_of_very_many_classes_are_not_counted_one_by_one() -> None:
    facts = LoopFacts(nn.Linear(1, 1), [])
    facts.add_labels([np.array([0, 2 * MAX_LABELS])])
    assert not facts.labels
    assert (facts.label_low, facts.label_high) == (0, 2 * MAX_LABELS)
    assert facts.body()["commonest"] is None


def watch(database: Database, steps: list[tuple[Tensor, Tensor]], reduction: str = "mean") -> WatchedRun:
    """Train a classifier of 3×4×4 images on these batches, and write over each after its step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    run = cnnviz.watch(model, optimizer, database=database)
    for images, labels in steps:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), labels, reduction=reduction)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            loss.mul_(0)
            images.zero_()
            labels.zero_()
    run.finish()
    return run


@pytest.mark.parametrize("from_step", [0, 130, 10**9], ids=["always", "later", "never"])
def test_losses_are_those_of_the_loop_though_it_writes_over_them(database: Database, from_step: int) -> None:
    """As `loss /= 4` does. Once it is seen, losses are copied; what was overwritten before is left out."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    run = cnnviz.watch(model, optimizer, database=database)
    images, truth = torch.randn(12, 3, 4, 4), torch.arange(12) % 3
    with torch.no_grad():
        logits = model(images)
    expected = float(functional.cross_entropy(logits, truth))
    right = float((logits.argmax(1) == truth).float().mean())
    for step in range(200):
        optimizer.zero_grad()
        output = model(images)
        loss = functional.cross_entropy(output, truth)
        if step >= from_step:
            loss /= 4
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step >= from_step:
            with torch.no_grad():
                output.neg_()
    assert run.monitor.copies_losses == (from_step < 200)
    run.finish()
    for name, value in (("train/loss", expected), ("train/accuracy", right)):
        seen = tracking.sample_metric(database, run.id or 0, name)
        assert seen.values.tolist() == pytest.approx([value] * len(seen.values), rel=1e-5)
        assert seen.steps.tolist()[-1] == 200


def last(database: Database, run: WatchedRun, name: str) -> float:
    return float(tracking.sample_metric(database, run.id or 0, name).values[-1])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_images_whose_label_is_ignored_do_not_count(database: Database, reduction: str) -> None:
    draw = torch.Generator().manual_seed(1)
    batches = [
        (torch.randn(6, 3, 4, 4, generator=draw), torch.tensor([0, 1, -100, 2, -100, at % 3]))
        for at in range(4)
    ] + [(torch.randn(2, 3, 4, 4, generator=draw), torch.tensor([-100, -100]))]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))  # the same weights, at a rate of 0
    with torch.no_grad():
        logits = torch.cat([model(images) for images, _ in batches])
    labels = torch.cat([labels for _, labels in batches])
    counts = labels >= 0
    expected = float(functional.cross_entropy(logits[counts], labels[counts]))
    right = float((logits.argmax(1) == labels)[counts].float().mean())
    run = watch(database, batches, reduction)
    assert last(database, run, "train/epoch_loss") == pytest.approx(expected, rel=1e-5)
    assert last(database, run, "train/epoch_accuracy") == pytest.approx(right)
    facts = run.monitor.facts
    assert facts.labels == Counter(labels[counts].tolist())
    assert facts.label_low == 0


def test_a_batch_is_known_by_the_middle_of_its_images(database: Database) -> None:
    """The border of a digit is black in every image."""
    draw = torch.Generator().manual_seed(1)
    batches = [torch.zeros(16, 3, 4, 4) for _ in range(3)]
    for batch in batches:
        batch[:, :, 1:3, 1:3] = torch.rand(16, 3, 2, 2, generator=draw)
    assert CHECKSUM_PIECES * CHECKSUM_VALUES > 16 * 48, "a small batch counts as a whole"
    large = [functional.pad(batch, (6, 6, 6, 6)) for batch in batches]
    assert large[0].numel() > CHECKSUM_PIECES * CHECKSUM_VALUES
    labels = torch.zeros(16, dtype=torch.long)
    for kind in (batches, large):
        model = nn.Sequential(nn.Flatten(), nn.Linear(kind[0][0].numel(), 3))
        optimizer = torch.optim.SGD(model.parameters(), 0.0)
        run = cnnviz.watch(model, optimizer, database=database)
        for at in (0, 1, 1, 2, 1):
            optimizer.zero_grad()
            functional.cross_entropy(model(kind[at]), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        run.finish()
        body = run.monitor.facts.body()
        assert (body["batches"], body["distinct_batches"], body["most_repeated"]) == (5, 3, 3)
        assert body["repeated_in_a_row"] == pytest.approx(1 / 4)


def test_of_a_long_loop_some_batches_are_looked_at(database: Database) -> None:
    images, labels = torch.randn(2, 3, 4, 4), torch.tensor([0, 1])
    steps = CHECKSUM_EARLY + 400
    run = watch(database, [(images, labels)] * steps)
    body = run.monitor.facts.body()
    assert CHECKSUM_EARLY < body["batches"] < steps
    assert body["distinct_batches"] <= 2, "as given, and as the loop wrote over it"
    assert body["repeated_in_a_row"] > 0.99


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stale_gradients_are_told_from_new_ones_by_some_values_of_each(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampled_step, "MAX_VALUES", 100, raising=False)
    draw = torch.Generator().manual_seed(0)
    stale, fresh = torch.randn(2, 30, 50, generator=draw, dtype=dtype)
    weight = nn.Parameter(torch.zeros(30, 50, dtype=dtype))
    weight.grad = stale.clone()
    sample = SampledStep(2, None, [weight])
    torch.autograd.backward((weight * fresh).sum())
    held = [value for each in sample._gradients for value in (each.stale, each.fresh) if value is not None]
    assert [value.numel() for value in held] == [100, 100]
    sample.before_step([weight], 1)
    assert (sample.facts["fresh_in_step"], sample.facts["stale_in_step"]) == pytest.approx((1, 1))
    sample.cancel()


def test_what_a_first_optimizer_clears_after_its_step_was_not_cleared_before() -> None:
    trunk, head = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
    sample = SampledStep(2, None, [trunk, head])
    torch.autograd.backward((trunk * head).sum())
    sample.before_step([trunk, head], 1)
    torch.optim.SGD([trunk], 0.1).zero_grad(set_to_none=False)
    sample.before_step([trunk, head], 1)
    assert sample.facts["fresh_in_step"] == pytest.approx(1)
    sample.cancel()


def test_sparse_gradients_hold_up_no_backward_pass() -> None:
    table, head = nn.Parameter(torch.ones(9, 4)), nn.Parameter(torch.ones(4))
    sample = SampledStep(2, None, [table, head])
    rows = functional.embedding(torch.tensor([1, 2]), table, sparse=True)
    torch.autograd.backward((rows * head).sum())
    sample.before_step([table, head], 1)
    facts, _ = sample.end()
    assert facts["fresh_in_step"] == pytest.approx(1)
    assert not facts["cleared"]


class Odd(nn.Module):
    """A module without children that returns whatever `make` makes of its input."""

    def __init__(self, make: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.make = make

    def forward(self, x: Tensor) -> object:
        """Return what is made of `x`."""
        return self.make(x)


ODD: dict[str, Callable[[Tensor], object]] = {
    "a scalar": lambda x: x.mean(),
    "no images": lambda x: x[:0],
    "one value an image": lambda x: x.flatten(1).mean(1),
    "complex numbers": torch.fft.fft,
    "a list": lambda x: [x, None],
    "a sparse tensor": lambda x: x.flatten(1).to_sparse(),
    "nested tensors": lambda x: torch.nested.nested_tensor([x[0].flatten(), x[1].flatten()[:3]]),
    "nothing": lambda x: None,
}


class Compiled(nn.Module):
    """A network that holds its loss, as `compile` of other frameworks does, and a layer of any kind."""

    def __init__(self, make: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.net, self.loss, self.odd = Net(), nn.CrossEntropyLoss(), Odd(make)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        self.odd(x)
        out: Tensor = self.net(x)
        return out


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("what", ODD)
def test_whatever_a_layer_returns_the_loop_goes_on(database: Database, what: str) -> None:
    network = Compiled(ODD[what])
    run = loop(database, model=network, loss=lambda x, y: network.loss(x, y), epochs=2)
    run.finish()
    known = tracking.get_run(database, run.id or 0)
    assert (known.status, known.step) == (Status.FINISHED, 16)
    assert known.metrics["train/loss"].rows > 0
    layers = {
        layer["name"]: layer for layer in tracking.read_records(database, run.id or 0, "layers")[0].body
    }
    assert layers["net.head"]["spread"] is not None
    assert "loss" not in layers
