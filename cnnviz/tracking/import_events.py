"""TensorBoard event files as rows of a history: scalars, read by a child (`event_file_worker`)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cnnviz.formats import event_file_worker

PATTERN = "*tfevents*"
MOST_BYTES = 500 * 2**20
MOST_FILES = 50
MOST_SECONDS = 120.0
MOST_MEMORY = 1 << 30
_CHILD = Path(event_file_worker.__file__)
_EPOCH = re.compile(r"epoch_(?=\w)")
PARTS = ("train", "training", "val", "valid", "validation", "test", "eval")


def is_events(path: Path) -> bool:
    """Whether a path is TensorBoard's: an event file, or a folder with some."""
    return path.is_dir() or "tfevents" in path.name


def read_events(path: Path) -> tuple[list[str], list[list[float | None]], str]:
    """The heading and rows of a table of all scalars, a column a tag, and a sentence on what was not read.

    Args:
        path: An event file, or a folder below which such files lie; the folder that a file lies in
            names the part of the data where it is called train or validation, as Keras does.

    Raises `ValueError` in one sentence for what holds no scalars, is too large or is no event file.
    """
    files = sorted(path.rglob(PATTERN)) if path.is_dir() else [path]
    files = [file for file in files if file.is_file()]
    if not files:
        raise ValueError(f"There is no TensorBoard event file (…tfevents…) in {path.name}.")
    if len(files) > MOST_FILES:
        raise ValueError(f"{path.name} holds {len(files):,} event files; name the folder of one run.")
    if sum(file.stat().st_size for file in files) > MOST_BYTES:
        raise ValueError(f"{path.name} is larger than {MOST_BYTES // 2**20} MiB.")
    steps: dict[int, dict[str, float]] = {}
    columns: dict[str, None] = {}
    damaged = 0
    for file in files:
        scalars, rest = _scalars(file)
        damaged += rest
        part = file.parent.name.lower() if path.is_dir() and file.parent.name.lower() in PARTS else ""
        for tag, step, value in scalars:
            column = column_of(tag, part)
            columns[column] = None
            steps.setdefault(step, {})[column] = value
    if not columns:
        raise ValueError(f"{path.name} holds no scalars; what is imported of event files are scalars alone.")
    named = {name: _EPOCH.sub("", name) for name in columns}
    # Keras counts its epoch_loss and epoch_accuracy in epochs, as its CSV log does.
    heading = ["epoch" if any(name != plain for name, plain in named.items()) else "step", *named.values()]
    rows = [_row(step, steps[step], columns) for step in sorted(steps)]
    said = f"The last {damaged:,} bytes were damaged or not yet written, and left out." if damaged else ""
    return heading, rows, said


def column_of(tag: str, part: str = "") -> str:
    """A tag as the heading of a CSV column would be: `Loss/train` as `train/loss`."""
    first, _, second = tag.strip().lower().partition("/")
    if second in PARTS:
        first, second = second, first
    name = f"{first}/{second}" if second else first
    return name if not part or second else f"{part}_{name}".replace(f"{part}_epoch_", f"epoch_{part}_")


def _row(step: int, values: Mapping[str, float], columns: Mapping[str, None]) -> list[float | None]:
    return [float(step), *(values.get(column) for column in columns)]


def _scalars(file: Path) -> tuple[list[tuple[str, int, float]], int]:
    command = [sys.executable, "-I", str(_CHILD), str(MOST_MEMORY), str(file.resolve())]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=MOST_SECONDS, check=False)
        found = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{file.name} took more than {MOST_SECONDS:.0f} s to read.") from None
    except ValueError:
        raise ValueError(f"{file.name} made the process that reads it fail.") from None
    if "refused" in found:
        raise ValueError(f"{file.name} is not read: it holds {found['refused']}.")
    if not found["whole"]:
        raise ValueError(f"{file.name} is no TensorBoard event file: its first record is damaged.")
    return [(tag, step, value) for tag, step, value in found["scalars"]], found["damaged"]
