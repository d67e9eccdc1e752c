"""The page Diagnose, run without a browser: every kind of run, and what can be done about it."""

import importlib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import tracking
from cnnviz.diagnosis import (
    Bars,
    Change,
    Evidence,
    Fact,
    Finding,
    Images,
    Lines,
    Negative,
    Series,
    recorded,
    rules,
)
from cnnviz.diagnosis.outcome import MARKS, Outcome
from cnnviz.diagnosis.rules import Outcome as RuleOutcome
from cnnviz.diagnosis.rules import Rule
from cnnviz.experiments.experiment import unpack
from cnnviz.paths import home
from cnnviz.tracking import Database, Status
from cnnviz.ui.pages.diagnose.story import FAILED, FIXED
from tests.diagnosis.runs import run_with_curves, run_without_records
from tests.pages.runner import assert_sound, components, figures, links, open_page


@pytest.fixture
def runs() -> Iterator[Database]:
    """The run database that the page reads."""
    with tracking.connect() as database:
        yield database


SPREADS = Bars("Spread by layer", ("conv1", "fc1"), {"spread": (1.0, 1e-6)}, logarithmic=True)
LOSS = Lines("Loss", (Series("training", (1.0, 2.0), (2.3, 2.3)),))
TWIN = Images("Twins", (("AAAA", "in both parts"),))
SLOWER = Change({"lr": 0.01}, "A smaller step does not jump over the valley.")
WIDE = Finding(
    cause="rate-too-high", confidence=0.97, effect=0.9, verdict="Steps are far too long.",
    explanation="First paragraph: 0.5 · 10 = 5.\n\nSecond *paragraph*.", facts=(Fact("rate", 0.5, "0.5"),),
    pictures=(SPREADS, LOSS, TWIN), layers=("conv1", "fc1"), steps=(1, 40),
    ruled_out=("Not the data: they are balanced.",), changes=(SLOWER,), explains=("one-class",),
)  # fmt: skip


@pytest.fixture
def two_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules of this test's own beside the real one: two of few, so that texts can be told exactly."""

    def high(evidence: Evidence) -> RuleOutcome:
        return WIDE if evidence.recipe.lr > 0.1 else Negative("The steps are short enough.")

    own = Rule("rate-too-high", "Steps too long", "The rate is too high.", high, live=True)
    two = {"one-class": rules()["one-class"], "rate-too-high": own}
    monkeypatch.setattr(importlib.import_module("cnnviz.diagnosis.rules"), "rules", lambda: two)
    for module in ("cnnviz.diagnosis.engine", "cnnviz.ui.pages.diagnose.findings"):
        monkeypatch.setattr(f"{module}.rules", lambda: two)


def said(app: AppTest) -> str:
    """All that can be read, without Markdown's escapes."""
    elements = [*app.markdown, *app.caption, *app.warning, *app.error, *app.header]
    text = " ".join(element.value.replace("\\", "") for element in elements)
    labels = [element.proto.label for element in app.get("expander")]
    return " ".join([text, *labels, *(element.proto.body for element in app.get("html"))])


def verdict(app: AppTest) -> str:
    return str(next(one.proto.body for one in app.get("html") if 'class="verdict' in one.proto.body))


def assert_followed(app: AppTest, run: int) -> None:
    """The browser is led on to where the run is watched."""
    assert "cnnviz.follow" in components(app)
    assert links(app)[f"Watch run {run}"]["run"] == str(run)


@pytest.mark.usefixtures("two_rules")
def test_a_failed_run_is_told_cause_first_with_pictures_and_what_follows_folded(runs: Database) -> None:
    run = run_with_curves(runs, collapsed=True, status=Status.FAILED, error="It *broke*.", lr=0.5)
    app = open_page("diagnose", run=str(run))
    assert "<b>Steps too long.</b> Steps are far too long." in verdict(app)
    assert "failed, step 200" in verdict(app)
    for words in (
        "It ended with: It *broke*.", "1 · Steps too long", "almost certain · conv1, fc1 · steps 1 to 40",
        "First paragraph: 0.5 · 10 = 5.", "Second *paragraph*.", "- Not the data: they are balanced.",
        "2 · Collapse to one class · fix first: Steps too long", "<b>0.5</b><span>rate</span>",
        "A smaller step does not jump over the valley.", "<td>0.5</td><td>→</td><td><b>0.01</b></td>",
        "What was looked for: 0 ruled out", "in both parts",
    ):  # fmt: skip
        assert words in said(app), words
    drawn = figures(app)
    assert {f"evidence-run-{run}-rate-too-high-{place}" for place in (0, 1)} <= set(drawn)
    assert "accuracy: Run" in drawn[f"diagnose-curves-{run}"]["alt"]


