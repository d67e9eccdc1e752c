"""Data are called by their name wherever they are shown; a path stands in the recipe only (R10)."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from cnnviz import tracking
from cnnviz.tracking import Database, data_name
from cnnviz.tracking.tables import RunRow


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("mnist", "mnist"),
        ("mine/cats", "mine/cats"),
        ("owner/name:part", "owner/name:part"),
        ("/a/b/mnist", "mnist"),
        ("/a/b/mnist/", "mnist"),
        ("/a/pets.zip", "pets"),
        ("./pets.parquet", "pets"),
        ("~/pets.v2", "pets.v2"),
        (r"C:\data\pets", "pets"),
        ("/", "/"),
    ],
)
def test_data_are_called_by_the_last_part_of_their_path(stated: str, name: str) -> None:
    assert data_name(stated) == name


def made(database: Database, dataset: str, name: str = "") -> tracking.Run:
    recipe = {"dataset": dataset}
    return tracking.create_run(database, recipe, model="lenet5", dataset=dataset, seed=0, name=name)


def test_a_run_is_called_by_its_data_and_keeps_the_path_in_its_recipe(database: Database) -> None:
    run = made(database, "/secret/place/mnist")
    assert (run.name, run.data) == ("lenet5 on mnist", "mnist")
    assert run.recipe["dataset"] == run.dataset == "/secret/place/mnist"
    told = tracking.report(database, run.id)
    assert told["dataset"] == "mnist"
    assert "/secret" not in str({key: value for key, value in told.items() if key != "recipe"})


def test_other_data_of_the_same_name_are_told_apart_by_the_folder_above(database: Database) -> None:
    names = [made(database, path).name for path in ("/a/mnist", "/b/mnist", "/a/mnist", "mnist")]
    assert names == ["lenet5 on mnist", "lenet5 on mnist (b)", "lenet5 on mnist (a)", "lenet5 on mnist"]


def test_a_name_that_somebody_gave_stays(database: Database) -> None:
    assert made(database, "/a/mnist", "lenet5 at home").name == "lenet5 at home"


def test_old_runs_are_shown_by_the_datas_name_without_being_rewritten(database: Database) -> None:
    run = made(database, "/a/mnist")
    old = "lenet5 on /a/mnist"
    with database.write() as session:
        session.execute(update(RunRow).values(name=old))
    assert tracking.get_run(database, run.id).name == "lenet5 on mnist"
    assert [one.name for one in tracking.list_runs(database)] == ["lenet5 on mnist"]
    with database.read() as session:
        row = session.get(RunRow, run.id)
        assert row is not None
        assert row.name == old
