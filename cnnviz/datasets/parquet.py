"""Hugging Face data: Parquet files (one a part, shards, or a single one), and repositories of its Hub."""

from __future__ import annotations

import re
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import orjson

from cnnviz.datasets.encoded_store import MAX_BYTES, Encoded, Source, require_space
from cnnviz.datasets.spec import DataError, Progress, Step
from cnnviz.models.layers.base import MAX_CLASSES

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile


# Tables of images: Parquet files, or data fetched by the `datasets` library.
#
# A table has a column of images (`bytes` and `path`, or bytes only) and a column of integer labels; the
# features in the schema's metadata name the columns and classes.

Value = TypeVar("Value")
AT_ONCE = 256
"""Rows in memory at a time."""
USUAL_LABELS = ("label", "labels", "fine_label", "class", "target", "y")


class Columns(NamedTuple):
    """Columns of images and labels, and the class names (empty where unspecified)."""

    picture: str
    label: str
    classes: tuple[str, ...]


def own_parts(name: str, parts: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Select `train` and the test part, if any, and describe the others.

    Raises:
        DataError: Where no part is called train.
    """
    if "train" not in parts:
        raise DataError(f"'{name}' has no part called train (only {', '.join(parts)}); name one so.")
    test = "test" if "test" in parts else "validation"
    notes = []
    if test == "validation" and test in parts:
        notes.append("It has no test part: its validation part serves as one.")
    unused = sorted(parts.keys() - {"train", test})
    if unused:
        notes.append(f"Not used: its {' and '.join(unused)}.")
    return {"train": parts["train"]} | ({"test": parts[test]} if test in parts else {}), tuple(notes)


def columns(schema: pa.Schema, where: str) -> Columns:
    """Find the columns of images and labels; raise `DataError` where there are none or several candidates."""
    features = _features(schema)
    picture = _only(
        where,
        "picture",
        [name for name, feature in features.items() if feature.get("_type") == "Image"]
        or [field.name for field in schema if _holds_bytes(field.type)],
        (),
    )
    label = _only(
        where,
        "label",
        [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
        or [field.name for field in schema if _is_integer(field.type)],
        USUAL_LABELS,
    )
    return Columns(picture, label, _class_names(features.get(label, {})))


def _features(schema: pa.Schema) -> Mapping[str, dict[str, Any]]:
    try:
        features = orjson.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, orjson.JSONDecodeError):
        return {}
    usable = isinstance(features, dict)
    return {k: v for k, v in features.items() if isinstance(v, dict) and k in schema.names} if usable else {}


def _class_names(feature: Mapping[str, Any]) -> tuple[str, ...]:
    names = feature.get("names")
    if isinstance(names, list):
        return tuple(str(name) for name in names)
    # Older notation of the same: {"names": {"0": "cat", "1": "dog"}}.
    return tuple(str(names[key]) for key in sorted(names, key=int)) if isinstance(names, dict) else ()


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_integer(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind))


def _only(where: str, what: str, names: list[str], usual: tuple[str, ...]) -> str:
    chosen = [name for name in usual if name in names] or names
    if len(chosen) == 1 or (chosen and chosen[0] in usual):
        return chosen[0]
    explanation = f"these could be: {', '.join(names)}" if names else "none is one"
    kind = "a column of images (bytes)" if what == "picture" else "a column of whole-number labels"
    raise DataError(f"'{where}' should have {kind}, and {explanation}; keep one, or name it '{what}'.")


def rows(
    batches: Iterable[pa.RecordBatch], columns: Columns, where: str, files: Sequence[Path] = ()
) -> Iterator[Encoded]:
    """Yield each row as an encoded image, in order, batch by batch.

    `files` are the folders from which an image given only by its path may be read.
    """
    number = 0
    for batch in batches:
        pictures = batch.column(batch.schema.get_field_index(columns.picture)).to_pylist()
        labels = batch.column(batch.schema.get_field_index(columns.label)).to_pylist()
        for picture, label in zip(pictures, labels, strict=True):
            name = f"row {number:,} of '{where}'"
            yield Encoded(name, _bytes(picture, name, files), -1 if label is None else label)
            number += 1


def _bytes(picture: Any, name: str, files: Sequence[Path]) -> bytes:
    data = picture.get("bytes") if isinstance(picture, dict) else picture
    if isinstance(data, bytes) and data:
        return data
    path = Path(str(picture.get("path"))).resolve() if isinstance(picture, dict) and files else None
    if path and path.is_file() and any(path.is_relative_to(folder.resolve()) for folder in files):
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    raise DataError(f"{name} holds no image; write the images' bytes into the table, or take the row out.")


def counted(batches: Callable[[], Iterable[pa.RecordBatch]], label: str) -> int:
    """Return the number of classes for labels without names: the highest label plus one."""
    import pyarrow.compute as pc

    highest = 0
    for batch in batches():
        largest = pc.max(batch.column(batch.schema.get_field_index(label))).as_py()
        highest = max(highest, -1 if largest is None else largest)
    return int(min(highest, MAX_CLASSES)) + 1


PATTERNS = ("*.parquet", "data/*.parquet")
_PART = re.compile(r"(train|test|validation|valid|val)(?![a-z])")


def files(root: Path) -> dict[str, list[Path]]:
    """Return the files of each part, by their names in a folder; a single file is `train`."""
    if root.is_file():
        return {"train": [root]}
    by_part: dict[str, list[Path]] = {}
    for path in sorted(path for pattern in PATTERNS for path in root.glob(pattern)):
        match = _PART.match(path.name.lower())
        part = match.group(1) if match else path.stem
        by_part.setdefault({"valid": "validation", "val": "validation"}.get(part, part), []).append(path)
    return by_part


def source(root: Path) -> Source:
    """Return the images of a Parquet file or a folder of them; raise `DataError` for unusable ones."""
    parts, notes = own_parts(str(root), files(root))
    readers = {part: [_open(path) for path in paths] for part, paths in parts.items()}
    schemas = [
        (file.schema_arrow, path) for p in parts for file, path in zip(readers[p], parts[p], strict=True)
    ]
    selected = columns(*_named(schemas[0]))
    for schema, path in map(_named, schemas[1:]):
        if columns(schema, path) != selected:
            raise DataError(f"'{path}' has other columns or classes than '{schemas[0][1]}'; make them alike.")
    classes = selected.classes or _numbered(readers, selected)
    return Source(
        title=root.resolve().stem,
        classes=classes,
        parts={part: _rows(parts[part], readers[part], selected) for part in parts},
        count=sum(file.metadata.num_rows for part_files in readers.values() for file in part_files),
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
        yield from file.iter_batches(batch_size=AT_ONCE, columns=chosen)
    except (pa.ArrowException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(f"'{path}' is damaged ({reason}); write it again.") from error


def _rows(paths: list[Path], readers: list[ParquetFile], columns: Columns) -> Iterator[Encoded]:
    column_names = [columns.picture, columns.label]
    for path, file in zip(paths, readers, strict=True):
        yield from rows(_batches(path, file, column_names), columns, str(path))


def _numbered(readers: dict[str, list[ParquetFile]], columns: Columns) -> tuple[str, ...]:
    def batches() -> Iterator[pa.RecordBatch]:
        for part_files in readers.values():
            for file in part_files:
                yield from file.iter_batches(columns=[columns.label])

    return tuple(str(number) for number in range(counted(batches, columns.label)))


# Repository of the Hugging Face Hub, through the `datasets` library.

BUILDERS = frozenset(("parquet", "arrow", "imagefolder"))
"""Allowed formats. The library supports others too, among them pickled tables."""
_WORD = r"[\w.-]+"
REPOSITORY = re.compile(
    rf"(?:hf:)?(?P<repository>{_WORD}/{_WORD}|(?<=hf:){_WORD})(?::(?P<configuration>{_WORD}))?"
)


def is_repository(name: str) -> bool:
    """Return whether `name` could be a repository: `owner/name`, `owner/name:configuration`, `hf:name`."""
    return REPOSITORY.fullmatch(name) is not None and ".." not in name


def source_of_repository(name: str, folder: Path, progress: Progress) -> Source:
    """Fetch `name` into a folder and return its images.

    Raises:
        DataError: Where it cannot be reached, has an unsupported format, or contains no images.
    """
    match = REPOSITORY.fullmatch(name)
    assert match is not None
    progress(Step(f"asking Hugging Face for {name}", 0, None))
    _require_network(name)
    builder = _prepared(name, match["repository"], match["configuration"], folder, progress)
    parts, notes = own_parts(name, {str(part): part for part in builder.info.splits})
    fetched = {part: builder.as_dataset(split=split) for part, split in parts.items()}
    names = columns(fetched["train"].features.arrow_schema, name)
    # Images stored as files are in the library's folders; paths in a table are not followed.
    image_folders = _library_folders(folder) if builder.name == "imagefolder" else ()
    classes = names.classes or _numbered_repository(fetched, names)
    return Source(
        title=name.removeprefix("hf:").split("/")[-1],
        classes=classes,
        parts={
            part: rows(_repository_batches(stream), names, f"{part} of {name}", image_folders)
            for part, stream in fetched.items()
        },
        count=sum(len(stream) for stream in fetched.values()),
        notes=(f"From Hugging Face: {name.removeprefix('hf:')}.", *notes),
    )


def _prepared(name: str, repository: str, configuration: str | None, folder: Path, progress: Progress) -> Any:
    import datasets

    datasets.disable_progress_bars()
    try:
        builder = datasets.load_dataset_builder(repository, configuration, cache_dir=str(folder))
        if builder.name not in BUILDERS:
            raise DataError(
                f"'{name}' is stored as {builder.name}; what is taken is {', '.join(sorted(BUILDERS))}."
            )
        folder.mkdir(parents=True, exist_ok=True)
        require_space(folder, 2 * (builder.info.download_size or 0))
        progress(Step(f"downloading {name}", 0, None))
        builder.download_and_prepare()
    except DataError:
        raise
    except Exception as error:
        # The library passes on exceptions of its dependencies.
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise DataError(
            f"There is no file or folder '{name}', and Hugging Face's data set of that name cannot be used: "
            f"{reason}; check the name and the connection."
        ) from error
    return builder


def _require_network(name: str) -> None:
    """Fail early without a network: the library would retry for half a minute."""
    from huggingface_hub import constants

    host = urllib.parse.urlsplit(constants.ENDPOINT).hostname
    if urllib.request.getproxies() or host is None:
        return
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise DataError(
            f"There is no file or folder '{name}', and Hugging Face cannot be reached to ask for it "
            f"({error.strerror}); check the name or the connection ('digits' and 'shapes' need no network)."
        ) from error


def _library_folders(folder: Path) -> tuple[Path, ...]:
    from huggingface_hub import constants

    return folder, Path(constants.HF_HUB_CACHE)


def _repository_batches(stream: Any) -> Iterator[Any]:
    yield from stream.with_format("arrow").iter(batch_size=AT_ONCE)


def _numbered_repository(fetched: Mapping[str, Any], columns: Columns) -> tuple[str, ...]:
    def labels() -> Iterator[Any]:
        for split in fetched.values():
            yield from split.select_columns(columns.label).with_format("arrow").iter(batch_size=10_000)

    return tuple(str(number) for number in range(counted(labels, columns.label)))
