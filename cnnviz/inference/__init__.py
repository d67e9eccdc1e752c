"""From files to answers: pictures and weights in, probabilities out. Importing this imports no torch."""

from typing import NamedTuple

__all__ = ["ClassProbability", "InferenceError"]


class ClassProbability(NamedTuple):
    """A class and its probability in [0, 1]."""

    name: str
    probability: float


# What is wrong with what was handed in.


class InferenceError(ValueError):
    """A picture, a weights file or a choice that cannot be used.

    The message is one sentence that says what is wrong and what would be accepted.
    """
