"""Shipped test images, so that views of test images work without a network.

`NAME.png` contains them side by side, `NAME.json` their labels, source and licence, which README.md also
states. The images of `digits` come with scikit-learn, a dependency of cnnviz.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz.datasets.dataset import Dataset, Part

FOLDER = Path(__file__).parent


@cache
def test_images(name: str) -> Dataset | None:
    """Return the shipped test images of data set `name`, or None; the training part is empty."""
    if name not in names():
        return None
    from PIL import Image

    facts: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    with Image.open(FOLDER / f"{name}.png") as sheet:
        pixels = np.asarray(sheet.convert("L"))
    height, width = facts["size"]
    rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
    tiles = pixels.reshape(rows, height, columns, width).transpose(0, 2, 1, 3).reshape(-1, 1, height, width)
    labels = np.array(facts["labels"], dtype=np.int64)
    images = np.ascontiguousarray(tiles[: len(labels)])
    return Dataset(
        name=name,
        title=facts["title"],
        classes=tuple(facts["classes"]),
        train=Part(images[:0], labels[:0]),
        test=Part(images, labels),
        fingerprint=hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest(),
        notes=(facts["source"], f"Licence: {facts['licence']}."),
        folder=FOLDER,
    )


@cache
def names() -> tuple[str, ...]:
    """Return the data sets with shipped test images."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def is_shipped(data: Dataset) -> bool:
    """Return whether these are the shipped images rather than the whole data set."""
    return data.folder == FOLDER
