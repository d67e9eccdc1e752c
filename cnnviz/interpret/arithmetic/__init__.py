"""Worked numbers: the computation of any cell of any layer, from patch and kernel to the result.

One module per kind of layer; a class registers itself with `base.register_arithmetic`. Covered are all layers
of our own models, and of torchvision's the convolutions, pooling, normalization, activations, additions and
concatenations that they share with ours. Attention, layer normalization and token layers raise
`NotCoveredError`.
"""

import importlib
import pkgutil

from cnnviz.interpret.arithmetic.base import Cell, Contribution, Step, Window, Working
from cnnviz.interpret.arithmetic.inspection import SOFTMAX, Inspection, Payload, inspect

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "SOFTMAX",
    "Cell",
    "Contribution",
    "Inspection",
    "Payload",
    "Step",
    "Window",
    "Working",
    "inspect",
]
