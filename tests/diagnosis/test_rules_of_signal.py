"""Rules that judge by layers, gradients and steps, on evidence made by hand."""

from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, Points, diagnose, rules
from cnnviz.diagnosis.engine import hint
from cnnviz.diagnosis.evidence import Baseline, BaselineScore, LayerFact, NonFinite
from cnnviz.diagnosis.evidence.step_size import suggest_learning_rate
from cnnviz.models.layers import Init
from tests.diagnosis.networks import FLAT, run

STUCK: dict[str, Any] = {"losses": FLAT, "accuracy": 0.1}
SMALL = Init(weights="normal", std=0.01, bias=1.0)
BLOWN = (2.4, 40.0, 9.0, 5.0, 2.4, 2.31, 2.303, 2.303, 2.303, 2.303, 2.303, 2.303)
SLOW = (2.3, 2.3, 2.3, 2.299, 2.299, 2.298, 2.298, 2.297, 2.297, 2.296, 2.296, 2.295)

SPOILT: dict[str, Evidence] = {
    "initialisation": run(
        **STUCK, signals=(3e-2, 3e-3, 3e-4, 3e-5), spreads=(0.1,) * 4, means=(1.0,) * 4, init=SMALL
    ),
    "vanishing-gradients": run(
        **STUCK, signals=(0.5, 0.02, 1e-3, 4e-5), spreads=(0.5,) * 4, gradients=(1e-6, 1e-4, 1e-2, 1.0),
        kind="Sigmoid", init=Init(),
    ),
    "exploding-gradients": run(losses=(4.0, 3.0, *FLAT[2:]), accuracy=0.1, updates=(2.0, 0.02, 1e-3)),
    "input-scale": run(
        **STUCK, spread=70.0, signals=(60, 40, 20, 10), updates=(0.3, 1.0, 1e-3), recipe={"scale": "raw"}
    ),
    "dead-relu": run(**STUCK, dead=(1.0, 1.0, 1.0), means=(0, -15, 0, 0)),
    "rate-too-high": run(losses=BLOWN, accuracy=0.1, updates=(0.1, 0.8, 0.01), recipe={"lr": 2.0}),
    "rate-too-low": run(losses=SLOW, accuracy=0.1, updates=(3e-6, 3e-6, 3e-6), recipe={"lr": 5e-5}),
    "too-few-steps": run(losses=(2.3, 2.25, 2.2), accuracy=0.2, step=9, recipe={"epochs": 1}),
    "non-finite": run(**STUCK, status="failed", nonfinite=NonFinite(step=7, layer="conv2", what="output")),
    "schedule-ended": run(
        losses=(2.4, 1.9, 1.7, *(1.69,) * 9), accuracy=0.4,
        recipe={"schedule": "step", "step_epochs": 1, "step_factor": 0.02},
    ),
    "batch-too-large": run(losses=(2.3, 2.28, 2.25), accuracy=0.2, step=10, recipe={"batch_size": 4096}),
    "batch-too-small": run(**STUCK, recipe={"batch_size": 1, "momentum": 0.9}),
}  # fmt: skip


def _with_rates(evidence: Evidence, *values: float) -> Evidence:
    steps = evidence.curves["train/loss"].steps[: len(values)]
    return evidence.model_copy(
        update={"curves": {**evidence.curves, "lr": Points(steps=steps, values=values)}}
    )


SPOILT["schedule-ended"] = _with_rates(SPOILT["schedule-ended"], 0.05, 0.05, 1e-3, 1e-3, 2e-5, 2e-5)


@pytest.mark.parametrize("cause", SPOILT)
def test_a_planted_cause_is_named_first_and_told_in_full(cause: str) -> None:
    evidence = SPOILT[cause]
    findings = diagnose(evidence).findings
    assert findings[0].cause == cause
    first = findings[0]
    assert first.confidence >= 0.8
    assert first.pictures
    assert first.facts
    assert first.steps is not None
    assert first.verdict.endswith(".")
    assert first.explanation.count("\n\n") >= 1
    assert first.changes
    for change in first.changes:
        assert change.recipe(evidence.recipe).difference(evidence.recipe)


