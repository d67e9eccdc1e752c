"""Parquet files in the Hugging Face layout: `train.parquet` and `test.parquet`, shards, or one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.datasets.layouts import tables
from cnnviz.datasets.layouts.tables import Columns
from cnnviz.datasets.packing import Encoded, Source
from cnnviz.datasets.spec import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

PATTERNS = ("*.parquet", "data/*.parquet")
_PART = re.compile(r"(train|test|validation|valid|val)(?![a-z])")


def files(root: Path) -> dict[str, list[Path]]:
    """The files of each part: by their names in a folder, or the one file that was given as `train`."""
    if root.is_file():
        return {"train": [root]}
    found: dict[str, list[Path]] = {}
    for path in sorted(path for pattern in PATTERNS for path in root.glob(pattern)):
        match = _PART.match(path.name.lower())
        part = match.group(1) if match else path.stem
        found.setdefault({"valid": "validation", "val": "validation"}.get(part, part), []).append(path)
    return found


def source(root: Path) -> Source:
    """The pictures of a Parquet file, or of a folder of them; raises `DataError` for what cannot be used."""
    parts, notes = tables.own_parts(str(root), files(root))
    opened = {part: [_open(path) for path in paths] for part, paths in parts.items()}
    schemas = [
        (file.schema_arrow, path) for p in parts for file, path in zip(opened[p], parts[p], strict=True)
    ]
    chosen = tables.columns(*_named(schemas[0]))
    for schema, path in map(_named, schemas[1:]):
        if tables.columns(schema, path) != chosen:
            raise DataError(f"'{path}' has other columns or classes than '{schemas[0][1]}'; make them alike.")
    classes = chosen.classes or _numbered(opened, chosen)
    return Source(
        title=root.resolve().stem,
        classes=classes,
        parts={part: _rows(parts[part], opened[part], chosen) for part in parts},
        count=sum(file.metadata.num_rows for found in opened.values() for file in found),
        notes=notes,
    )


def _named(entry: tuple[Any, Path]) -> tuple[Any, str]:
    return entry[0], str(entry[1])


def _open(path: Path) -> ParquetFile:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"'{path}' is not a Parquet file that can be read ({reason}); write it again."
        ) from error


def _batches(path: Path, file: ParquetFile, chosen: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        yield from file.iter_batches(batch_size=tables.AT_ONCE, columns=chosen)
    except (pa.ArrowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(f"'{path}' is damaged ({reason}); write it again.") from error


def _rows(paths: list[Path], opened: list[ParquetFile], chosen: Columns) -> Iterator[Encoded]:
    wanted = [chosen.picture, chosen.label]
    for path, file in zip(paths, opened, strict=True):
        yield from tables.rows(_batches(path, file, wanted), chosen, str(path))


def _numbered(opened: dict[str, list[ParquetFile]], chosen: Columns) -> tuple[str, ...]:
    def batches() -> Iterator[pa.RecordBatch]:
        for found in opened.values():
            for file in found:
                yield from file.iter_batches(columns=[chosen.label])

    return tuple(str(number) for number in range(tables.counted(batches, chosen.label)))
