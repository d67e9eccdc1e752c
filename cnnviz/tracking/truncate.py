"""Void what was logged after a step: part of the transaction in which a run begins again."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from cnnviz.tracking.tables import CheckpointRow, MetricRow, RecordRow, SeriesRow


def truncate(session: Session, run_id: int, step: int) -> None:
    """Delete the metric rows, records and checkpoints of a run after `step`, and mend the summaries."""
    late = select(SeriesRow).where(SeriesRow.run_id == run_id, SeriesRow.last_step > step)
    for series in session.scalars(late).all():
        session.execute(delete(MetricRow).where(MetricRow.series_id == series.id, MetricRow.step > step))
        _summarise(session, series)
    for table in (RecordRow, CheckpointRow):
        session.execute(delete(table).where(table.run_id == run_id, table.step > step))


def _summarise(session: Session, series: SeriesRow) -> None:
    of_series = MetricRow.series_id == series.id
    count, last_step, low, high = session.execute(
        select(
            func.count(), func.max(MetricRow.step), func.min(MetricRow.value), func.max(MetricRow.value)
        ).where(of_series)
    ).one()
    if not count:
        session.delete(series)
        return

    def first(value: float | None) -> int | None:
        if value is None:
            return None
        return session.scalar(select(func.min(MetricRow.step)).where(of_series, MetricRow.value == value))

    series.count, series.last_step = count, last_step
    series.last = session.scalar(select(MetricRow.value).where(of_series, MetricRow.step == last_step))
    series.low, series.low_step = low, first(low)
    series.high, series.high_step = high, first(high)
