"""Two statements of one diagnosis that cannot both be true are found; a diagnosis without them has none."""

from typing import Any

import pytest

from benchmarks.diagnosis_runs.contradictions import contradictions
from cnnviz.diagnosis import Change, Checked, Diagnosis, Evidence, Finding, Points
from cnnviz.training import Recipe

RECIPE = Recipe(lr=0.1, batch_size=32, epochs=10, weight_decay=0.1)
CURVES = {
    "train/epoch_accuracy": Points(steps=(1, 2), values=(0.5, 0.9)),
    "test/accuracy": Points(steps=(1, 2), values=(0.5, 0.6)),
}
EVIDENCE = Evidence(recipe=RECIPE, total_steps=100, curves=CURVES)


def finding(cause: str, **more: Any) -> Finding:
    return Finding(cause, 0.9, 0.5, f"{cause}.", "", (), **more)


def diagnosis(*findings: Finding, clear: tuple[str, ...] = ()) -> Diagnosis:
    checked = [Checked(one.cause, f"Title of {one.cause}", "found", "") for one in findings]
    checked += [Checked(cause, cause, "clear", "") for cause in clear]
    return Diagnosis(None, "", findings, tuple(checked), "cause-found")


def lr(value: float) -> Change:
    return Change({"lr": value}, "")


def test_two_findings_that_agree_have_no_contradiction() -> None:
    both = diagnosis(
        finding("weight-decay", changes=(Change({"weight_decay": 0.0}, ""),), explains=("under-fitting",)),
        finding("over-fitting-data", changes=(lr(0.05),), ruled_out=("Not this: the rate: it is usual.",)),
    )
    assert contradictions(both, EVIDENCE) == []


@pytest.mark.parametrize(
    "words", ["rate too high", "rate-too-high", "title of rate-too-high", "The learning rate"]
)
def test_what_one_rules_out_and_another_finds_is_a_contradiction(words: str) -> None:
    both = diagnosis(
        finding("too-few-steps", ruled_out=(f"Not this: {words}: its steps are short.",)),
        finding("rate-too-high"),
    )
    assert contradictions(both, EVIDENCE) == [
        "'too-few-steps' rules out 'rate-too-high', which is found too."
    ]


def test_changes_of_two_findings_that_move_a_field_apart_are_a_contradiction() -> None:
    apart = diagnosis(
        finding("rate-too-high", changes=(lr(0.01),)), finding("too-few-steps", changes=(lr(0.4),))
    )
    assert contradictions(apart, EVIDENCE) == [
        "'rate-too-high' and 'too-few-steps' move 'lr' in opposite directions."
    ]


def test_a_cause_that_is_found_and_clear_and_causes_that_follow_from_each_other_are_contradictions() -> None:
    one = diagnosis(finding("rate-too-high"), clear=("rate-too-high",))
    assert contradictions(one, EVIDENCE) == ["'rate-too-high' is found and clear."]
    ring = diagnosis(finding("a", explains=("b",)), finding("b", explains=("a",)))
    assert contradictions(ring, EVIDENCE) == ["'a' and 'b' follow from each other."]


def test_a_change_that_changes_nothing_or_cannot_be_made_is_said() -> None:
    idle = diagnosis(finding("rate-too-high", changes=(lr(0.1),)))
    assert contradictions(idle, EVIDENCE) == ["A change for 'rate-too-high' changes nothing."]
    wrong = diagnosis(finding("rate-too-high", changes=(lr(-1),)))
    assert contradictions(wrong, EVIDENCE)[0].startswith("A change for 'rate-too-high' cannot be made:")


@pytest.mark.parametrize(
    ("cause", "against"),
    [
        ("weight-decay", {"recipe": RECIPE.changed({"weight_decay": 0})}),
        ("over-fitting-data", {"curves": {**CURVES, "test/accuracy": Points(steps=(2,), values=(0.95,))}}),
        ("schedule-ended", {}),
        ("dropout", {}),
        ("augmentation-too-strong", {}),
        ("non-finite", {}),
        ("batch-too-small", {}),
        ("unstable-training", {"recipe": RECIPE.changed({"epochs": 1})}),
    ],
)
def test_evidence_against_a_finding_is_said(cause: str, against: dict[str, Any]) -> None:
    evidence = EVIDENCE.model_copy(update=against)
    assert contradictions(diagnosis(finding(cause)), evidence) == [f"The evidence speaks against '{cause}'."]
