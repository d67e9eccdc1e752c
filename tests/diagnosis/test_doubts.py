"""What looks like a cause and is none, because the figure that tells of it is not to be trusted."""

from __future__ import annotations

import pytest

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, Points, rules
from cnnviz.diagnosis.evidence import DataQuality, Detail, LayerFact, Neighbours, Repeats
from cnnviz.training import Recipe
from tests.diagnosis.test_rules_of_data import data, run

NORMALISED = (LayerFact(name="norm", type="BatchNorm2d", kind="norm", params=32, out=(16, 8, 8), fan_in=0),)
NEAR = {"duplicates": {"near": {"share": 0.6, "images": 100, "threshold": 3.0}}}
UNREPEATED = Repeats(test=0, validation=0, train=0, conflicting=0)
UNSURE = {"label-agreement": {"confident": {"test": {"images": 200, "share": 0.44, "accuracy": 0.49}}}}
KINDS = ("over-fitting-data", "over-fitting-augmentation", "over-fitting-model")


def apply_rule(cause: str, evidence: Evidence) -> object:
    return rules()[cause].apply(evidence)


@pytest.mark.parametrize("cause", KINDS)
def test_a_few_validation_images_alone_make_no_gap(cause: str) -> None:
    few = data(validation=150)
    assert isinstance(apply_rule(cause, run(0.98, 0.86, test=0.93, data=few)), Negative)


def test_both_held_out_parts_make_one() -> None:
    few = data(validation=150)
    result = apply_rule("over-fitting-augmentation", run(0.99, 0.80, test=0.84, data=few))
    assert isinstance(result, Finding)


def test_known_test_images_that_were_learnt_from_close_no_gap() -> None:
    leaked = DataQuality(
        neighbours=Neighbours(share=0.9, chance=0.1, images=2000, each=5),
        repeats=Repeats(test=800, validation=0, train=0, conflicting=0),
    )
    result = apply_rule("over-fitting-augmentation", run(0.99, 0.80, test=0.98, quality=leaked))
    assert isinstance(result, Finding)


@pytest.mark.parametrize(("step", "kind"), [(3, Inconclusive), (200, Finding)])
def test_fresh_statistics_of_a_normalisation_are_no_gap(step: int, kind: type) -> None:
    evidence = run(0.99, 0.60, layers=NORMALISED, step=step)
    assert isinstance(apply_rule("over-fitting-augmentation", evidence), kind)


@pytest.mark.parametrize(
    ("detail", "kind"),
    [(Detail(halved=0.003, quartered=0.03), Inconclusive), (Detail(halved=0.08, quartered=0.2), Finding)],
)
def test_blurred_images_are_alike_without_being_leaked(detail: Detail, kind: type) -> None:
    evidence = run(0.5, 0.45, probes=NEAR, quality=DataQuality(repeats=UNREPEATED, detail=detail))
    assert isinstance(apply_rule("leakage", evidence), kind)


@pytest.mark.parametrize(("loss", "found"), [(1.5, True), (4_000.0, False)])
def test_a_network_whose_loss_blew_up_is_no_judge_of_labels(loss: float, found: bool) -> None:
    evidence = run(0.5, 0.49, probes=UNSURE)
    curves = evidence.curves | {"train/loss": Points(steps=(1, 100, 200), values=(2.3, loss, loss))}
    text = apply_rule("labels-noisy", evidence.model_copy(update={"curves": curves}))
    assert isinstance(text, Finding) is found


@pytest.mark.parametrize(("images", "kind"), [(80, Negative), (2_000, Finding)])
def test_a_few_validation_images_alone_make_no_wrong_labels(images: int, kind: type) -> None:
    """Twelve points: 80 images alone have an error of √(0.6 · 0.4 / 80) = 5.5."""
    evidence = run(0.75, 0.6, test=0.72, data=data(validation=images))
    assert isinstance(apply_rule("labels-noisy", evidence), kind)


@pytest.mark.parametrize(("test", "found"), [(0.69, False), (0.75, True)])
def test_an_accuracy_that_still_rises_lags_behind_by_what_an_epoch_brings(test: float, found: bool) -> None:
    """In training 55 % rose to 60 % in the last epoch, so that 65 % are to be expected after it."""
    alone = run(0.6, test, recipe=Recipe(validation=0, epochs=10), data=data(validation=0))
    assert isinstance(apply_rule("labels-noisy", alone), Finding) is found
