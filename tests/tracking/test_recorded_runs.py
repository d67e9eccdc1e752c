"""Recorded runs that ship: what they say, put into a database once, never trained."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from cnnviz import tracking
from cnnviz.cli import main
from cnnviz.diagnosis import diagnose, gather
from cnnviz.models import get
from cnnviz.tracking import Database, Kind, Status, recorded_runs
from cnnviz.tracking.recorded_runs import MAX_BYTES, POINTS, package_run, rounded, write
from cnnviz.tracking.tables import RecordRow
from cnnviz.training import Recipe
from tests.ui.pages.runs.making import trained


@pytest.fixture
def database() -> Iterator[Database]:
    with tracking.connect() as opened:
        yield opened


def shipped(name: str) -> dict[str, object]:
    path = recorded_runs.FOLDER / f"{name}{recorded_runs.SUFFIX}"
    body: dict[str, object] = orjson.loads(gzip.decompress(path.read_bytes()))
    return body


@pytest.mark.parametrize("name", recorded_runs.names())
def test_what_ships_is_small_names_registered_things_and_no_machine(name: str) -> None:
    path = recorded_runs.FOLDER / f"{name}{recorded_runs.SUFFIX}"
    assert path.stat().st_size <= MAX_BYTES
    text = gzip.decompress(path.read_bytes())
    assert b"/root" not in text
    assert b"/work" not in text
    run = recorded_runs.describe(name)
    assert get(run.model).name == run.model
    assert "/" not in run.dataset
    assert run.accuracy == 0.1 if name in FAILING else 0.35 < run.accuracy < 1
    assert (b"fixed_images" in text) is (run.dataset == "mnist"), "the license of CIFAR-10 is not stated"


@pytest.mark.parametrize("name", recorded_runs.names())
def test_one_in_the_list_is_a_finished_run_that_nobody_resumes(database: Database, name: str) -> None:
    run = tracking.get_run(database, recorded_runs.add(database, name))
    assert (run.kind, run.status, run.resumable, run.trained) == (
        Kind.RECORDED,
        Status.FINISHED,
        False,
        False,
    )
    assert run.has_recipe
    assert Recipe.model_validate(run.recipe).model == run.model
    assert run.metrics["test/accuracy"].last == recorded_runs.describe(name).accuracy
    matrix = tracking.latest_record(database, run.id, "test/confusion")
    assert matrix is not None
    assert sum(map(sum, matrix.body)) == 10_000
    right = sum(row[place] for place, row in enumerate(matrix.body))
    assert right / 10_000 == pytest.approx(recorded_runs.describe(name).accuracy)
    assert len(tracking.read_records(database, run.id, "layers")) > 5
    assert [change.new for change in tracking.history(database, run.id)] == [Status.RUNNING, Status.FINISHED]
    with pytest.raises(ValueError, match="ships with cnnviz"):
        tracking.request(database, run.id, tracking.Command.RESUME)
    assert tracking.claim(database, "cpu") is None


ENLARGED = {"alexnet-fixed-cifar10", "googlenet-cifar10"}
"""Runs that work, and of which something is to be said that costs time and no accuracy."""
SHORT = {"alexnet-bn-227-cifar10"}
"""Runs that were still improving at their end, which the time allowed no later."""
FAILING = {"alexnet-failing-cifar10": "initialisation"}
"""Runs that ship because they fail, and why."""


@pytest.mark.parametrize("name", recorded_runs.names())
def test_it_is_diagnosed_as_a_run_of_ours(database: Database, name: str) -> None:
    evidence = gather(database, recorded_runs.add(database, name))
    assert evidence.kind == "trained"
    assert evidence.layers
    diagnosis = diagnose(evidence)
    known = FAILING | dict.fromkeys(ENLARGED, "data-enlarged")
    assert next((finding.cause for finding in diagnosis.findings), None) == known.get(name)
    healthy = "not-judged" if name in SHORT else "healthy"
    assert diagnosis.outcome == ("cause-found" if name in known else healthy)
    assert any("still improving" in text for text in diagnosis.missing) == (name in SHORT)


def test_it_is_there_once_and_comes_back_after_a_deletion(database: Database) -> None:
    name = recorded_runs.names()[0]
    assert name in recorded_runs.missing(database)
    first = recorded_runs.add(database, name)
    assert recorded_runs.add(database, name) == first
    assert name not in recorded_runs.missing(database)
    tracking.delete_run(database, first)
    assert name in recorded_runs.missing(database)
    assert recorded_runs.add(database, name) == first
    assert [run.id for run in tracking.list_runs(database)] == [first]


def test_what_there_is_not_is_said(database: Database) -> None:
    listed = ", ".join(recorded_runs.names())
    with pytest.raises(recorded_runs.UnknownRecordedRunError, match=f"there is: {listed}"):
        recorded_runs.add(database, "nothing")


def test_a_run_is_packed_with_its_curves_and_newest_records(database: Database, tmp_path: Path) -> None:
    run = trained(database)
    words: dict[str, Any] = {
        "title": "A run",
        "dataset": "digits",
        "data": "digits",
        "command": "cnnviz train",
    }
    with database.write() as session:
        for kind in ("fixed_images", "fixed_predictions"):
            session.add(RecordRow(run_id=run, kind=kind, attempt=1, step=0, epoch=0.0, body="[]", time=0.0))
    packed = package_run(database, run, **words)
    known = tracking.get_run(database, run)
    assert set(packed["curves"]) == set(known.metrics)
    for name, points in packed["curves"].items():
        assert len(points) <= POINTS
        assert points[-1][0] == known.metrics[name].last_step
    assert packed["recipe"]["dataset"] == "digits"
    without = package_run(database, run, **words, images=False)
    kinds, others = ({record[0] for record in document["records"]} for document in (packed, without))
    assert kinds - others == {"fixed_images", "fixed_predictions"}
    assert write(packed, tmp_path / "run.json.gz") == (tmp_path / "run.json.gz").stat().st_size
    with pytest.raises(ValueError, match="says something of this machine"):
        write(packed, tmp_path / "run.json.gz", ["A run"])
    queued = tracking.create_run(database, {}, model="lenet5", dataset="digits", seed=0)
    with pytest.raises(ValueError, match="a recorded run is a finished one"):
        package_run(database, queued.id, **words)


def test_floats_are_rounded_wherever_they_stand() -> None:
    assert rounded({"a": [0.123456789, 1, "x", None, True]}) == {"a": [0.12346, 1, "x", None, True]}


def test_the_command_lists_and_adds(capsys: pytest.CaptureFixture[str]) -> None:
    name = recorded_runs.names()[0]
    assert main(["runs", "recorded"]) == 0
    assert name in capsys.readouterr().out
    assert main(["runs", "recorded", name]) == 0
    assert capsys.readouterr().out == f"Run 1: {recorded_runs.describe(name).title}.\n"
