"""Handwritten digits of scikit-learn: real data without a network."""

from __future__ import annotations

import numpy as np

from cnnviz.datasets.dataset import hold_out
from cnnviz.datasets.registry import register
from cnnviz.datasets.spec import Arrays, Pixels, Progress, Step
from cnnviz.models import NoOptions

SIDE = 24
"""Each pixel is scaled by three; with the border this gives 28, the size of MNIST."""
BORDER = 2


@register(
    "digits",
    title="Digits",
    summary="1,797 handwritten digits of 43 people, 8×8 pixels each, enlarged to MNIST's 28×28.",
    shape=(1, 28, 28),
    classes=tuple("0123456789"),
    train=1_438,
    test=359,
    origin="The test set of the UCI digits (E. Alpaydin, C. Kaynak, 1998), which is part of scikit-learn.",
    licence="CC BY 4.0",
    citation="E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI, 1998",
    offline=True,
    split="A fixed stratified split (seed 0): 1,438 to train, 359 to test.",
)
def digits(options: NoOptions, progress: Progress) -> Arrays:
    """Load, enlarge and split the digits."""
    from sklearn.datasets import load_digits

    progress(Step("enlarging", 0, None))
    bunch = load_digits()
    images = _enlarged(bunch.images)
    labels = bunch.target.astype(np.int64)
    train, test = hold_out(labels, 0.2, seed=0)
    return Arrays(images[train], labels[train], images[test], labels[test])


def _enlarged(small: Pixels) -> Pixels:
    """Resize 8×8 images with values 0–16 to uint8 `(N, 1, 28, 28)`, bicubic.

    With a black border like MNIST's.
    """
    from PIL import Image

    whole = np.zeros((len(small), 1, SIDE + 2 * BORDER, SIDE + 2 * BORDER), dtype=np.uint8)
    for target, values in zip(whole, small, strict=True):
        picture = Image.fromarray((values * (255 / 16)).round().astype(np.uint8))
        larger = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        target[0, BORDER:-BORDER, BORDER:-BORDER] = np.asarray(larger)
    return whole
