"""Prepared data set: NumPy arrays over memory maps, stratified splits, and image conversion."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnviz.datasets.encoded_store import Blob, decode, in_order, workers
from cnnviz.datasets.spec import DataError, Labels, Pixels
from cnnviz.models import Shape

if TYPE_CHECKING:
    import torch

# Stratified, seeded sampling: proportional by class, reproducible by seed.


class Indices(NamedTuple):
    """Two disjoint, ascending selections of rows, int64."""

    remaining: Labels
    selected: Labels


def stratified_split(labels: Labels, count: int, seed: int) -> Indices:
    """Select `count` rows of `labels` `(N,)`, proportionally from every class.

    Each class contributes its share to within one image (largest remainders). Where possible, every class
    retains at least one image.

    Returns:
        The rows that were not selected, and those that were.

    Raises:
        DataError: Unless 0 <= count <= N.
    """
    if not 0 <= count <= len(labels):
        raise DataError(f"{count:,} of {len(labels):,} images cannot be taken.")
    classes, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    quotas = _quotas(sizes, count)
    random = np.random.default_rng(seed)
    selected = np.zeros(len(labels), dtype=bool)
    for position in range(len(classes)):
        rows = np.flatnonzero(inverse == position)
        selected[random.permutation(rows)[: quotas[position]]] = True
    return Indices(np.flatnonzero(~selected), np.flatnonzero(selected))


def _quotas(sizes: Labels, count: int) -> Labels:
    """Compute the quotas by largest remainders; ties go to the earlier class."""
    exact = sizes * (count / max(sizes.sum(), 1))
    quotas = np.floor(exact + 1e-9).astype(np.int64)
    # The last image of a class is selected only where there is no alternative.
    order = np.lexsort((quotas - exact, quotas + 1 >= sizes))
    quotas[order[quotas[order] < sizes[order]][: count - quotas.sum()]] += 1
    return np.asarray(quotas)


def hold_out(labels: Labels, fraction: float, seed: int) -> Indices:
    """Split `labels` `(N,)` into training rows and a stratified `fraction` held out; 0 holds out nothing.

    Raises:
        DataError: For a fraction outside [0, 1), or one that leaves nothing on either side.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"A part to hold out is from 0 to under 1, not {fraction:g}.")
    if fraction == 0:
        return stratified_split(labels, 0, seed)
    count = round(len(labels) * fraction)
    if not 0 < count < len(labels):
        raise DataError(
            f"{fraction:.3g} of {len(labels):,} images is {count:,}: nothing would be left on one side; "
            "choose another part, or 0 for none."
        )
    return stratified_split(labels, count, seed)


def stratified_subset(labels: Labels, count: int | None, seed: int) -> Labels:
    """Select at most `count` rows of `labels` `(N,)`, stratified and ascending; None selects all.

    Raises:
        DataError: For a limit below one.
    """
    if count is not None and count < 1:
        raise DataError(f"A limit of training images is at least 1, not {count:,}.")
    if count is None or count >= len(labels):
        return np.arange(len(labels))
    return stratified_split(labels, count, seed).selected


# Large data sets: encoded in one file, decoded on demand by threads.

NAMES_ENCODING = "utf-8"


@dataclass(frozen=True)
class Stream:
    """Encoded images of one part, in order; decoded images are limited to the batches in progress."""

    path: Path
    """File of all encoded images, concatenated."""
    names: Path
    """File of the images' names, one per line, in the order of `numbers`."""
    numbers: Labels
    """Line of `names` that belongs to each image, int64 `(N,)`."""
    spans: Labels
    """Begin and end of each image in the file, int64 `(N, 2)`."""
    shape: Shape
    """Shape of one image, `(C, H, W)`."""

    def __len__(self) -> int:
        return len(self.spans)

    @cached_property
    def _blob(self) -> Blob:
        return Blob(self.path)

    def take(self, rows: Labels) -> Stream:
        """Return the images of `rows`, in that order."""
        return replace(self, numbers=self.numbers[rows], spans=self.spans[rows])

    def read(self, rows: Labels) -> Pixels:
        """Decode the images of `rows` in this thread, uint8 `(B, C, H, W)`.

        Raise `DataError` for damaged ones.
        """
        images = np.empty((len(rows), *self.shape), dtype=np.uint8)
        for target, row in zip(images, rows, strict=True):
            begin, end = self.spans[row]
            target[:] = decode(
                self._blob.read(begin, end), _Name(self, row), self.shape[1:], self.shape[0] == 3
            )
        return images

    def batches(self, size: int, rows: Labels) -> Generator[Pixels, None, None]:
        """Yield `(B, C, H, W)`, B ≤ `size`, in the order of `rows`, decoded ahead by a few threads."""
        return in_order(self.read, (rows[start : start + size] for start in range(0, len(rows), size)))


