"""What a finding says beside its verdict: figures, layers, steps and changes."""

from __future__ import annotations

import pytest

from cnnviz.diagnosis import Evidence, Fact, Finding, Inconclusive, Negative, diagnose, rules
from cnnviz.training import Recipe
from tests.diagnosis import test_rules_of_data as of_data
from tests.diagnosis.networks import FALLING, FLAT, run
from tests.diagnosis.test_rules_of_signal import SPOILT


def found(cause: str, evidence: Evidence) -> Finding:
    outcome = rules()[cause].apply(evidence)
    assert isinstance(outcome, Finding), outcome
    return outcome


@pytest.mark.parametrize(
    ("dead", "layers", "steps"),
    [
        ((1.0,) * 3, ("act1", "act2", "act3"), (1, 400)),
        ((0.1, 1.0, 1.0), ("act1", "act2", "act3"), (20, 400)),
    ],
)
def test_dead_relus_are_named_with_the_step_since_which_they_are(
    dead: tuple[float, ...], layers: tuple[str, ...], steps: tuple[int, int]
) -> None:
    text = found("dead-relu", run(losses=FLAT, accuracy=0.1, dead=dead))
    assert text.layers == layers
    assert text.steps == steps


def test_the_newest_loss_stands_beside_that_of_guessing() -> None:
    text = found("rate-too-low", SPOILT["rate-too-low"])
    assert Fact("newest loss", 2.295, "2.295 (chance level: 2.303)") in text.facts


@pytest.mark.parametrize(("decay", "words"), [(10.0, "at every step"), (0.5, "within 3 steps")])
def test_a_half_life_of_less_than_a_step_and_a_half_is_every_step(decay: float, words: str) -> None:
    """In steps it is ln 2 · 0.1 / (0.05 · λ): 0.14 of λ = 10, 2.8 of λ = 0.5."""
    evidence = of_data.run(0.2, 0.2, recipe=Recipe(lr=0.05, momentum=0.9, weight_decay=decay))
    assert found("weight-decay", evidence).verdict.startswith(
        f"Weight decay of {decay:g} halves every weight {words}:"
    )


def test_a_run_without_a_step_says_nothing_of_its_loss() -> None:
    apply_rule = rules()["non-finite"].apply
    assert isinstance(apply_rule(run().model_copy(update={"step": 0})), Inconclusive)
    assert isinstance(apply_rule(run()), Negative)


def test_layers_whose_gradients_are_too_large_are_named() -> None:
    """Of a step of 2 times the weights at a rate of 0.05 the gradient is 40 times as large as they are."""
    assert found("exploding-gradients", SPOILT["exploding-gradients"]).layers == (
        "conv1",
        "conv2",
        "conv3",
        "fc",
    )
    backwards = run(losses=FLAT, accuracy=0.1, gradients=(20.0, 5.0, 2.0, 1.0), recipe={"optimiser": "adam"})
    assert found("exploding-gradients", backwards).layers == ("conv1",)


def test_nesterovs_first_step_is_longer_by_its_momentum() -> None:
    """0.9 / (0.05 · 1.9) = 9.5 times the weights, less than ten; plain SGD would have had 18."""
    apply_rule = rules()["exploding-gradients"].apply
    plain, ahead = (
        apply_rule(
            run(
                losses=FLAT,
                accuracy=0.1,
                updates=(0.9, 0.02, 1e-3),
                recipe={"optimiser": one, "momentum": 0.9},
            )
        )
        for one in ("sgd", "nesterov")
    )
    assert isinstance(plain, Finding)
    assert isinstance(ahead, Negative)


def test_signal_or_gradients_that_the_run_got_over_are_no_findings() -> None:
    assert isinstance(
        rules()["exploding-gradients"].apply(run(losses=FALLING, updates=(2.0, 0.02, 1e-3))), Negative
    )


def test_changes_have_steps_enough_and_usual_strengths() -> None:
    assert found("too-few-steps", SPOILT["too-few-steps"]).changes[0].values == {"epochs": 112}
    falling = run(losses=[2.3 - 0.01 * i for i in range(12)], accuracy=0.1, step=800)
    assert found("too-few-steps", falling).changes[0].values == {"epochs": 20}
    assert found("batch-too-small", SPOILT["batch-too-small"]).changes[0].values == {
        "batch_size": 32,
        "epochs": 25,
    }
    decay = found("weight-decay", of_data.PLANTED["decay"]()[1])
    assert [change.values for change in decay.changes] == [{"weight_decay": 5e-4}, {"weight_decay": 0.0}]


def test_the_narrowest_layer_is_named_with_a_network_too_small() -> None:
    thin = of_data.layer("conv1", "conv", 20, (1, 2, 3))
    text = found("under-fitting", of_data.run(0.5, 0.5, layers=(thin, of_data.TINY[1]), params=60_000))
    assert text.layers == ("conv1",)
    assert "only 6 values" in text.explanation
    over = of_data.run(0.5, 0.3, layers=(thin, of_data.TINY[1]), params=60_000)
    assert isinstance(rules()["under-fitting"].apply(over), Negative)


def test_a_finding_more_likely_wrong_than_right_is_not_told() -> None:
    """A hundred steps that were long and led nowhere: the rate is one reason of several."""
    short = run(losses=FLAT, accuracy=0.1, step=99, updates=(0.1,) * 3)
    assert found("rate-too-high", short).confidence == 0.4
    assert {one.cause: one.outcome for one in diagnose(short).checked}["rate-too-high"] == "not checked"


@pytest.mark.parametrize(("worst", "kept"), [(3.3, True), (3.9, False)])
def test_labels_are_no_reason_for_a_loss_half_as_large_again_as_it_began(worst: float, kept: bool) -> None:
    evidence = of_data.PLANTED["shuffled, not learned"]()[1]
    loss = run(losses=(2.4, worst, 2.4), step=200).curves["train/loss"]
    text = found(
        "labels-shuffled", evidence.model_copy(update={"curves": evidence.curves | {"train/loss": loss}})
    )
    assert ("rate-too-high" in text.explains) is kept
