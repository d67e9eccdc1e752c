"""Rules that judge by the number of steps and the size of a batch, on evidence made by hand."""

import pytest

from cnnviz.diagnosis import Finding, Negative, rules
from cnnviz.diagnosis.comparisons import unfinished
from tests.diagnosis.networks import FLAT, run


@pytest.mark.parametrize(("step", "expected"), [(9, Finding), (100, Finding), (400, Negative)])
def test_steps_are_too_few_up_to_a_hundred(step: int, expected: type) -> None:
    evidence = run(losses=(2.3, 2.28, 2.25), accuracy=0.12, step=step)
    assert isinstance(rules()["too-few-steps"].apply(evidence), expected)


@pytest.mark.parametrize(("accuracy", "expected"), [(0.7, Finding), (0.95, Negative)])
@pytest.mark.parametrize(("cause", "batch"), [("too-few-steps", 32), ("batch-too-large", 512)])
def test_a_short_run_that_learns_well_and_goes_on_is_too_short_until_it_is_nearly_there(
    cause: str, batch: int, accuracy: float, expected: type
) -> None:
    evidence = run(losses=(2.3, 2.0, 1.6, 1.2), accuracy=accuracy, step=12, recipe={"batch_size": batch})
    outcome = rules()[cause].apply(evidence)
    assert isinstance(outcome, expected)
    if isinstance(outcome, Finding):
        assert outcome.effect < 0.5


@pytest.mark.parametrize(("batch", "expected"), [(256, Negative), (512, Finding)])
def test_a_batch_is_too_large_with_few_steps_an_epoch(batch: int, expected: type) -> None:
    evidence = run(losses=(2.3, 2.28, 2.25), accuracy=0.2, step=50, recipe={"batch_size": batch})
    assert isinstance(rules()["batch-too-large"].apply(evidence), expected)


@pytest.mark.parametrize(
    ("batch", "lr", "expected"), [(1, 0.05, Finding), (1, 1e-4, Negative), (16, 0.05, Negative)]
)
def test_a_batch_is_too_small_for_a_rate(batch: int, lr: float, expected: type) -> None:
    evidence = run(losses=FLAT, accuracy=0.1, recipe={"batch_size": batch, "lr": lr, "momentum": 0.9})
    assert isinstance(rules()["batch-too-small"].apply(evidence), expected)


def test_a_run_that_early_stopping_ended_is_neither_too_short_nor_unfinished() -> None:
    evidence = run(losses=(2.3, 2.28, 2.25), accuracy=0.12, step=60, total_steps=400)
    assert unfinished(evidence)
    stopped = evidence.model_copy(update={"stopped_early": True})
    outcome = rules()["too-few-steps"].apply(stopped)
    assert isinstance(outcome, Negative)
    assert outcome.by.startswith("Early stopping ended the run after 60 steps")
    assert not unfinished(stopped)
