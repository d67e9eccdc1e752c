"""Record a finished run for shipping: `python -m cnnviz.tracking.recorded_runs.record RUN NAME …`.

In the shipped recipe `--dataset` replaces the folder that was read, so that everyone can follow the recipe.
"""

from __future__ import annotations

import argparse
import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select

from cnnviz import tracking
from cnnviz.tracking import Database, Status
from cnnviz.tracking.recorded_runs import FOLDER, SUFFIX
from cnnviz.tracking.tables import RecordRow

MAX_BYTES = 300_000
POINTS = 300
"""Maximum number of points of a curve."""
LOOKS = 40
"""Maximum number of records of one kind over a run, such as layer statistics and histograms."""
_SERIES = ("layers", "train/predicted", "test/predicted")
_WITH_IMAGES = ("fixed_images", "fixed_predictions")
_DIGITS = 5


def package_run(
    database: Database, run_id: int, *, title: str, dataset: str, data: str, command: str, images: bool = True
) -> dict[str, Any]:
    """Return the JSON document that ships of a run.

    Args:
        database: The run database.
        run_id: A finished run.
        title: Display name of the recorded run.
        dataset: The registered data set that its recipe names.
        data: Description of the data that it was trained on.
        command: The command that created it.
        images: Whether the images of its sample predictions ship; not where their license is not stated.

    Raises:
        ValueError: The run is not finished.
        NoSuchRunError: There is no such run.
    """
    run = tracking.get_run(database, run_id)
    if run.status is not Status.FINISHED:
        raise ValueError(f"Run {run_id} is {run.status}; a recorded run is a finished one.")
    curves = {name: _points(database, run_id, name) for name in sorted(run.metrics)}
    curves = {name: points for name, points in curves.items() if points}
    versions = run.versions or {}
    with_versions = ", ".join(f"{name} {version}" for name, version in versions.items())
    return {
        "name": title,
        "model": run.model,
        "dataset": dataset,
        "data": data,
        "accuracy": run.metrics["test/accuracy"].last,
        "recipe": {**run.recipe, "dataset": dataset},
        "seed": run.seed,
        "params": run.params,
        "versions": versions,
        "hardware": run.hardware or "",
        "fingerprint": run.fingerprint,
        "step": run.step,
        "epoch": run.epoch,
        "began": (run.ended or 0) - run.seconds,
        "ended": run.ended,
        "seconds": run.seconds,
        "notes": f"Recorded, and shipped with cnnviz. Data: {data}. Hardware: {run.hardware}; "
        f"{with_versions}. Made by `{command}`.",
        "curves": curves,
        "records": [
            [record.kind, record.step, record.epoch, record.time, rounded(record.body)]
            for record in _records(database, run_id)
            if images or record.kind not in _WITH_IMAGES
        ],
    }


def _points(database: Database, run_id: int, name: str) -> list[tuple[int, float, float, float]]:
    """Return step, epoch, value and time of at most `POINTS` values, including the first and the last."""
    rows = [row for row in _metrics(database, run_id) if row.name == name and math.isfinite(row.value)]
    if len(rows) > POINTS:
        rows = [rows[round(index * (len(rows) - 1) / (POINTS - 1))] for index in range(POINTS)]
    return [(row.step, round(row.epoch, 3), _short(row.value), round(row.time, 1)) for row in rows]


def _metrics(database: Database, run_id: int) -> list[tracking.Metric]:
    rows, cursor, more = list[tracking.Metric](), 0, True
    while more:
        page = tracking.read_metrics(database, run_id, cursor, 50_000)
        rows += page.rows
        cursor, more = page.cursor, page.more
    return rows


def _records(database: Database, run_id: int) -> list[tracking.Record]:
    """Return the newest record of each kind; of kinds recorded over the run, at most `LOOKS`."""
    chosen: list[tracking.Record] = []
    for kind in _kinds(database, run_id):
        records = tracking.read_records(database, run_id, kind)
        if kind not in _SERIES:
            chosen += records[-1:]
        elif len(records) <= LOOKS:
            chosen += records
        else:
            indices = {round(index * (len(records) - 1) / (LOOKS - 1)) for index in range(LOOKS)}
            chosen += [record for index, record in enumerate(records) if index in indices]
    return sorted(chosen, key=lambda record: record.step)


def _kinds(database: Database, run_id: int) -> list[str]:
    query = select(RecordRow.kind).where(RecordRow.run_id == run_id).distinct().order_by(RecordRow.kind)
    with database.read() as session:
        return list(session.scalars(query))


def rounded(body: Any) -> Any:
    """Round every float of a JSON value to five significant digits, more than is ever shown."""
    if isinstance(body, float):
        return _short(body)
    if isinstance(body, dict):
        return {key: rounded(value) for key, value in body.items()}
    return [rounded(value) for value in body] if isinstance(body, list) else body


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def write(packed: dict[str, Any], path: Path, private: Sequence[str] = ()) -> int:
    """Write a packaged run and return its size in bytes.

    Raises:
        ValueError: The file is larger than `MAX_BYTES`, or contains one of `private` (paths, names).
    """
    text = orjson.dumps(packed)
    for word in private:
        if word.encode() in text:
            raise ValueError(f"It would ship '{word}', which says something of this machine.")
    compressed = gzip.compress(text, 9, mtime=0)
    if len(compressed) > MAX_BYTES:
        raise ValueError(
            f"{len(compressed) / 1000:,.0f} kB are too much to ship: at most {MAX_BYTES // 1000}."
        )
    path.write_bytes(compressed)
    return len(compressed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a recorded run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m cnnviz.tracking.recorded_runs.record")
    parser.add_argument("run", type=int)
    parser.add_argument("name")
    for option in ("--title", "--dataset", "--data", "--command"):
        parser.add_argument(option, required=True)
    parser.add_argument("--no-images", dest="images", action="store_false", help="leave its test images out")
    chosen = vars(parser.parse_args(arguments))
    number, name = chosen.pop("run"), chosen.pop("name")
    with tracking.connect() as database:
        run = tracking.get_run(database, number)
        packed = package_run(database, number, **chosen)
    private = [str(Path.home()), *([run.dataset] if "/" in run.dataset else [])]
    print(f"{name}: {write(packed, FOLDER / (name + SUFFIX), private) / 1000:,.1f} kB")


if __name__ == "__main__":
    main()
