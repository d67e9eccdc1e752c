"""Clipping, class weights, mixup and RMSprop are no faults, and are not taken for any."""

import math
from typing import get_args

import pytest

from cnnviz import tracking
from cnnviz.diagnosis import Evidence, Finding, Negative, rules
from cnnviz.diagnosis.evidence import Data
from cnnviz.diagnosis.evidence.from_database import gather
from cnnviz.diagnosis.evidence.learning_curves import chance_loss, summarize_loss
from cnnviz.diagnosis.rules.training.regularization import OPTIMISERS, USUAL
from cnnviz.training.recipe import Optimiser
from tests.diagnosis.networks import CLASSES, FLAT, run
from tests.diagnosis.runs import run_with_curves

UNEQUAL = Data(
    classes=CLASSES, counts=(900, *(20,) * 9), train=1080, validation=100, test=200, shape=(1, 8, 8)
)


def test_every_optimizer_has_a_name_and_a_usual_decay() -> None:
    assert set(get_args(Optimiser)) == set(OPTIMISERS) == set(USUAL)


@pytest.mark.parametrize("name", get_args(Optimiser))
def test_every_rule_judges_a_run_of_every_optimizer(name: str) -> None:
    evidence = run(losses=FLAT, accuracy=0.1, recipe={"optimiser": name, "weight_decay": 0.5})
    for rule in rules().values():
        rule.apply(evidence)


def test_steps_that_were_clipped_say_nothing_of_how_long_gradients_were() -> None:
    def apply_rule(**recipe: float) -> object:
        evidence = run(losses=FLAT, accuracy=0.1, updates=(30.0, 2e-3, 1e-3), recipe=recipe)
        return rules()["exploding-gradients"].apply(evidence)

    assert isinstance(apply_rule(lr=0.05), Finding)
    assert isinstance(apply_rule(lr=0.05, clip_norm=1.0), Negative)


def test_a_balanced_loss_is_measured_against_an_even_guess() -> None:
    plain, balanced = (
        run(data=UNEQUAL, recipe={"class_weights": kind}) for kind in ("none", "balanced")
    )  # fmt: skip
    assert chance_loss(plain) < 1
    assert chance_loss(balanced) == pytest.approx(math.log(10))
    curve = summarize_loss(run(losses=FLAT, accuracy=0.1, data=UNEQUAL, recipe={"class_weights": "balanced"}))
    assert curve is not None
    assert curve.stuck


def test_unbalanced_classes_can_be_weighed_once() -> None:
    def apply_rule(kind: str) -> Finding:
        recalls = [[20 if r == c else 0 for c in range(10)] for r in range(10)]
        recalls[1:] = [[15 if c == 0 else 5 if c == r else 0 for c in range(10)] for r in range(1, 10)]
        evidence: Evidence = run(
            accuracy=0.4, data=UNEQUAL, confusion=tuple(map(tuple, recalls)), recipe={"class_weights": kind}
        )
        finding = rules()["classes-unbalanced"].apply(evidence)
        assert isinstance(finding, Finding)
        return finding

    (change,) = apply_rule("none").changes
    assert change.values == {"class_weights": "balanced"}
    assert not apply_rule("balanced").changes
    assert "balanced already" in apply_rule("balanced").explanation


def test_accuracy_of_mixed_images_is_not_that_of_the_training_images() -> None:
    with tracking.connect() as database:
        plain, mixed = (run_with_curves(database, collapsed=False, mixup=alpha) for alpha in (0.0, 0.4))
        assert len(gather(database, plain).curve("train/epoch_accuracy")) == 10
        assert not gather(database, mixed).curve("train/epoch_accuracy").steps
        assert len(gather(database, mixed).curve("train/epoch_loss")) == 10
