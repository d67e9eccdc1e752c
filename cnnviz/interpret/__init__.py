"""The inside of a network: activations, filters, arithmetic, branches, attribution.

Functions take a model in evaluation mode and images `(N, C, H, W)`; they look at a twin that shares its
weights, so that the model itself is never hooked or changed and may be in use elsewhere. Importing this
imports no torch.
"""

from __future__ import annotations

# What can go wrong when one looks inside, each in one sentence.


class InterpretError(ValueError):
    """Something that cannot be shown; the message says why, and what can."""


class UnknownLayerError(InterpretError):
    """A layer that the model does not have, or that an input does not reach."""


class NotCoveredError(InterpretError):
    """A kind of layer whose arithmetic is not worked out here."""


class StoppedError(Exception):
    """Long work was cancelled by whoever asked for it."""
