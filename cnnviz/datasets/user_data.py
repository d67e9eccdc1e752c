"""User data: detects the layout of a path, and prepares its images as a cache entry."""

from __future__ import annotations

import functools
import math
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from cnnviz.datasets import cache, class_folders, dataset, parquet
from cnnviz.datasets.cache import About, CacheRequest, Maker
from cnnviz.datasets.class_folders import quoted, same_name
from cnnviz.datasets.encoded_store import (
    Blob,
    Packed,
    Source,
    decode,
    fingerprint,
    in_order,
    pack,
    require_space,
)
from cnnviz.datasets.image_files import READING
from cnnviz.datasets.spec import DataError, Labels, Progress, Step
from cnnviz.models import Options
from cnnviz.models.layers.base import MAX_SIDE

USUAL_SIDE = 224
MAX_AT_ONCE, PIXELS_AT_ONCE = 128, 6_000_000
"""Maximum images, and pixels of several images, per batch between two progress reports.

That is some tenths of a second on one core.
"""
MAX_DECODED = 4 << 30
"""Maximum decoded bytes; larger data sets are decoded as they stream."""


class OwnOptions(Options):
    """Options for properties that the data does not specify."""

    size: int = Field(0, ge=0, le=MAX_SIDE, description="Side in pixels; 0 keeps it where all are alike.")
    test: float = Field(
        0.2, gt=0, lt=1, description="Part of the images for the test, where the data has none of its own."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of that split.")


class Form(NamedTuple):
    """Common size and channels of all images."""

    size: tuple[int, int]
    """(H, W)."""
    colour: bool
    notes: tuple[str, ...]


def make(source: Source, options: OwnOptions, folder: Path, progress: Progress) -> About:
    """Fill a cache folder from `source`; raise `DataError` for data that cannot be used."""
    packed = pack(source, cache.pack_path(folder), progress)
    form = choose_form(packed.headers, options.size)
    parts, split_note = split_parts(packed, options)
    shape = (3 if form.colour else 1, *form.size)
    decoded = math.prod(shape) * len(packed.labels)
    notes = [split_note, *form.notes, *source.notes, *packed.notes]
    for part, rows in parts.items():
        cache.write_labels(folder, part, packed.labels[rows])
    if decoded > MAX_DECODED:
        notes.append(f"Decoded it would take {decoded / 1e9:,.1f} GB: it is decoded as it streams.")
        cache.write_stream(folder, packed, parts)
    else:
        require_space(folder, decoded)
        _decode_all(packed, parts, form, folder, progress)
        packed.path.unlink()
    mark = fingerprint(
        [(part, [packed.digests[i] for i in rows], packed.labels[rows]) for part, rows in parts.items()]
    )
    return About(source.title, packed.classes, mark, tuple(notes), shape)


def choose_form(headers: Labels, side: int) -> Form:
    """Select a common size and number of channels for `headers` `(kinds, 4)`: height, width, color, count."""
    colours = set(headers[:, 2].tolist())
    notes = ["Gray images among colored ones became colored."] if colours == {0, 1} else []
    sizes = {(int(height), int(width)) for height, width, *_ in headers}
    if len(sizes) == 1 and max(next(iter(sizes))) <= MAX_SIDE and not side:
        return Form(next(iter(sizes)), 1 in colours, tuple(notes))
    shorter = np.repeat(headers[:, :2].min(axis=1), headers[:, 3])
    target_side = side or min(USUAL_SIDE, int(np.median(shorter)))
    if sizes != {(target_side, target_side)}:
        notes.append(
            f"Images of {len(sizes):,} size{'' if len(sizes) == 1 else 's'}: the middle of each was "
            f"resized to {target_side}×{target_side} pixels (bilinear)."
        )
    return Form((target_side, target_side), 1 in colours, tuple(notes))


def split_parts(packed: Packed, options: OwnOptions) -> tuple[dict[str, Labels], str]:
    """Split the rows into parts, by the source's own split or a seeded one, and describe the split."""
    all_rows = np.arange(len(packed.labels))
    if "test" in packed.parts:
        parts = {part: all_rows[packed.parts[part]] for part in cache.PARTS}
        _check(packed.labels[parts["train"]], packed.labels[parts["test"]], packed.classes)
        return parts, "The source's own split."
    train, test = dataset.hold_out(packed.labels, options.test, options.seed)
    note = (
        f"No test part of its own: a stratified {options.test:.3g} of the images was taken for it "
        f"(seed {options.seed})."
    )
    _check(packed.labels[train], packed.labels[test], packed.classes)
    return {"train": train, "test": test}, note


def _check(train: Labels, test: Labels, classes: tuple[str, ...]) -> None:
    if len(np.unique(train)) < 2:
        raise DataError("All training images are of one class; there is nothing to tell apart. Add another.")
    unseen = np.setdiff1d(test, train)
    if len(unseen):
        names = quoted([classes[number] for number in unseen])
        similar = [a for a in classes if any(same_name(a, classes[number]) for number in unseen)]
        hint = f" (training has {quoted(similar)}: is it the same?)" if similar else ""
        raise DataError(
            f"The test part has images of {names}, of which there is no training image{hint}; add some, "
            "name the folders alike, or take these classes out of the test part."
        )


def _decode_all(
    packed: Packed, parts: Mapping[str, Labels], form: Form, folder: Path, progress: Progress
) -> None:
    decoded = 0
    progress(Step("decoding", decoded, len(packed.labels)))
    for part, rows in parts.items():
        for count in _decode(packed, rows, form, cache.images_path(folder, part)):
            decoded += count
            progress(Step("decoding", decoded, len(packed.labels)))


def _decode(packed: Packed, rows: Labels, form: Form, path: Path) -> Iterator[int]:
    """Decode the images of `rows` into an array file by threads; yield the number of images of each batch."""
    shape = (len(rows), 3 if form.colour else 1, *form.size)
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    blob = Blob(packed.path)

    def fill(batch: range) -> int:
        for position in batch:
            row = rows[position]
            data = blob.read(*packed.spans[row])
            images[position] = decode(data, packed.names[row], form.size, form.colour)
        return len(batch)

    yield from in_order(fill, batches(packed.pixels[rows]))
    images.flush()


def batches(pixels: Labels) -> Iterator[range]:
    """Divide images of `pixels` pixels each, `(N,)`, into batches of similar decoding cost."""
    start, total = 0, 0
    for index, count in enumerate(pixels.tolist()):
        if index > start and (total + count > PIXELS_AT_ONCE or index - start >= MAX_AT_ONCE):
            yield range(start, index)
            start, total = index, 0
        total += count
    if start < len(pixels):
        yield range(start, len(pixels))


# Layout of a path, and the file state that a cached copy depends on.

_FOLDER, _PARQUET, _ZIP = "folder", "parquet", "zip"
_SOURCES = {_FOLDER: class_folders.source, _PARQUET: parquet.source, _ZIP: class_folders.source_of_zip}


def wanted(name: str, path: Path, options: Mapping[str, Any]) -> tuple[CacheRequest, Maker]:
    """Return the cache request for the data at `path`, and the function that prepares it.

    Raises:
        DataError: Where it is neither a folder, a zip nor Parquet.
        ValueError: For invalid options.
    """
    parsed = OwnOptions.model_validate(OwnOptions.parse(options))
    layout = _layout(path)
    entry = CacheRequest(
        key=cache.key_of(path.resolve().stem, str(path.resolve()), parsed.changed()),
        name=name,
        state=cache.state_of(layout, parsed.model_dump(), _state(path, layout), READING),
    )
    return entry, functools.partial(_make, path, layout, parsed)


def _make(path: Path, layout: str, options: OwnOptions, folder: Path, progress: Progress) -> About:
    return make(_SOURCES[layout](path), options, folder, progress)


def _layout(path: Path) -> str:
    if path.is_dir():
        return _PARQUET if any(any(path.glob(pattern)) for pattern in parquet.PATTERNS) else _FOLDER
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return _PARQUET
    if zipfile.is_zipfile(path):
        return _ZIP
    raise DataError(
        f"'{path}' is neither a folder of class folders, nor a zip of them, nor Parquet; use one of these."
    )


def _state(path: Path, layout: str) -> list[tuple[str, int, int]]:
    """Return name, size and mtime of every relevant file."""
    if layout == _FOLDER:
        return class_folders.listing(path)
    paths = (
        sorted(p for files in parquet.files(path).values() for p in files) if layout == _PARQUET else [path]
    )
    return [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths]


# A repository of the Hugging Face Hub, fetched into a folder that is deleted once its images are cached.


def wanted_repository(name: str, options: Mapping[str, Any]) -> tuple[CacheRequest, Maker]:
    """Return the cache request of the data set `name`, and the function that fetches it."""
    chosen = OwnOptions.model_validate(OwnOptions.parse(options))
    repository = name.removeprefix("hf:")
    entry = CacheRequest(
        key=cache.key_of(repository.split("/")[-1], "hf", repository, chosen.changed()),
        name=name,
        state=cache.state_of(repository, chosen.model_dump(), READING),
    )
    return entry, functools.partial(_make_from_repository, name, chosen)


def _make_from_repository(name: str, options: OwnOptions, folder: Path, progress: Progress) -> About:
    folder_fetched = folder / "fetched"
    try:
        return make(parquet.source_of_repository(name, folder_fetched, progress), options, folder, progress)
    finally:
        shutil.rmtree(folder_fetched, ignore_errors=True)
