"""Experiments in the run database: queued, extended, stopped, and judged with what is missing told."""

import pytest

from cnnviz import tracking
from cnnviz.experiments import Cell, Condition, Experiment, extend, get, list_all, queue, result, start, stop
from cnnviz.tracking import Database, NoSuchExperimentError, Status
from tests.experiments.making import NORMALISING, end_all, end_run

BASE, ARM = NORMALISING.names


def test_runs_are_queued_in_pairs_and_bear_a_tag(database: Database) -> None:
    number = start(database, NORMALISING)
    runs = tracking.list_runs(database)[::-1]
    assert [(run.seed, run.name, run.tags) for run in runs[:2]] == [
        (0, f"normalising: {BASE}", ["experiment 1"]),
        (0, f"normalising: {ARM}", ["experiment 1"]),
    ]
    assert len(runs) == 6
    assert get(database, number).waiting() == list(NORMALISING.cells())
    assert [stored.id for stored in list_all(database)] == [number]


def test_what_cannot_be_trained_is_refused_before_anything_is_written(database: Database) -> None:
    other = NORMALISING.model_copy(
        update={"conditions": (Condition(name="elsewhere", changes={"dataset": "digitz"}),)}
    )
    with pytest.raises(ValueError, match="digits"):
        start(database, other)
    assert tracking.list_experiments(database) == []
    assert tracking.list_runs(database) == []


def test_the_answer_is_of_last_epochs_and_paired(database: Database) -> None:
    number = start(database, NORMALISING)
    end_all(database, number, {BASE: [0.80, 0.84, 0.82], ARM: [0.90, 0.95, 0.94]})
    results = result(database, number)
    base, arm = results.conditions
    assert base.mean == pytest.approx(0.82)
    assert base.difference is None
    assert arm.difference is not None
    assert arm.difference.mean == pytest.approx(0.11)
    # Differences 10, 11, 12 points: s = 1, t(2) = 4.303, 4.303/√3 = 2.48.
    assert results.verdict == "normalizing the input: +11.0 ± 2.5 points at 5 epochs, n = 3."
    assert arm.changes == "scale unit → standardized"
    assert results.complete


def test_failed_and_missing_runs_are_told_and_their_pairs_left_out(database: Database) -> None:
    number = start(database, NORMALISING)
    runs = get(database, number).runs
    ids = {cell: run.id for cell, run in runs.items() if run is not None}
    end_run(database, ids[Cell(BASE, 0)], 0.8)
    end_run(database, ids[Cell(ARM, 0)], 0.9)
    end_run(database, ids[Cell(BASE, 1)], 0.8)
    end_run(database, ids[Cell(ARM, 1)], None, Status.FAILED, "The loss is no longer a finite number.")
    tracking.delete_run(database, ids[Cell(BASE, 2)])
    results = result(database, number)
    assert results.verdict.startswith(
        "So far, 3 of 6 runs: normalizing the input: +10.0 points at 5 epochs, n = 1;"
    )
    assert any("seed 1 (run 4): failed (The loss is no longer" in note for note in results.notes)
    assert any("seed 2: no run" in note for note in results.notes)
    assert not results.complete
    assert get(database, number).broken() == [Cell(ARM, 1), Cell(BASE, 2)]
    assert sorted(queue(database, number)) == [ids[Cell(ARM, 1)], 7]
    assert get(database, number).broken() == []


def test_a_run_that_is_deleted_for_good_leaves_its_place(database: Database) -> None:
    number = start(database, NORMALISING)
    run = get(database, number).runs[Cell(ARM, 2)]
    assert run is not None
    tracking.delete_run(database, run.id)
    tracking.purge_runs(database)
    assert get(database, number).runs[Cell(ARM, 2)] is None
    assert result(database, number).conditions[1].outcomes[2].status == "missing"


def test_more_seeds_and_a_stop(database: Database) -> None:
    number = start(database, NORMALISING)
    assert len(extend(database, number, 2)) == 4
    assert get(database, number).experiment.seeds == (0, 1, 2, 3, 4)
    stop(database, number)
    assert {run.status for run in tracking.list_runs(database)} == {Status.STOPPED}
    assert result(database, number).verdict.startswith("Incomplete, 0 of 10 runs")
    assert len(queue(database, number)) == 10


def test_several_arms_share_the_chance_of_error(database: Database) -> None:
    arms = (*NORMALISING.conditions, Condition(name="raw", changes={"scale": "raw"}))
    number = start(database, Experiment.of(**{**dict(NORMALISING), "conditions": arms}))
    values = {BASE: [0.80, 0.84, 0.82], ARM: [0.90, 0.95, 0.94], "raw": [0.80, 0.84, 0.82]}
    end_all(database, number, values)
    results = result(database, number)
    # t(2) at 97.5 %, both sides: 6.205; 6.205/√3 = 3.58.
    assert "normalizing the input: +11.0 ± 3.6 points" in results.verdict
    assert "raw: 0.0 points at 5 epochs in each of 3 pairs; without any spread" in results.verdict
    assert any("Bonferroni" in note for note in results.notes)


def test_arms_of_different_data_are_warned_of(database: Database) -> None:
    arms = (Condition(name="shapes", changes={"dataset": "shapes"}),)
    number = start(database, Experiment.of(**{**dict(NORMALISING), "conditions": arms}))
    assert any("different test images" in note for note in result(database, number).notes)
    plain = start(database, NORMALISING)
    assert not any("different test images" in note for note in result(database, plain).notes)


def test_an_unknown_number_is_told(database: Database) -> None:
    with pytest.raises(NoSuchExperimentError, match="no experiment 7"):
        result(database, 7)
