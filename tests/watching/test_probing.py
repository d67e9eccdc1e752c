"""Probes in the user's own process: made on copies, so that the loop goes on as without them."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import cnnviz
from cnnviz.tracking import Database
from cnnviz.watching import WatchedRun, diagnosing
from tests.watching.loops import CLASSES, Net, images, loop


def results(run: WatchedRun) -> dict[str, str]:
    return dict(run.diagnose(probes=True).probes)


def test_they_say_what_a_copy_does(database: Database) -> None:
    run = loop(database, epochs=1)
    found = results(run)
    assert found["Loss at initialization"].endswith("chance level is 1.099, ln(classes).")
    assert "Before the first step the gradient is" in found["Gradients of each layer"]
    assert "it learns 100 % (loss" in found["Overfit one batch"]
    text = str(run.diagnose(probes=True))
    assert "Check: Overfit one batch. Of 12 images in 60 steps" in text
    assert "Overfit one batch: Of 12" in run.diagnose(probes=True)._repr_html_()
    assert not run.diagnose().probes, "only when asked for"


def test_the_loop_goes_on_as_without_them(database: Database) -> None:
    ends = []
    for probes in (False, True):
        asked = probes

        def evaluation(run: WatchedRun, model: nn.Module, asked: bool = asked) -> None:
            if asked:
                counts, state = dict(run.monitor.facts.counts), torch.get_rng_state()
                gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
                before = run.diagnose(), dict(run.monitor.facts.counts)
                with torch.no_grad():  # as where a loop judges
                    run.diagnose(probes=True)
                assert dict(run.monitor.facts.counts) == before[1]
                assert counts["steps"] == run.monitor.facts.counts["steps"]
                assert torch.equal(state, torch.get_rng_state())
                now = [p.grad for p in model.parameters() if p.grad is not None]
                assert all(torch.equal(a, b) for a, b in zip(gradients, now, strict=True))
                assert model.training

        run = loop(database, epochs=2, evaluation=evaluation)
        run.finish()
        ends.append((run._model.state_dict(), run.monitor.step))
    assert ends[0][1] == ends[1][1]
    assert all(torch.equal(ends[0][0][name], value) for name, value in ends[1][0].items())


def test_a_network_that_learns_no_batch_is_told(database: Database) -> None:
    model = Net()
    nn.init.constant_(model.norm.bias, -50.0)  # no unit is ever above 0
    run = loop(database, model=model, epochs=1)
    report = run.diagnose(probes=True)
    assert "it learns 100 %" not in dict(report.probes)["Overfit one batch"]
    compared = {one.name: one for one in report.diagnosis.comparisons}
    assert compared["one-batch"].passed is False


class TwoInputs(nn.Module):
    """Reads an image and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        """Logits `(N, classes)`."""
        out: Tensor = self.net(x * scale)
        return out


def test_what_cannot_be_made_says_why(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TwoInputs()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with cnnviz.watch(model, optimizer, database=database) as run:
        values, labels = images()
        for _ in range(3):
            optimizer.zero_grad()
            functional.cross_entropy(model(values, torch.ones(1)), labels).backward()
            optimizer.step()
        assert {text for _, text in run.diagnose(probes=True).probes} == {diagnosing._BATCH}
    monkeypatch.setattr(diagnosing, "MAX_WEIGHT_BYTES", 10)
    large = loop(database, epochs=1)
    assert set(results(large).values()) == {diagnosing._FIRST}


class Counting(Net):
    """Works a few times only, and holds what cannot be copied twice."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = itertools.count()

    def forward(self, x: Tensor) -> Tensor:
        """Logits, until it has had enough."""
        if next(self.calls) > 12:
            raise LookupError("enough")
        return super().forward(x)


def test_a_copy_that_fails_is_one_sentence(database: Database) -> None:
    found = results(loop(database, model=Counting(), epochs=1))
    assert found["Overfit one batch"] == "A copy of the network failed in it: LookupError: enough."


def test_another_optimizer_than_ours_is_said(database: Database) -> None:
    run = loop(database, epochs=1, make=lambda m: torch.optim.Adagrad(m.parameters(), 0.05))
    assert results(run)["Overfit one batch"] == diagnosing._OPTIMIZER


@pytest.mark.parametrize(("rows", "kept"), [(2, 2), (100, diagnosing.MAX_IMAGES), (1, 0)])
def test_of_a_batch_some_images_are_kept(rows: int, kept: int) -> None:
    inputs = diagnosing.ProbeInputs(Net())
    inputs.keep(torch.zeros(rows, 1, 6, 6), torch.zeros(rows, dtype=torch.int64) % CLASSES)
    assert (0 if inputs.batch is None else len(inputs.batch[0])) == kept
