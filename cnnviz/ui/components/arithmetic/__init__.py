"""How any cell of a layer came about: patches, kernel, products, sum, bias, result, following the pointer.

After the interactive formula view of CNN Explainer (Wang et al., 2020), for every kind of layer that
`cnnviz.interpret.arithmetic` works out; the browser does the same sums with the same names.
"""

from cnnviz.ui.components.arithmetic.mount import layer_arithmetic
from cnnviz.ui.components.arithmetic.payload import ArithmeticView, arithmetic_packet

__all__ = ["ArithmeticView", "arithmetic_packet", "layer_arithmetic"]
