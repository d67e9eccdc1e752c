"""What a reader holds equals what the database holds, however it got there; spikes survive."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz import tracking
from cnnviz.tracking import Curves, Database, NoSuchRunError, curves, sample_metric
from cnnviz.tracking.curves import buckets_for, decimate
from tests.tracking.making import begin, create, log, resume

VALUES = st.floats(width=16, allow_infinity=True, allow_nan=True)


def held(found: Curves) -> dict[str, list[tuple[int, float]]]:
    return {
        curve.name: list(zip(curve.steps.tolist(), curve.values.tolist(), strict=True)) for curve in found
    }


@given(st.lists(VALUES, min_size=1, max_size=120), st.integers(4, 20), st.integers(1, 7), st.integers(0, 50))
@settings(max_examples=settings().max_examples // 2)
def test_the_database_and_the_memory_choose_the_same_points(
    sampled: Database, values: list[float], points: int, stride: int, start: int
) -> None:
    steps = [start + index * stride for index in range(len(values))]
    lease = begin(sampled, device=str(len(tracking.list_runs(sampled))))
    log(sampled, lease, "loss", zip(steps, values, strict=True))
    curve = sample_metric(sampled, lease.run_id, "loss", points)
    kept = decimate(np.array(steps), np.array(values), points)
    assert curve.steps.tolist() == np.array(steps)[kept].tolist()
    np.testing.assert_array_equal(curve.values, np.array(values)[kept])
    real = np.array(values)[~np.isnan(values)]
    if len(real):
        assert (np.nanmin(curve.values), np.nanmax(curve.values)) == (real.min(), real.max())
    assert {steps[0], steps[-1]} <= set(curve.steps.tolist())
    assert (~np.isnan(curve.values)).sum() <= max(points, 4)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = tracking.connect(f"sqlite:///{tmp_path_factory.mktemp('sampled')}/runs.sqlite")
    yield database
    database.close()


def test_one_spike_among_many_points_survives_on_every_database(database: Database) -> None:
    lease = begin(database)
    values = [1.0] * 5_000
    values[1234], values[4321] = 99.0, math.nan
    log(database, lease, "loss", enumerate(values))
    curve = sample_metric(database, lease.run_id, "loss", 100)
    assert len(curve) <= 101
    assert (1234, 99.0) in zip(curve.steps.tolist(), curve.values.tolist(), strict=True)
    assert np.isnan(curve.values[curve.steps == 4321]).all()
    assert curve.epochs.tolist() == (curve.steps / 10).tolist()
    zoomed = sample_metric(database, lease.run_id, "loss", 4, first=1230, last=1240)
    assert zoomed.steps.tolist() == [1230, 1234, 1240]
    assert len(sample_metric(database, lease.run_id, "loss", first=6_000)) == 0
    assert len(sample_metric(database, lease.run_id, "none")) == 0


def test_nothing_to_choose_from() -> None:
    assert decimate(np.array([], np.int64), np.array([])).tolist() == []
    assert buckets_for(0) == 1


def test_a_refresh_reads_what_is_new_and_drops_what_is_void(database: Database) -> None:
    lease = begin(database)
    reader, late = Curves(database, lease.run_id), Curves(database, lease.run_id)
    assert not late.refresh()
    log(database, lease, "loss", [(1, 1.0), (2, 2.0), (3, 3.0)])
    assert reader.refresh()
    assert not reader.refresh()
    lease = resume(database, lease, from_step=2)
    log(database, lease, "loss", [(3, 30.0), (4, 4.0)])
    log(database, lease, "val", [(4, 0.5)])
    lease = resume(database, lease, from_step=3)
    wanted = {"loss": [(1, 1.0), (2, 2.0), (3, 30.0)]}
    for curves_ in (reader, late):
        assert curves_.refresh()
        assert held(curves_) == wanted
        assert curves_.names() == ["loss"]
    log(database, lease, "loss", [(4, 40.0)])
    assert reader.refresh()
    assert reader["loss"].values.tolist() == [1.0, 2.0, 30.0, 40.0]
    assert [curve.name for curve in reader] == ["loss"]
    assert len(reader["never logged"]) == 0


def test_a_long_past_comes_down_sampled_and_the_rest_row_by_row(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "MAX_ROWS", 1_000)
    lease = begin(database)
    log(database, lease, "loss", [(step, math.sin(step)) for step in range(3_000)])
    reader = Curves(database, lease.run_id, points=50)
    assert reader.refresh()
    assert len(reader["loss"]) <= 50
    log(database, lease, "loss", [(3_000, 77.0), (3_001, 0.0)])
    assert reader.refresh()
    assert reader["loss"].steps.tolist()[-2:] == [3_000, 3_001]
    log(database, lease, "loss", [(step, 0.0) for step in range(3_002, 3_200)])
    assert reader.refresh()
    assert len(reader["loss"]) <= 100
    assert 77.0 in reader["loss"].values
    resume(database, lease, from_step=2_000)
    assert reader.refresh()
    assert reader["loss"].steps.max() <= 2_000


def test_a_resumption_while_the_past_is_read_begins_anew(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "MAX_ROWS", 100)
    lease = begin(sqlite)
    log(sqlite, lease, "loss", [(step, 1.0) for step in range(500)])
    again = [lease]

    def interrupted(*arguments: object, **options: object) -> object:
        if len(again) == 1:
            again.append(resume(sqlite, lease, from_step=300))
            log(sqlite, again[1], "loss", [(step, 2.0) for step in range(301, 480)])
        return sample_metric(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(curves, "sample_metric", interrupted)
    reader = Curves(sqlite, lease.run_id, points=10)
    reader.refresh()
    steps = reader["loss"].steps
    assert (np.diff(steps) > 0).all()
    assert steps[-1] == 479
    assert set(reader["loss"].values[steps > 300].tolist()) == {2.0}


def test_a_reader_of_nothing(sqlite: Database) -> None:
    assert not Curves(sqlite, create(sqlite).id).refresh()
    with pytest.raises(NoSuchRunError):
        Curves(sqlite, 99).refresh()


def test_a_curve_is_read_from_its_index_alone(
    tmp_path: Path, open_database: Callable[[str], Database]
) -> None:
    database = open_database(f"sqlite:///{tmp_path}/plan.sqlite")
    with database.read() as session:
        plan = session.connection().exec_driver_sql(
            "EXPLAIN QUERY PLAN "
            "SELECT min(value), max(value) FROM metrics WHERE series_id = 1 GROUP BY step / 9"
        )
        assert "COVERING INDEX ix_metrics_curve" in " ".join(str(line) for line in plan.all())
