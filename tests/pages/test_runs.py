"""The page Runs, run without a browser, in every state it can be in."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import tracking
from cnnviz.paths import home
from cnnviz.tracking import Database, Status, recorded_runs
from cnnviz.ui.pages.runs.comparison import labels
from cnnviz.ui.shared.runs import run_data
from tests.pages.runner import assert_sound, open_page
from tests.ui.pages.runs.making import many, trained


@pytest.fixture
def database() -> Iterator[Database]:
    """The run database of this test's own CNNVIZ_HOME."""
    with tracking.connect() as opened:
        yield opened


def texts(app: AppTest) -> str:
    """All that can be read, notices without their escapes."""
    kinds = (app.markdown, app.caption, app.header, app.warning, app.error)
    parts = [element.value for elements in kinds for element in elements]
    return "\n".join(parts).replace("\\", "") + "\n".join(element.proto.body for element in app.get("html"))


def test_without_runs_it_says_how_to_get_one_and_shows_published_results() -> None:
    app = open_page("runs")
    assert "Nothing was trained here yet" in texts(app)
    assert "cnnviz train --model lenet5 --dataset digits" in app.code[-1].value
    assert "nothing of it was trained here" in texts(app)
    app.button_group(key="runs-published").set_value("ImageNet").run()
    assert_sound(app)
    assert app.query_params["on"] == "ImageNet"


def test_a_run_is_listed_ticked_and_its_figures_stand_below(database: Database) -> None:
    run = trained(database, 0.9)
    app = open_page("runs", runs=str(run))
    assert "Run 1** chosen" in texts(app)
    assert "90.00 %" in texts(app)
    assert "Confusion matrix" in texts(app)
    assert not app.warning


def test_one_run_has_nothing_to_differ_from(database: Database) -> None:
    trained(database)
    app = open_page("runs", runs="1")
    assert "Tick a second run" in texts(app)
    assert "same recipe" not in texts(app)
    assert "best of each row" not in texts(app)


def test_runs_of_one_name_are_told_apart_in_the_figures(database: Database) -> None:
    for rate in (0.1, 0.01):
        trained(database, name="twin", lr=rate)
    trained(database, name="other")
    one, two, other = (tracking.get_run(database, number) for number in (1, 2, 3))
    assert labels([one, two]) == ["1 · twin, lr 0.1", "2 · twin, lr 0.01"]
    assert labels([one, other]) == ["1 · twin", "3 · other"]
    assert_sound(open_page("runs", runs="1,2"))


def test_two_runs_are_compared(database: Database) -> None:
    trained(database, 0.9, lr=0.1)
    trained(database, 0.7, lr=0.02, seed=4)
    app = open_page("runs", runs="1,2", x="time", scale="log", against="macs")
    shown = texts(app)
    assert "<b>90.00 %</b>" in shown
    assert "<td>0.1</td><td>0.02</td>" in shown
    assert "epochs</th>" not in shown
    assert "Two matrices' difference" in shown
    app.selectbox(key="runs-pair-0").set_value(1).run()
    assert_sound(app)
    assert app.query_params["pair"] == "2,1"


def test_more_than_four_are_chosen_but_four_compared(database: Database) -> None:
    for _ in range(5):
        trained(database)
    app = open_page("runs", runs="1,2,3,4,5")
    assert "the first 4 are compared" in texts(app)
    assert texts(app).count('class="run-head"') == 4


def test_a_run_older_than_those_that_are_listed_can_be_compared(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_data, "LISTED", 2)
    for _ in range(4):
        trained(database)
    shown = texts(open_page("runs", runs="1,4,99"))
    assert "Run 99: not there" in shown
    assert "Run 1" not in shown
    assert shown.count('class="run-head"') == 2


def test_what_is_wrong_in_the_url_is_said(database: Database) -> None:
    trained(database)
    app = open_page("runs", runs="1,99", sort="colour", status="asleep", cell="1,44,2", metric="my/metric")
    for words in ("Run 99: not there", "“sort”", "“asleep”", "no cell 44, 2"):
        assert words in texts(app)
    assert "None of these runs has measured my metric" in texts(app)


def test_filters_that_leave_nothing_are_undone_with_a_click(database: Database) -> None:
    trained(database)
    app = open_page("runs", find="nothing like it")
    assert "None of the 1 run is like that" in texts(app)
    app.button(key="runs-show-all").click().run()
    assert_sound(app)
    assert "find" not in app.query_params


def test_deleting_is_undone_and_made_final(database: Database) -> None:
    run = trained(database)
    trained(database)
    app = open_page("runs", runs="1")
    app.button(key="runs-delete").click().run()
    assert tracking.get_run(database, run).deleted_at is not None
    app.button(key="runs-undo").click().run()
    assert_sound(app)
    assert tracking.get_run(database, run).deleted_at is None
    assert app.query_params["runs"] == "1"
    app.button(key="runs-delete").click().run()
    app.toggle(key="runs-deleted").set_value(True).run()
    app.query_params["runs"] = "1"
    app.run()
    app.button(key="runs-purge").click().run()
    assert_sound(app)
    assert "1 run removed" in texts(app)
    assert "No run is deleted" in texts(app)
    assert [result.id for result in tracking.list_runs(database, deleted=True)] == []


