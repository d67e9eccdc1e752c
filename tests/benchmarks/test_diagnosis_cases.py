"""Recipes of a folder are read with their causes, and a diagnosis of one is right or wrong."""

import json
from pathlib import Path

import pytest

from benchmarks.diagnosis_runs import cases
from benchmarks.diagnosis_runs.cases import Case
from cnnviz.diagnosis import Diagnosis, Finding, Outcome
from cnnviz.training import Recipe


def found(outcome: Outcome, *causes: str) -> Diagnosis:
    findings = tuple(Finding(cause, 1.0, 1.0, "", "", ()) for cause in causes)
    return Diagnosis(None, "", findings, (), outcome)


def folder(tmp_path: Path, *names: str) -> Path:
    (tmp_path / "causes.json").write_text(json.dumps(dict.fromkeys(names, "in words")))
    for name in names:
        (tmp_path / f"{name}.json").write_text(Recipe(name=name).write())
    return tmp_path


def test_recipes_are_read_with_the_identifiers_of_their_causes(tmp_path: Path) -> None:
    read = cases.read(folder(tmp_path, "healthy", "noisy-and-decayed", "black"))
    assert [(case.name, case.recipe.name, case.causes) for case in read] == [
        ("healthy", "healthy", ()),
        ("noisy-and-decayed", "noisy-and-decayed", ("labels-noisy", "weight-decay")),
        ("black", "black", ("constant-input",)),
    ]
    assert [case.name for case in cases.read(tmp_path, "bl")] == ["black"]


def test_a_folder_without_causes_and_a_cause_without_identifier_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no causes\.json"):
        cases.read(tmp_path)
    with pytest.raises(ValueError, match=r"'other' in causes\.json has no identifier"):
        cases.read(folder(tmp_path, "other"))


@pytest.mark.parametrize(
    ("causes", "diagnosis", "right"),
    [
        ((), found("healthy"), True),
        ((), found("unexplained"), False),
        ((), found("cause-found", "leakage"), False),
        (("leakage",), found("cause-found", "leakage", "dropout"), True),
        (("leakage",), found("cause-found", "dropout", "leakage"), False),
        (("leakage",), found("unexplained"), False),
        (("labels-noisy", "weight-decay"), found("cause-found", "weight-decay", "labels-noisy"), True),
        (("labels-noisy", "weight-decay"), found("cause-found", "weight-decay"), False),
    ],
)
def test_a_diagnosis_is_right_with_its_outcome_the_first_cause_and_every_cause(
    causes: tuple[str, ...], diagnosis: Diagnosis, right: bool
) -> None:
    assert Case("a", Recipe(), causes).right(diagnosis) is right
