"""A result as a table and as CSV."""

import csv
import io

import pytest

from cnnviz.experiments import result, start
from cnnviz.experiments.recordings import recording
from cnnviz.experiments.results import cells, to_csv
from cnnviz.tracking import Database
from tests.experiments.making import NORMALISING, end_all

BASE, ARM = NORMALISING.names


def test_a_line_for_each_arm_with_the_difference_to_the_base(database: Database) -> None:
    number = start(database, NORMALISING)
    end_all(database, number, {BASE: [0.80, 0.84, 0.82], ARM: [0.90, 0.95, 0.94]})
    head, lines = cells(result(database, number))
    assert head == ("condition", "n", "test accuracy", "difference", "seconds a run")
    assert lines[0][:4] == (BASE, "3", "82.00 %", "—")
    assert lines[1][:4] == (ARM, "3", "93.00 %", "+11.0 ± 2.5")


def test_a_recorded_result_tells_no_times() -> None:
    head, _ = cells(recording("normalising").result)
    assert "seconds a run" not in head


@pytest.mark.parametrize(("name", "told"), [("model-size", True), ("normalising", False)])
def test_parameters_have_a_column_where_arms_differ_in_them(name: str, told: bool) -> None:
    head, lines = cells(recording(name).result)
    assert ("parameters" in head) == told
    assert {len(line) for line in lines} == {len(head)}


def test_csv_has_a_line_for_each_run_missing_ones_too(database: Database) -> None:
    number = start(database, NORMALISING)
    rows = list(csv.DictReader(io.StringIO(to_csv(result(database, number)))))
    assert len(rows) == 6
    assert {row["status"] for row in rows} == {"queued"}
    assert [row["seed"] for row in rows] == ["0", "1", "2"] * 2
