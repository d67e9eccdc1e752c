"""Small ONNX files, made node by node: no exporter is needed, and each holds just what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def weight(name: str, *shape: int, seed: int = 0) -> Any:
    """A constant of that shape, drawn."""
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32) / 4
    return numpy_helper.from_array(values, name)


def model(
    nodes: Sequence[Any],
    weights: Sequence[Any] = (),
    shape: Sequence[Any] = ("n", 1, 8, 8),
    output: Sequence[Any] | None = ("n", 3),
    **more: Any,
) -> Any:
    """A model whose input is `image`, and whose output is what the last node gives."""
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    last = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, output)
    graph = helper.make_graph(list(nodes), "net", [given], [last], list(weights))
    opsets = [helper.make_opsetid("", 18), *more.pop("opsets", ())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)


def small() -> Any:
    """A convolution, ReLU, pooling and a fully connected layer, as most exporters write them."""
    nodes = [
        helper.make_node(
            "Conv", ["image", "conv1.weight", "conv1.bias"], ["c"], kernel_shape=[3, 3], pads=[1] * 4
        ),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "fc.weight"], ["m"]),
        helper.make_node("Add", ["m", "fc.bias"], ["logits"]),
    ]
    weights = [weight("conv1.weight", 4, 1, 3, 3), weight("conv1.bias", 4), weight("fc.weight", 64, 3),
               weight("fc.bias", 3)]  # fmt: skip
    return model(nodes, weights)


def content(made: Any) -> bytes:
    """The file's bytes."""
    data: bytes = made.SerializeToString()
    return data


def endless() -> Any:
    """A loop of 2^62 rounds before a pooling: it never comes to an end."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )  # fmt: skip
    rounds = numpy_helper.from_array(np.array(2**62, np.int64), "rounds")
    go = numpy_helper.from_array(np.array(True), "go_in")
    nodes = [
        helper.make_node("Loop", ["rounds", "go_in", "image"], ["looped"], body=body),
        helper.make_node("GlobalAveragePool", ["looped"], ["g"]),
        helper.make_node("Flatten", ["g"], ["logits"]),
    ]
    return model(nodes, [rounds, go], output=("n", 1))


def greedy() -> Any:
    """A constant of 40 GB out of a few bytes."""
    size = numpy_helper.from_array(np.array([10_000_000_000], np.int64), "size")
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["huge"]),
        helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=0),
        helper.make_node("GlobalAveragePool", ["image"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Add", ["f", "sum"], ["logits"]),
    ]
    return model(nodes, [size], output=("n", 1))


def external(place: str) -> Any:
    """A tensor that lies in another file, at one of the places where one can stand."""
    made = small()
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    constant = helper.make_node("Constant", [], ["t"], value=tensor)
    if place == "weight":
        made.graph.initializer.append(tensor)
    elif place == "constant":
        made.graph.node.insert(0, constant)
    elif place == "subgraph":
        empty = helper.make_graph(
            [constant], "then", [], [helper.make_tensor_value_info("t", TensorProto.FLOAT, [1])]
        )
        yes = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
        made.graph.node.insert(
            0, helper.make_node("If", ["yes"], ["u"], then_branch=empty, else_branch=empty)
        )
        made.graph.node.insert(0, yes)
    else:
        made.functions.append(
            helper.make_function("own", "F", [], ["t"], [constant], [helper.make_opsetid("", 18)])
        )
        made.opset_import.append(helper.make_opsetid("own", 1))
    return made


def write(made: Any, path: Any) -> Any:
    """Write it, and return the path."""
    onnx.save_model(made, str(path))
    return path