def test_a_sound_run_is_clear_of_all_of_them() -> None:
    result = diagnose(run())
    assert not result.findings
    outcomes = {one.cause: one.outcome for one in result.checked}
    assert {outcomes[cause] for cause in SPOILT} == {"clear"}


@pytest.mark.parametrize("cause", [cause for cause in SPOILT if rules()[cause].live])
def test_what_is_said_while_a_run_goes_on_is_the_same(cause: str) -> None:
    result = hint(SPOILT[cause])
    assert result is not None
    assert result.cause == cause


def _found(cause: str, evidence: Evidence) -> Finding:
    outcome = rules()[cause].apply(evidence)
    assert isinstance(outcome, Finding), outcome
    return outcome


def _clear(cause: str, evidence: Evidence) -> bool:
    return isinstance(rules()[cause].apply(evidence), Negative)


@pytest.mark.parametrize(
    "cause", ["rate-too-high", "rate-too-low", "batch-too-small", "vanishing-gradients", "initialisation"]
)
def test_a_run_of_twenty_steps_is_not_interrupted_for_what_may_pass(cause: str) -> None:
    evidence = SPOILT[cause].model_copy(update={"status": "running", "step": 20, "predicted": {}})
    calm = evidence.curves | {"train/loss": Points(steps=(1, 20), values=(2.4, 2.35))}
    assert hint(evidence.model_copy(update={"curves": calm})) is None


def test_shrinking_signal_is_worked_out_with_the_runs_numbers() -> None:
    result = _found("initialisation", SPOILT["initialisation"])
    assert "0.01·√144 = 0.12" in result.explanation
    assert "√(2/144) = 0.118" in result.explanation
    assert "'fc' is 3.0·10⁻⁵" in result.explanation
    assert "3.0·10⁻⁵ of their size" in result.explanation
    assert {fact.label: fact.value for fact in result.facts}["signal propagated"] == pytest.approx(3e-5)


def test_biases_that_drown_a_signal_are_enough() -> None:
    """Signal shrinks to a fiftieth only, but what stands on top of it is 200 times as large."""
    drowned = run(**STUCK, signals=(0.3, 0.1, 0.05, 0.02), means=(4.0,) * 4, init=SMALL)
    assert "tells images apart" in _found("initialisation", drowned).verdict
    assert _clear("initialisation", run(**STUCK, signals=(0.3, 0.1, 0.05, 0.02), means=(0.1,) * 4))


def test_layers_that_are_drawn_alike_are_worked_out_once() -> None:
    explanation = _found("initialisation", SPOILT["initialisation"]).explanation
    assert explanation.count("0.01·√144") == 1
    assert "0.01·√9 = 0.03" in explanation


def test_a_batch_of_all_images_is_said_to_be_one_step_an_epoch() -> None:
    result = _found("batch-too-large", SPOILT["batch-too-large"])
    assert result.verdict == "A batch of 4,096 holds all 1,280 images, so an epoch is one step, 10 in all."
    assert result.changes[0].values == {"batch_size": 32}


def test_a_batch_of_one_image_has_no_signal_to_judge() -> None:
    alone = run(**STUCK, signals=(0.0,) * 4, recipe={"batch_size": 1})
    assert isinstance(rules()["initialisation"].apply(alone), Inconclusive)


def test_little_signal_that_was_learned_from_all_the_same_is_no_finding() -> None:
    assert _clear("initialisation", run(signals=(3e-2, 3e-3, 3e-4, 3e-5), init=SMALL))


