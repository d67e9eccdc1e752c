"""Import of training histories: CSV of Lightning or Keras, and TensorBoard event files.

A row is a step or an epoch; a column with a known name becomes a curve. Other columns are not guessed at:
they are reported and skipped.
"""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnviz.formats import event_file_worker
from cnnviz.tracking.database import Database
from cnnviz.tracking.lifecycle import end
from cnnviz.tracking.metrics import MetricWriter
from cnnviz.tracking.records import Kind, Lease, RunFacts, Status
from cnnviz.tracking.runs import create_external_run, describe_run

# TensorBoard event files as rows of a history: scalars, read in a child process (`event_file_worker`).

PATTERN = "*tfevents*"
MAX_EVENT_BYTES = 500 * 2**20
MAX_FILES = 50
MAX_SECONDS = 120.0
MAX_MEMORY = 1 << 30
_CHILD = Path(event_file_worker.__file__)
_EPOCH = re.compile(r"epoch_(?=\w)")
PARTS = ("train", "training", "val", "valid", "validation", "test", "eval")


def is_events(path: Path) -> bool:
    """Return whether a path is a TensorBoard event file or a folder (which may hold some)."""
    return path.is_dir() or "tfevents" in path.name


def read_events(path: Path) -> tuple[list[str], list[list[float | None]], str]:
    """Read all scalars of TensorBoard event files as a table with one column per tag.

    Args:
        path: An event file, or a folder searched recursively. As in Keras, a file in a folder called train or
            validation belongs to that split.

    Returns:
        Column names, rows, and a message on damaged data that was skipped (empty if none).

    Raises:
        ValueError: The files hold no scalars, are too large, or are no event files.
    """
    files = sorted(path.rglob(PATTERN)) if path.is_dir() else [path]
    files = [file for file in files if file.is_file()]
    if not files:
        raise ValueError(f"There is no TensorBoard event file (…tfevents…) in {path.name}.")
    if len(files) > MAX_FILES:
        raise ValueError(f"{path.name} holds {len(files):,} event files; name the folder of one run.")
    if sum(file.stat().st_size for file in files) > MAX_EVENT_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_EVENT_BYTES // 2**20} MiB.")
    steps: dict[int, dict[str, float]] = {}
    columns: dict[str, None] = {}
    damaged = 0
    for file in files:
        scalars, skipped = _scalars(file)
        damaged += skipped
        part = file.parent.name.lower() if path.is_dir() and file.parent.name.lower() in PARTS else ""
        for tag, step, value in scalars:
            column = column_of(tag, part)
            columns[column] = None
            steps.setdefault(step, {})[column] = value
    if not columns:
        raise ValueError(f"{path.name} holds no scalars; what is imported of event files are scalars alone.")
    column_names = {name: _EPOCH.sub("", name) for name in columns}
    # Keras counts its epoch_loss and epoch_accuracy in epochs, as its CSV log does.
    heading = [
        "epoch" if any(name != plain for name, plain in column_names.items()) else "step",
        *column_names.values(),
    ]
    rows = [_row(step, steps[step], columns) for step in sorted(steps)]
    message = f"The last {damaged:,} bytes were damaged or not yet written, and left out." if damaged else ""
    return heading, rows, message


def column_of(tag: str, part: str = "") -> str:
    """Convert a tag to a CSV column name: `Loss/train` to `train/loss`."""
    first, _, second = tag.strip().lower().partition("/")
    if second in PARTS:
        first, second = second, first
    name = f"{first}/{second}" if second else first
    return name if not part or second else f"{part}_{name}".replace(f"{part}_epoch_", f"epoch_{part}_")


def _row(step: int, values: Mapping[str, float], columns: Mapping[str, None]) -> list[float | None]:
    return [float(step), *(values.get(column) for column in columns)]


def _scalars(file: Path) -> tuple[list[tuple[str, int, float]], int]:
    command = [sys.executable, "-I", str(_CHILD), str(MAX_MEMORY), str(file.resolve())]
    try:
        process = subprocess.run(command, capture_output=True, timeout=MAX_SECONDS, check=False)
        answer = json.loads(process.stdout)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{file.name} took more than {MAX_SECONDS:.0f} s to read.") from None
    except ValueError:
        raise ValueError(f"{file.name} made the process that reads it fail.") from None
    if "refused" in answer:
        raise ValueError(f"{file.name} is not read: it holds {answer['refused']}.")
    if not answer["whole"]:
        raise ValueError(f"{file.name} is no TensorBoard event file: its first record is damaged.")
    return [(tag, step, value) for tag, step, value in answer["scalars"]], answer["damaged"]


