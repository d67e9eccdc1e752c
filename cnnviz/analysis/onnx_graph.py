"""Analysis of an ONNX graph, from its description by `cnnviz.models.external.onnx_worker`.

Layer types and settings are named after the equivalent torch modules, so that the two can be compared. A file
says which values are constants, not which are trained: floating-point constants of more than one value count
as parameters, running statistics of batch normalization as buffers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnviz.analysis import receptive_field
from cnnviz.analysis.types import WHOLE, Analysis, Graph, Kind, Node, ReceptiveField, Row, Shape

TYPES = {
    "Conv": "Conv2d", "ConvTranspose": "ConvTranspose2d", "Gemm": "Linear", "LRN": "LocalResponseNorm",
    "BatchNormalization": "BatchNorm2d", "InstanceNormalization": "InstanceNorm2d",
    "LayerNormalization": "LayerNorm", "GroupNormalization": "GroupNorm", "Relu": "ReLU",
    "LeakyRelu": "LeakyReLU", "Elu": "ELU", "Selu": "SELU", "Celu": "CELU", "PRelu": "PReLU",
    "HardSigmoid": "Hardsigmoid", "HardSwish": "Hardswish", "Gelu": "GELU", "MaxPool": "MaxPool2d",
    "AveragePool": "AvgPool2d", "GlobalAveragePool": "AdaptiveAvgPool2d",
    "GlobalMaxPool": "AdaptiveMaxPool2d",
}  # fmt: skip
"""Torch module that is equivalent to an operator; others keep the operator's name."""
CONVOLUTIONS = {"Conv": (1, 2), "QLinearConv": (3, 8), "ConvInteger": (1, 9)}
"""Convolution operators, with the indices of their weight and bias inputs."""
PRODUCTS = {"MatMul": (0, 1, 2), "QLinearMatMul": (0, 3), "MatMulInteger": (0, 1)}
KINDS: dict[str, Kind] = {
    **dict.fromkeys((*CONVOLUTIONS, "ConvTranspose"), "conv"),
    **dict.fromkeys(("Gemm", *PRODUCTS), "fc"),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization", "LayerNormalization",
                     "GroupNormalization", "LRN", "RMSNormalization"), "norm"),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool"), "pool"),
    **dict.fromkeys(("Relu", "LeakyRelu", "Elu", "Selu", "Celu", "PRelu", "Sigmoid", "Tanh", "HardSigmoid",
                     "HardSwish", "Gelu", "Mish", "Softplus", "Softsign", "Softmax", "LogSoftmax", "Clip",
                     "Erf", "Swish", "ThresholdedRelu"), "activation"),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "recurrent"),
    "Attention": "attention",
}  # fmt: skip
MOVES = frozenset(("Concat", "Split", "Slice", "Gather", "GatherND", "Expand", "Tile", "Pad", "Transpose",
                   "DepthToSpace", "SpaceToDepth", "Resize", "Upsample", "ScatterND", "ScatterElements",
                   "Where", "ConstantOfShape", "Constant", "Range", "Shape", "Size", "NonZero",
                   "TopK"))  # fmt: skip
"""Operators that move values without computing."""
COSTS = {"BatchNormalization": 2, "InstanceNormalization": 5, "LayerNormalization": 5,
         "GroupNormalization": 5,
         "Softmax": 3, "LogSoftmax": 3, "RMSNormalization": 3}  # fmt: skip
"""Element-wise operations per value; 1 for others (see `cnnviz.analysis.ops`)."""
SIMPLE = frozenset(("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Exp", "Neg", "Sum", "Max", "Min",
                    "Reciprocal", "Abs", "Log", "Equal", "Greater", "Less", "Floor", "Mod", "Mean",
                    "QuantizeLinear", "DequantizeLinear", "Not", "And", "Or", "Erf"))  # fmt: skip
"""Operators with one element-wise operation per value."""
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
SAME_CELLS = ("Concat", "Cast", "Identity", "Dropout", "CastLike", "QuantizeLinear", "DequantizeLinear")
FORMAT = "onnx"


@dataclass
class _TensorInfo:
    """Properties of a tensor that depends on the image."""

    node: int
    """Index of the node that computes it."""
    field: ReceptiveField


@dataclass
class _Draft:
    rows: list[Row] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    edges: dict[tuple[int, int], None] = field(default_factory=dict)


