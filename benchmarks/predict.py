"""A thousand pictures asked: ours in batches, against a loop of one picture at a time.

    python -m benchmarks.predict [COUNT]

Both read the same PNG files and give the same answers. The loop is a notebook's: Pillow, torchvision's
`ToTensor`, a forward of one. Ours decodes in a bounded child process and prepares the next pictures while the
model is at work.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.machine import describe
from cnnviz.inference.images.read_image import Upload
from cnnviz.inference.predict import Prediction, Predictor
from cnnviz.inference.weights.loaded_model import Loaded
from cnnviz.inference.weights.references import load

MODELS = ("lenet5", "small-googlenet-32", "resnet18-32")
REPEATS = 3


def files(count: int, loaded: Loaded) -> list[bytes]:
    """PNG files of noise in the model's own size and channels."""
    random, (channels, height, width) = np.random.default_rng(0), loaded.input_shape
    found = []
    for _ in range(count):
        pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def ours(loaded: Loaded, pictures: list[bytes]) -> list[int]:
    """The likeliest class of each."""
    results = Predictor(loaded).predict([Upload(str(n), data) for n, data in enumerate(pictures)])
    return [int(r.probabilities.argmax()) for r in results if isinstance(r, Prediction)]


def one_at_a_time(loaded: Loaded, pictures: list[bytes]) -> list[int]:
    """The same, as a notebook does it."""
    from torchvision.transforms import ToTensor

    read, mode = ToTensor(), "L" if loaded.input_shape[0] == 1 else "RGB"
    found = []
    with torch.no_grad():
        for data in pictures:
            x: Tensor = read(Image.open(io.BytesIO(data)).convert(mode))[None]
            found.append(int(loaded.model(x).softmax(1).argmax()))
    return found


def timed(ask: Callable[[Loaded, list[bytes]], list[int]], loaded: Loaded, pictures: list[bytes]) -> float:
    """Seconds."""
    start = time.perf_counter()
    ask(loaded, pictures)
    return time.perf_counter() - start


def main(count: int) -> None:
    print(describe("torch", "Pillow"))
    print(f"{count:,} PNG pictures, {torch.get_num_threads()} threads, median of {REPEATS} in turn\n")
    print(f"{'model':20} {'ours':>9} {'one at a time':>14} {'ratio':>6}")
    for name in MODELS:
        loaded = load(f"fresh:{name}")
        pictures = files(count, loaded)
        assert ours(loaded, pictures[:20]) == one_at_a_time(loaded, pictures[:20])
        taken = [
            (timed(ours, loaded, pictures), timed(one_at_a_time, loaded, pictures)) for _ in range(REPEATS)
        ]
        mine, theirs = median(t for t, _ in taken), median(t for _, t in taken)
        print(f"{name:20} {mine:7.2f} s {theirs:12.2f} s {theirs / mine:6.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
