"""What comes from outside, an address or a file, names registered things only, or a run by its number."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from cnnviz import datasets, tracking
from cnnviz.tracking import Command, Database
from cnnviz.tracking.tables import RunRow
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers import process_id
from cnnviz.training.workers.supervisor import LONG_DEAD_SECONDS
from tests.pages.runner import assert_sound, html, open_page, said


@pytest.fixture
def runs() -> Iterator[Database]:
    """The run database that the page reads."""
    with tracking.connect() as database:
        yield database


@pytest.mark.parametrize("named", ["/etc", "owner/name", "~", "..", "digitz"])
def test_an_address_names_registered_data_only_and_reads_nothing(
    monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    looked: list[str] = []

    def is_path(name: str) -> bool:
        looked.append(name)
        return False

    monkeypatch.setattr("cnnviz.datasets.registry.is_path", is_path)
    app = open_page("train", dataset=named)
    assert f"names '{named}' as data, which is no registered data set" in said(app)
    assert app.selectbox(key="train-data").value in datasets.names()
    assert named not in looked


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dataset": "/etc"}, "The recipe file names '/etc' as data, which is no registered data set"),
        ({"dataset": "owner/name"}, "The recipe file names 'owner/name' as data"),
        ({"model": "net.py:Net"}, "There is no model 'net.py:Net'"),
    ],
)
def test_a_recipe_file_opened_in_a_page_names_registered_things_only(
    change: dict[str, str], sentence: str
) -> None:
    script = (
        "from cnnviz.ui.shared.runs import recipe_plan; import streamlit as st\n"
        "try:\n    recipe_plan.open_recipe(st.session_state.file)\n"
        "except ValueError as error:\n    st.text(error)"
    )
    opened = AppTest.from_string(script)
    opened.session_state["file"] = Recipe(dataset="digits").changed(change).write().encode()
    opened.run()
    assert not opened.exception
    assert opened.text[0].value.startswith(sentence)
    assert not opened.query_params


def test_a_clone_of_a_run_made_from_a_path_goes_on_working_by_its_number(
    runs: Database, tmp_path: Path
) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(4):
            Image.new("L", (28, 28), 30 * number).save(tmp_path / label / f"{number}.png")
    parent = enqueue(runs, Recipe(dataset=str(tmp_path), epochs=2, device="cpu")).id
    tracking.request(runs, parent, Command.STOP)
    app = open_page("train", parent=str(parent))
    assert not app.warning
    assert "the data of run 1" in app.selectbox(key="train-data").options
    app.button(key="train-start").click().run()
    assert_sound(app)
    child = tracking.list_runs(runs)[0]
    assert (child.parent_id, child.dataset) == (parent, str(tmp_path))


def test_a_page_marks_a_run_whose_process_was_killed(runs: Database) -> None:
    run = enqueue(runs, Recipe(dataset="digits", device="cpu")).id
    lease = tracking.claim(runs, "cpu", only=run)
    assert lease is not None
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        tracking.attach(runs, lease, process.pid, process_id.started(process.pid))
        tracking.begin(runs, lease)
        process.kill()
    with runs.write() as session:
        long_ago = update(RunRow).values(heartbeat=RunRow.heartbeat - LONG_DEAD_SECONDS)
        session.execute(long_ago)
    app = open_page("train", run=str(run))
    assert ">interrupted<" in html(app)
    assert app.button(key="run-resume").label == "Resume"
