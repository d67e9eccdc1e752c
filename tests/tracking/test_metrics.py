"""Metric rows and records: the cursor, summaries, resumption."""

import math
from typing import Any

import numpy as np
import pytest

from cnnviz import tracking
from cnnviz.tracking import Database, NoSuchRunError, Restart, Status
from cnnviz.tracking.metrics import append
from cnnviz.tracking.records import EncodedRecord, encode
from tests.tracking.making import begin, create, log, resume


def rows(database: Database, run_id: int) -> list[tuple[str, int, float]]:
    return [(row.name, row.step, row.value) for row in tracking.read_metrics(database, run_id).rows]


def structure(kind: str, step: int, body: Any) -> EncodedRecord:
    return EncodedRecord(kind, step, 0.0, encode(body), 5.0)


def test_a_cursor_reads_every_row_once(database: Database) -> None:
    lease = begin(database)
    log(database, lease, "a", [(step, step) for step in range(5)])
    first = tracking.read_metrics(database, lease.run_id, limit=3)
    assert [row.step for row in first.rows] == [0, 1, 2]
    assert first.more
    second = tracking.read_metrics(database, lease.run_id, first.cursor, 3)
    assert [row.step for row in second.rows] == [3, 4]
    assert not second.more
    assert tracking.read_metrics(database, lease.run_id, second.cursor) == (
        [],
        second.cursor,
        second.restarts,
        False,
    )
    log(database, lease, "b", [(0, 1.5)])
    (row,) = tracking.read_metrics(database, lease.run_id, second.cursor).rows
    assert (row.name, row.step, row.epoch, row.value, row.attempt) == ("b", 0, 0.0, 1.5, 1)


def test_runs_do_not_see_each_others_rows(database: Database) -> None:
    one, two = begin(database), begin(database, "cuda:0")
    log(database, one, "a", [(0, 1.0)])
    log(database, two, "a", [(0, 2.0)])
    log(database, one, "a", [(1, 3.0)])
    assert rows(database, one.run_id) == [("a", 0, 1.0), ("a", 1, 3.0)]
    assert rows(database, two.run_id) == [("a", 0, 2.0)]


def test_what_is_not_a_number_comes_back_as_it_was(database: Database) -> None:
    lease = begin(database)
    log(database, lease, "loss", [(0, 1.0), (1, math.inf), (2, -math.inf), (3, math.nan)])
    values = [row.value for row in tracking.read_metrics(database, lease.run_id).rows]
    assert values[:3] == [1.0, math.inf, -math.inf]
    assert math.isnan(values[3])
    summary = tracking.get_run(database, lease.run_id).metrics["loss"]
    assert (summary.last, summary.low, summary.high, summary.rows) == (None, -math.inf, math.inf, 4)


def test_the_best_value_is_the_smallest_loss_and_the_largest_accuracy(database: Database) -> None:
    lease = begin(database)
    log(database, lease, "val/loss", [(0, 2.0), (1, 1.0)])
    log(database, lease, "val/loss", [(2, 1.0), (3, 3.0)])
    log(database, lease, "val/accuracy", [(1, 0.5), (2, 0.9), (3, 0.7)])
    metrics = tracking.get_run(database, lease.run_id).metrics
    assert (metrics["val/loss"].best, metrics["val/loss"].best_step) == (1.0, 1)
    assert (metrics["val/accuracy"].best, metrics["val/accuracy"].best_step) == (0.9, 2)
    assert (metrics["val/accuracy"].last, metrics["val/accuracy"].last_step) == (0.7, 3)


def test_steps_rise(database: Database) -> None:
    lease = begin(database)
    log(database, lease, "a", [(3, 1.0)])
    for wrong in ([(3, 1.0)], [(2, 1.0)], [(4, 1.0), (4, 1.0)]):
        with pytest.raises(ValueError, match=r"a was logged at step \d and then at step \d; steps rise"):
            log(database, lease, "a", wrong)
    assert rows(database, lease.run_id) == [("a", 3, 1.0)]


def test_resuming_deletes_what_came_after_the_checkpoint(database: Database) -> None:
    lease = begin(database)
    log(database, lease, "loss", [(0, 5.0), (10, 1.0), (20, 9.0), (30, 0.5)])
    log(database, lease, "late", [(30, 1.0)])
    append(database, lease, structures=[structure("confusion", step, {"at": step}) for step in (10, 20)])
    tracking.add_checkpoint(database, lease, "last", "last.safetensors", 15, 1.5, 100)
    tracking.add_checkpoint(database, lease, "best", "best.safetensors", 30, 3.0, 100)
    seen = tracking.read_metrics(database, lease.run_id).cursor
    lease = resume(database, lease, from_step=15)
    assert rows(database, lease.run_id) == [("loss", 0, 5.0), ("loss", 10, 1.0)]
    run = tracking.get_run(database, lease.run_id)
    assert run.metrics == {"loss": ("loss", 2, 1.0, 10, 1.0, 10, 5.0, 0)}
    assert run.step == 15
    assert [record.step for record in tracking.read_records(database, run.id, "confusion")] == [10]
    assert list(tracking.checkpoints(database, run.id)) == ["last"]
    log(database, lease, "loss", [(20, 8.0)])
    page = tracking.read_metrics(database, run.id, seen)
    assert [(row.step, row.value, row.attempt) for row in page.rows] == [(20, 8.0, 2)]
    assert page.restarts == (Restart(1, -1), Restart(2, 15))
    assert tracking.void_after(page.restarts, 1) == 15
    assert tracking.void_after(page.restarts, 2) == math.inf


def test_summaries_are_mended_where_nothing_was_a_number(database: Database) -> None:
    lease = begin(database)
    log(database, lease, "loss", [(0, math.nan), (1, 2.0)])
    lease = resume(database, lease, from_step=0)
    assert tracking.get_run(database, lease.run_id).metrics == {"loss": ("loss", 1, None, 0, *[None] * 4)}


def test_records_come_back_as_json(database: Database) -> None:
    lease = begin(database)
    body = {"matrix": np.eye(2, dtype=np.int64), "mean": np.float32(0.5), "gap": math.nan, 3: "three"}
    append(database, lease, structures=[structure("confusion", 1, body), structure("other", 2, [1])])
    found = tracking.latest_record(database, lease.run_id, "confusion")
    assert found is not None
    assert found.body == {"matrix": [[1, 0], [0, 1]], "mean": 0.5, "gap": None, "3": "three"}
    assert (found.step, found.attempt, found.time) == (1, 1, 5.0)
    assert tracking.read_records(database, lease.run_id, "confusion", after_id=found.id) == []
    assert tracking.latest_record(database, lease.run_id, "none") is None


@pytest.mark.parametrize(
    ("body", "sentence"), [({1, 2}, "JSON can hold"), ("x" * 2**24, "at most 16,777,216")]
)
def test_a_record_that_cannot_be_kept_is_refused(body: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        encode(body)


def test_a_run_without_rows_and_one_that_is_not_there(database: Database) -> None:
    run = create(database)
    assert tracking.read_metrics(database, run.id) == ([], 0, (), False)
    with pytest.raises(NoSuchRunError):
        tracking.read_metrics(database, run.id + 1)


def test_a_failed_batch_leaves_nothing(database: Database) -> None:
    lease = begin(database)
    with pytest.raises(ValueError, match="steps rise"):
        log(database, lease, "a", [(1, 1.0), (2, 1.0), (2, 1.0)])
    assert rows(database, lease.run_id) == []
    assert tracking.get_run(database, lease.run_id).metrics == {}
    tracking.end(database, lease, Status.FINISHED)
