"""Which runs are listed, in what order, and what the table says of them."""

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.tracking import MetricSummary, Status
from cnnviz.ui.pages.runs import page, state
from cnnviz.ui.pages.runs.rows import distinctions, filter_runs, page_count, payload, sort_runs
from cnnviz.ui.pages.runs.state import COLUMNS, Filters, PageState
from tests.ui.pages.runs.making import listing, summary

RUNS = listing(
    summary(1, accuracy=0.9, tags=["paper"], notes="Wider kernels."),
    summary(2, accuracy=0.95, model="alexnet", dataset="/data/mine"),
    summary(3, status=Status.FAILED, error="Out of memory", params=None, began=None),
    disk={1: 2048, 2: 5},
)


def asked(**changes: Any) -> PageState:
    return state.read(changes, [])


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [3, 2, 1]),
        ({"status": "failed,stopped"}, [3]),
        ({"of": "alexnet"}, [2]),
        ({"on": "/data/mine"}, [2]),
        ({"tag": "paper"}, [1]),
        ({"find": "KERNELS wider"}, [1]),
        ({"find": "memory"}, [3]),
        ({"find": "2"}, [2]),
        ({"of": "lenet5", "find": "nothing"}, []),
    ],
)
def test_filters_leave_what_they_name(filters: dict[str, str], found: list[int]) -> None:
    wanted = asked(**filters)
    assert [run.id for run in filter_runs(RUNS, wanted.filters)] == found
    assert wanted.filters.any == bool(filters)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_column_sorts_and_what_has_no_value_comes_last(column: str, sign: str) -> None:
    wanted = asked(sort=f"{sign}{column}")
    ids = [run.id for run in sort_runs(RUNS.runs, wanted, RUNS.disk)]
    assert sorted(ids) == [1, 2, 3]
    if column in ("last", "best", "params", "disk", "begun", "time"):
        assert ids[-1] == 3


def test_best_of_a_loss_is_the_lowest() -> None:
    loss = MetricSummary("test/loss", 2, 0.5, 9, 0.25, 3, 2.0, 1)
    run = replace(summary(1), metrics={"test/loss": loss})
    shown = payload([run], asked(metric="test/loss"), {}, 1)["rows"][0]
    assert (shown["last"], shown["best"]) == ("0.5000", "0.2500")


def test_runs_of_one_name_are_told_apart_by_what_differs() -> None:
    runs = [replace(summary(number), name="lenet5 on digits") for number in (1, 2, 3)]
    recipes = {
        1: {"model": "lenet5", "lr": 0.02, "seed": 0},
        2: {"model": "lenet5", "lr": 0.02, "seed": 1, "epochs": 3, "momentum": 0.5},
        3: {"model": "alexnet", "lr": 0.1, "batch_size": 7},
    }
    assert distinctions(runs[:1], recipes) == {1: ""}
    assert distinctions(runs[:2], recipes)[1] == "epochs 10, momentum 0.9, seed 0"
    assert distinctions(runs, recipes)[3] == "epochs 10, batch size 7, lr 0.1, 2 more"
    rows = payload(runs, asked(), {}, 3, recipes)["rows"]
    assert [row["differs"] for row in rows] == list(distinctions(runs, recipes).values())
    assert distinctions([replace(runs[0], name="another"), *runs[1:]], recipes)[1] == ""


def test_the_options_of_a_model_distinguish_runs_by_their_own_names() -> None:
    recipes = {1: {"lr": 0.1, "options": {}}, 2: {"lr": 0.1, "options": {"activation": "tanh"}}}
    runs = [replace(summary(run), name="lenet5 on digits") for run in recipes]
    assert distinctions(runs, recipes) == {1: "default options", 2: "activation tanh"}


def test_a_row_says_what_a_run_is() -> None:
    data = payload(RUNS.runs, asked(runs="2,7"), RUNS.disk, 3)
    by_id = {row["id"]: row for row in data["rows"]}
    assert by_id[1]["last"] == "90.00 %"
    assert by_id[1]["best"] == "91.00 %"
    assert by_id[1]["disk"] == "2.00 KiB"
    assert by_id[2]["data"] == "mine"
    assert by_id[3]["state"] == "failed, epoch 3 of 3"
    assert (by_id[3]["params"], by_id[3]["time"], by_id[3]["last"]) == ("—", "—", "—")
    assert data["chosen"] == [2, 7]
    assert data["said"] == "3 runs"
    assert payload(RUNS.runs, asked(), RUNS.disk, 40)["said"] == "3 runs of 40"
    assert payload(RUNS.runs, asked(), RUNS.disk, 10_000)["said"] == "3 runs of the newest 10,000"
    many = [summary(number) for number in range(1, 10_001)]
    assert payload(many, asked(), {}, 10_000)["said"] == "1–100 of the newest 10,000 runs"
    assert set(by_id[1]) >= {column["key"] for column in data["columns"]}


def test_columns_are_chosen_and_runs_of_an_experiment_name_their_group() -> None:
    runs = [summary(1, tags=["paper", "experiment 7"]), summary(2, tags=["experiments"])]
    data = payload(runs, asked(columns="last,begun"), {}, 2)
    assert [column["key"] for column in data["columns"]] == ["id", "name", "last", "begun"]
    assert [row["group"] for row in data["rows"]] == ["experiment 7", ""]
    problems: list[str] = []
    assert state.read({"columns": "last,weight"}, problems).columns == ("id", "name", "last")
    assert "“columns” cannot hold “weight”" in problems[0]
    assert asked().columns == COLUMNS


def test_nan_is_said() -> None:
    accuracy = MetricSummary("test/accuracy", 1, None, 9, None, None, None, None)
    run = replace(summary(1), metrics={"test/accuracy": accuracy})
    assert payload([run], asked(), {}, 1)["rows"][0]["last"] == "NaN"


@settings(max_examples=20)
@given(st.integers(1, 450), st.integers(1, 400))
def test_pages_show_every_run_once(count: int, page: int) -> None:
    runs = [summary(i) for i in range(1, count + 1)]
    shown = [row["id"] for p in range(1, page_count(count) + 1)
             for row in payload(runs, asked(page=str(p)), {}, count)["rows"]]  # fmt: skip
    assert shown == [run.id for run in runs]
    beyond = payload(runs, asked(page=str(page)), {}, count)
    assert 1 <= beyond["page"] <= beyond["pages"]
    assert beyond["rows"]


def test_the_list_as_a_file_has_exact_figures() -> None:
    text = page.to_csv(RUNS.runs, "test/accuracy", RUNS.disk)
    lines = {line["run"]: line for line in csv.DictReader(io.StringIO(text))}
    assert (lines["1"]["last"], lines["1"]["best"], lines["1"]["checkpoint bytes"]) == ("0.9", "0.91", "2048")
    assert (lines["3"]["last"], lines["3"]["begun (UTC)"], lines["3"]["parameters"]) == ("", "", "")
    assert lines["1"]["begun (UTC)"] == "1970-01-01T00:00:01+00:00"


def test_no_filter_is_none() -> None:
    assert not Filters().any