def test_dropouts_noise_is_no_signal() -> None:
    """Behind dropout outputs differ from image to image, whatever the images are."""
    evidence = SPOILT["initialisation"]
    last = evidence.layers[-2].model_copy(update={"type": "Dropout"})
    looks = tuple(
        look.model_copy(
            update={
                "layers": tuple(
                    at.model_copy(update={"signal": 0.5, "spread": 0.5}) if at.name == "fc" else at
                    for at in look.layers
                )
            }
        )
        for look in evidence.looks
    )
    noisy = evidence.model_copy(
        update={"layers": (*evidence.layers[:-2], last, evidence.layers[-1]), "looks": looks}
    )
    assert "'conv3'" in _found("initialisation", noisy).verdict


def test_signal_that_grows_is_found_unless_the_run_got_over_it() -> None:
    grown: dict[str, Any] = {"signals": (8, 50, 400, 3000), "init": Init(weights="normal", std=0.4, bias=0.0)}
    assert "grows" in _found("initialisation", run(losses=(900.0, *FLAT[1:]), accuracy=0.1, **grown)).verdict
    assert _clear("initialisation", run(losses=(900.0, 1.0, *(0.05,) * 10), **grown))


def test_flat_ends_of_tanh_count_as_growth() -> None:
    wide: dict[str, Any] = {"signals": (8, 6, 6, 6), "kind": "Tanh", "init": Init(weights="normal", std=0.4)}
    assert "flat" in _found("initialisation", run(**STUCK, **wide)).verdict
    assert _clear("initialisation", run(**STUCK, **(wide | {"kind": "ReLU"})))


@pytest.mark.parametrize(("first", "expected"), [(0.5e-3, Finding), (2e-3, Negative)])
def test_gradients_vanish_at_a_thousandth(first: float, expected: type) -> None:
    evidence = run(**STUCK, gradients=(first, 0.1, 0.5, 1.0), kind="Sigmoid", init=Init())
    assert isinstance(rules()["vanishing-gradients"].apply(evidence), expected)


@pytest.mark.parametrize(("first", "expected"), [(10.0, Negative), (20.0, Finding)])
def test_gradients_that_grow_sixteenfold_on_their_way_back_explode(first: float, expected: type) -> None:
    """Whatever the optimizer: Adam's steps do not tell how large gradients are."""
    evidence = run(**STUCK, gradients=(first, 5.0, 2.0, 1.0), recipe={"optimiser": "adam"})
    outcome = rules()["exploding-gradients"].apply(evidence)
    assert isinstance(outcome, expected)
    if isinstance(outcome, Finding):
        assert outcome.verdict == "Gradients grow 20-fold on their way back from 'fc' to 'conv1'."


def test_the_slope_of_a_sigmoid_is_worked_out() -> None:
    explanation = _found("vanishing-gradients", SPOILT["vanishing-gradients"]).explanation
    assert "(1/4)^3 = 0.0156" in explanation
    assert "0.01 for each layer" in explanation


@pytest.mark.parametrize(
    ("losses", "updates", "expected"),
    [
        (FLAT, (0.02, 0.02, 0.02), Negative),
        (FLAT, (0.02, 0.05, 0.02), Finding),
        (BLOWN, (0.009, 0.009, 0.009), Negative),
        (BLOWN, (0.009, 0.02, 0.009), Finding),
    ],
)
def test_a_rate_is_too_high_where_early_steps_move_far(
    losses: tuple[float, ...], updates: tuple[float, ...], expected: type
) -> None:
    """A third as far will do where the loss blew up."""
    evidence = run(losses=losses, accuracy=0.1, updates=updates, recipe={"lr": 2.0})
    assert isinstance(rules()["rate-too-high"].apply(evidence), expected)


@pytest.mark.parametrize(
    ("lr", "optimiser", "first", "expected"),
    [(2.0, "sgd", 0.1, 0.02), (0.4, "sgd", 0.24, 0.01), (5e-5, "sgd", 5e-5, 0.01), (0.2, "adam", 2.0, 2e-3)],
)
def test_the_rate_that_is_proposed_moves_weights_as_is_usual(
    lr: float, optimiser: str, first: float, expected: float
) -> None:
    """2 · 0.006/0.1 = 0.12, capped; 0.4 · 0.006/0.24 = 0.01; 5e-5 · 0.01/5e-5; Adam 0.2 · 0.015/2."""
    change = suggest_learning_rate(
        run(updates=(first, first, first), recipe={"lr": lr, "optimiser": optimiser})
    )
    assert change is not None
    assert change.values == {"lr": expected}


