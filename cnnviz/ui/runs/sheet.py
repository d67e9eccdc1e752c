"""The list as a file: every run that is listed, with exact figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cnnviz.formats.csv_text import csv_text
from cnnviz.ui.runs.store import SPEED

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

HEAD = (
    *("run", "name", "status", "model", "data", "seed", "epochs", "metric", "last", "best", "best at step"),
    *("seconds", "images per second", "parameters", "checkpoint bytes", "begun (UTC)", "tags", "notes"),
)


def to_csv(runs: Sequence[RunSummary], metric: str, disk: Mapping[int, int]) -> str:
    """CSV with a line a run in the order given; empty where a run has no such value, or it was NaN."""
    return csv_text(HEAD, (_row(run, metric, disk) for run in runs))


def _row(run: RunSummary, metric: str, disk: Mapping[int, int]) -> tuple[object, ...]:
    found, speed = run.metrics.get(metric), run.metrics.get(SPEED)
    begun = "" if run.began is None else datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds")
    return (
        run.id, run.name, run.status.value, run.model, run.data, run.seed, run.epoch, metric,
        found and found.last, found and found.best, found and found.best_step, round(run.seconds, 3),
        speed and speed.last, run.params, disk.get(run.id, 0), begun, " ".join(run.tags), run.notes,
    )  # fmt: skip
