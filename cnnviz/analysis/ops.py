"""Cost and receptive field of torch functions: one rule per function, registered by name.

Counting follows DESIGN.md, rule 2. Element-wise operations: one per value for an activation, a sum, a product
or a bias; two for batch normalization (scale and shift, folded as in evaluation); five for layer
normalization (mean, difference, square, scale, shift); window size for pooling; window + 3 for local response
normalization; three for a softmax; in recurrent layers one for every activation, product, sum and bias of a
unit and step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cnnviz.analysis import receptive_field
from cnnviz.analysis.types import WHOLE, Kind, ReceptiveField

# Records of a call of a torch function, as the rules read it.
#
# They are not frozen: a large model has a thousand of each, and a frozen dataclass takes three times as long
# to construct.


@dataclass(slots=True)
class Track:
    """Origin and receptive field of a tensor that depends on the input."""

    nodes: tuple[int, ...]
    field: ReceptiveField = WHOLE
    axes: tuple[int, int] | None = None
    """Indices of its vertical and horizontal axes; None where it has no spatial grid."""


@dataclass(slots=True)
class Effect:
    """Effect of a call: its arithmetic, and the receptive field of its result."""

    label: str
    kind: Kind
    macs: int = 0
    elementwise: int = 0
    field: ReceptiveField = WHOLE
    axes: tuple[int, int] | None = None
    view: bool = False
    """Whether it writes nothing: the result is a view of its input."""


@dataclass(slots=True)
class Call:
    """Call of a function: name, arguments, first result, and the tracked tensors among the arguments."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: torch.Tensor
    tracked: tuple[tuple[torch.Tensor, Track], ...]

    def arg(self, index: int, name: str, default: Any = None) -> Any:
        """Return an argument given by position or by name."""
        if index < len(self.args):
            return self.args[index]
        return self.kwargs.get(name, default)

    def shape(self, index: int, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor argument."""
        return tuple(self.arg(index, name).shape)

    @property
    def values(self) -> int:
        """Number of values of the result."""
        return self.out.numel()

    @property
    def first(self) -> Track:
        """Track of the first tracked argument; that of a constant where there is none."""
        return self.tracked[0][1] if self.tracked else Track(())

    @property
    def grid(self) -> tuple[int, int] | None:
        """Spatial axes of the first tracked argument with as many axes as the result; None without one."""
        for tensor, track in self.tracked:
            if track.axes and tensor.dim() == self.out.dim():
                return track.axes
        return None

    def dims(self, index: int, name: str) -> tuple[int, ...]:
        """Return an argument of axes as non-negative indices; all axes where it is not given."""
        axes = self.arg(index, name)
        count = self.tracked[0][0].dim() if self.tracked else self.out.dim()
        if axes is None:
            return tuple(range(count))
        return tuple(d % max(count, 1) for d in ((axes,) if isinstance(axes, int) else axes))


Rule = Callable[[Call], Effect]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Return a decorator that registers a rule for the functions called `names`."""

    def wrap(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return wrap


@rule("conv1d", "conv2d", "conv3d")
def convolution(call: Call) -> Effect:
    """Count a convolution: every output sums a window of the input maps of its group."""
    weight = call.shape(1, "weight")
    outputs = call.values
    bias = outputs if call.arg(2, "bias") is not None else 0
    field, axes = WHOLE, None
    if len(weight) == 4:
        stride, padding = call.arg(3, "stride", 1), call.arg(4, "padding", 0)
        dilation = call.arg(5, "dilation", 1)
        padding = _named_padding(padding, weight[2:], dilation)
        field, axes = (
            receptive_field.slide(call.first.field, weight[2:], stride, padding, dilation),
            call.first.axes,
        )
    return Effect("convolution", "conv", outputs * math.prod(weight[1:]), bias, field, axes)


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(call: Call) -> Effect:
    """Count a transposed convolution: every input contributes to a window of the output maps of its group."""
    inputs = math.prod(call.shape(0, "input"))
    bias = call.values if call.arg(2, "bias") is not None else 0
    return Effect("transposed convolution", "conv", inputs * math.prod(call.shape(1, "weight")[1:]), bias)


@rule("linear")
def linear(call: Call) -> Effect:
    """Count a linear layer: every output sums over the last axis."""
    outputs = call.values
    bias = outputs if call.arg(2, "bias") is not None else 0
    axes = call.grid
    keeps_grid = axes is not None and call.out.dim() - 1 not in axes
    macs = outputs * call.shape(1, "weight")[-1]
    return Effect(
        "linear", "fc", macs, bias, call.first.field if keeps_grid else WHOLE, axes if keeps_grid else None
    )


@rule("matmul", "mm", "bmm", "__matmul__", "__rmatmul__")
def matrix_product(call: Call) -> Effect:
    """Count a product of activations: attention scores, weighted sums."""
    return Effect("matrix product", "attention", call.values * call.shape(0, "input")[-1])


@rule("einsum")
def einsum(call: Call) -> Effect:
    """Count a sum of products over the labels that are missing in the output."""
    equation = call.args[0].replace(" ", "")
    operands, _, output_labels = equation.partition("->")
    sizes: dict[str, int] = {}
    tensors = call.args[1] if isinstance(call.args[1], (list, tuple)) else call.args[1:]
    for labels, tensor in zip(operands.split(","), tensors, strict=True):
        left, _, right = labels.partition("...")
        sizes |= dict(zip(left, tensor.shape, strict=False))
        sizes |= dict(zip(reversed(right), reversed(tensor.shape), strict=False))
    summed = math.prod(size for label, size in sizes.items() if label not in output_labels)
    return Effect("matrix product", "attention", call.values * summed)


@rule("scaled_dot_product_attention")
def attention(call: Call) -> Effect:
    """Count softmax(QKᵀ/√d)·V (Vaswani et al., 2017): Q is (…, L, E), K is (…, S, E), V is (…, S, D)."""
    query, key, value = (call.shape(i, n) for i, n in enumerate(("query", "key", "value")))
    pairs = math.prod(query[:-1]) * key[-2]
    return Effect("attention", "attention", pairs * (query[-1] + value[-1]), 3 * pairs)


@rule("multi_head_attention_forward")
def multi_head_attention(call: Call) -> Effect:
    """Count the projections of query, key and value, attention in each head, and the output projection."""
    (length, count, width), sources = call.shape(0, "query"), call.shape(1, "key")[0]
    heads = call.arg(4, "num_heads")
    projections = 2 * length * width * width + 2 * sources * width * width
    products = 2 * length * sources * width
    elementwise = 3 * heads * length * sources + width * (2 * length + 2 * sources)
    projections, products, elementwise = (count * n for n in (projections, products, elementwise))
    return Effect("attention", "attention", projections + products, elementwise)


GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
UNIT = {"lstm": 9 + 4, "gru": 7 + 3, "rnn_tanh": 1 + 1, "rnn_relu": 1 + 1}
"""Operations of one unit in one step, without biases.

Activations, products and sums, and for each gate the sum of the input's and the last state's part. LSTM: σ,
σ, σ, tanh, tanh; three products, one sum (Hochreiter and Schmidhuber, 1997; Gers et al., 2000). GRU: σ, σ,
tanh; three products, one sum (Cho et al., 2014; 1 − z is the other half of the second product).
"""


@rule("lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(call: Call) -> Effect:
    """Count a recurrent layer: every weight matrix is used once per step and sequence."""
    lists = [arg for arg in call.args if isinstance(arg, list) and arg]
    weights, sequence = lists[0], call.args[0]
    steps = sequence.numel() // max(sequence.shape[-1], 1)
    matrices = sum(weight.numel() for weight in weights if weight.dim() == 2)
    biases = sum(weight.numel() for weight in weights if weight.dim() == 1)
    state = next(arg for arg in call.args[1:] if isinstance(arg, tuple) or arg.dim() == 3)
    layers, _, units = (state[-1] if isinstance(state, tuple) else state).shape
    elementwise = steps * (biases + layers * units * UNIT[call.name])
    return Effect(call.name.replace("_", " "), "recurrent", steps * matrices, elementwise)


@rule("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def recurrent_cell(call: Call) -> Effect:
    """Count one step of one recurrent layer."""
    name, (rows, columns) = call.name.removesuffix("_cell"), call.shape(2, "w_ih")
    steps, state = call.shape(0, "input")[0], call.shape(3, "w_hh")[-1]
    biases = sum(arg.numel() for arg in call.args[4:6] if arg is not None)
    elementwise = steps * (biases + rows // GATES[name] * UNIT[name])
    return Effect(name.replace("_", " "), "recurrent", steps * rows * (columns + state), elementwise)


@rule("max_pool2d", "avg_pool2d", "max_pool2d_with_indices")
def pooling(call: Call) -> Effect:
    """Count pooling: the maximum or mean of each window."""
    kernel = receptive_field.pair(call.arg(1, "kernel_size"))
    stride = call.arg(2, "stride") or kernel
    field = receptive_field.slide(
        call.first.field, kernel, stride, call.arg(3, "padding", 0), _pool_dilation(call)
    )
    label = "max pooling" if "max" in call.name else "average pooling"
    return Effect(label, "pool", 0, call.values * math.prod(kernel), field, call.first.axes)


@rule("adaptive_avg_pool2d", "adaptive_max_pool2d")
def adaptive_pooling(call: Call) -> Effect:
    """Count pooling to a given output size."""
    input_shape = call.shape(0, "input")
    field = receptive_field.adaptive(call.first.field, _sides(input_shape), _sides(call.out.shape))
    return Effect("adaptive pooling", "pool", 0, math.prod(input_shape), field, call.first.axes)


_SECOND = frozenset(("norm", "vector_norm", "linalg_vector_norm", "quantile", "kthvalue"))
"""Reductions whose axes are their third argument."""


@rule("mean", "sum", "amax", "amin", "max", "min", "std", "var", "norm", "vector_norm", "linalg_vector_norm",
      "prod", "median", "logsumexp", "argmax", "argmin", "all", "any", "count_nonzero", "nanmean", "nansum",
      "quantile", "kthvalue")  # fmt: skip
def reduction(call: Call) -> Effect:
    """Count a reduction; over the spatial grid it is global pooling."""
    if hasattr(call.arg(1, "other"), "numel"):  # torch.max or torch.min of two tensors
        return pointwise(call.name, "other")(call)
    dims = call.dims(2 if call.name in _SECOND else 1, "dim")
    grid = call.first.axes
    keeps_grid = grid is not None and not set(grid) & set(dims)
    axes = call.grid if keeps_grid and call.tracked[0][0].dim() == call.out.dim() else None
    inputs = call.tracked[0][0].numel() if call.tracked else 0
    kind: Kind = "other" if grid is None or keeps_grid else "pool"
    return Effect(call.name, kind, 0, inputs, call.first.field if axes else WHOLE, axes)


@rule("layer_norm", "rms_norm", "normalize", "instance_norm", "group_norm")
def row_normalisation(call: Call) -> Effect:
    """Count normalization over given axes, or over whole maps."""
    axes = call.grid
    if call.name in ("layer_norm", "rms_norm"):
        first = call.out.dim() - len(call.arg(1, "normalized_shape"))
        axes_reduced = set(range(first, call.out.dim()))
    elif call.name == "normalize":
        axes_reduced = {call.arg(2, "dim", 1) % call.out.dim()}
    else:
        axes_reduced = set(axes or ())
    keeps_grid = axes is not None and not axes_reduced & set(axes)
    field = call.first.field if keeps_grid else WHOLE
    return Effect("normalisation", "norm", 0, 5 * call.values, field, axes if keeps_grid else None)


@rule("local_response_norm")
def local_response_normalisation(call: Call) -> Effect:
    """Count division by a sum over neighboring maps (Krizhevsky et al., 2012, section 3.3)."""
    elementwise = (call.arg(1, "size") + 3) * call.values
    return Effect("local response norm", "norm", 0, elementwise, call.first.field, call.first.axes)


@rule("softmax", "log_softmax")
def softmax(call: Call) -> Effect:
    """Count exp(x)/Σexp(x) along an axis."""
    axes = call.grid
    keeps_grid = axes is not None and call.arg(1, "dim", -1) % call.out.dim() not in axes
    elementwise = 3 * call.values
    field = call.first.field if keeps_grid else WHOLE
    label = call.name.replace("_", " ")
    return Effect(label, "activation", 0, elementwise, field, axes if keeps_grid else None)


@rule("interpolate", "upsample")
def resize(call: Call) -> Effect:
    """Count interpolation from the nearest cells."""
    taps = {"bilinear": 2, "bicubic": 4}.get(call.arg(3, "mode", "nearest"), 1)
    field = receptive_field.resample(
        call.first.field, _sides(call.shape(0, "input")), _sides(call.out.shape), taps
    )
    elementwise = 0 if taps == 1 else 2 * taps * call.values
    return Effect("resize", "other", 0, elementwise, field, call.first.axes)


@rule("pad")
def padding(call: Call) -> Effect:
    """Track the shift of the receptive field by padding."""
    widths = list(call.arg(1, "pad"))
    trailing = call.first.axes == (call.out.dim() - 2, call.out.dim() - 1)
    field = receptive_field.shifted(call.first.field, widths) if trailing else WHOLE
    return Effect("pad", "other", 0, 0, field, call.first.axes if trailing else None)


@rule("roll", "flip")
def rearranged(call: Call) -> Effect:
    """Track a rearrangement of cells, which have no regular receptive field afterwards."""
    return Effect(call.name, "other")


def pointwise(label: str, kind: Kind, cost: int = 1) -> Rule:
    """Return a rule for functions that treat every cell separately, or combine tensors cell by cell."""

    def effect(call: Call) -> Effect:
        axes = call.grid
        fields = [track.field for _, track in call.tracked]
        field = receptive_field.union(fields) if axes and fields else WHOLE
        return Effect(label, kind, 0, cost * call.values, field, None if field.whole else axes)

    return effect


def _pointwise(kind: Kind, cost: int, names: Iterable[str], label: str = "") -> None:
    RULES.update({name: pointwise(label or name.replace("_", " "), kind, cost) for name in names})


_pointwise(
    "activation",
    1,
    (
        *("relu", "relu6", "tanh", "sigmoid", "hardswish", "hardsigmoid", "hardtanh", "silu", "gelu", "elu"),
        *("selu", "celu", "leaky_relu", "prelu", "mish", "softplus", "softsign", "logsigmoid", "threshold"),
        *("hardshrink",),
    ),
)
_pointwise("norm", 2, ["batch_norm"], "batch norm")
_pointwise("other", 1, ["add", "__iadd__", "__radd__"], "add")
_pointwise("other", 1, ["mul", "multiply", "__imul__", "__rmul__"], "multiply")
_pointwise("other", 1, ["sub", "rsub", "__rsub__", "__isub__"], "subtract")
_pointwise("other", 1, ["div", "true_divide", "divide", "__rdiv__", "__itruediv__"], "divide")
_pointwise(
    "other",
    1,
    (
        *("pow", "square", "sqrt", "rsqrt", "exp", "log", "abs", "neg", "clamp", "clip", "masked_fill"),
        *("gt", "lt", "ge", "le", "eq", "ne", "logical_and", "logical_or", "logical_not"),
        *("where", "maximum", "minimum", "reciprocal", "sign"),
    ),
)
_pointwise("other", 0, ["cat", "concat", "concatenate"], "concat")
_pointwise("other", 0, ["dropout", "dropout2d", "alpha_dropout", "feature_dropout"], "dropout")


def _sides(shape: Sequence[int]) -> tuple[int, int]:
    return shape[-2], shape[-1]


def _named_padding(padding: Any, kernel: Any, dilation: Any) -> Any:
    if padding == "valid":
        return 0
    if padding == "same":
        return tuple(d * (k - 1) // 2 for k, d in zip(kernel, receptive_field.pair(dilation), strict=True))
    return padding


def _pool_dilation(call: Call) -> Any:
    return call.arg(4, "dilation", 1) if "max" in call.name else 1


# Rules for views: they cost nothing and become no node.


def _view(call: Call, axes: tuple[int, int] | None) -> Effect:
    return Effect(call.name, "other", field=call.first.field if axes else WHOLE, axes=axes, view=True)


@rule("permute")
def permute(call: Call) -> Effect:
    """Track a permutation of the axes."""
    order = call.args[1] if len(call.args) == 2 else call.kwargs.get("dims", call.args[1:])
    count = call.out.dim()
    grid = call.first.axes
    positions = [d % count for d in ((order,) if isinstance(order, int) else order)]
    return _view(call, (positions.index(grid[0]), positions.index(grid[1])) if grid else None)


@rule("transpose", "swapaxes", "swapdims")
def transpose(call: Call) -> Effect:
    """Track an exchange of two axes."""
    a, b = (d % call.out.dim() for d in (call.arg(1, "dim0"), call.arg(2, "dim1")))
    swap = {a: b, b: a}
    grid = call.first.axes
    return _view(call, (swap.get(grid[0], grid[0]), swap.get(grid[1], grid[1])) if grid else None)


@rule("view", "reshape", "unflatten", "chunk", "split", "narrow", "__getitem__", "getitem", "select",
      "index_select", "expand", "expand_as", "unsqueeze", "squeeze", "unbind", "tensor_split")  # fmt: skip
def regroup(call: Call) -> Effect:
    """Track a reshape: the grid is preserved where it remains the last two axes with the same size."""
    if not call.tracked:
        return _view(call, None)
    tensor, track = call.tracked[0]
    last = (tensor.dim() - 2, tensor.dim() - 1)
    keeps_grid = track.axes == last and tensor.shape[-2:] == call.out.shape[-2:] and call.out.dim() >= 3
    return _view(call, (call.out.dim() - 2, call.out.dim() - 1) if keeps_grid else None)


@rule("contiguous", "clone", "detach", "to", "type_as", "float", "half", "identity", "alias", "as_tensor")
def unchanged(call: Call) -> Effect:
    """Track a function that returns the same values."""
    return _view(call, call.first.axes)


@rule("flatten")
def flatten(call: Call) -> Effect:
    """Track flattening: layers that read the vector see the whole input."""
    return _view(call, None)
