"""Stand-in for STL-10's 5,000 training images: as many of CIFAR-10, the first of each class.

    python -m cnnviz.diagnosis.recorded.stand_in FOLDER OUT

FOLDER holds CIFAR-10 as `train.parquet` and `test.parquet` in the Hugging Face layout; OUT gets the same with
500 training and 100 test images per class.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

EACH = {"train": 500, "test": 100}


def first_of_each(labels: Sequence[int], count: int) -> list[int]:
    """Return the rows of the first `count` images of each label, in order."""
    counts: Counter[int] = Counter()
    rows = []
    for row, label in enumerate(labels):
        counts[label] += 1
        if counts[label] <= count:
            rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(prog="python -m cnnviz.diagnosis.recorded.stand_in")
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for part, count in EACH.items():
        table = pq.read_table(options.folder / f"{part}.parquet")
        rows = first_of_each(table.column("label").to_pylist(), count)
        pq.write_table(table.take(rows), options.out / f"{part}.parquet")


if __name__ == "__main__":
    main()
