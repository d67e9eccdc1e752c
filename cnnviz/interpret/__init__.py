"""Model interpretation: activations, filters, layer arithmetic, inception branches, attribution.

Functions take a model in evaluation mode and images `(N, C, H, W)`. They work on a copy that shares the
model's weights, so that the model itself is never hooked or changed and may be in use in another thread.
Importing this package imports no torch.
"""

from __future__ import annotations


class InterpretError(ValueError):
    """Base class of the errors of this package; the message says what is not supported, and what is."""


class UnknownLayerError(InterpretError):
    """A layer that the model does not have, or that the forward pass does not reach."""


class NotCoveredError(InterpretError):
    """A layer type whose arithmetic is not implemented in `cnnviz.interpret.arithmetic`."""


class StoppedError(Exception):
    """Long work was canceled by its caller."""
