"""Findings come in order, what follows from another after it; evidence survives its file."""

import importlib
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from cnnviz.diagnosis import Evidence, Fact, Finding, Note, diagnose, engine, note, rules
from cnnviz.diagnosis.engine import rank_findings
from cnnviz.diagnosis.evidence import Histogram
from cnnviz.diagnosis.rules import Inconclusive, Rule
from cnnviz.models import layer_list
from cnnviz.training import Recipe
from tests.diagnosis.evidence import healthy

PLAIN = Finding(
    cause="a", confidence=0.9, effect=0.5, verdict="V.", explanation="E.", facts=(Fact("n", 1.0, "1"),)
)


def test_the_larger_expected_effect_comes_first() -> None:
    small, large = PLAIN, replace(PLAIN, cause="b", effect=0.8)
    assert rank_findings([small, large]) == [large, small]


def test_what_follows_from_another_finding_comes_after_it_however_large() -> None:
    root = replace(PLAIN, cause="root", effect=0.2, explains=("symptom",))
    symptom = replace(PLAIN, cause="symptom", effect=1.0)
    assert [one.cause for one in rank_findings([symptom, root])] == ["root", "symptom"]


def test_every_rule_is_accounted_for() -> None:
    result = diagnose(healthy())
    assert [one.cause for one in result.checked] == [c for c, rule in rules().items() if not rule.loop]
    assert not result.findings
    assert "ruled out" in result.verdict


def test_a_finding_gives_the_verdict_and_becomes_json() -> None:
    collapsed = (Histogram(step=200, counts=(0, 0, 200, *(0,) * 7)),)
    result = diagnose(healthy(predicted={"test": collapsed}))
    assert "one-class" in [one.cause for one in result.findings]
    plain = orjson.loads(orjson.dumps(result.as_json()))
    assert plain["verdict"] == plain["findings"][0]["verdict"]
    assert {"cause", "confidence", "evidence", "layers", "steps", "explanation", "changes"} <= set(
        plain["findings"][0]
    )


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(layers=layer_list("lenet5"))])
def test_evidence_survives_its_file(tmp_path: Path, recipe: Recipe) -> None:
    path, kept = tmp_path / "run.json.gz", healthy(recipe=recipe)
    kept.write(path)
    assert Evidence.read(path) == kept


def test_a_diagnosis_says_which_of_four_outcomes_it_has() -> None:
    collapsed = (Histogram(step=200, counts=(0, 0, 200, *(0,) * 7)),)
    assert diagnose(healthy()).outcome == "healthy"
    assert diagnose(healthy(predicted={"test": collapsed})).outcome == "cause-found"
    assert diagnose(Evidence(recipe=Recipe())).outcome == "not-judged"


def test_notes_are_written_beside_findings_and_change_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    remarks = {"a-remark": lambda _: Note("a-remark", "A sentence."), "silent": lambda _: None}
    monkeypatch.setattr(engine, "notes", lambda: remarks)
    result = diagnose(healthy())
    assert result.notes == (Note("a-remark", "A sentence."),)
    assert result.outcome == "healthy"
    assert result.as_json()["notes"] == [{"kind": "a-remark", "text": "A sentence."}]


@pytest.mark.parametrize("kind", ["trained", "watched"])
def test_a_rule_that_raises_costs_its_own_result_alone(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Evidence) -> Inconclusive:
        raise IndexError("list index out of range")

    every = {**rules(), "broken": Rule("broken", "A broken rule", "", broken, live=True)}
    monkeypatch.setattr(engine, "rules", lambda: every)
    monkeypatch.setattr(engine, "notes", lambda: {"broken": broken})
    collapsed = (Histogram(step=200, counts=(0, 0, 200, *(0,) * 7)),)
    with pytest.warns(RuntimeWarning, match=r"test_engine\.py:\d+: list index out of range"):
        found = diagnose(healthy(predicted={"test": collapsed}, kind=kind))
    assert found.outcome == "cause-found"
    assert [result.outcome for result in found.checked if result.cause == "broken"] == ["not checked"]
    monkeypatch.setattr(engine, "notes", dict)
    with pytest.warns(RuntimeWarning, match="The check 'A broken rule' failed with IndexError"):
        # What failed has ruled nothing out.
        blind = diagnose(healthy(kind=kind))
    assert (blind.outcome, blind.findings) == ("not-judged", ())
    assert "A broken rule" in blind.verdict
    assert blind.missing == (blind.verdict,)
    with pytest.warns(RuntimeWarning, match="a fault of cnnviz to report"):
        assert engine.hint(healthy(kind=kind)) is None


def test_two_functions_cannot_write_the_same_note() -> None:
    @note("test-of-the-registry")
    def first(_: Evidence) -> Note | None:
        return None

    with pytest.raises(ValueError, match="Two functions write the note"):

        @note("test-of-the-registry")
        def second(_: Evidence) -> Note | None:
            return None

    importlib.import_module("cnnviz.diagnosis.rules")._NOTES.pop("test-of-the-registry")
