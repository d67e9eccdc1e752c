"""All that a report tells, read from the run database at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnviz.figures.confusion import Counts

if TYPE_CHECKING:
    from cnnviz.tracking import Checkpoint, Curve, Database, Restart, Run, StatusChange

POINTS = 400
"""Of a curve: a report is a few hundred kilobytes, however long the run."""


@dataclass(frozen=True)
class Told:
    """A run and what belongs to it."""

    run: Run
    curves: Mapping[str, Curve]
    history: Sequence[StatusChange]
    restarts: Sequence[Restart]
    checkpoints: Mapping[str, Checkpoint]
    disk: int
    """Bytes of its files on this machine."""
    matrix: Counts | None
    """The newest of the test images, `(K, K)`."""
    classes: Sequence[str]
    data: Mapping[str, Any]
    """The record `data`; empty where there is none."""
    pictures: Sequence[Mapping[str, Any]]
    """The record `fixed_images`."""
    answers: Mapping[int, Sequence[Sequence[float]]]
    """By a picture's index: the newest likeliest classes, each with its probability."""


def gather(database: Database, run_id: int) -> Told:
    """Read it; raises `NoSuchRunError`."""
    import numpy as np

    from cnnviz import tracking

    run = tracking.get_run(database, run_id)

    def newest(kind: str, otherwise: Any) -> Any:
        record = tracking.latest_record(database, run_id, kind)
        return otherwise if record is None else record.body

    data = newest("data", {})
    body = newest("test/confusion", None)
    matrix = None if body is None else np.asarray(body, np.int64)
    return Told(
        run=run,
        curves={name: tracking.sample_metric(database, run_id, name, POINTS) for name in run.metrics},
        history=tracking.history(database, run_id),
        restarts=tracking.read_metrics(database, run_id, limit=1).restarts,
        checkpoints=tracking.checkpoints(database, run_id),
        disk=tracking.disk_bytes(run.id, run.key),
        matrix=matrix,
        classes=class_names(data.get("classes"), run.dataset, 0 if matrix is None else len(matrix)),
        data=data,
        pictures=newest("fixed_images", []),
        answers={one["index"]: one["top"] for one in newest("fixed_predictions", [])},
    )


def class_names(told: Any, dataset: str, count: int) -> tuple[str, ...]:
    """Names of `count` classes: as the run recorded them, as the data set is registered, or just numbers."""
    from cnnviz import datasets

    if isinstance(told, list) and len(told) == count:
        return tuple(map(str, told))
    spec = datasets.specs().get(dataset)
    if spec is not None and len(spec.classes) == count:
        return spec.classes
    return tuple(map(str, range(count)))
