"""Generator of the shipped MNIST test images: `python -m cnnviz.datasets.shipped.record FOLDER`.

FOLDER contains MNIST in any layout that `datasets.load` supports.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from PIL import Image

from cnnviz import datasets
from cnnviz.datasets.shipped import FOLDER

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