@pytest.mark.parametrize(("optimiser", "expected"), [("sgd", 0.05), ("adam", 0.005)])
def test_a_normalized_network_is_given_the_longer_steps_that_such_networks_learn_with(
    optimiser: str, expected: float
) -> None:
    """Thirteen layers with batch norm were given a tenth of their healthy rate and came to 77 %."""
    plain = run(
        updates=(0.5, 0.5, 0.5), recipe={"lr": 1.6 if optimiser == "sgd" else 0.1, "optimiser": optimiser}
    )
    norm = LayerFact(name="norm1", type="BatchNorm2d", kind="other", params=32, out=(16, 8, 8))
    change, other = (
        suggest_learning_rate(plain.model_copy(update={"layers": (*plain.layers, *more)}))
        for more in ((norm,), ())
    )
    assert change is not None
    assert other is not None
    assert change.values["lr"] == expected
    assert other.values["lr"] < expected


def outrun(**changes: Any) -> Evidence:
    """Adam at 0.11 in a normalized network: the training loss falls, and held-out images are lost again."""
    evidence = run(
        losses=(2.4, 2.5, 2.0, 1.6, 1.2, 0.9, 0.7, 0.5),
        accuracy=0.89,
        updates=(0.7, 0.1, 0.03),
        step=90,
        recipe={"lr": 0.11, "optimiser": "adam"},
        baseline=Baseline(learned_from=720, test=BaselineScore(images=400, accuracy=0.92, constant=0.1)),
    )
    norm = LayerFact(name="norm1", type="BatchNorm2d", kind="other", params=32, out=(16, 8, 8))
    steps = (15, 30, 45, 60, 75, 90)
    held = {
        "test/loss": Points(steps=steps, values=(184.0, 45.0, 3.2, 7.0, 2.3, 3.7)),
        "test/accuracy": Points(steps=steps, values=(0.1, 0.1, 0.49, 0.25, 0.58, 0.45)),
    }
    return evidence.model_copy(
        update={"layers": (*evidence.layers, norm), "curves": {**evidence.curves, **held}, **changes}
    )


def test_steps_that_outrun_running_statistics_are_a_rate_too_high_and_not_over_fitting() -> None:
    findings = diagnose(outrun()).findings
    assert findings[0].cause == "rate-too-high"
    assert "running statistics" in findings[0].explanation
    assert findings[0].changes[0].values["lr"] < 0.02


def test_long_steps_are_no_finding_where_held_out_images_are_as_well_known_as_expected() -> None:
    score = BaselineScore(images=400, accuracy=0.45, constant=0.1)
    good = outrun(baseline=Baseline(learned_from=720, test=score))
    assert _clear("rate-too-high", good)


def test_a_wild_rate_is_found_where_the_run_stays_far_behind_a_classifier_without_training() -> None:
    """Adam at 0.18 on tanh came to half of what is known without training, and was not judged."""
    score = BaselineScore(images=400, accuracy=0.82, constant=0.1)
    slow: dict[str, Any] = {
        "losses": (2.4, 3.4, 3.0, 2.5, 2.1, 1.9, 1.6, 1.4, 1.2, 1.1),
        "accuracy": 0.55,
        "updates": (1.7, 0.3, 0.02),
    }
    recipe = {"lr": 0.18, "optimiser": "adam"}
    assert _clear("rate-too-high", run(**slow, recipe=recipe))
    behind = run(**slow, recipe=recipe, baseline=Baseline(learned_from=720, test=score))
    assert diagnose(behind).findings[0].cause == "rate-too-high"


