"""How any cell of any layer came about, on real weights: patches, kernel, products, sum, bias, result.

One file a kind of layer; a class registers itself with `base.works_out`. Covered is every layer of our own
models, and of torchvision's the convolutions, poolings, normalisations, activations, sums and joins that
they share with ours. Attention, layer normalisation and what works on tokens is not: it raises
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