@dataclass(frozen=True)
class _Name:
    """Name of an image, looked up lazily for a message."""

    stream: Stream
    row: int

    def __str__(self) -> str:
        number = int(self.stream.numbers[self.row])
        with self.stream.names.open(encoding=NAMES_ENCODING) as lines:
            return next(line.rstrip("\n") for index, line in enumerate(lines) if index == number)


@dataclass(frozen=True)
class Part:
    """Training or test part: images uint8 `(N, C, H, W)` and labels int64 `(N,)`.

    The images are decoded in a memory map, or, where they are too many, decoded as they stream. The map is
    private to the process: writing to it does not change the file.
    """

    source: Pixels | Stream
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def streams(self) -> bool:
        """Whether there are too many images to decode all.

        `iter_batches` and `pixels` work in either case.
        """
        return isinstance(self.source, Stream)

    @property
    def images(self) -> Pixels:
        """All images, uint8 `(N, C, H, W)`; raises `DataError` where they stream."""
        if isinstance(self.source, Stream):
            raise DataError(
                "There are too many images to have all decoded; take some, or go through batches."
            )
        return self.source

    @property
    def shape(self) -> Shape:
        """Shape of one image, `(C, H, W)`."""
        channels, height, width = self.source.shape[-3:]
        return channels, height, width

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images uint8 `(N, C, H, W)` and labels int64 `(N,)` as tensors that share this memory.

        Raises:
            DataError: Where the images stream.
        """
        import torch

        return torch.from_numpy(self.images), torch.from_numpy(self.labels)

    def pixels(self, rows: Labels) -> Pixels:
        """Return the images of `rows`, in that order, copied or decoded into memory: uint8 `(B, C, H, W)`."""
        if isinstance(self.source, Stream):
            each = min(64, max(1, -(-len(rows) // workers())))  # a share for every thread
            return np.concatenate(
                [*self.source.batches(each, rows), np.empty((0, *self.shape), dtype=np.uint8)]
            )
        return self.source[rows]

    def take(self, rows: Labels) -> Part:
        """Return a part with the images of `rows`, in that order; it streams if this one does."""
        source = self.source.take(rows) if isinstance(self.source, Stream) else self.source[rows]
        return Part(source, self.labels[rows])

    def iter_batches(self, size: int, rows: Labels | None = None) -> Iterator[tuple[Pixels, Labels]]:
        """Yield `(B, C, H, W)` and `(B,)` with B ≤ `size`, in the order of `rows` (all where None).

        Streaming images are decoded a few batches ahead, by threads, with bounded memory.
        """
        order = np.arange(len(self)) if rows is None else rows
        starts = range(0, len(order), size)
        if isinstance(self.source, Stream):
            with closing(self.source.batches(size, order)) as batches:
                for start, images in zip(starts, batches, strict=True):
                    yield images, self.labels[order[start : start + size]]
            return
        for start in starts:
            # Slicing the map copies nothing.
            selection = slice(start, start + size) if rows is None else rows[start : start + size]
            yield self.source[selection], self.labels[selection]


class Split(NamedTuple):
    """Training and validation rows of the training part, int64, ascending and disjoint."""

    train: Labels
    validation: Labels


@dataclass(frozen=True)
class Dataset:
    """Prepared data set: decoded, cached and opened."""

    name: str
    """Requested name: a registered name, a path, or a Hugging Face repository."""
    title: str
    classes: tuple[str, ...]
    train: Part
    test: Part
    fingerprint: str
    """SHA-256 of the source bytes and labels in order, hexadecimal."""
    notes: tuple[str, ...]
    """Sentences on its preparation: how it was split, cropped, converted."""
    folder: Path
    """Cache folder."""

    @property
    def shape(self) -> Shape:
        """Shape of one image, `(C, H, W)`."""
        return self.train.shape

    @property
    def streams(self) -> bool:
        """Whether there are too many images to decode all."""
        return self.train.streams

    def split(self, validation: float = 0.1, seed: int = 0, limit: int | None = None) -> Split:
        """Select a stratified `validation` fraction of the training part, and up to `limit` other rows.

        The same arguments select the same rows.

        Raises:
            DataError: For a fraction outside [0, 1) or one that leaves nothing on either side, and for a
                limit below one.
        """
        train, held_out = hold_out(self.train.labels, validation, seed)
        return Split(train[stratified_subset(self.train.labels[train], limit, seed)], held_out)


# Conversion of images to the size and channels that a model expects, and its description.

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in ITU-R BT.601 luma, which Pillow and most programs use for grayscale."""
AT_ONCE = 1 << 24
"""Pixel values converted at once: floats of a whole data set would need gigabytes."""


