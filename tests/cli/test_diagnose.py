"""`cnnviz diagnose` as a user meets it."""

import importlib
import json
from collections.abc import Iterator

import pytest

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.cli.commands.diagnose import EXIT_CODES
from cnnviz.datasets import Progress, Step
from cnnviz.diagnosis import Evidence, gather, recorded, rules
from cnnviz.tracking import Database
from cnnviz.training.recipe import Recipe
from tests.diagnosis.runs import run_with_curves, run_without_records

FAILED = "alexnet-stl10-failed"
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def runs() -> Iterator[Database]:
    with tracking.connect() as database:
        yield database


def said(capsys: Printed, code: int, *arguments: str) -> str:
    """What was printed where it belongs, with that exit code."""
    assert main(["diagnose", *arguments]) == code
    printed = capsys.readouterr()
    assert (printed.err == "") == (code != 2)
    return printed.err if code == 2 else printed.out


def test_a_collapsed_run_is_told_with_its_evidence_and_exit_code_1(capsys: Printed, runs: Database) -> None:
    run = run_with_curves(runs, collapsed=True)
    text = said(capsys, 1, str(run))
    assert text.startswith(f"Run {run}, lenet5 on digits: finished after 200 steps\n")
    assert "Collapse to one class (one-class), almost certain" in text
    assert "commonest answer: 100.0 % '3'" in text


def test_the_text_fits_the_terminal(capsys: Printed, runs: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_with_curves(runs, collapsed=True)
    for columns, widest in ((80, 80), (300, 100)):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert 60 < max(map(len, said(capsys, 1, str(run)).splitlines())) <= widest


def test_json_has_the_agreed_parts(capsys: Printed, runs: Database) -> None:
    run = run_with_curves(runs, collapsed=True)
    document = json.loads(said(capsys, 1, str(run), "--json"))
    assert {"run", "outcome", "verdict", "findings", "notes", "checked"} <= set(document)
    assert document["outcome"] == "cause-found"
    assert document["run"] == run
    wanted = {"cause", "confidence", "evidence", "layers", "steps", "explanation", "changes"}
    assert all(wanted <= set(finding) for finding in document["findings"])
    assert "one-class" in [finding["cause"] for finding in document["findings"]]
    assert {one["cause"] for one in document["checked"]} == {
        c for c, rule in rules().items() if not rule.loop
    }


def test_a_change_is_told_in_words_and_printed_as_a_recipe_that_train_takes(capsys: Printed) -> None:
    text = said(capsys, 1, FAILED)
    assert "Change 1.1: init article → he; scale unit → standardized" in text
    assert f"cnnviz diagnose {FAILED} --change 1.1 > fixed.json" in text
    assert "{" not in text
    recipe = Recipe.read(said(capsys, 0, FAILED, "--change", "1.1"))
    shipped = recorded.recorded(FAILED).recipe
    assert {field: new for field, (_, new) in shipped.difference(recipe).items()} == {
        "options": {**shipped.options, "init": "he"},
        "scale": "standardised",
    }


def test_a_healthy_run_gets_a_clean_bill_and_exit_code_0(capsys: Printed, runs: Database) -> None:
    text = said(capsys, 0, str(run_with_curves(runs, collapsed=False)))
    assert "Nothing found" in text
    assert "The commonest answer takes 10 % of the images" in text


def test_causes_are_listed(capsys: Printed) -> None:
    assert "one-class" in said(capsys, 0, "--causes")
    assert [one["cause"] for one in json.loads(said(capsys, 0, "--causes", "--json"))] == list(rules())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Name one run"),
        (("3", "--causes"), "Name one run"),
        (("77",), "There is no run 77"),
        (("nobody",), "There is no recorded run 'nobody'"),
        ((FAILED, "--change", "9.1"), "There is no change '9.1'; it can be 1.1, 1.2"),
        (("nobody", "--probe"), "no checkpoint here that could be probed"),
    ],
)
def test_wrong_use_is_one_sentence(capsys: Printed, arguments: tuple[str, ...], sentence: str) -> None:
    text = said(capsys, 2, *arguments)
    assert sentence in text
    assert text.count("\n") == 1


def test_a_run_without_records_is_not_judged_and_says_what_is_missing(
    capsys: Printed, runs: Database
) -> None:
    run = str(run_without_records(runs))
    text = " ".join(said(capsys, 4, run).split())
    assert "Not judged: too little was recorded." in text
    assert "has recorded nothing that it could be judged by. It ended with: It ended early." in text
    assert "What is missing - No step was recorded" in text
    document = json.loads(said(capsys, 4, run, "--json"))
    assert (document["outcome"], document["findings"]) == ("not-judged", [])
    assert document["missing"]


def test_a_run_that_no_cause_explains_has_an_exit_code_of_its_own_and_says_what_to_try(
    capsys: Printed, runs: Database
) -> None:
    run = run_with_curves(runs, collapsed=False, behind=True)
    text = " ".join(said(capsys, 3, str(run)).split())
    assert "Not healthy, cause unknown." in text
    assert "What to try next, in this order 1. " in text
    assert json.loads(said(capsys, 3, str(run), "--json"))["outcome"] == "unexplained"


def test_help_names_the_exit_code_of_every_outcome(capsys: Printed) -> None:
    text = " ".join(said(capsys, 0, "--help").split())
    for code in (0, 1, 3, 4):
        assert f"{code}: " in text


def test_probes_are_made_before_it_is_judged(
    capsys: Printed, runs: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def probe(database: Database, run_id: int, progress: Progress) -> Evidence:
        progress(Step("asking", 0, 1, "probes"))
        asked.append(run_id)
        return gather(database, run_id)

    monkeypatch.setattr(importlib.import_module("cnnviz.diagnosis.probes"), "probe", probe)
    run = run_with_curves(runs, collapsed=False)
    assert main(["diagnose", str(run), "--probe"]) == 0
    assert "asking" in capsys.readouterr().err
    assert asked == [run]


def test_recorded_runs_are_diagnosed_by_name(capsys: Printed) -> None:
    for name in recorded.names():
        failed = name.endswith(recorded.FAILED)
        code = EXIT_CODES["cause-found" if failed else "not-judged"]  # its evidence holds no baseline
        assert bool(json.loads(said(capsys, code, name, "--json"))["findings"]) == failed
