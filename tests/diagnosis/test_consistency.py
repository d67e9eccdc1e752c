"""No two findings of one diagnosis contradict each other, and "Not this" is said only of what was tested."""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz import diagnosis
from cnnviz.diagnosis import Change, Evidence, Fact, Finding, diagnose, rules
from cnnviz.diagnosis.engine import EXCLUSIVE, resolve_conflicts
from cnnviz.diagnosis.evidence import Data, Histogram
from cnnviz.diagnosis.exclusions import EXCLUDES, excludes
from cnnviz.training import Recipe
from tests.diagnosis.evidence import CLASSES, healthy

RECIPE = Recipe(lr=0.1, epochs=10)
PLAIN = Finding(
    cause="one-class",
    confidence=0.9,
    effect=0.5,
    verdict="V.",
    explanation="E.",
    facts=(Fact("n", 1.0, "1"),),
)
RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json.gz"))
SOURCES = sorted((Path(diagnosis.__file__).parent / "rules").rglob("*.py"))


def test_a_cause_that_is_found_is_not_ruled_out_by_another_finding() -> None:
    one = replace(PLAIN, ruled_out=("The learning rate: it is fine.", "Accident: no."))
    other = replace(PLAIN, cause="rate-too-high")
    (kept, _), _ = resolve_conflicts([one, other], RECIPE)
    assert kept.ruled_out == ("Accident: no.",)
    (alone,), _ = resolve_conflicts([one], RECIPE)
    assert alone.ruled_out == one.ruled_out


def test_a_later_finding_does_not_undo_what_an_earlier_one_changes() -> None:
    lower, higher = Change({"lr": 0.01}, "Lower."), Change({"lr": 0.5, "epochs": 20}, "Higher.")
    longer = Change({"epochs": 30}, "Longer.")
    one = replace(PLAIN, changes=(lower,))
    other = replace(PLAIN, cause="dropout", changes=(higher, longer))
    (first, second), _ = resolve_conflicts([one, other], RECIPE)
    assert first.changes == (lower,)
    assert second.changes == (longer,)


def test_options_of_a_model_are_numbers_that_move_too() -> None:
    recipe = Recipe(model="lenet5", options={"dropout": 0.5})
    one = replace(PLAIN, changes=(Change({"options": {"dropout": 0.0}}, "None."),))
    other = replace(PLAIN, cause="dropout", changes=(Change({"options": {"dropout": 0.9}}, "More."),))
    (_, second), _ = resolve_conflicts([one, other], recipe)
    assert not second.changes


@pytest.mark.parametrize(("left", "right"), EXCLUSIVE)
def test_of_two_causes_that_exclude_each_other_the_more_confident_stays(
    left: frozenset[str], right: frozenset[str]
) -> None:
    for one, other in ((min(left), max(right)), (max(right), min(left))):
        sure, doubtful = replace(PLAIN, cause=one), replace(PLAIN, cause=other, confidence=0.6)
        kept, gone = resolve_conflicts([doubtful, sure], RECIPE)
        assert [finding.cause for finding in kept] == [one]
        assert gone == {other: sure}


def test_two_findings_do_not_explain_each_other() -> None:
    one = replace(PLAIN, explains=("dropout",))
    other = replace(PLAIN, cause="dropout", explains=("one-class", "dead-relu"))
    (_, second), _ = resolve_conflicts([one, other], RECIPE)
    assert second.explains == ("dead-relu",)


causes = st.sampled_from(sorted(rules()))
changes = st.builds(
    Change,
    st.dictionaries(
        st.sampled_from(["lr", "epochs", "batch_size", "weight_decay"]),
        st.sampled_from([1, 2, 7, 90]),
        min_size=1,
    ),
    st.just("W."),
)
made = st.builds(
    lambda cause, confidence, heads, changes, explains: replace(
        PLAIN,
        cause=cause,
        confidence=confidence,
        ruled_out=tuple(f"{head}: so." for head in heads),
        changes=tuple(changes),
        explains=tuple(explains - {cause}),
    ),
    causes,
    st.floats(0.5, 1),
    st.lists(st.sampled_from(sorted(EXCLUDES)), max_size=3),
    st.lists(changes, max_size=3),
    st.sets(causes, max_size=3),
)


@given(st.lists(made, max_size=6, unique_by=lambda one: one.cause))
def test_whatever_rules_say_findings_agree(findings: list[Finding]) -> None:
    kept, gone = resolve_conflicts(findings, RECIPE)
    assert_agree(kept, RECIPE)
    assert {one.cause for one in kept} | {*gone} == {one.cause for one in findings}
    assert bool(kept) == bool(findings)


def assert_agree(findings: list[Finding], recipe: Recipe) -> None:
    causes = {one.cause for one in findings}
    plain = recipe.model_dump()
    for one in findings:
        assert not causes & {cause for sentence in one.ruled_out for cause in excludes(sentence)}
    for left, right in combinations(findings, 2):
        assert not (right.cause in left.explains and left.cause in right.explains)
        for a, b in EXCLUSIVE:
            assert not ({left.cause, right.cause} & a and {left.cause, right.cause} & b)
        for ours in left.changes:
            for theirs in right.changes:
                for field in {*ours.values} & {*theirs.values}:
                    old, values = plain[field], (ours.values[field], theirs.values[field])
                    if isinstance(old, int | float) and all(isinstance(v, int | float) for v in values):
                        assert (values[0] - old) * (values[1] - old) >= 0, field


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.split(".")[0])
def test_findings_of_runs_that_were_recorded_agree(path: Path) -> None:
    evidence = Evidence.read(path)
    result = diagnose(evidence)
    assert_agree(list(result.findings), evidence.recipe)
    assert all(
        sentence.partition(":")[0] in EXCLUDES for one in result.findings for sentence in one.ruled_out
    )


def test_a_sentence_on_what_it_is_not_begins_with_what_it_excludes() -> None:
    """Strings with a capital and a colon in code that writes exclusions; `EXCLUDES` knows all their heads."""
    heads = {head for path in SOURCES for head in _heads(ast.parse(path.read_text(encoding="utf-8")))}
    assert heads
    assert heads <= {*EXCLUDES}


def _heads(tree: ast.AST) -> set[str]:
    result = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "ruled_out":
            for one in ast.walk(node.value):
                if isinstance(one, ast.Constant) and isinstance(one.value, str) and ": " in one.value:
                    head = one.value.partition(":")[0]
                    if head[:1].isupper():
                        result.add(head)
    return result


def test_unbalanced_classes_are_not_ruled_out_by_the_share_of_the_commonest() -> None:
    """Row D7: 69 % of one class, and the sentence said that it is not the data."""
    collapsed = {"test": (Histogram(step=200, counts=(0, 0, 0, 200, *(0,) * 6)),)}
    counts = tuple(120 if number == 3 else 6 for number in range(10))
    uneven = Data(classes=CLASSES, counts=counts, train=174, test=200, shape=(1, 28, 28))
    apply_rule = rules()["one-class"].apply
    text = apply_rule(healthy(predicted=collapsed, data=uneven))
    assert isinstance(text, Finding)
    assert text.ruled_out == ()
    even = apply_rule(healthy(predicted=collapsed))
    assert isinstance(even, Finding)
    assert even.ruled_out == ("Unbalanced classes: the commonest has 10 % of the training images.",)
