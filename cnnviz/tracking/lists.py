"""What a table of many runs shows besides the runs themselves; each a query, however many they are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import func, select

from cnnviz.tracking.database import Database
from cnnviz.tracking.tables import CheckpointRow, MetricRow, RunRow, SeriesRow, StatusRow


def stamp(database: Database) -> tuple[Any, ...]:
    """What changes when a run is made, goes on, changes its state, is deleted or brought back.

    It costs milliseconds, so that a list is read again only when it would be another. New notes, tags and
    names do not change it.
    """
    runs = select(func.count(RunRow.id), func.count(RunRow.deleted_at), func.max(RunRow.deleted_at))
    with database.read() as session:
        newest = (session.scalar(select(func.max(table.id))) for table in (StatusRow, MetricRow))
        return (*session.execute(runs).one(), *newest)


def metric_names(database: Database) -> list[str]:
    """Every metric that any run has logged, in alphabetical order."""
    with database.read() as session:
        return sorted(session.scalars(select(SeriesRow.name).distinct()).all())


def checkpoint_bytes(database: Database) -> dict[int, int]:
    """`{run: bytes of its checkpoints}` as they were noted, of the runs that have any.

    No folder is looked into: that is what `disk_bytes` does, for one run.
    """
    query = select(CheckpointRow.run_id, func.sum(CheckpointRow.bytes)).group_by(CheckpointRow.run_id)
    with database.read() as session:
        return {run_id: int(size) for run_id, size in session.execute(query)}


def recipes(database: Database, ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """`{run: recipe}` of the runs of these numbers that there are."""
    query = select(RunRow.id, RunRow.recipe)
    # More numbers than a query may have parameters: all are read then.
    if len(ids) <= 1_000:
        query = query.where(RunRow.id.in_(ids))
    with database.read() as session:
        found = session.connection().execute(query).all()
    wanted = set(ids)
    return {run_id: recipe for run_id, recipe in found if run_id in wanted}