def test_a_loss_that_blew_up_and_came_back_half_the_way_is_a_rate_too_high() -> None:
    """Adam at 0.14: a loss of 126 in the first epoch, and 53 % at the end, not the 80 % of no training."""
    score = BaselineScore(images=400, accuracy=0.8, constant=0.1)
    losses = (2.4, 200.0, 126.0, 90.0, 41.0, 4.2, 1.8, 1.5, 1.4, 1.3, 1.2, 1.1)
    evidence = run(
        losses=losses, accuracy=0.57, updates=(0.8, 0.2, 0.05), recipe={"lr": 0.14, "optimiser": "adam"}
    )
    assert _clear("rate-too-high", evidence)
    behind = evidence.model_copy(update={"baseline": Baseline(learned_from=720, test=score)})
    assert diagnose(behind).findings[0].cause == "rate-too-high"


def test_a_short_run_that_ended_where_it_began_with_tiny_steps_has_a_rate_too_low() -> None:
    """Fifty layers at a thousandth of their rate for 90 steps were called a network too small."""
    evidence = run(losses=SLOW, accuracy=0.1, updates=(1e-5, 1e-5, 1e-5), step=90, recipe={"lr": 5e-5})
    assert _found("rate-too-low", evidence).confidence >= 0.9
    assert _found("rate-too-low", evidence.model_copy(update={"status": "running"})).confidence < 0.8


@pytest.mark.parametrize(
    ("first", "spread", "expected"), [(5.0, 0.9, Finding), (5.0, 0.6, Negative), (2.0, 0.9, Negative)]
)
def test_gradients_that_grow_behind_saturated_tanh_explode(
    first: float, spread: float, expected: type
) -> None:
    """Weights too large show twice: tanh gives -1 or 1, and gradients grow on their way back."""
    evidence = run(
        losses=(2.4, 2.2, 2.0, 1.8, 1.6), accuracy=0.6, gradients=(first, 3.0, 2.0, 1.0), kind="Tanh"
    )
    looks = tuple(
        look.model_copy(
            update={
                "layers": tuple(
                    one.model_copy(update={"spread": spread}) if one.name.startswith("act") else one
                    for one in look.layers
                )
            }
        )
        for look in evidence.looks
    )
    assert isinstance(
        rules()["exploding-gradients"].apply(evidence.model_copy(update={"looks": looks})), expected
    )


@pytest.mark.parametrize(("first", "expected"), [(0.05, Negative), (0.005, Finding)])
def test_a_rate_that_warms_up_is_judged_by_what_it_rises_to(first: float, expected: type) -> None:
    """0.004 of the weights at a tenth of the rate is 0.04 at the whole of it."""
    evidence = run(losses=BLOWN, accuracy=0.1, updates=(0.004, 0.004, 0.004))
    outcome = rules()["rate-too-high"].apply(_with_rates(evidence, first, 0.05, 0.05))
    assert isinstance(outcome, expected)
    if isinstance(outcome, Finding):
        assert "whose rate still rose" in outcome.explanation


@pytest.mark.parametrize(("optimiser", "expected"), [("sgd", Finding), ("adam", Negative)])
def test_adams_first_steps_are_long_in_any_case(optimiser: str, expected: type) -> None:
    evidence = run(losses=BLOWN, accuracy=0.1, updates=(0.1, 0.1, 0.01), recipe={"optimiser": optimiser})
    assert isinstance(rules()["rate-too-high"].apply(evidence), expected)


@pytest.mark.parametrize(
    ("ends", "expected"), [((2.1, 2.15, 2.1, 2.15), Finding), ((2.1, 2.0, 1.9, 1.8), Negative)]
)
def test_long_steps_that_hardly_learn_are_too_long_unless_the_loss_goes_on_falling(
    ends: tuple[float, ...], expected: type
) -> None:
    losses = (2.4, 2.8, 2.2, 2.15, 2.1, 2.15, *(end for end in ends for _ in range(2)))
    evidence = run(losses=losses, accuracy=0.2, updates=(0.1, 0.1, 0.01))
    assert isinstance(rules()["rate-too-high"].apply(evidence), expected)