MAX_BYTES = 50 * 2**20
MAX_ROWS = 1_000_000
MAX_COLUMNS = 200
MAX_CLASSES = 100_000
BLOCK = 10_000
"""Rows between flushes of the writer, which bound the number of unwritten values."""

_STEPS = frozenset(("step", "global_step", "iteration", "iter", "batch", "steps"))
_EPOCHS = frozenset(("epoch", "epochs"))
_MEASURES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "acc": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "top5": "top5",
}
_PARTS = {
    "": "train",
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "eval": "test",
}
_RATES = re.compile(r"(lr|learning_rate)([-_/].*)?")
_NAME = re.compile(r"(?:(train|training|val|valid|validation|test|eval)[/_ -])?(\w+?)(?:_(epoch|step))?")

ACCEPTED = (
    "A history is a CSV file with a heading: a column 'step' or 'epoch', and columns such as loss, accuracy, "
    "val_loss, val_accuracy, train_loss_epoch, test_acc or lr; or TensorBoard's event file with such scalars."
)


@dataclass(frozen=True)
class ImportedHistory:
    """Result of an import."""

    run_id: int
    curves: tuple[str, ...]
    rows: int
    ignored: tuple[str, ...]
    """Columns with unknown names."""
    note: str = ""
    """Message on data that was skipped."""


def import_history(
    database: Database,
    path: Path,
    *,
    name: str = "",
    model: str = "",
    classes: int | None = None,
    held_out: int | None = None,
    steps_per_epoch: int | None = None,
) -> ImportedHistory:
    """Import a CSV file or TensorBoard event files as a run of the kind `imported`.

    Args:
        database: The run database.
        path: A CSV file of at most 50 MiB, a million rows and 200 columns; or event files, see `read_events`.
        name: Name of the run; the file's name by default.
        model: Name of the network.
        classes: Number of classes, which the diagnosis of a loss needs.
        held_out: Number of images that validation and test accuracies were measured on, which decides how
            exact they are.
        steps_per_epoch: Optimizer steps per epoch, for a history that counts epochs alone.

    Raises:
        ValueError: The file has another format, or exceeds a limit.
        OSError: The file cannot be read.
    """
    if classes is not None and not 2 <= classes <= MAX_CLASSES:
        raise ValueError(f"A run has 2 to {MAX_CLASSES:,} classes, not {classes:,}.")
    if held_out is not None and held_out < 1:
        raise ValueError(f"An accuracy is measured on at least one image, not {held_out:,}.")
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise ValueError(f"An epoch has at least one step, not {steps_per_epoch:,}.")
    note = ""
    if is_events(path):
        heading, rows, note = read_events(path)
        curves, step, epoch, ignored = _columns(heading, path.name)
    else:
        curves, step, epoch, ignored, rows = _read_csv(path)
    lease = create_external_run(
        database, Kind.IMPORTED, model=model or "not known", dataset="not known", name=name or path.name
    )
    try:
        data = _data(curves, classes, held_out)
        if step is None and epoch is not None and steps_per_epoch is None:
            data["counted_in"] = "epochs"
        last = _write(database, lease, rows, curves, step, epoch, steps_per_epoch, data)
    except Exception as error:
        end(database, lease, Status.FAILED, str(error))
        raise
    describe_run(database, lease, RunFacts(total_steps=last[0], total_epochs=last[1] or None), {})
    end(database, lease, Status.FINISHED)
    return ImportedHistory(lease.run_id, tuple(dict.fromkeys(curves.values())), len(rows), ignored, note)


