"""Shipped test images, so that views of test images work without a network.

`NAME.png` contains them side by side, `NAME.json` their labels, source and license, which its README.md also
states. The images of `digits` come with scikit-learn, a dependency of cnnviz.

`python -m cnnviz.datasets.shipped_images FOLDER` makes MNIST's. FOLDER contains MNIST in any layout that
`datasets.load` supports.
"""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnviz import datasets
from cnnviz.datasets.dataset import Dataset, Part

FOLDER = Path(__file__).with_name("shipped")


@cache
def test_images(name: str) -> Dataset | None:
    """Return the shipped test images of data set `name`, or None; the training part is empty."""
    if name not in names():
        return None
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
        notes=(facts["source"], f"License: {facts['licence']}."),
        folder=FOLDER,
    )


@cache
def names() -> tuple[str, ...]:
    """Return the data sets with shipped test images."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def is_shipped(data: Dataset) -> bool:
    """Return whether these are the shipped images rather than the whole data set."""
    return data.folder == FOLDER


EACH, COLUMNS = 50, 25
"""Images per class, and per row of the sheet."""


def record(folder: str) -> None:
    """Write the first images of each class of the test part, in their order."""
    test = datasets.load(folder).test
    rows = np.sort(np.concatenate([np.flatnonzero(test.labels == label)[:EACH] for label in range(10)]))
    images, labels = np.array(test.pixels(rows)), test.labels[rows]
    _, _, height, width = images.shape
    lines = len(images) // COLUMNS
    sheet = images.reshape(lines, COLUMNS, height, width).transpose(0, 2, 1, 3)
    Image.fromarray(sheet.reshape(lines * height, COLUMNS * width)).save(FOLDER / "mnist.png", optimize=True)
    facts = {
        "title": f"{len(images)} test images of MNIST",
        "classes": list("0123456789"),
        "size": [height, width],
        "labels": labels.tolist(),
        "source": f"{EACH} test images of each class of MNIST (Y. LeCun, C. Cortes, C. Burges), unchanged.",
        "licence": "CC BY-SA 3.0",
    }
    (FOLDER / "mnist.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1])
