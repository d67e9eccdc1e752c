"""One bad last epoch is instability; over-fitting is a trend over epochs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, Points, diagnose, rules
from cnnviz.diagnosis.evidence import DataQuality
from cnnviz.diagnosis.evidence.learning_curves import accuracy_summary, has_risen, last_epoch_fall
from cnnviz.training import Recipe
from tests.diagnosis.evidence import healthy
from tests.diagnosis.networks import FALLING, run
from tests.diagnosis.test_rules_of_data import SOUND, data
from tests.diagnosis.well_formed import assert_well_formed

GOOD = (0.5, 0.7, 0.8, 0.84, 0.86, 0.87, 0.88, 0.88, 0.89, 0.89)


def course(
    accuracies: tuple[float, ...], losses: tuple[float, ...] | None = None, **changes: Any
) -> Evidence:
    """A run whose held-out accuracy went so, and whose training images are known at the end."""
    steps = tuple(20 * (number + 1) for number in range(len(accuracies)))
    learnt = tuple(min(1.0, accuracy + 0.05) for accuracy in (*accuracies[:-1], GOOD[-1]))
    lost = losses or tuple(2.3 * (1 - accuracy) for accuracy in accuracies)
    curves = {
        "train/epoch_accuracy": learnt,
        "train/epoch_loss": tuple(2.3 * (1 - value) for value in learnt),
    }
    for part in ("val", "test"):
        curves |= {f"{part}/accuracy": accuracies, f"{part}/loss": lost}
    base: dict[str, Any] = {
        "curves": {name: Points(steps=steps, values=values) for name, values in curves.items()},
        "data": data(),
        "quality": DataQuality(neighbours=SOUND),
        "step": steps[-1],
        "total_steps": steps[-1],
        "params": 61_706,
        "predicted": {},
    }
    return healthy(**(base | changes))


def test_one_bad_last_epoch_is_instability_and_not_over_fitting() -> None:
    """The validation loss of `faults.md`, row D5: 0.345, and 1.767 an epoch later."""
    losses = (1.2, 0.8, 0.6, 0.5, 0.45, 0.4, 0.38, 0.36, 0.345, 1.767)
    evidence = course((*GOOD[:-1], 0.55), losses)
    diagnosis = diagnose(evidence)
    assert [one.cause for one in diagnosis.findings] == ["unstable-training"]
    assert_well_formed(diagnosis.findings[0], evidence)
    assert "has risen" not in diagnosis.findings[0].explanation


def test_over_fitting_is_still_found_where_the_loss_rises_over_epochs() -> None:
    losses = (1.2, 0.8, 0.6, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
    evidence = course((0.5, 0.6, 0.68, 0.7, 0.7, 0.7, 0.7, 0.69, 0.69, 0.69), losses)
    causes = [one.cause for one in diagnose(evidence).findings]
    assert "over-fitting-augmentation" in causes
    assert "unstable-training" not in causes


@pytest.mark.parametrize("last", [0.89, 0.87, 0.86])
def test_a_last_epoch_within_what_sampling_explains_is_no_fall(last: float) -> None:
    evidence = course((*GOOD[:-1], last))
    assert isinstance(rules()["unstable-training"].apply(evidence), Negative)
    assert diagnose(evidence).findings == ()


def test_with_few_held_out_images_a_larger_fall_is_an_accident_too() -> None:
    few = course((*GOOD[:-1], 0.78), data=data(validation=0, test=40))
    many = course((*GOOD[:-1], 0.78), data=data(validation=0, test=4_000))
    assert last_epoch_fall(few) is None
    assert last_epoch_fall(many) is not None


def test_other_rules_judge_by_an_epoch_that_is_usual() -> None:
    now = accuracy_summary(course((*GOOD[:-1], 0.4)))
    assert now is not None
    assert now.held_out_accuracy == pytest.approx(0.88)


def test_of_a_run_that_goes_on_nothing_is_said_yet() -> None:
    running = course((*GOOD[:-1], 0.4), status="running")
    assert isinstance(rules()["unstable-training"].apply(running), Inconclusive)


@pytest.mark.parametrize(("schedule", "fields"), [("constant", [{"schedule"}, {"lr"}]), ("cosine", [{"lr"}])])
def test_the_fix_lets_the_rate_fall_or_lowers_it(schedule: str, fields: list[set[str]]) -> None:
    evidence = course((*GOOD[:-1], 0.4), recipe=Recipe(epochs=10, schedule=schedule))
    finding = diagnose(evidence).findings[0]
    assert [set(change.values) for change in finding.changes] == fields
    assert all(change.recipe(evidence.recipe).lr <= evidence.recipe.lr for change in finding.changes)


@given(st.lists(st.floats(0.01, 10), min_size=3, max_size=12), st.floats(1.01, 3))
def test_a_loss_with_one_high_last_value_has_not_risen(values: list[float], times: float) -> None:
    flat = (*values[:-1], min(values[:-1]), 1e6)
    assert not has_risen(Points(steps=tuple(range(len(flat))), values=flat), times)


def test_a_finding_names_the_step_that_had_been_better() -> None:
    finding = rules()["unstable-training"].apply(course((*GOOD[:-1], 0.4)))
    assert isinstance(finding, Finding)
    assert finding.steps == (160, 200)


def thrown(accuracies: tuple[float, ...], **changes: Any) -> Evidence:
    """Long early steps, a loss that fell and came back, and held-out accuracies that went so."""
    base = run(
        losses=(2.6, 2.2, 1.3, 1.0, 0.5, 0.6, 1.9, 2.6, 3.2, 2.5, 2.4, 2.35), accuracy=accuracies[-1],
        updates=(0.05, 0.1, 0.04), step=120, **changes,
    )  # fmt: skip
    steps = tuple(24 * (number + 1) for number in range(len(accuracies)))
    return base.model_copy(
        update={"curves": {**base.curves, "test/accuracy": Points(steps=steps, values=accuracies)}}
    )


def test_a_run_that_had_learned_and_was_thrown_back_is_unstable_before_its_rate_is_too_high() -> None:
    """89 % after an epoch and 8 % after five was called a rate too high, with which nothing is learned."""
    causes = [one.cause for one in diagnose(thrown((0.89, 0.75, 0.62, 0.1, 0.08))).findings]
    assert causes[0] == "unstable-training"


def test_a_run_that_never_learned_much_has_a_rate_too_high_before_it_is_unstable() -> None:
    causes = [one.cause for one in diagnose(thrown((0.17, 0.2, 0.22, 0.21, 0.08))).findings]
    assert causes[0] == "rate-too-high"


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        ({"momentum": 0.98, "lr": 0.125}, "momentum"),
        ({"optimiser": "adam", "beta2": 0.6, "lr": 0.02}, "beta2"),
    ],
)
def test_long_steps_with_an_unusual_memory_are_unstable_training_and_get_the_usual_one(
    recipe: dict[str, Any], name: str
) -> None:
    losses = (2.3, 2.2, 2.0, 1.6, 1.3, 1.1, 1.0, 0.9, 0.8, 0.9, 0.8, 0.8)
    evidence = run(losses=losses, accuracy=0.7, updates=(0.1, 0.12, 0.03), step=140, recipe=recipe)
    findings = diagnose(evidence).findings
    assert findings[0].cause == "unstable-training"
    assert_well_formed(findings[0], evidence)
    assert findings[0].changes[0].values[name] == (0.9 if name == "momentum" else 0.999)
    assert findings[0].changes[0].values["lr"] < recipe["lr"]


@pytest.mark.parametrize(
    "sound",
    [
        {"recipe": {"momentum": 0.9, "lr": 0.125}},  # The usual memory.
        {"recipe": {"momentum": 0.98}, "updates": (0.005, 0.004, 0.002)},  # Short steps.
        {"recipe": {"momentum": 0.98}, "losses": FALLING, "accuracy": 0.96},  # A run that learned.
    ],
)
def test_an_unusual_memory_alone_is_no_finding(sound: dict[str, Any]) -> None:
    losses = (2.3, 2.2, 2.0, 1.6, 1.3, 1.1, 1.0, 0.9, 0.8, 0.9, 0.8, 0.8)
    base: dict[str, Any] = {"losses": losses, "accuracy": 0.7, "updates": (0.1, 0.12, 0.03), "step": 140}
    evidence = run(**(base | sound))
    assert not isinstance(rules()["unstable-training"].apply(evidence), Finding)
