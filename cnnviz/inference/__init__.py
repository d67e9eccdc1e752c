"""Inference: from images and weights to class probabilities. Importing this package does not import torch."""

from typing import NamedTuple

__all__ = ["ClassProbability", "InferenceError"]


class ClassProbability(NamedTuple):
    """Class and its probability in [0, 1]."""

    name: str
    probability: float


class InferenceError(ValueError):
    """Error for an image, a weights file or an option that cannot be used.

    The message is one sentence on the problem and on what would be accepted.
    """
