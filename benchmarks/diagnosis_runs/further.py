"""How strongly the causes that came with issue 11 are planted, in its blind parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Further:
    """Of one part; beside its `Strengths`."""

    outputs: tuple[Literal["relu", "sigmoid", "tanh"], ...]
    """Activations after the last layer."""
    momentum: tuple[float, ...]
    """Of batch normalization that does not settle: the weights of the newest batch."""
    settling: int
    """Epochs of a normalized run that is too short for them."""
    constant: int
    divided: int
    """By which pixels are divided as whole numbers."""
    cutout: float
    """Side of the square that blanks most of an image, as a multiple of the image's."""
    pad_crop: float
    """Margin of a crop that shows hardly anything, as a multiple of the image's side."""
    enlarged_crop: int
    """How many times an image's side it is enlarged to before a crop."""
    jitter: float
    unstable: tuple[float, float]
    """SGD's momentum, and the multiple of the healthy rate, with which the last epochs jump."""
    unstable_adam: float
    """Adam's rate itself at which they do."""
    copied: tuple[int, float, int]
    """Training images of each class, the part of the test that copies them, and JPEG's quality."""
    rotated: int
    swapped: tuple[int, ...]
    apart: float
    untrained: tuple[int, ...]
    tiny: int
    """Training images of each class in a tiny set."""
    pairs: tuple[str, ...]
    """Which plants of two causes."""
    unknown: Literal["of issue 11", "later", "of the ninth", "of the tenth"] = "of issue 11"
    """Which causes that no rule is meant to know."""


SIXTH = Further(
    outputs=("relu", "sigmoid"), momentum=(0.0005, 0.0), settling=5, constant=0, divided=255,
    cutout=1.7, pad_crop=1.0, enlarged_crop=6, jitter=1.0,
    unstable=(0.98, 2.5), unstable_adam=0.02, copied=(5, 0.9, 80),
    rotated=3, swapped=(0, 4, 1, 7, 2, 9), apart=0.5, untrained=(2, 5, 8), tiny=3,
    pairs=(
        "output-activation+labels-noisy", "augmentation-too-strong+classes-unbalanced",
        "batch-norm-unsettled+classes-missing", "labels-noisy+weight-decay", "dropout+rate-too-low",
        "output-activation+classes-missing",
    ),
)  # fmt: skip
SEVENTH = Further(
    outputs=("relu", "tanh"), momentum=(0.002, 0.0001), settling=4, constant=255, divided=200,
    cutout=1.55, pad_crop=0.85, enlarged_crop=5, jitter=0.95,
    unstable=(0.99, 1.5), unstable_adam=0.025, copied=(4, 0.85, 70),
    rotated=7, swapped=(1, 3, 5, 8, 6, 0), apart=0.4, untrained=(0, 6), tiny=2,
    pairs=(
        "output-activation+classes-unbalanced", "augmentation-too-strong+labels-noisy",
        "batch-norm-unsettled+labels-noisy", "labels-shuffled+rate-too-high", "weight-decay+classes-missing",
        "dropout+too-few-steps",
    ),
)  # fmt: skip
EIGHTH = Further(
    outputs=("relu", "sigmoid"), momentum=(0.001,), settling=4, constant=128, divided=230,
    cutout=1.6, pad_crop=0.9, enlarged_crop=5, jitter=0.9,
    unstable=(0.985, 2.0), unstable_adam=0.022, copied=(4, 0.9, 75),
    rotated=4, swapped=(0, 3, 2, 6, 5, 9), apart=0.4, untrained=(3, 7), tiny=3,
    pairs=("output-activation+labels-noisy", "batch-norm-unsettled+classes-missing"), unknown="later",
)  # fmt: skip
NINTH = Further(
    outputs=("relu", "tanh"), momentum=(0.0008,), settling=4, constant=64, divided=210,
    cutout=1.65, pad_crop=0.95, enlarged_crop=6, jitter=0.92,
    unstable=(0.988, 1.8), unstable_adam=0.028, copied=(5, 0.88, 72),
    rotated=6, swapped=(0, 2, 1, 5, 4, 8), apart=0.6, untrained=(1, 4, 9), tiny=4,
    pairs=(
        "output-activation+classes-missing", "augmentation-too-strong+classes-unbalanced",
        "labels-shuffled+rate-too-high", "dropout+too-few-steps", "split-mismatch+weight-decay",
        "schedule-ended+classes-missing",
    ),
    unknown="of the ninth",
)  # fmt: skip
TENTH = Further(
    outputs=("sigmoid",), momentum=(0.0012,), settling=5, constant=200, divided=220,
    cutout=1.6, pad_crop=0.92, enlarged_crop=7, jitter=0.94,
    unstable=(0.986, 2.2), unstable_adam=0.024, copied=(5, 0.86, 78),
    rotated=2, swapped=(0, 5, 1, 8, 3, 6), apart=0.5, untrained=(2, 7), tiny=4,
    pairs=(
        "output-activation+classes-unbalanced", "batch-norm-unsettled+labels-noisy",
        "weight-decay+classes-missing",
    ),
    unknown="of the tenth",
)  # fmt: skip
