"""Which of four outcomes a diagnosis has, and that no rule's silence alone makes a run healthy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.diagnosis import Diagnosis, Evidence, Points, diagnose
from cnnviz.diagnosis.comparisons import expected_fraction
from cnnviz.diagnosis.evidence import Baseline, BaselineScore, Data, DataQuality, Histogram
from cnnviz.diagnosis.evidence.generalization import held_out
from cnnviz.diagnosis.outcome import judge_outcome
from cnnviz.training import Recipe
from tests.diagnosis.evidence import CLASSES, healthy

STEPS = tuple(range(60, 601, 60))
"""Ten epochs of sixty steps."""


def scored(accuracy: float, images: int = 1000, constant: float = 0.1) -> Baseline:
    score = BaselineScore(images=images, accuracy=accuracy, constant=constant)
    return Baseline(learned_from=2000, test=score)


def run(
    test: Sequence[float] | float,
    train: Sequence[float] | float,
    loss: Sequence[float] | None = None,
    **changes: Any,
) -> Evidence:
    """A run of ten epochs with these accuracies; its loss is flat at last unless it is given."""
    curves = {
        "test/accuracy": _curve(test),
        "train/epoch_accuracy": _curve(train),
        "train/epoch_loss": Points(steps=STEPS, values=tuple(loss or (2.2, 1.9, 1.7, *(1.6,) * 7))),
    }
    base: dict[str, Any] = {
        "recipe": Recipe(model="lenet5", dataset="mnist", epochs=10),
        "step": 600,
        "total_steps": 600,
        "data": Data(classes=CLASSES, counts=(200,) * 10, train=2000, test=1000, shape=(1, 28, 28)),
        "quality": DataQuality(test_counts=(100,) * 10),
        "curves": curves,
        "predicted": {"test": (Histogram(step=600, counts=(100,) * 10),)},
    }
    return Evidence(**(base | changes))


def _curve(values: Sequence[float] | float) -> Points:
    return Points(steps=STEPS, values=tuple(values) if isinstance(values, Sequence) else (values,) * 10)


def outcome_of(evidence: Evidence) -> str:
    return judge_outcome(evidence, ()).outcome


@pytest.mark.parametrize("accuracy", [0.13, 0.195, 0.41, 0.69])
def test_a_broken_run_gets_no_clean_bill_where_a_classifier_without_training_is_far_better(
    accuracy: float,
) -> None:
    result = judge_outcome(run(accuracy, accuracy, baseline=scored(0.93)), ())
    assert result.outcome == "unexplained"
    assert result.next_steps
    assert "A classifier without training" in result.verdict or "constant" in result.verdict or accuracy < 0.2


@pytest.mark.parametrize(
    ("test", "train", "reference"),
    [
        (0.967, 0.997, 0.98),  # LeNet on scikit-learn's digits
        (0.446, 0.534, 0.522),  # five epochs of 3,600 CIFAR-10 images
        (0.466, 0.398, 0.522),  # AlexNet with augmentation on 5,000
        (0.748, 0.781, 0.82),  # three thousand Fashion-MNIST images
        (0.99, 0.999, 0.94),
    ],
)
def test_runs_that_were_seen_to_be_healthy_are_called_so(test: float, train: float, reference: float) -> None:
    assert outcome_of(run(test, train, baseline=scored(reference))) == "healthy"


def test_a_run_at_chance_is_never_healthy() -> None:
    for share in (0.08, 0.1, 0.12):
        assert outcome_of(run(share, share)) == "unexplained"
        assert outcome_of(run(share, share, baseline=scored(0.15))) == "unexplained"


def test_a_run_that_has_only_begun_is_not_judged_and_not_called_healthy() -> None:
    falling = tuple(2.3 - 0.05 * n for n in range(10))
    short = run(0.11, 0.12, falling, step=40, total_steps=40, baseline=scored(0.94))
    result = judge_outcome(short, ())
    assert result.outcome == "not-judged"
    assert "train it longer" in result.missing[0]
    cut = run(0.4, 0.42, falling, status="stopped", step=150, total_steps=6000, baseline=scored(0.94))
    assert outcome_of(cut) == "not-judged"


def test_a_run_that_was_still_improving_is_not_judged_where_it_is_somewhat_behind() -> None:
    falling = tuple(2.2 * 0.92**n for n in range(10))
    result = judge_outcome(run(0.33, 0.36, falling, baseline=scored(0.53)), ())
    assert result.outcome == "not-judged"
    assert "still improving" in result.missing[0]


@pytest.mark.parametrize(
    ("test", "train", "loss", "reference"),
    [
        # 1×1 convolutions on MNIST, where longer or bolder runs reach 83 to 85 %; all were called healthy.
        ((0.1, 0.1, 0.1, 0.15, 0.2, 0.39, 0.58, 0.6, 0.67, 0.67), 0.74, 0.92, 0.74),
        ((0.1, 0.1, 0.1, 0.1, 0.12, 0.31, 0.45, 0.61, 0.63, 0.69), 0.68, 0.9, 0.74),
        # Twenty layers that reach 92 %, and batches of 16 with local response normalization (95 %).
        ((0.1, 0.2, 0.3, 0.36, 0.44, 0.55, 0.7, 0.74, 0.83, 0.82), 0.88, 0.9, 0.93),
        ((0.1, 0.1, 0.15, 0.2, 0.28, 0.4, 0.5, 0.6, 0.66, 0.73), 0.75, 0.85, 0.77),
    ],
)
def test_a_run_that_was_still_learning_beside_a_standard_that_it_just_reaches_is_not_called_healthy(
    test: tuple[float, ...], train: float, loss: float, reference: float
) -> None:
    result = judge_outcome(
        run(test, train, tuple(2.2 * loss**n for n in range(10)), baseline=scored(reference)), ()
    )
    assert result.outcome == "not-judged"
    assert "still improving" in result.missing[0]


def test_a_run_that_still_learns_is_healthy_where_it_is_far_better_than_the_standard_and_gains_little() -> (
    None
):
    gained = (0.2, 0.5, 0.7, 0.8, 0.85, 0.87, 0.88, 0.88, 0.88, 0.89)
    falling = tuple(2.2 * 0.85**n for n in range(10))
    assert outcome_of(run(gained, 0.89, falling, baseline=scored(0.74))) == "healthy"
    steep = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85)
    assert outcome_of(run(steep, 0.86, falling, baseline=scored(0.74))) == "not-judged"


def test_a_standard_that_knows_little_vouches_for_no_run() -> None:
    """Waves in noise that networks know to 98 % and the classifier without training to 45 %."""
    for accuracy in (0.57, 0.88):
        result = judge_outcome(run(accuracy, accuracy, baseline=scored(0.45)), ())
        assert result.outcome == "not-judged"
        assert "A standard" in result.missing[0]
    assert outcome_of(run(0.93, 0.95, baseline=scored(0.45))) == "healthy"


def test_accuracy_that_came_late_is_learning_that_was_not_over_though_the_loss_falls_little() -> None:
    late = (0.1, 0.2, 0.3, 0.4, 0.5, 0.56, 0.6, 0.62, 0.7, 0.76)
    slow = (2.2, 1.9, 1.7, 1.5, 1.4, 1.3, 1.2, 1.15, 1.1, 1.08)
    assert outcome_of(run(late, 0.77, slow, baseline=scored(0.78))) == "not-judged"


def test_what_only_sampling_explains_is_neither_a_fault_nor_a_clean_bill() -> None:
    """70 % where 73 % are expected of 1,000 images: two standard errors of both are 4 points."""
    result = judge_outcome(run(0.7, 0.72, baseline=scored(0.81)), ())
    assert result.outcome == "not-judged"
    assert "Certainty" in result.missing[0]
    assert outcome_of(run(0.66, 0.68, baseline=scored(0.81))) == "unexplained"
    assert outcome_of(run(0.75, 0.77, baseline=scored(0.81))) == "healthy"


def test_training_images_known_by_heart_are_no_sign_that_more_epochs_would_help() -> None:
    falling = tuple(2.2 * 0.5**n for n in range(10))
    assert outcome_of(run(0.6, 1.0, falling, baseline=scored(0.94))) == "unexplained"


def test_hard_images_are_not_judged_by_a_standard_that_there_is_not() -> None:
    result = judge_outcome(run(0.25, 0.3, baseline=scored(0.14)), ())
    assert result.outcome == "not-judged"
    assert "hardly gets anywhere" in result.missing[0]


def test_an_old_run_without_the_comparison_is_healthy_only_where_it_is_good_by_itself() -> None:
    assert outcome_of(run(0.97, 0.98)) == "healthy"
    result = judge_outcome(run(0.4, 0.45), ())
    assert result.outcome == "not-judged"
    assert "--probe" in result.missing[0]


def test_a_comparison_that_was_given_up_is_no_clean_bill() -> None:
    """ReLU at the output came to 76 % on a machine so busy that the comparison was given up."""
    skipped = Baseline(skipped="It was given up after 20 seconds of work.")
    result = judge_outcome(run(0.763, 0.778, baseline=skipped), ())
    assert result.outcome == "not-judged"
    assert "given up" in result.missing[0]


def test_what_the_probe_of_labels_measured_stands_in_for_what_was_not_recorded() -> None:
    patches = {"share": 0.93, "chance": 0.1, "images": 600}
    assert outcome_of(run(0.41, 0.45, probes={"label-agreement": {"patches": patches}})) == "unexplained"


def test_few_held_out_images_judge_nothing() -> None:
    data = Data(classes=("a", "b"), counts=(20, 20), train=40, test=8, shape=(1, 28, 28))
    loss = tuple(0.6 - 0.04 * n for n in range(10))
    result = judge_outcome(run(0.75, 0.9, loss, data=data, quality=DataQuality(test_counts=(4, 4))), ())
    assert result.outcome == "not-judged"
    assert "35 %" in result.missing[0]


def arms(own: float | None, reference: float) -> dict[str, Any]:
    ends = {"own": own, "reference": reference}
    return {
        "overfit-batch": {
            "arms": {name: {"accuracy": share, "loss": 1.0} for name, share in ends.items()},
            "steps": 60,
            "images": 16,
        }
    }


@pytest.mark.parametrize(
    ("probes", "step"),
    [
        (arms(0.2, 0.2), "Check the network"),
        (arms(None, 1.0), "Change the optimizer"),
        ({"shuffled-inputs": {"moved_by_exchange": 0.001}}, "memorizes one batch"),
    ],
)
def test_a_probe_that_fails_counts(probes: dict[str, Any], step: str) -> None:
    result = judge_outcome(run(0.45, 0.5, probes=probes), ())
    assert result.outcome == "unexplained"
    assert any(step in one for one in result.next_steps)


def test_one_batch_that_is_not_learned_is_no_sign_where_the_run_is_as_good_as_expected() -> None:
    assert outcome_of(run(0.95, 0.97, baseline=scored(0.94), probes=arms(0.2, 1.0))) == "healthy"


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "failed", "error": "The worker was killed."},
        {"curves": {"train/loss": Points(steps=(1, 2, 3), values=(2.3, math.inf, math.nan))}},
    ],
)
def test_a_run_that_broke_off_is_not_healthy(broken: dict[str, Any]) -> None:
    assert outcome_of(run(0.95, 0.97, baseline=scored(0.94)).model_copy(update=broken)) == "unexplained"


def test_a_loss_that_rose_and_an_accuracy_that_was_lost_are_signs() -> None:
    rising = (2.2, 1.0, 0.5, 0.4, 0.4, 0.5, 0.9, 1.2, 1.3, 1.4)
    assert outcome_of(run(0.9, 0.95, rising, baseline=scored(0.9))) == "unexplained"
    lost = (0.5, 0.7, 0.8, 0.9, 0.93, 0.93, 0.94, 0.94, 0.94, 0.7)
    assert outcome_of(run(lost, 0.95, baseline=scored(0.75))) == "unexplained"


def test_nothing_recorded_is_said_with_how_it_ended() -> None:
    result = judge_outcome(Evidence(recipe=Recipe(), run=3, status="failed", error="It ended early."), ())
    assert result.outcome == "not-judged"
    assert result.verdict == (
        "Run 3 has recorded nothing that it could be judged by. It ended with: It ended early."
    )
    assert result.missing


def test_every_outcome_is_told_with_its_reasons_in_json() -> None:
    def plain(evidence: Evidence) -> dict[str, Any]:
        return diagnose(evidence).as_json()

    assert plain(healthy())["comparisons"]
    unknown = plain(run(0.41, 0.41, baseline=scored(0.93)))
    assert (unknown["outcome"] == "unexplained") == bool(unknown["next_steps"]) == (not unknown["findings"])
    assert plain(Evidence(recipe=Recipe()))["missing"]


def test_a_longer_part_of_an_easier_standard_is_expected() -> None:
    assert expected_fraction(0.3) == expected_fraction(0.5) == 0.75
    assert expected_fraction(0.65) == pytest.approx(0.825)
    assert expected_fraction(0.95) == pytest.approx(0.9)


shares = st.floats(0, 1)


@given(test=shares, train=shares, reference=shares, step=st.integers(1, 600), falls=st.booleans())
def test_no_run_at_chance_and_none_far_behind_the_classifier_is_healthy(
    test: float, train: float, reference: float, step: int, falls: bool
) -> None:
    loss = tuple(2.2 * (0.9 if falls else 1) ** n for n in range(10))
    evidence = run(test, train, loss, step=step, baseline=scored(reference))
    result = judge_outcome(evidence, ())
    held = held_out(evidence)
    assert held is not None
    if result.outcome == "healthy":
        assert not held.by_chance
        assert test > 0.6 * reference or test >= 0.91
        assert all(one.passed is not False for one in result.comparisons)
    assert (result.outcome == "unexplained") == bool(result.next_steps)
    assert (result.outcome == "not-judged") == bool(result.missing)


def test_a_finding_makes_the_outcome() -> None:
    collapsed = (Histogram(step=200, counts=(0, 0, 200, *(0,) * 7)),)
    diagnosis: Diagnosis = diagnose(healthy(predicted={"test": collapsed}))
    assert diagnosis.outcome == "cause-found"
    assert not diagnosis.missing
    assert not diagnosis.next_steps


@pytest.mark.parametrize(("known", "healthy_"), [(0.4, False), (0.65, True)])
def test_a_watched_run_that_knows_others_far_better_than_its_training_images_is_not_judged(
    known: float, healthy_: bool
) -> None:
    curves = dict(healthy().curves)
    steps = curves["test/accuracy"].steps
    for name, end in (("train/epoch_accuracy", known), ("val/accuracy", 0.75), ("test/accuracy", 0.75)):
        curves[name] = Points(
            steps=steps, values=tuple(0.1 + (end - 0.1) * min(1, i / 6) for i in range(1, 11))
        )
    report = diagnose(healthy(curves=curves, kind="watched"))
    riddle = [text for text in report.missing if "wrong labels among the training images" in text]
    assert bool(riddle) is not healthy_
    assert report.outcome != "healthy" or healthy_