def analyze_onnx(
    description: Mapping[str, Any], name: str, title: str, notes: Sequence[str] = ()
) -> Analysis:
    """Analyze the network of a description."""
    from cnnviz.analysis.layer_table import blocks

    shape: Shape = tuple(description["input"]["shape"])
    output_shape = _inner(description["output"]["shape"])
    draft = _Draft(
        nodes=[Node(0, "", "input", "other", "", shape), Node(1, "", "output", "other", "", output_shape)]
    )
    tensors = {description["input"]["name"]: _TensorInfo(0, ReceptiveField())}
    counted: dict[str, str] = {}
    uncounted: dict[str, int] = {}
    for node in description["nodes"]:
        if node["name"]:
            _row(draft, node, tensors, counted, uncounted)
        else:
            _pass_on(node, tensors)
    logits = tensors.get(description["output"]["name"])
    if logits is not None:
        draft.edges[logits.node, 1] = None
    all_notes = [*notes]
    if uncounted:
        names = ", ".join(f"{op} ({count}×)" for op, count in uncounted.items())
        all_notes.append(f"Counted as one operation a value, for want of a rule of their own: {names}.")
    all_notes.append(
        "Which constants are trained an ONNX file does not say: all but running statistics count."
    )
    return Analysis(
        model=name, title=title, input_shape=shape,
        classes=output_shape[0] if len(output_shape) == 1 else 0, options={},
        rows=tuple(draft.rows), notes=tuple(all_notes),
        graph=Graph(tuple(draft.nodes), tuple(draft.edges), blocks(_containers(draft.rows), draft.rows)),
    )  # fmt: skip


def _pass_on(node: Mapping[str, Any], tensors: dict[str, _TensorInfo]) -> None:
    """Propagate the tensors through a node that has no row."""
    source = next(
        (tensors[tensor["tensor"]] for tensor in node["inputs"] if tensor["tensor"] in tensors), None
    )
    if source is not None:
        for tensor in node["outputs"]:
            tensors[tensor["tensor"]] = _TensorInfo(source.node, source.field)


def _row(
    draft: _Draft, node: Mapping[str, Any], tensors: dict[str, _TensorInfo], counted: dict[str, str],
    uncounted: dict[str, int],
) -> None:  # fmt: skip
    op, name = node["op"], node["name"]
    sources = [tensors[entry["tensor"]] for entry in node["inputs"] if entry["tensor"] in tensors]
    out = node["outputs"][0]
    kind = _kind(node)
    trainable, buffers, shared = _parameters(node, counted)
    macs, elementwise, known = _work(node)
    if not known:
        uncounted[op] = uncounted.get(op, 0) + 1
    field = _field(node, [entry.field for entry in sources])
    input_shape = next(
        (_inner(entry["shape"]) for entry in node["inputs"] if entry["live"] and entry["shape"]), ()
    )
    number = len(draft.nodes)
    row = Row(
        name=name, type=_type(node), kind=kind, input_shape=input_shape,
        output_shape=_inner(out["shape"] or ()), settings=_settings(node), trainable=trainable,
        buffers=buffers, macs=macs, elementwise=elementwise,
        outputs=sum(_size(entry["shape"]) for entry in node["outputs"]), receptive_field=field, calls=1,
        shared_with=shared,
    )  # fmt: skip
    draft.rows.append(row)
    label, container = name.rpartition(".")[2], name.rpartition(".")[0]
    label = f"{label} · {_type(node)}" if label.isdigit() else label
    draft.nodes.append(Node(number, name, label, kind, container, _inner(out["shape"] or ())))
    for entry in sources:
        draft.edges[entry.node, number] = None
    for entry in node["outputs"]:
        tensors[entry["tensor"]] = _TensorInfo(number, field)


def _parameters(node: Mapping[str, Any], counted: dict[str, str]) -> tuple[int, int, str]:
    """Count trained values and stored values; return also the row that already counted shared ones."""
    trainable = buffers = 0
    shared = ""
    for index, entry in enumerate(node["inputs"]):
        size = _size(entry["shape"], batch=False)
        if entry["live"] or not entry["tensor"] or size <= 1 or not _is_weight(node["op"], index):
            continue
        if entry["tensor"] in counted:
            shared = counted[entry["tensor"]]
        elif node["op"] == "BatchNormalization" and index > 2:
            buffers += size
        else:
            trainable += size
        counted.setdefault(entry["tensor"], node["name"])
    return trainable, buffers, shared


def _is_weight(op: str, index: int) -> bool:
    """Return whether an input of an operator can be a weight rather than sizes, pads or scales."""
    if op in CONVOLUTIONS:
        return index in CONVOLUTIONS[op]
    if op in PRODUCTS:
        return index in PRODUCTS[op]
    if op in GATES:
        return index in (1, 2, 3, 7)
    return (
        op in KINDS or op in ("Add", "Sub", "Mul", "Div", "Concat", "Einsum", "Sum")
        if op != "Clip"
        else False
    )


