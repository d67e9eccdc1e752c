"""The Experiments page: something to see at once, a link to start from, answers, and demonstrations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import access, tracking
from cnnviz.access import Principal, acting
from cnnviz.access.classroom import Classroom
from cnnviz.experiments import Condition, Experiment, from_change, list_all, start
from cnnviz.experiments.presets import list_presets
from cnnviz.experiments.recordings import recording
from cnnviz.tracking import LimitError
from cnnviz.training.queue import enqueue
from cnnviz.ui.shared import visitors
from cnnviz.ui.shared.runs.recipe_plan import test_parameters as parameters
from tests.experiments.making import BASE, NORMALISING, end_all
from tests.pages.runner import assert_sound, open_page


def text(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.header, *app.get("html"), *app.warning, *app.error]
    result = "\n".join(str(getattr(part, "value", None) or getattr(part.proto, "body", "")) for part in parts)
    return result.replace("\\", "")


def test_a_first_visit_shows_a_recorded_answer_and_every_question() -> None:
    app = open_page("experiments")
    said = text(app)
    assert "recorded on" in said
    assert "Does normalizing the input raise accuracy?" in said
    labels = [link.proto.label for link in app.get("page_link")]
    assert {ready.title for ready in list_presets().values()} <= set(labels)
    assert "n = 4 to 5." in said, "of the rates of SGD one run has no accuracy"


def test_a_link_opens_an_experiment_and_starts_nothing_by_itself() -> None:
    experiment = from_change(BASE, {"lr": 0.01}, "Does a lower rate mend run 12?")
    app = open_page("experiments", **parameters(experiment))
    assert "Does a lower rate mend run 12?" in text(app)
    assert "lr 0.05 → 0.01" in text(app)
    assert "each condition is trained with the same seeds" in text(app)
    with tracking.connect() as database:
        assert tracking.list_runs(database) == []
        app.button(key="experiments-start").click().run()
        assert_sound(app)
        assert [stored.experiment for stored in list_all(database)] == [experiment]
        assert len(tracking.list_runs(database)) == 6
    assert app.query_params["experiment"] == "1"
    assert "So far, 0 of 6 runs: nothing to compare yet." in text(app)
    assert text(app).count("nothing to compare yet") == 1
    assert "Left out" not in text(app), "what is still to come is not left out"
    assert app.selectbox(key="experiments-which").options[0] == "1 · Does a lower rate mend run 12?"


def test_fewer_seeds_are_asked_for_by_url_and_one_is_warned_of() -> None:
    app = open_page("experiments", **parameters(NORMALISING), seeds="1")
    assert "2 runs: 2 conditions of 1 seed each" in text(app)
    assert "One seed gives no interval" in text(app)


def test_a_finished_one_shows_verdict_table_and_its_runs() -> None:
    base, arm = NORMALISING.names
    with tracking.connect() as database:
        number = start(database, NORMALISING)
        end_all(database, number, {base: [0.80, 0.84, 0.82], arm: [0.90, 0.95, 0.94]})
    app = open_page("experiments", experiment=str(number))
    said = text(app)
    assert "normalizing the input: +11.0 ± 2.5 points at 5 epochs, n = 3." in said
    assert "93.00 %" in said
    assert parameters(NORMALISING)["test"] in app.code[1].value
    link = next(link for link in app.get("page_link") if link.proto.label == "Its runs side by side")
    assert "runs=1%2C2" in link.proto.query_string
    app.button(key="experiments-2 more seeds-1").click().run()
    assert_sound(app)
    with tracking.connect() as database:
        assert len(tracking.list_runs(database)) == 10


def test_a_stopped_one_can_be_gone_on_with() -> None:
    with tracking.connect() as database:
        number = start(database, NORMALISING)
    app = open_page("experiments", experiment=str(number))
    app.button(key="experiments-Stop-1").click().run()
    assert_sound(app)
    assert "Incomplete, 0 of 6 runs" in text(app)
    app.button(key="experiments-Go on-1").click().run()
    assert_sound(app)
    assert "So far, 0 of 6 runs" in text(app)


@pytest.fixture
def ada_and_bob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Principal, Principal]]:
    """Two students of a class, at whose pages the second one looks."""
    classroom = Classroom(tmp_path / "class.json")
    classroom.open()
    ada, bob = (classroom.principal(classroom.join(classroom.state.code, name)) for name in ("Ada", "Bob"))
    assert ada is not None
    assert bob is not None
    monkeypatch.setattr(visitors, "classroom", lambda: classroom)
    access.resolve_with(lambda: bob)
    yield ada, bob
    access.resolve_with(None)


def test_in_a_class_ones_own_come_first_and_others_can_only_be_looked_at(
    ada_and_bob: tuple[Principal, Principal],
) -> None:
    ada, bob = ada_and_bob
    with tracking.connect() as database:
        with acting(bob):
            mine = start(database, NORMALISING)
        with acting(ada):
            theirs = start(database, NORMALISING)
        with acting(bob), pytest.raises(LimitError, match="These are 6 runs, and 4 more of yours may wait"):
            start(database, NORMALISING)
        assert len(list_all(database)) == 2  # what is refused leaves nothing behind
    app = open_page("experiments", experiment=str(theirs))
    assert "This experiment is Ada’s" in text(app)
    assert not [button for button in app.button if button.key == f"experiments-Stop-{theirs}"]
    titles = [header.value for header in app.header]
    assert titles.index("Your experiments") < titles.index("Experiments of others")
    assert app.selectbox(key="experiments-which").options[0].startswith(f"{mine} · ")
    app = open_page("experiments", experiment=str(mine))
    assert [button for button in app.button if button.key == f"experiments-Stop-{mine}"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"experiment": "99"}, "no experiment 99"),
        ({"experiment": "nothing"}, "no experiment"),
        ({"test": "damaged"}, "in the link"),
        ({"form": "huge"}, "form"),
        ({"seeds": "0"}, "from 1 to 50"),
    ],
)
def test_what_is_wrong_in_the_url_is_said(query: dict[str, str], sentence: str) -> None:
    app = open_page("experiments", **query)
    assert any(sentence in warning.value for warning in app.warning)


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ({}, {"dataset": "digitz"}),
        ({}, {"dataset": "/etc"}),
        ({"dataset": "/etc"}, {"lr": 0.01}),
        ({"dataset": "owner/name"}, {"lr": 0.01}),
        ({}, {"model": "net.py:Net"}),
        ({"model": "elsewhere/net.py:Net"}, {"lr": 0.01}),
    ],
)
def test_a_link_that_names_what_is_not_registered_is_refused_and_reads_nothing(
    monkeypatch: pytest.MonkeyPatch, base: dict[str, str], changes: dict[str, Any]
) -> None:
    looked: list[str] = []

    def is_path(name: str) -> bool:
        looked.append(name)
        return False

    monkeypatch.setattr("cnnviz.datasets.registry.is_path", is_path)
    wrong = Experiment.of(
        question="Is it read?",
        base=BASE.changed(base),
        conditions=(Condition(name="elsewhere", changes=changes),),
    )
    app = open_page("experiments", **parameters(wrong))
    assert len(app.warning) == 1
    assert any(words in app.warning[0].value.replace("\\", "") for words in ("as data", "no model"))
    assert "Is it read?" not in text(app)
    assert set(looked) <= {"digits"}


def test_a_change_of_a_run_made_from_a_path_is_tested_by_the_run_s_number(tmp_path: Path) -> None:
    recipe = BASE.changed({"dataset": str(tmp_path)})
    experiment = from_change(recipe, {"lr": 0.01}, "Is run 1 mended?")
    with tracking.connect() as database:
        run = enqueue(database, recipe).id
        tracking.request(database, run, tracking.Command.STOP)
    assert parameters(experiment) | {"parent": str(run)} == parameters(experiment, run)
    app = open_page("experiments", **parameters(experiment, run))
    assert "Is run 1 mended?" in text(app)
    app.button(key="experiments-start").click().run()
    assert_sound(app)
    with tracking.connect() as database:
        assert {run.dataset for run in tracking.list_runs(database)} == {str(tmp_path)}
        assert len(tracking.list_runs(database)) == 7
    other = open_page("experiments", **parameters(experiment, run + 900))
    assert "as data" in other.warning[0].value


def wide(arms: int, seeds: int, **changes: Any) -> Experiment:
    return Experiment.of(
        question="Which rate?", base=BASE.changed(changes), seeds=tuple(range(seeds)),
        conditions=tuple(Condition(name=f"rate {i}", changes={"lr": 0.001 * (i + 1)}) for i in range(arms)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "experiment", [wide(11, 5), wide(2, 2, epochs=100_000, batch_size=4)], ids=["many runs", "few long ones"]
)
def test_one_click_does_not_queue_many_or_long_runs_unasked(experiment: Experiment) -> None:
    app = open_page("experiments", **parameters(experiment))
    app.button(key="experiments-start").click().run()
    assert_sound(app)
    count = len(list(experiment.cells()))
    assert f"This queues {count} runs, about" in text(app)
    with tracking.connect() as database:
        assert tracking.list_runs(database) == []
        app.button(key="experiments-start-no").click().run()
        assert_sound(app)
        assert "This queues" not in text(app)
        app.button(key="experiments-start").click().run()
        app.button(key="experiments-start-yes").click().run()
        assert_sound(app)
        assert len(tracking.list_runs(database)) == count


def test_more_runs_than_may_wait_are_refused_before_anything_is_queued() -> None:
    app = open_page("experiments", **parameters(wide(12, 50, epochs=100_000)))
    assert "At most 200 runs wait at once, and 0 do; 650 more do not fit, 200 would" in text(app)
    assert not [button for button in app.button if button.key == "experiments-start"]


@pytest.mark.parametrize(("device", "wanting"), [("cpu", True), ("cuda:0", False)])
def test_a_large_form_says_where_there_is_no_gpu(
    monkeypatch: pytest.MonkeyPatch, device: str, wanting: bool
) -> None:
    monkeypatch.setattr("cnnviz.ui.pages.experiments.views.device_name", lambda _: device)
    app = open_page("experiments", experiment="dropout", form="large")
    assert any("this machine has none" in one.value for one in app.warning) == wanting
    small = open_page("experiments", experiment="dropout")
    assert not small.warning


def test_a_large_form_says_what_it_fetches() -> None:
    app = open_page("experiments", experiment="dropout", form="large")
    assert "CIFAR-10 is not on this machine" in text(app)
    assert "Meanwhile, what the small form says" in text(app)
    assert recording("dropout").result.verdict in text(app)


def test_the_inplace_error_is_shown_as_torch_says_it() -> None:
    app = open_page("experiments", experiment="inplace-dropout")
    assert any("is at version 1; expected version 0" in code.value for code in app.code)
    assert "5 of 12 raise" in text(app)