def _read_csv(
    path: Path,
) -> tuple[dict[int, str], int | None, int | None, tuple[str, ...], list[list[float | None]]]:
    """Read a CSV file: its columns as `_columns` returns them, and its rows."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_BYTES // 2**20} MiB.")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = csv.reader(file)
        try:
            columns = _columns(next(lines, []), path.name)
            rows = list(_numbers(lines, path.name))
        except csv.Error as error:
            raise ValueError(f"{path.name} is no CSV file: {error}. {ACCEPTED}") from None
    if not rows:
        raise ValueError(f"{path.name} has a heading and no rows.")
    return *columns, rows


def _columns(
    heading: Sequence[str], file: str
) -> tuple[dict[int, str], int | None, int | None, tuple[str, ...]]:
    """Map column indices to curve names; raise `ValueError` if no column is known.

    Returns:
        `{column: curve}`, the columns of the step and of the epoch, and the names of ignored columns.
    """
    if len(heading) > MAX_COLUMNS:
        raise ValueError(f"{file} has {len(heading):,} columns; at most {MAX_COLUMNS} are read.")
    curves: dict[int, str] = {}
    step = epoch = None
    ignored = []
    per_epoch = not any(cell.strip().lower() in _STEPS for cell in heading)
    for number, cell in enumerate(heading):
        lowered = cell.strip().lower()
        if lowered in _STEPS and step is None:
            step = number
        elif lowered in _EPOCHS and epoch is None:
            epoch = number
        elif (curve := curve_of(lowered, per_epoch)) and curve not in curves.values():
            curves[number] = curve
        elif lowered:
            ignored.append(cell.strip()[:60])
    if not curves:
        raise ValueError(f"{file} has no column that is known. {ACCEPTED}")
    return curves, step, epoch, tuple(ignored)


def curve_of(column: str, per_epoch: bool = False) -> str | None:
    """Return the name that our trainer uses for a column's metric, or None for an unknown column."""
    if _RATES.fullmatch(column):
        return "lr"
    match = _NAME.fullmatch(column)
    if match is None:
        return None
    part, measure, interval = _PARTS[match[1] or ""], _MEASURES.get(match[2]), match[3]
    if measure is None:
        return None
    is_epoch_mean = part == "train" and (interval == "epoch" or (per_epoch and interval is None))
    return f"{part}/epoch_{measure}" if is_epoch_mean else f"{part}/{measure}"


def _numbers(lines: Iterator[list[str]], file: str) -> Iterator[list[float | None]]:
    for number, line in enumerate(lines):
        if number >= MAX_ROWS:
            raise ValueError(f"{file} has more than {MAX_ROWS:,} rows.")
        if any(cell.strip() for cell in line):
            yield [_number(cell) for cell in line[:MAX_COLUMNS]]


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _data(curves: Mapping[int, str], classes: int | None, held_out: int | None) -> dict[str, Any]:
    """Return what is known of the data, as the record `data`."""
    data: dict[str, Any] = {}
    if classes is not None:
        data["classes"] = [str(n) for n in range(classes)]
    if held_out is not None:
        measured = {curve.partition("/")[0] for curve in curves.values()}
        data |= {
            name: held_out for name, part in (("validation", "val"), ("test", "test")) if part in measured
        }
    return data


def _write(
    database: Database,
    lease: Lease,
    rows: Sequence[Sequence[float | None]],
    curves: Mapping[int, str],
    step: int | None,
    epoch: int | None,
    steps_per_epoch: int | None,
    data: Mapping[str, Any],
) -> tuple[int, float]:
    """Write all values, each curve in the order of its steps; return the last step and epoch."""
    # Without a step column, each row is a step; Lightning's and Keras's epochs begin at 0.
    length = steps_per_epoch if step is None and steps_per_epoch is not None else 1
    positions = [
        (_whole(row, step, number) * length, _cell(row, epoch) or 0.0) for number, row in enumerate(rows, 1)
    ]
    order = sorted(range(len(rows)), key=lambda number: positions[number][0])
    written: dict[str, int] = {}
    with MetricWriter(database, lease) as writer:
        if data:
            writer.record("data", data, 0)
        for count, number in enumerate(order, 1):
            current, epochs = positions[number]
            for column, curve in curves.items():
                value = _cell(rows[number], column)
                if value is not None and current > written.get(curve, -1):
                    written[curve] = current
                    writer.log(curve, value, current, epochs)
            if count % BLOCK == 0:
                writer.flush()
        last = positions[order[-1]]
        writer.progress(last[0], last[1] + 1 if epoch is not None else 0.0)
    return last[0], last[1] + 1 if epoch is not None else 0.0


def _cell(row: Sequence[float | None], column: int | None) -> float | None:
    return row[column] if column is not None and column < len(row) else None


def _whole(row: Sequence[float | None], column: int | None, otherwise: int) -> int:
    value = _cell(row, column)
    return int(value) if value is not None and math.isfinite(value) and 0 <= value < 2**53 else otherwise


__all__ = ["ACCEPTED", "ImportedHistory", "curve_of", "import_history"]