def test_without_runs_the_shipped_failed_run_stands_there_with_its_mended_one() -> None:
    app = open_page("diagnose")
    failed, mended = (recorded.recorded(name) for name in (FAILED, FIXED))
    assert 'class="verdict cause-found"' in verdict(app)
    assert escape(failed.title) in verdict(app)
    names = {trace["name"] for trace in figures(app)[f"diagnose-curves-{FAILED}"]["data"]}
    assert names == {failed.title, mended.title}
    assert f"“{mended.title}” reaches " in said(app)
    links = [link.proto.label for link in app.get("page_link")]
    assert "The whole story, from the article to the proof" in links
    assert not [button for button in app.button if button.key == "diagnose-probe"]


def test_a_shipped_run_is_chosen_by_its_name_and_its_change_is_queued_without_a_parent(
    runs: Database,
) -> None:
    app = open_page("diagnose")
    app.selectbox(key="diagnose-run").set_value(FIXED).run()
    assert_sound(app)
    assert app.query_params["recorded"] == FIXED
    assert 'class="verdict not-judged"' in verdict(app)
    app = open_page("diagnose", recorded=FAILED)
    apply = next(button for button in app.button if button.label == "Apply and run")
    apply.click().run()
    assert_sound(app)
    made = tracking.list_runs(runs)[0]
    assert made.parent_id is None
    assert_followed(app, made.id)


@pytest.mark.usefixtures("two_rules")
def test_a_healthy_run_gets_a_clean_bill(runs: Database) -> None:
    app = open_page("diagnose", run=str(run_with_curves(runs, collapsed=False)))
    assert "Nothing found: 2 known causes" in verdict(app)
    assert "What was looked for: 2 ruled out" in said(app)
    assert "The steps are short enough." in said(app)
    assert "held-out images are classified correctly; a constant answer gives 10.0 %." in verdict(app)
    assert not app.get("expander")[-1].proto.expanded


@pytest.mark.parametrize(
    ("run", "kind", "words"),
    [
        ({"collapsed": False}, "healthy", ["Healthy", "Nothing found", "Chance level"]),
        ({"collapsed": True}, "cause-found", ["Cause found", "Collapse to one class"]),
        (
            {"collapsed": False, "behind": True},
            "unexplained",
            [
                "Not healthy, cause unknown", "No known cause fits", "What to try next, in this order",
                "1. Check whether a fresh network memorizes one batch", "✗ Classifier without training",
            ],
        ),
        (None, "not-judged", ["Not judged", "What is missing", "No step was recorded"]),
    ],
)  # fmt: skip
def test_each_of_four_outcomes_is_told_in_words_with_a_mark_of_its_own(
    runs: Database, run: dict[str, Any] | None, kind: Outcome, words: list[str]
) -> None:
    number = run_without_records(runs, Status.FAILED) if run is None else run_with_curves(runs, **run)
    app = open_page("diagnose", run=str(number))
    assert_sound(app)
    assert f'class="verdict {kind}"' in verdict(app)
    assert f"{MARKS[kind]}</i>" in verdict(app)
    for part in words:
        assert part in said(app), part


@pytest.mark.usefixtures("two_rules")
def test_a_change_is_queued_as_a_copy_of_the_run_and_watched_on_train(runs: Database) -> None:
    run = run_with_curves(runs, collapsed=True, lr=0.5, batch_size=32, name="mine")
    app = open_page("diagnose", run=str(run))
    app.button(key=f"apply-run-{run}-rate-too-high-0").click().run()
    assert_sound(app)
    made = tracking.get_run(runs, tracking.list_runs(runs)[0].id)
    assert (made.parent_id, made.status, made.recipe["lr"], made.recipe["batch_size"]) == (
        run,
        Status.QUEUED,
        0.01,
        32,
    )
    assert made.name == "LeNet-5 on Digits"
    assert_followed(app, made.id)
    app = open_page("diagnose", run=str(run))
    assert f"Run {made.id} does this" in [link.proto.label for link in app.get("page_link")]


@pytest.mark.usefixtures("two_rules")
def test_a_run_that_still_goes_is_stopped_for_its_mended_copy(runs: Database) -> None:
    run = run_with_curves(runs, collapsed=True, lr=0.5, status=Status.RUNNING)
    app = open_page("diagnose", run=str(run))
    button = app.button(key=f"apply-run-{run}-rate-too-high-0")
    assert button.label == "Stop it, apply and run"
    button.click().run()
    assert_sound(app)
    assert tracking.get_run(runs, run).status is Status.STOPPING
    assert tracking.list_runs(runs)[0].parent_id == run