def test_a_few_steps_that_led_nowhere_do_not_show_a_rate_too_high() -> None:
    few = run(losses=(2.3, 2.29, 2.28), accuracy=0.1, step=12, updates=(0.1, 0.1, 0.1))
    causes = [one.cause for one in diagnose(few).findings]
    assert causes[0] == "too-few-steps"
    assert "rate-too-high" not in causes


def test_large_steps_that_were_learned_with_are_no_finding() -> None:
    assert _clear("rate-too-high", run(updates=(0.5, 0.5, 0.1)))


@pytest.mark.parametrize(
    ("end", "expected"), [((0.5,) * 6, Finding), ((0.8, 0.7, 0.6, 0.5, 0.4, 0.3), Negative)]
)
def test_a_run_that_was_thrown_far_and_stays_where_it_landed_has_a_rate_too_high(
    end: tuple[float, ...], expected: type
) -> None:
    evidence = run(losses=(2.4, 40.0, 9.0, 5.0, 2.4, 0.9, *end), accuracy=0.75, updates=(0.1, 0.8, 0.01))
    outcome = rules()["rate-too-high"].apply(evidence)
    assert isinstance(outcome, expected)
    if isinstance(outcome, Finding):
        assert outcome.effect < 0.6


def test_steps_that_make_no_way_in_the_whole_run_are_too_short() -> None:
    """400 steps of 1.1·10⁻⁴ of the weights' size are 0.044 of it at most; of 3·10⁻⁴, 0.12."""
    slight = (1.1e-4, 1.1e-4, 1.1e-4)
    assert _found("rate-too-low", run(**STUCK, updates=slight)).confidence >= 0.7
    assert _clear("rate-too-low", run(**STUCK, updates=(3e-4, 3e-4, 3e-4)))
    assert _clear("rate-too-low", run(losses=FLAT[:3], accuracy=0.1, step=20, updates=slight))


def test_slow_learning_that_still_goes_on_is_a_rate_too_low() -> None:
    """Half of the images are right, for their logits differ by a little already; the loss has far to go."""
    slow = tuple(2.4 - 0.06 * i for i in range(12))
    result = _found("rate-too-low", run(losses=slow, accuracy=0.6, updates=(3e-5, 5e-5, 7e-5)))
    assert result.confidence >= 0.5
    assert _clear("rate-too-low", run(losses=(2.4, *(1.7,) * 11), accuracy=0.6, updates=(3e-5, 5e-5, 7e-5)))


def test_steps_that_became_small_are_no_matter_of_rate() -> None:
    """Of a network that was killed by its first steps gradients are 0 later."""
    assert _clear("rate-too-low", run(**STUCK, updates=(2e-6, 2.0, 3e-6)))


def test_small_steps_at_the_end_of_a_schedule_are_meant() -> None:
    """A cosine ends at 0: what moves little there says nothing of the rate."""
    evidence = _with_rates(run(**STUCK, updates=(5e-3, 2e-3, 1e-9)), 0.05, 0.05, 0.04, 1e-9)
    assert _clear("rate-too-low", evidence)


def test_large_pixels_that_small_weights_take_are_no_finding() -> None:
    """AlexNet's paper feeds pixels up to 255 to weights of N(0, 0.01²)."""
    raw: dict[str, Any] = {"spread": 70.0, "recipe": {"scale": "raw"}}
    assert _clear("input-scale", run(losses=(2.3, 2.2, 2.1, *(2.0,) * 9), accuracy=0.3, **raw))
    assert _clear("input-scale", run(losses=(3.0, *(9.0,) * 2, *(0.1,) * 9), **raw))


def test_pixels_from_0_to_1_are_no_finding_of_their_own() -> None:
    unit: dict[str, Any] = {"spread": 0.25, "recipe": {"scale": "unit"}}
    assert _clear("input-scale", run(**STUCK, signals=(0.2, 0.2, 0.1, 0.1), **unit))
    shrinking = run(**STUCK, signals=(3e-2, 3e-3, 3e-4, 3e-5), init=SMALL, **unit)
    findings = diagnose(shrinking).findings
    assert [one.cause for one in findings if one.cause in ("initialisation", "input-scale")] == [
        "initialisation",
        "input-scale",
    ]
    assert findings[0].changes[0].values["scale"] == "standardised"