def describe_conversion(source: Shape, target: Shape) -> str:
    """Describe in a sentence how `convert_images` converts an image of shape `source` to `target`.

    Empty where nothing has to be done.

    Raises:
        DataError: For numbers of channels other than 1 and 3, unless they are the same.
    """
    steps = []
    if source[0] != target[0]:
        if {source[0], target[0]} != {1, 3}:
            raise DataError(
                f"Images of {source[0]} channels cannot be made into {target[0]}: only gray and color can."
            )
        steps.append("gray copied into three channels" if target[0] == 3 else "color turned to gray (BT.601)")
    if source[1:] != target[1:]:
        verb = "enlarged" if target[1] * target[2] > source[1] * source[2] else "reduced"
        is_cropped = _crop(source, target) != source[1:]
        steps.append(
            f"{'the middle ' if is_cropped else ''}{verb} from {source[1]}×{source[2]} to "
            f"{target[1]}×{target[2]} pixels (bilinear)"
        )
    text = ", ".join(steps)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def convert_images(images: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Convert images uint8 `(N, C, H, W)` to uint8 `(N, *shape)` on the same device.

    The center is cropped to the target's aspect ratio, then resized bilinearly with antialiasing; the tensor
    itself is returned where nothing has to be done.

    Raises:
        DataError: For channels that cannot be converted, as in `describe_conversion`.
    """
    import torch

    channels, height, width = images.shape[1:]
    source = (channels, height, width)
    if not describe_conversion(source, shape):
        return images
    adapted = torch.empty((len(images), *shape), dtype=torch.uint8, device=images.device)
    step = max(1, AT_ONCE // max(channels * height * width, shape[0] * shape[1] * shape[2]))
    for start in range(0, len(images), step):
        adapted[start : start + step] = _adapted(images[start : start + step], source, shape)
    return adapted


def _adapted(images: torch.Tensor, source: Shape, target: Shape) -> torch.Tensor:
    import torch
    from torch.nn.functional import interpolate

    height, width = _crop(source, target)
    top, left = (source[1] - height) // 2, (source[2] - width) // 2
    values = images[:, :, top : top + height, left : left + width].float()
    if source[0] == 3 and target[0] == 1:
        values = (values * torch.tensor(LUMA, device=values.device)[:, None, None]).sum(1, keepdim=True)
    if (height, width) != target[1:]:
        values = interpolate(values, target[1:], mode="bilinear", antialias=True, align_corners=False)
    return values.round().clamp(0, 255).to(torch.uint8).expand(-1, target[0], -1, -1)


def _crop(source: Shape, target: Shape) -> tuple[int, int]:
    """Return the largest crop `(H, W)` with the target's aspect ratio, to the pixel."""
    _, height, width = source
    scale = min(height / target[1], width / target[2])
    return min(height, max(1, round(target[1] * scale))), min(width, max(1, round(target[2] * scale)))
