"""What is named first is what to change first, and nothing beside it rules that out."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, diagnose, rules
from cnnviz.diagnosis.evidence import TrainEvaluated
from cnnviz.training import Recipe
from tests.diagnosis.networks import FLAT, run
from tests.diagnosis.test_rules_of_data import chain
from tests.diagnosis.test_rules_of_data import run as known

ADAM = {"optimiser": "adam", "lr": 0.02}


def killed(step: int = 400, **changes: Any) -> Evidence:
    """Adam at 0.02: a first step of a fifth of the weights, and ReLUs that are dead some steps later."""
    given: dict[str, Any] = {
        "losses": FLAT, "accuracy": 0.1, "updates": (0.2, 0.01, 1e-3), "dead": (0.1, 0.5, 1.0),
        "step": step, "recipe": ADAM,
    }  # fmt: skip
    return run(**(given | changes))


def test_relus_that_a_high_rate_put_out_are_named_after_the_rate() -> None:
    findings = diagnose(killed()).findings
    assert findings[0].cause == "rate-too-high"
    assert "dead-relu" in [one.cause for one in findings[1:]]
    assert findings[0].changes[0].values == {"lr": 0.002}
    assert "ReLUs of 'act1'" in findings[0].explanation


def test_relus_that_were_dead_at_birth_are_not_the_rates_doing() -> None:
    findings = diagnose(killed(dead=(1.0, 1.0, 1.0))).findings
    assert findings[0].cause == "dead-relu"


@pytest.mark.parametrize("step", [60, 100, 400])
def test_nothing_rules_out_the_rate_that_the_first_change_lowers(step: int) -> None:
    """Too few steps stood beside it with "Not this: the learning rate"."""
    for finding in diagnose(killed(step, losses=(2.3, 2.28, 2.25))).findings:
        assert not [text for text in finding.ruled_out if text.startswith("The learning rate")], finding.cause


def test_a_rate_whose_steps_are_of_the_usual_length_is_ruled_out_still() -> None:
    short = run(losses=(2.3, 2.28, 2.25), accuracy=0.12, step=60, updates=(3e-3, 2e-3, 1e-3))
    (finding,) = [one for one in diagnose(short).findings if one.cause == "too-few-steps"]
    assert [text for text in finding.ruled_out if text.startswith("The learning rate")]


def noted(evidence: Evidence) -> list[str]:
    return [one.text for one in diagnose(evidence).notes if one.kind == "validation-above-training"]


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(epochs=10, pad_crop=3), "augmented images"),
        (Recipe(epochs=10, layers=chain(0.5)), "dropout on, which leaves out up to 50 %"),
        (Recipe(epochs=10), "over the whole epoch"),
    ],
)
def test_validation_above_training_accuracy_is_explained_as_usual(recipe: Recipe, words: str) -> None:
    (text,) = noted(known(0.90, 0.96, recipe=recipe))
    assert words in text
    assert "96.0 % against 90.0 %" in text
    assert "no sign of an error" in text


def test_it_is_not_explained_where_there_is_nothing_to_explain_or_a_fault_explains_it() -> None:
    assert noted(known(0.96, 0.9601)) == []
    assert noted(known(0.96, 0.90)) == []
    assert noted(known(0.42, 0.7, recipe=Recipe(epochs=10, pad_crop=28))) == []
    plain = TrainEvaluated(images=500, loss=1.0, accuracy=0.8)
    assert noted(known(0.80, 0.96, train_evaluated=plain)) == []


def test_it_says_what_training_images_come_to_when_they_are_evaluated_alike() -> None:
    plain = TrainEvaluated(images=500, loss=0.1, accuracy=0.978)
    (text,) = noted(known(0.90, 0.96, recipe=Recipe(epochs=10, pad_crop=3), train_evaluated=plain))
    assert text.endswith("97.8 % of 500 training images are known.")


def test_every_cause_says_of_itself_which_way_its_changes_go() -> None:
    ways = {cause: rule.moves for cause, rule in rules().items()}
    assert ways["rate-too-high"] == {"lr": "down"}
    assert ways["rate-too-low"] == {"lr": "up"}
    assert ways["too-few-steps"] == {"steps": "up"}
    assert ways["batch-too-small"]["batch_size"] == "up"
    assert ways["weight-decay"] == {"weight_decay": "down"}
