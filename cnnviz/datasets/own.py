"""The user's own pictures: from a packed source to an entry of the cache."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from cnnviz.datasets import cache, splits
from cnnviz.datasets.cache import About
from cnnviz.datasets.decoding import in_order
from cnnviz.datasets.fingerprint import fingerprint
from cnnviz.datasets.packing import Blob, Packed, Source, pack
from cnnviz.datasets.pictures import decode
from cnnviz.datasets.spec import DataError, Labels, Progress, Step
from cnnviz.models import Options
from cnnviz.models.spec import MAX_SIDE

USUAL_SIDE = 224
BATCH = 128
PACK = "pictures.bin"


class OwnOptions(Options):
    """What is chosen for data that does not say it itself."""

    size: int = Field(0, ge=0, le=MAX_SIDE, description="Side in pixels; 0 keeps it where all are alike.")
    test: float = Field(
        0.2, gt=0, lt=1, description="Part of the images for the test, where the data has none of its own."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of that split.")


class Form(NamedTuple):
    """What all images are made into."""

    size: tuple[int, int]
    """(H, W)."""
    colour: bool
    notes: tuple[str, ...]


def make(source: Source, options: OwnOptions, folder: Path, progress: Progress) -> About:
    """Fill a cache folder from `source`; raises `DataError` for what cannot be used."""
    path = folder / PACK
    packed = pack(source, path, progress)
    form = choose_form(packed.headers, options.size)
    parts, split_note = divide(packed, options)
    values = (3 if form.colour else 1) * form.size[0] * form.size[1]
    cache.require_space(folder, values * len(packed.labels))
    done = 0
    for part, rows in parts.items():
        _decode(packed, rows, form, cache.images_path(folder, part), progress, done)
        cache.write_labels(folder, part, packed.labels[rows])
        done += len(rows)
    path.unlink()
    mark = fingerprint(
        [(part, [packed.digests[i] for i in rows], packed.labels[rows]) for part, rows in parts.items()]
    )
    return About(source.title, source.classes, mark, (split_note, *form.notes, *source.notes))


def choose_form(headers: Labels, side: int) -> Form:
    """One size and one number of channels for `headers` `(kinds, 4)`: height, width, colour, count."""
    colours = set(headers[:, 2].tolist())
    notes = ["Grey pictures among coloured ones became coloured."] if colours == {0, 1} else []
    sizes = {(int(height), int(width)) for height, width, *_ in headers}
    if len(sizes) == 1 and max(next(iter(sizes))) <= MAX_SIDE and not side:
        return Form(next(iter(sizes)), 1 in colours, tuple(notes))
    shorter = np.repeat(headers[:, :2].min(axis=1), headers[:, 3])
    chosen = side or min(USUAL_SIDE, int(np.median(shorter)))
    if sizes != {(chosen, chosen)}:
        notes.append(
            f"Pictures of {len(sizes):,} size{'' if len(sizes) == 1 else 's'}: the middle of each was "
            f"resized to {chosen}×{chosen} pixels (bilinear)."
        )
    return Form((chosen, chosen), 1 in colours, tuple(notes))


def divide(packed: Packed, options: OwnOptions) -> tuple[dict[str, Labels], str]:
    """Rows of each part, and the sentence that says how: the source's own split, or a seeded one."""
    every = np.arange(len(packed.labels))
    if "test" in packed.parts:
        parts = {part: every[packed.parts[part]] for part in cache.PARTS}
        _check(packed.labels[parts["train"]], packed.labels[parts["test"]])
        return parts, "The source's own split."
    train, test = splits.hold_out(packed.labels, options.test, options.seed)
    note = (
        f"No test part of its own: a stratified {options.test:.3g} of the images was taken for it "
        f"(seed {options.seed})."
    )
    _check(packed.labels[train], packed.labels[test])
    return {"train": train, "test": test}, note


def _check(train: Labels, test: Labels) -> None:
    if len(np.unique(train)) < 2:
        raise DataError(
            "All training pictures are of one class; there is nothing to tell apart. Add another."
        )
    unseen = np.setdiff1d(test, train)
    if len(unseen):
        raise DataError(
            f"{len(unseen):,} of the test part's classes (first: number {unseen[0]}) have no training "
            "picture; add some, or take these classes out of the test part."
        )


def _decode(packed: Packed, rows: Labels, form: Form, path: Path, progress: Progress, done: int) -> None:
    """Write the pictures of `rows` as an array; the workers fill its pages, this thread only counts."""
    shape = (len(rows), 3 if form.colour else 1, *form.size)
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    blob = Blob(packed.path)

    def fill(start: int) -> int:
        chosen = rows[start : start + BATCH]
        for offset, row in enumerate(chosen):
            begin, end = packed.spans[row]
            data = blob.read(begin, end)
            images[start + offset] = decode(data, packed.names[row], form.size, form.colour)
        return len(chosen)

    for count in in_order(fill, range(0, len(rows), BATCH)):
        done += count
        progress(Step("decoding", done, len(packed.labels)))
    images.flush()