def _kind(node: Mapping[str, Any]) -> Kind:
    if node["op"] in (*PRODUCTS, "Einsum"):
        factors = [entry for entry in node["inputs"] if entry["shape"] and len(entry["shape"]) > 1]
        return "attention" if sum(factor["live"] for factor in factors) > 1 else "fc"
    return KINDS.get(node["op"], "other")


def _type(node: Mapping[str, Any]) -> str:
    if node["op"] in PRODUCTS:
        return "Linear" if _kind(node) == "fc" else "MatMul"
    return TYPES.get(node["op"], str(node["op"]))


def _settings(node: Mapping[str, Any]) -> dict[str, Any]:
    attributes, op = node["attributes"], node["op"]
    settings: dict[str, Any] = {}
    if op in CONVOLUTIONS or op == "ConvTranspose":
        weight = node["inputs"][CONVOLUTIONS.get(op, (1, 2))[0]]["shape"] or [0, 0]
        groups = attributes.get("group", 1)
        dim0, dim1 = weight[0], weight[1] * groups
        settings = {"in": dim1, "out": dim0} if op != "ConvTranspose" else {"in": dim0, "out": dim1}
    elif op == "Gemm" or (op in PRODUCTS and _kind(node) == "fc"):
        weight = _weight(node)
        if len(weight) == 2:
            transposed = op == "Gemm" and attributes.get("transB")
            settings = {"in": weight[1 if transposed else 0], "out": weight[0 if transposed else 1]}
    elif op in ("BatchNormalization", "InstanceNormalization"):
        settings = {"features": _size(node["inputs"][1]["shape"], batch=False)}
    kernel = _kernel(node)
    if kernel:
        low, high = _pads(node)
        is_convolution = op in CONVOLUTIONS
        settings |= {"kernel": list(kernel), "stride": list(_pair(attributes.get("strides", [1, 1])))}
        padding = list(low) if low == high else [*low, *high]
        dilation = list(_pair(attributes.get("dilations", [1, 1])))
        settings |= {"padding": padding} if is_convolution or any(padding) else {}
        settings |= {"dilation": dilation, "groups": attributes.get("group", 1)} if is_convolution else {}
    if op in (*CONVOLUTIONS, "ConvTranspose", "Gemm") or (op in PRODUCTS and settings):
        bias_index = CONVOLUTIONS.get(op, (1, 2))[1]
        has_bias = len(node["inputs"]) > bias_index and bool(node["inputs"][bias_index]["tensor"])
        settings["bias"] = has_bias and op in ("MatMul", "Gemm", "ConvTranspose", *CONVOLUTIONS)
    if op == "LRN":
        settings = {"size": attributes.get("size", 0)}
    return settings


def _weight(node: Mapping[str, Any]) -> list[int]:
    """Return the shape of a product's constant factor."""
    return next(
        (entry["shape"] for entry in node["inputs"] if not entry["live"] and len(entry["shape"] or ()) > 1),
        [],
    )