EARLY_END = SPOILT["schedule-ended"].curves["lr"].values
NOT_BEGUN = (2.4, 2.39, *(2.385,) * 10)


@pytest.mark.parametrize(
    "sound",
    [
        run(losses=(2.4, 0.3, *(0.02,) * 10), accuracy=0.99),
        run(losses=NOT_BEGUN, accuracy=0.1, updates=(3e-6, 3e-6, 3e-6)),
        run(losses=NOT_BEGUN, accuracy=0.8),
        run(losses=(2.4, 1.9, 1.7, 1.4, *(0.5,) * 8), accuracy=0.8),
        run(losses=(2.4, 1.4, 1.2, *(0.9,) * 9), accuracy=0.96),
    ],
    ids=[
        "learned before",
        "steps too small before",
        "learned after",
        "learned on",
        "loss of smoothed labels",
    ],
)
def test_a_schedule_that_ended_nothing_is_no_finding(sound: Evidence) -> None:
    assert _clear("schedule-ended", _with_rates(sound, *EARLY_END))


def test_a_schedule_that_ended_before_learning_began_is_told_with_less_confidence() -> None:
    """A network may need some dozen steps before its loss falls; it answers one class until then."""
    evidence = _with_rates(run(losses=NOT_BEGUN, accuracy=0.1), *EARLY_END)
    findings = diagnose(evidence).findings
    assert [one.cause for one in findings] == ["schedule-ended", "one-class"]
    assert findings[0].confidence < _found("schedule-ended", SPOILT["schedule-ended"]).confidence
    assert "fell by" in findings[0].explanation


def test_a_schedule_is_not_blamed_for_weights_that_cannot_learn() -> None:
    small: dict[str, Any] = {
        "signals": (3e-2, 3e-3, 3e-4, 3e-5),
        "spreads": (0.1,) * 4,
        "means": (1.0,) * 4,
        "init": SMALL,
    }
    evidence = _with_rates(run(losses=NOT_BEGUN, accuracy=0.1, **small), *EARLY_END)
    assert diagnose(evidence).findings[0].cause == "initialisation"


def test_a_schedule_that_leaves_half_of_the_run_is_no_finding() -> None:
    evidence = _with_rates(SPOILT["schedule-ended"], *(0.05,) * 7, *(1e-3,) * 5)
    assert _clear("schedule-ended", evidence)


def test_few_steps_of_a_few_images_are_mended_by_all_of_them() -> None:
    result = _found("too-few-steps", SPOILT["too-few-steps"].model_copy(update={
        "recipe": SPOILT["too-few-steps"].recipe.changed({"limit": 320})}))  # fmt: skip
    assert result.changes[0].values == {"limit": None, "epochs": 10}


def test_the_place_where_numbers_ended_is_told() -> None:
    result = _found("non-finite", SPOILT["non-finite"])
    assert result.layers == ("conv2",)
    assert result.steps == (7, 7)
    assert "the output of 'conv2'" in result.verdict
    older = run(**STUCK, status="failed", error="The loss was no longer a finite number at step 400.")
    assert "not recorded" in _found("non-finite", older).verdict


def test_dead_from_birth_and_dead_later_are_told_apart() -> None:
    born = _found("dead-relu", SPOILT["dead-relu"])
    assert "from the first step on" in born.verdict
    assert "rate-too-high" in born.explains
    later = _found("dead-relu", run(**STUCK, dead=(0.1, 0.5, 1.0)))
    assert "since step 400" in later.verdict
    assert later.changes[0].values == {"lr": 0.02}
    assert _clear("dead-relu", run(**STUCK, dead=(0.8, 0.8, 0.8)))
