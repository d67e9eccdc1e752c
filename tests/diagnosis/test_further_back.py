"""What lies further back is named before what comes of it, and what nothing speaks for is not said."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, diagnose, rules
from cnnviz.diagnosis.evidence import DataQuality, Detail
from cnnviz.models.layers import Init
from cnnviz.training import Recipe
from tests.diagnosis import test_rules_of_data as of_data
from tests.diagnosis.networks import FLAT, run

STUCK: dict[str, Any] = {"losses": FLAT, "accuracy": 0.1}
BORN_DEAD: dict[str, Any] = {**STUCK, "dead": (1.0,) * 3, "signals": (0.05, 0, 0, 0)}
FAINT = (3e-2, 3e-3, 3e-4, 3e-5)
BLURRED = Detail(halved=0.004, quartered=0.035)


def first(evidence: Evidence) -> str:
    return diagnose(evidence).findings[0].cause


def narrowed(evidence: Evidence, maps: int) -> Evidence:
    """The same with so many maps in its second convolution, and hardly any weights."""
    layers = tuple(
        fact.model_copy(update={"out": (maps, 8, 8)}) if fact.name == "conv2" else fact
        for fact in evidence.layers
    )
    return evidence.model_copy(update={"layers": layers, "params": 60})


@pytest.mark.parametrize(("mean", "cause"), [(-7.0, "initialisation"), (-7.2, "dead-relu")])
def test_weights_are_blamed_for_dead_relus_that_hes_rule_would_keep_alive(mean: float, cause: str) -> None:
    """σ is 0.01 where He's rule has √(2/9) = 0.471: 0.05 becomes 2.36, and three times that is 7.07."""
    small = Init(weights="normal", std=0.01, bias=mean)
    evidence = run(**BORN_DEAD, means=(mean, 0, 0, 0), init=small)
    assert first(evidence) == cause
    dead = rules()["dead-relu"].apply(evidence)
    assert isinstance(dead, Finding)
    assert ("by He's rule the standard deviation would be 2.36" in dead.explanation) is (
        cause == "initialisation"
    )
    assert ("initialisation" in dead.explains) is (cause == "dead-relu")


@pytest.mark.parametrize(("maps", "cause"), [(4, "under-fitting"), (5, "dead-relu")])
def test_a_handful_of_maps_that_died_were_too_few(maps: int, cause: str) -> None:
    died = narrowed(run(**STUCK, dead=(0.1, 0.5, 1.0)), maps)
    assert first(died) == cause
    assert {"dead-relu", "under-fitting"} <= {one.cause for one in diagnose(died).findings}


def test_biases_that_left_a_handful_of_maps_dead_come_first_all_the_same() -> None:
    born = narrowed(run(**STUCK, dead=(1.0,) * 3, means=(0, -15, 0, 0)), 2)
    assert first(born) == "dead-relu"


@pytest.mark.parametrize(
    ("init", "cause"),
    [
        (Init(), "under-fitting"),
        (Init(weights="normal", std=0.01), "initialisation"),
        (Init(weights="he", bias=1.0), "initialisation"),
    ],
    ids=["usual", "small weights", "biases"],
)
def test_little_signal_through_a_handful_of_maps_is_chance_where_weights_are_usual(
    init: Init, cause: str
) -> None:
    evidence = narrowed(run(**STUCK, signals=FAINT, init=init), 3)
    assert first(evidence) == cause
    text = next(one for one in diagnose(evidence).findings if one.cause == "under-fitting")
    assert "In 'conv2' so few units are left to chance" in text.explanation


def test_a_network_that_learns_around_dead_relus_is_clear_and_one_without_a_loss_untold() -> None:
    around = run(dead=(0.1, 1.0, 1.0))
    assert {one.cause: one.outcome for one in diagnose(around).checked}["dead-relu"] == "clear"
    assert isinstance(rules()["dead-relu"].apply(around.model_copy(update={"curves": {}})), Inconclusive)


@pytest.mark.parametrize(("learnt", "cause"), [(0.12, "data-enlarged"), (0.95, "labels-shuffled")])
def test_images_that_lost_their_detail_say_little_of_labels(learnt: float, cause: str) -> None:
    """They may have lost what tells classes apart; what is learned by heart all the same speaks of labels."""
    evidence = of_data.run(learnt, 0.1, quality=DataQuality(neighbours=of_data.RANDOM, detail=BLURRED))
    assert first(evidence) == cause
    judged = rules()["labels-shuffled"].apply(evidence)
    assert isinstance(judged, Finding)
    assert ("data-enlarged" in judged.explains) is (cause == "labels-shuffled")


@pytest.mark.parametrize(("detail", "confidence"), [(None, 0.9), (BLURRED, 0.5)])
def test_a_probe_of_blurred_images_says_as_little(detail: Detail | None, confidence: float) -> None:
    quality = DataQuality(neighbours=of_data.RANDOM, detail=detail)
    evidence = of_data.run(0.12, 0.1, quality=quality, probes={"label-agreement": {"patches": None}})
    judged = rules()["labels-shuffled"].apply(evidence)
    assert isinstance(judged, Finding)
    assert judged.confidence == confidence


def test_few_images_say_nothing_of_labels_that_others_do_not_confirm() -> None:
    few = of_data.data(train=60, counts=(6,) * 10)
    near = of_data.RANDOM.model_copy(update={"images": 60})
    by_heart = of_data.run(1.0, 0.12, data=few, quality=DataQuality(neighbours=near))
    assert isinstance(rules()["labels-shuffled"].apply(by_heart), Inconclusive)
    probed = by_heart.model_copy(update={"probes": {"label-agreement": {"patches": None}}})
    assert isinstance(rules()["labels-shuffled"].apply(probed), Finding)


@pytest.mark.parametrize(("counted", "found"), [(0.12, True), (0.095, False)])
def test_more_wrong_labels_than_nine_in_ten_of_ten_classes_could_not_be_learnt_from(
    counted: float, found: bool
) -> None:
    """Of 20 % right answers 12 % count as right where 72 % of the labels are wrong, 9.5 % where 95 % are."""
    on_validation = of_data.run(0.4, counted, 0.2)
    in_training = of_data.run(
        counted, 0.2, recipe=Recipe(validation=0, epochs=10), data=of_data.data(validation=0)
    )
    for evidence in (on_validation, in_training):
        assert isinstance(rules()["labels-noisy"].apply(evidence), Finding) is found


@pytest.mark.parametrize(
    ("init", "mean", "found"),
    [(Init(), 0.0, False), (Init(), 0.2, True), (Init(weights="normal", std=0.01), 0.0, True)],
    ids=["usual weights", "drowned", "small weights"],
)
def test_little_signal_alone_is_no_reason(init: Init, mean: float, found: bool) -> None:
    """LeNet-5 of 1998 begins with as little, and learns: images are told apart, however faintly."""
    evidence = run(**STUCK, signals=FAINT, means=(0, 0, 0, mean), init=init)
    outcome = rules()["initialisation"].apply(evidence)
    assert isinstance(outcome, Finding) is found
    if isinstance(outcome, Negative):
        assert "no weights or biases are known to be out of the usual" in outcome.by
