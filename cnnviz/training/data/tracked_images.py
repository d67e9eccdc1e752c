"""A few test images, the same for the whole of a run, and what the model says of them as it learns."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.training.data.tensors import Labelled
from cnnviz.training.data.transforms import Transform
from cnnviz.training.evaluate import probabilities

MOST = 10
_TOP = 3
_LARGEST_SIDE = 128


@dataclass(frozen=True)
class FixedImages:
    """Up to ten test images: the first of each class, then the first of all where classes are fewer."""

    numbers: tuple[int, ...]
    """Their places in the test part."""
    chosen: Labelled

    @classmethod
    def of(cls, test: Labelled) -> FixedImages:
        """Choose from the test images; none where there are none."""
        labels = test.labels.tolist()
        firsts = {label: number for number, label in reversed(list(enumerate(labels)))}
        numbers = [firsts[label] for label in sorted(firsts)[:MOST]]
        rest = (number for number in range(len(labels)) if number not in set(numbers))
        numbers += [number for number, _ in zip(rest, range(MOST - len(numbers)), strict=False)]
        rows = torch.tensor(numbers, dtype=torch.int64, device=test.labels.device)
        return cls(tuple(numbers), Labelled(test.images[rows], test.labels[rows]))

    def pictures(self) -> list[dict[str, Any]]:
        """The record `fixed_images`: place, label, and a PNG in base64 of at most 128 pixels a side."""
        images, labels = self.chosen.images[:].cpu(), self.chosen.labels.tolist()
        return [
            {"index": number, "label": label, "png": png(image)}
            for number, label, image in zip(self.numbers, labels, images, strict=True)
        ]

    def predictions(self, model: nn.Module, preparation: Transform) -> list[dict[str, Any]]:
        """The record `fixed_predictions`: of each image the three likeliest classes, with probabilities."""
        if not self.numbers:
            return []
        likely = probabilities(model, self.chosen.images[:], preparation)
        values, classes = likely.topk(min(_TOP, likely.shape[1]))
        pairs = torch.stack([classes.cpu().double(), values.cpu().double()], dim=2).tolist()
        return [
            {"index": number, "top": [[int(label), value] for label, value in top]}
            for number, top in zip(self.numbers, pairs, strict=True)
        ]


def png(image: Tensor) -> str:
    """An image uint8 `(C, H, W)` as a PNG in base64, of at most 128 pixels a side."""
    from PIL import Image

    pixels = image.permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