def _kernel(node: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return height and width of a window; None for an operator without one, or with other dimensions."""
    if node["op"] in CONVOLUTIONS or node["op"] == "ConvTranspose":
        weight = node["inputs"][CONVOLUTIONS.get(node["op"], (1, 2))[0]]["shape"] or []
        return (weight[2], weight[3]) if len(weight) == 4 else None
    shape = (
        node["attributes"].get("kernel_shape") if node["op"] in ("MaxPool", "AveragePool", "LpPool") else None
    )
    return (shape[0], shape[1]) if shape and len(shape) == 2 else None


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return (values[0], values[-1])


def _pads(node: Mapping[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the padding before and after, each vertical and horizontal; `auto_pad` is resolved."""
    attributes, kernel = node["attributes"], _kernel(node)
    auto = attributes.get("auto_pad", "NOTSET")
    if auto.startswith("SAME") and kernel is not None:
        input_shape = node["inputs"][0]["shape"] or [1, 1, 1, 1]
        output_shape = node["outputs"][0]["shape"] or [1, 1, 1, 1]
        strides, dilations = (_pair(attributes.get(value, [1, 1])) for value in ("strides", "dilations"))
        total = [
            max(0, (o - 1) * s + (k - 1) * d + 1 - i)
            for i, o, k, s, d in zip(
                input_shape[2:], output_shape[2:], kernel, strides, dilations, strict=True
            )
        ]
        small, large = [value // 2 for value in total], [value - value // 2 for value in total]
        low, high = (small, large) if auto == "SAME_UPPER" else (large, small)
        return (low[0], low[1]), (high[0], high[1])
    pads = attributes.get("pads") or [0, 0, 0, 0]
    return ((pads[0], pads[1]), (pads[2], pads[3])) if len(pads) == 4 else ((0, 0), (0, 0))


def _work(node: Mapping[str, Any]) -> tuple[int, int, bool]:
    """Count multiply-adds and element-wise operations; return also whether the operator has a rule."""
    op, attributes = node["op"], node["attributes"]
    values = _size(node["outputs"][0]["shape"])
    shapes = [entry["shape"] or [] for entry in node["inputs"]]
    if op in CONVOLUTIONS:
        weight, bias = CONVOLUTIONS[op]
        has_bias = len(node["inputs"]) > bias and bool(node["inputs"][bias]["tensor"])
        return values * math.prod(shapes[weight][1:]), values * has_bias, True
    if op == "ConvTranspose":
        has_bias = len(shapes) > 2 and bool(node["inputs"][2]["tensor"])
        return _size(shapes[0]) * math.prod(shapes[1][1:]), values * has_bias, True
    if op == "Gemm":
        inner = shapes[0][0 if attributes.get("transA") else -1] if shapes[0] else 0
        return values * inner, values * (len(shapes) > 2 and bool(node["inputs"][2]["tensor"])), True
    if op in PRODUCTS:
        return (
            values * (shapes[0][-1] if shapes[0] else 0),
            values * (op == "MatMul" and len(shapes) > 2),
            True,
        )
    if op in GATES and len(shapes[0]) == 3 and len(shapes[1]) == 3:
        directions, gates, inputs = shapes[1]
        hidden = gates // GATES[op]
        steps = shapes[0][0]
        return steps * directions * gates * (inputs + hidden), values, True
    if op in ("MaxPool", "AveragePool", "LpPool"):
        return 0, values * math.prod(attributes.get("kernel_shape", [1])), True
    if op in ("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "ReduceSum"):
        return 0, _size(shapes[0]), True
    if op == "LRN":
        return 0, values * (attributes.get("size", 0) + 3), True
    if op in MOVES:
        return 0, 0, True
    known = (op in KINDS or op in SIMPLE) and op != "Attention"
    return 0, values * COSTS.get(op, 1), known


def _field(node: Mapping[str, Any], fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """Compute the receptive field of a node's output cells."""
    if not fields:
        return WHOLE
    op, attributes = node["op"], node["attributes"]
    input_shape, output_shape = (node[side][0]["shape"] or [] for side in ("inputs", "outputs"))
    kernel = _kernel(node)
    if kernel is not None and op != "ConvTranspose":
        strides, dilations = (_pair(attributes.get(value, [1, 1])) for value in ("strides", "dilations"))
        return receptive_field.slide(fields[0], kernel, strides, _pads(node)[0], dilations)
    if len(output_shape) != 4 or any(value.whole for value in fields):
        return (
            WHOLE
            if len(fields) == 1 and not fields[0].whole and op not in SAME_CELLS
            else receptive_field.union(fields)
        )
    if op in ("Resize", "Upsample") and len(input_shape) == 4:
        taps = {"nearest": 1, "cubic": 4}.get(str(attributes.get("mode", "nearest")), 2)
        return receptive_field.resample(fields[0], _pair(input_shape[2:]), _pair(output_shape[2:]), taps)
    pads = node["values"].get("1") or attributes.get("pads")
    if op == "Pad" and pads and len(pads) == 8:
        return receptive_field.shifted(fields[0], [int(pads[3]), int(pads[7]), int(pads[2]), int(pads[6])])
    same_size = len(input_shape) == 4 and list(input_shape[2:]) == list(output_shape[2:])
    is_pointwise = op in KINDS or op in (
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Concat",
        "Split",
        "Sum",
        "Max",
        "Min",
        "Pow",
        "Exp",
    )
    if op in ("GlobalAveragePool", "GlobalMaxPool", "ConvTranspose", "InstanceNormalization", *PRODUCTS):
        return WHOLE
    if same_size and (is_pointwise or op in ("Slice", "Gather")):
        return receptive_field.union(fields)
    return WHOLE


def _inner(shape: Sequence[int]) -> Shape:
    """Return a shape without its batch dimension."""
    return tuple(shape)[1:]


def _size(shape: Sequence[int] | None, batch: bool = True) -> int:
    """Count the values of a shape; 0 where it is unknown."""
    if shape is None:
        return 0
    return math.prod(shape[1:] if batch else shape)


def _containers(rows: Sequence[Row]) -> dict[str, str]:
    """Return the containers in the layers' names; an ONNX file does not record their types."""
    names: dict[str, str] = {}
    for row in rows:
        parts = row.name.split(".")[:-1]
        names.update({".".join(parts[:count]): "Module" for count in range(1, len(parts) + 1)})
    return names
