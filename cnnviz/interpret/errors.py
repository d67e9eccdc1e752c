"""What can go wrong when one looks inside, each in one sentence."""

from __future__ import annotations


class InterpretError(ValueError):
    """Something that cannot be shown; the message says why, and what can."""


class UnknownLayerError(InterpretError):
    """A layer that the model does not have, or that an input does not reach."""


class NotCoveredError(InterpretError):
    """A kind of layer whose arithmetic is not worked out here."""


class StoppedError(Exception):
    """Long work was cancelled by whoever asked for it."""