def test_a_running_run_is_not_deleted(database: Database) -> None:
    run = trained(database, status=Status.RUNNING)
    app = open_page("runs", runs="1")
    app.button(key="runs-delete").click().run()
    assert_sound(app)
    assert "stop it before you delete it" in texts(app)
    assert tracking.get_run(database, run).deleted_at is None


STATES = (Status.QUEUED, Status.RUNNING, Status.FINISHED, Status.FAILED, Status.PAUSED)


@pytest.mark.parametrize("status", STATES)
def test_one_run_in_every_state(database: Database, status: Status) -> None:
    run = trained(database, 0.9, status=status, lr=0.0123)
    app = open_page("runs", run=str(run))
    assert "lr" in texts(app)
    assert "0.05 → 0.0123" in texts(app)
    assert "queued" in texts(app)
    assert ("It went wrong." in texts(app)) == (status is Status.FAILED)
    assert ("90.00 %" in texts(app)) == (status is not Status.QUEUED)


def test_name_tags_and_notes_are_kept(database: Database) -> None:
    run = trained(database)
    app = open_page("runs", run=str(run))
    app.text_input(key="run-name-1").set_value("The good one").run()
    app.text_area(key="run-notes-1").set_value("As *in* the paper.").run()
    app.multiselect(key="run-tags-1").set_value(["paper"]).run()
    assert_sound(app)
    result = tracking.get_run(database, run)
    assert (result.name, result.notes, result.tags) == ("The good one", "As *in* the paper.", ["paper"])
    app.text_input(key="run-name-1").set_value(" ").run()
    assert "A run has a name" in texts(app)
    app.button(key="run-back").click().run()
    assert_sound(app)
    assert "run" not in app.query_params


def test_disk_is_given_back(database: Database) -> None:
    run = tracking.get_run(database, trained(database, status=Status.RUNNING))
    folder = tracking.run_folder(run.id, run.key)
    folder.mkdir(parents=True)
    (folder / "best.safetensors").write_bytes(bytes(4096))
    tracking.add_checkpoint(database, run.lease, "best", "best.safetensors", 6, 2.0, 4096)
    tracking.end(database, run.lease, Status.FINISHED)
    app = open_page("runs", run=str(run.id))
    assert "4.00 KiB" in texts(app)
    app.button(key="reclaim-best").click().run()
    assert_sound(app)
    assert "The best checkpoint of run 1 is deleted; 4.00 KiB freed" in texts(app)
    assert list(folder.iterdir()) == []


def test_a_deleted_run_is_shown_and_brought_back(database: Database) -> None:
    run = trained(database)
    tracking.delete_run(database, run)
    app = open_page("runs", run=str(run))
    assert "Deleted on" in texts(app)
    app.button(key="run-restore").click().run()
    assert_sound(app)
    assert tracking.get_run(database, run).deleted_at is None


def test_a_run_that_is_not_there_leads_to_the_list(database: Database) -> None:
    trained(database)
    app = open_page("runs", run="77")
    assert "There is no run 77. All runs are shown instead." in texts(app)


def test_a_cell_without_a_checkpoint_says_why_there_are_no_images(database: Database) -> None:
    trained(database)
    app = open_page("runs", runs="1", cell="1,2,3")
    assert "true 2, predicted 3" in texts(app)
    assert "has none any more" in app.info[0].value


def test_ten_thousand_runs(database: Database) -> None:
    many(database, 10_000)
    app = open_page("runs", sort="-best", page="3", against="time")
    assert "runs on other data" not in texts(app)
    assert "Test accuracy on Digits against" in texts(app)


def test_a_broken_database_is_said_in_a_sentence() -> None:
    path = home() / "runs.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database" * 100)
    app = open_page("runs")
    assert "The runs cannot be shown" in texts(app)
    assert str(Path(path.name)) in texts(app)


def test_a_database_of_the_future_is_said_in_a_sentence(database: Database) -> None:
    with sqlite3.connect(home() / "runs.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    app = open_page("runs")
    assert "a newer version of cnnviz" in texts(app)


def test_a_recorded_run_is_opened_from_the_empty_list_and_is_no_longer_offered(database: Database) -> None:
    name = recorded_runs.names()[0]
    app = open_page("runs")
    assert recorded_runs.describe(name).title in texts(app)
    app.button(key=f"recorded-open-{name}").click().run()
    assert_sound(app)
    run = tracking.list_runs(database)[0]
    assert app.query_params["run"] == str(run.id)
    assert f"**Run {run.id}** · {recorded_runs.describe(name).title} · recorded" in texts(app)
    listed = open_page("runs")
    assert f"recorded-open-{name}" not in [button.key for button in listed.button]
    listed.button(key=f"recorded-open-{recorded_runs.names()[1]}").click().run()
    assert_sound(listed)
    assert len(tracking.list_runs(database)) == 2


def test_a_recorded_run_is_drawn_on_train_and_diagnosed(database: Database) -> None:
    run = recorded_runs.add(database, "lenet5-1998-mnist")
    train = open_page("train", run=str(run))
    assert "recorded, and shipped with cnnviz" in texts(train)
    assert not [button for button in train.button if button.key in ("run-resume", "run-pause", "run-stop")]
    assert "Healthy" in texts(open_page("diagnose", run=str(run)))