@pytest.mark.usefixtures("two_rules")
def test_a_change_is_tested_by_an_experiment_behind_a_link(runs: Database) -> None:
    run = run_with_curves(runs, collapsed=True, lr=0.5)
    app = open_page("diagnose", run=str(run))
    link = next(one.proto for one in app.get("page_link") if one.proto.label == "Run as experiment")
    experiment = unpack(parse_qs(link.query_string)["test"][0])
    assert experiment.question == f"Is Run {run} fixed by: learning rate 0.5 → 0.01?"
    assert experiment.base.lr == 0.5
    assert "run" not in parse_qs(link.query_string)


@pytest.mark.usefixtures("two_rules")
def test_a_change_that_cannot_be_queued_is_said(runs: Database) -> None:
    run = run_with_curves(runs, collapsed=True, lr=0.5, dataset="no-such-data")
    app = open_page("diagnose", run=str(run))
    app.button(key=f"apply-run-{run}-rate-too-high-0").click().run()
    assert_sound(app)
    assert "no-such-data" in app.error[0].value.replace("\\", "")
    assert len(tracking.list_runs(runs)) == 1


def test_the_mended_run_stands_beside_the_failed_one(runs: Database) -> None:
    failed = run_with_curves(runs, collapsed=True, lr=0.5)
    mended = run_with_curves(runs, collapsed=False, lr=0.01, parent_id=failed)
    app = open_page("diagnose", run=str(failed))
    better = f"Run {mended} reaches 98.00 %, Run {failed} 10.00 %. What differs: learning rate 0.5 → 0.01."
    assert better in said(app)
    names = {trace["name"] for trace in figures(app)[f"diagnose-curves-{failed}"]["data"]}
    assert names == {f"Run {failed}", f"Run {mended}"}
    backwards = open_page("diagnose", run=str(mended))
    assert f"<b>Run {failed}</b>: learning rate 0.01 → 0.5" in said(backwards)
    assert " reaches " not in said(backwards)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.QUEUED, "There is nothing to judge it by yet."),
        (Status.RUNNING, "There is nothing to judge it by yet."),
        (Status.FAILED, "has recorded nothing that it could be judged by."),
    ],
)
def test_a_run_without_records_says_so(runs: Database, status: Status, words: str) -> None:
    app = open_page("diagnose", run=str(run_without_records(runs, status)))
    assert words in verdict(app)
    assert ("It ended with: It ended early." in said(app)) == (status is Status.FAILED)
    assert ("It is still going" in said(app)) == (status is not Status.FAILED)
    assert ("It ended before its first step was recorded." in said(app)) == (status is Status.FAILED)


def test_a_run_that_goes_on_is_judged_as_far_as_it_is(runs: Database) -> None:
    app = open_page("diagnose", run=str(run_with_curves(runs, collapsed=True, status=Status.RUNNING)))
    assert "100 % of the images are called" in verdict(app)
    assert "It is still going" in said(app)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"run": "77"}, "There is no run 77. Another is shown instead."),
        ({"run": "x"}, "“run” is the number of a run, not “x”."),
        ({"recorded": "nobody"}, "No run called “nobody” ships with cnnviz."),
    ],
)
def test_what_is_wrong_in_the_address_is_said_and_another_is_shown(
    runs: Database, query: dict[str, str], sentence: str
) -> None:
    run_with_curves(runs, collapsed=True)
    app = open_page("diagnose", **query)
    assert sentence in said(app)
    assert verdict(app)


def test_a_recipe_of_another_version_is_said(runs: Database) -> None:
    run = tracking.create_run(runs, {"lr": 0.1, "warp": 9}, model="lenet5", dataset="digits", seed=0)
    run_with_curves(runs, collapsed=False)
    app = open_page("diagnose", run=str(run.id))
    assert "A recipe has no field 'warp'" in said(app)


def test_a_database_that_cannot_be_used_is_said_in_a_sentence() -> None:
    path = home() / "runs.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database" * 100)
    app = open_page("diagnose")
    assert "Runs cannot be used now." in said(app)
    assert Path(path.name).name in said(app)


def test_runs_that_failed_or_hardly_learned_are_marked(runs: Database) -> None:
    failed, weak, good = (
        run_without_records(runs),
        run_with_curves(runs, collapsed=True),
        run_with_curves(runs, collapsed=False),
    )
    options = open_page("diagnose", run=str(good)).selectbox(key="diagnose-run").options
    marked = {run: any(one.startswith(f"▲ Run {run} ") for one in options) for run in (failed, weak, good)}
    assert marked == {failed: True, weak: True, good: False}


def test_another_run_is_chosen_from_the_list(runs: Database) -> None:
    first, second = run_with_curves(runs, collapsed=True), run_with_curves(runs, collapsed=False)
    app = open_page("diagnose", run=str(first))
    app.selectbox(key="diagnose-run").set_value(str(second)).run()
    assert_sound(app)
    assert app.query_params["run"] == str(second)
    assert f"Run {second}" in verdict(app)
