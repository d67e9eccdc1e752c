"""Sample of the images that a watched loop reads: a mark of each image, and the pixels of some.

A mark is a checksum of one image, equal for equal images: it shows how many different images there are,
whether one comes with several labels, and whether judged images were learned from. Pixels of the first
images of either part, reduced to at most 32×32, show how often neighbors share a label. Both are limited,
so that later steps cost nothing; pixels stay in this process, and only what was counted is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cnnviz.training.data.label_agreement import NEIGHBOURS, Outlined, agreement_across, outline

MAX_MARKS = 1 << 16
"""Most training images, and most judged ones, that are marked."""
MARK_VALUES = 256
"""Values of an image that its mark is over, evenly spaced."""
SAMPLE, MAX_SIDE, MAX_BYTES = 1_000, 32, 16 << 20
"""Most images of each part whose pixels are kept, their side, and their bytes."""
GRAY = 1e-6
"""Largest difference between the channels of a gray image."""
AGREE = 0.1
"""Label agreement of neighbors beyond chance, chance-corrected, from which it says something of labels."""
MAX_PASSES = 3
"""Evaluation passes whose marks are kept: the first ones and the newest."""


@dataclass
class JudgedPass:
    """Marks of one evaluation pass, and how many training images had been marked when it began."""

    learned: int
    marks: list[Tensor]


class ImageSample:
    """Marks and pixels of training and judged images."""

    def __init__(self) -> None:
        self._weights: Tensor | None = None
        self._trained: list[NDArray[np.int64]] = []
        self._labels: list[NDArray[np.int64]] = []
        self._count = self._judged_count = self._pending = 0
        self._passes: list[JudgedPass] = []
        self._pixels: dict[str, list[Tensor]] = {"train": [], "judged": []}
        self._pixel_labels: dict[str, list[Tensor]] = {"train": [], "judged": []}
        self._bytes = {"train": 0, "judged": 0}
        self._kept = {"train": 0, "judged": 0}

    @property
    def wants_marks(self) -> bool:
        """Whether further training images are to be marked."""
        return self._count + self._pending < MAX_MARKS

    def wants_pixels(self, part: str) -> bool:
        """Whether pixels of further images of `part`, `train` or `judged`, are to be kept."""
        return self._kept[part] < SAMPLE and self._bytes[part] < MAX_BYTES

    def marks(self, images: Tensor) -> Tensor | None:
        """Return two sums for each image, float64 `(N, 2)`, on its device; None for what are no images."""
        if images.dim() < 2 or not images.numel() or images.is_complex():
            return None
        flat = images.detach().flatten(1)
        values = flat[:, :: -(-flat.shape[1] // MARK_VALUES)].double()
        weights = self._weights
        if weights is None or weights.shape[0] != values.shape[1] or weights.device != values.device:
            draw = torch.Generator().manual_seed(0)
            weights = torch.rand(values.shape[1], 2, generator=draw, dtype=torch.float64).to(values.device)
            self._weights = weights
        return values @ weights

    def expect(self, count: int) -> None:
        """Count images whose marks are on their way to `add_trained`."""
        self._pending += count

    def add_trained(self, marks: Tensor, labels: NDArray[Any]) -> None:
        """Add marks `(N, 2)` of a training batch, and its labels `(N,)`."""
        self._pending = max(0, self._pending - len(marks))
        if len(marks) == len(labels) and self._count < MAX_MARKS:
            self._trained.append(_integers(marks))
            self._labels.append(labels.astype(np.int64))
            self._count += len(labels)

    def begin_pass(self) -> None:
        """Begin an evaluation pass; of earlier ones the first are kept."""
        if len(self._passes) >= MAX_PASSES:
            gone = self._passes.pop()
            self._judged_count -= sum(map(len, gone.marks))
        self._passes.append(JudgedPass(self._count, []))

    def add_judged(self, images: Tensor) -> None:
        """Mark a batch of the evaluation pass."""
        if self._passes and self._judged_count < MAX_MARKS:
            marks = self.marks(images)
            if marks is not None:
                self._passes[-1].marks.append(marks)
                self._judged_count += len(marks)

    def keep(self, part: str, images: Tensor, labels: Tensor) -> None:
        """Keep pixels and class indices of a batch, within the limits."""
        count = min(SAMPLE - self._kept[part], len(images))
        if count <= 0 or images.dim() < 2 or labels.dim() != 1 or len(labels) != len(images):
            return
        values = images.detach()[:count].float()
        if values.dim() == 4 and max(values.shape[-2:]) > MAX_SIDE:
            side = (min(values.shape[-2], MAX_SIDE), min(values.shape[-1], MAX_SIDE))
            values = functional.interpolate(values, side, mode="area")
        values = values.to("cpu", copy=True)
        self._pixels[part].append(values)
        self._pixel_labels[part].append(labels.detach()[:count].to("cpu", copy=True).long())
        self._kept[part] += count
        self._bytes[part] += values.nbytes

    # What was counted.

    def counts(self, first_epoch: int) -> dict[str, Any]:
        """Return counts of equal images.

        Args:
            first_epoch: Number of images of the first epoch; 0 where unknown.

        Returns:
            `seen` training images and `distinct` ones, `first` of the first epoch and `first_distinct` of
            these, `again` that came later and equal an earlier one, `relabelled` of these with another
            label than at first; `judged` of the newest pass, `known` of these that had been learned from,
            `boundaries` between known and other ones in their order, `fresh_passes`: passes with hardly a
            known image.
        """
        if not self._trained:
            return {}
        marks, labels = np.concatenate(self._trained), np.concatenate(self._labels)
        _, first_rows, inverse = np.unique(marks, return_index=True, return_inverse=True)
        earliest = first_rows[inverse.reshape(-1)]
        is_again = earliest != np.arange(len(marks))
        first = min(first_epoch or len(marks), len(marks))
        later = is_again & (np.arange(len(marks)) >= first)
        return {
            "seen": len(marks),
            "distinct": len(first_rows),
            "first": first,
            "first_distinct": len(np.unique(marks[:first])),
            "after": len(marks) - first,
            "again": int(later.sum()),
            "relabelled": int(
                (later & (labels != labels[earliest]) & (np.minimum(labels, labels[earliest]) >= 0)).sum()
            ),
            "gray": self._gray(),
            "uniform": self._uniform(),
        } | self._judged_facts(marks)

    def _judged_facts(self, trained: NDArray[np.int64]) -> dict[str, Any]:
        passes = [
            (judged.learned, _integers(torch.cat([marks.cpu() for marks in judged.marks])))
            for judged in self._passes
            if judged.marks
        ]
        if not passes:
            return {}
        known = [np.isin(marks, trained[:learned]) for learned, marks in passes]
        newest = known[-1]
        return {
            "judged": len(newest),
            "known": int(newest.sum()),
            "boundaries": int((newest[1:] != newest[:-1]).sum()),
            "fresh_passes": sum(bool(one.mean() < 0.02) for one in known),
        }

    def agreement(self, classes: int) -> dict[str, Any]:
        """Return label agreement of neighbors in and between training and judged images, for `DataQuality`.

        Nothing where it is at chance level among judged images too: such data (words, signals at any
        phase) are not compared by their values, so that it says nothing of their labels.
        """
        parts = {part: self._vectors(part) for part in ("train", "judged")}
        train, judged = parts["train"], parts["judged"]
        if train is None or len(train[1]) < 8 * NEIGHBOURS:
            return {}
        known = Outlined.of_vectors(*train)
        within = known.neighbours(classes)
        if judged is None or len(judged[1]) < 8 * NEIGHBOURS or judged[0].shape[1] != train[0].shape[1]:
            return {"neighbours": within} if _agree(within) else {}
        across = agreement_across(*judged, known, classes)
        tested = Outlined.of_vectors(*judged).neighbours(classes)
        if not any(map(_agree, (within, across, tested))):
            return {}
        counts = judged[1].bincount(minlength=classes)
        # The first images of a sorted part are not those of all of it.
        complete = (
            {"test_counts": counts.tolist()} if len(counts) == classes and bool((counts > 0).all()) else {}
        )
        return {
            "neighbours": within,
            "neighbours_of_test": across,
            "neighbours_among_test": tested,
        } | complete

    def _vectors(self, part: str) -> tuple[Tensor, Tensor] | None:
        pixels = self._pixels[part]
        if not pixels or any(batch.shape[1:] != pixels[0].shape[1:] for batch in pixels):
            return None
        images, labels = torch.cat(pixels), torch.cat(self._pixel_labels[part])
        if images.dim() == 4 and min(images.shape[-2:]) > 1:
            vectors = outline(images)
        else:
            train = torch.cat(self._pixels["train"]).flatten(1)
            if train.shape[1] != images.flatten(1).shape[1]:
                return None
            spread = train.std(0).clamp(min=1e-6)
            vectors = functional.normalize((images.flatten(1) - train.mean(0)) / spread)
        valid = (labels >= 0) & vectors.isfinite().all(1)
        marks = self.marks(images)
        if marks is not None:  # each image once: later epochs and passes show it again
            first = torch.zeros_like(valid)
            first[torch.from_numpy(np.unique(_integers(marks), return_index=True)[1])] = True
            valid &= first
        return vectors[valid], labels[valid]

    def _uniform(self) -> dict[str, float]:
        """Return, for either part, the median fraction of an image's values that equal its commonest one."""
        return {
            part: _commonest_share(torch.cat(pixels))
            for part, pixels in self._pixels.items()
            if pixels and all(batch.shape[1:] == pixels[0].shape[1:] for batch in pixels)
        }

    def _gray(self) -> float | None:
        """Return the fraction of the training images with three equal channels; None for other images."""
        pixels = self._pixels["train"]
        if not pixels or pixels[0].dim() != 4 or any(batch.shape[1] != 3 for batch in pixels):
            return None
        alike = [((batch - batch[:, :1]).abs().amax((1, 2, 3)) < GRAY).double() for batch in pixels]
        return float(torch.cat(alike).mean())


def _agree(agreement: dict[str, Any]) -> bool:
    """Return whether neighbors share labels clearly, and not only significantly, beyond chance."""
    chance, pairs = agreement["chance"], agreement["images"] * agreement["each"] / 2
    error = (chance * (1 - chance) / max(pairs, 1)) ** 0.5
    return bool(agreement["share"] - chance > max(AGREE * (1 - chance), 4 * error))


def _commonest_share(images: Tensor) -> float:
    flat = images[:256].flatten(1)
    commonest = flat.mode(1, keepdim=True).values
    return float((flat == commonest).double().mean(1).median())


def _integers(marks: Tensor) -> NDArray[np.int64]:
    """Return marks `(N, 2)` as one integer each: two sums in single precision, side by side.

    Rounded, since a sum of the same values may differ in its last digits between batches.
    """
    pairs: NDArray[np.int64] = marks.cpu().numpy().astype(np.float32).view(np.int64).reshape(-1)
    return pairs


__all__: Sequence[str] = ["ImageSample"]
