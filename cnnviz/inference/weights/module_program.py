"""Module program: a module converted for `forward.js` in the browser, as layers and their connections.

`torch.fx` traces the module's forward; each call becomes one operation of the program. `layer_program.py`
does the same for a layer list, without torch.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from cnnviz.inference import InferenceError
from cnnviz.inference.weights.layer_program import LayerProgram, WeightBuffer
from cnnviz.models import modules
from cnnviz.models.layers.base import pair

Operation = dict[str, Any]
WHOLE_MODULES = (modules.PartialConv2d, modules.Subsampling, modules.ScaledTanh, modules.RadialBasis)
"""Our own modules that are one or two operations, and are not traced into."""
SUPPORTED = (
    "convolution, pooling, normalization, activation, addition, concatenation, fully connected layers and "
    "softmax can"
)


@dataclass(frozen=True, eq=False)
class NetworkProgram:
    """Converted module, with the graph that it was traced from.

    Attributes:
        program: Program for `forward.js`. Each layer has `from`, the indices of its inputs (-1 is the image),
            and `shape`, without the batch.
        graph: The traced module, which shares the module's parameters.
        nodes: Name of the graph's node of each layer.
        macs: Multiply-adds for one image.
        has_kernels: Whether the weights of convolutions and fully connected layers are included; otherwise
            their `weight` is None, and `kernel` returns those of one map.
    """

    program: LayerProgram
    graph: fx.GraphModule
    nodes: tuple[str, ...]
    macs: int
    has_kernels: bool

    def outputs(self, image: Tensor) -> list[Tensor]:
        """Return each layer's output for one image `(1, C, H, W)`, without the batch, in order."""
        outputs = _Recorder(self.graph).outputs_for(image)
        return [
            _means(outputs[node.removesuffix(MEANS)]) if node.endswith(MEANS) else outputs[node][0]
            for node in self.nodes
        ]


MEANS = ":means"
"""Suffix of the node of trainable subsampling for the means before its gain."""


def module_program(
    model: nn.Module, input_shape: tuple[int, int, int], *, most_macs: int | None = None
) -> NetworkProgram:
    """Convert a module in evaluation mode.

    Args:
        model: Maps `(N, *input_shape)` to logits `(N, classes)`; it is not modified.
        input_shape: `(C, H, W)`.
        most_macs: Maximum multiply-adds for an image up to which the kernels are included; always if None.

    Returns:
        The program and its graph.

    Raises:
        InferenceError: Where the forward cannot be traced, or contains an unsupported operation.
    """
    graph = _traced(model)
    outputs = _Recorder(graph).outputs_for(torch.zeros(1, *input_shape))
    shapes = {name: tuple(output.shape[1:]) for name, output in outputs.items()}
    writer = _Writer(graph, shapes, kernels=False).write()
    has_kernels = most_macs is None or writer.macs <= most_macs
    if has_kernels:
        writer = _Writer(graph, shapes, kernels=True).write()
    program = LayerProgram(tuple(writer.layers), writer.buffer.joined(), input_shape)
    return NetworkProgram(program, graph, tuple(writer.nodes), writer.macs, has_kernels)


def kernel(network: NetworkProgram, layer: int, channel: int) -> Tensor:
    """Return the weights of one output map, or unit, of a layer, float32.

    Raises:
        ValueError: For a layer without such weights, or an index out of range.
    """
    nodes = network.nodes
    if not 0 <= layer < len(nodes):
        raise ValueError(f"There is no layer {layer} among {len(nodes)}.")
    node = next(node for node in network.graph.graph.nodes if node.name == nodes[layer].removesuffix(MEANS))
    module = network.graph.get_submodule(str(node.target)) if node.op == "call_module" else None
    if not isinstance(module, nn.Conv2d | nn.Linear) or not 0 <= channel < len(module.weight):
        raise ValueError(f"Layer {layer} has no weights of a map {channel}.")
    return module.weight[channel].detach().float()


class _Tracer(fx.Tracer):
    """Tracer that enters all modules but torch's layers and our own single operations."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, WHOLE_MODULES) or super().is_leaf_module(m, module_qualified_name)


def _traced(model: nn.Module) -> fx.GraphModule:
    try:
        return fx.GraphModule(model, _Tracer().trace(model))
    except Exception as error:  # a user's forward may raise anything while it is traced
        raise InferenceError(
            "Its forward pass depends on its input or does more than call layers, so it cannot be drawn as a "
            "graph of layers; networks whose forward calls one layer after another can."
        ) from error


class _Recorder(fx.Interpreter):
    """Interpreter that records the output of each node."""

    def outputs_for(self, image: Tensor) -> dict[str, Tensor]:
        self.found: dict[str, Tensor] = {}
        with torch.inference_mode():
            self.run(image)
        return self.found

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.op == "call_module" and isinstance(
            self.module.get_submodule(str(n.target)), modules.Subsampling
        ):
            self.found[n.name + MEANS] = super().fetch_args_kwargs_from_env(n)[0][0].clone()
        if isinstance(result, Tensor):
            self.found[n.name] = result.clone()  # a later layer may be in-place
        return result


def _means(values: Tensor) -> Tensor:
    return values[0]


class _Writer:
    """Converter of a graph to a program, node by node."""

    def __init__(self, graph: fx.GraphModule, shapes: Mapping[str, tuple[int, ...]], kernels: bool) -> None:
        self.graph, self.shapes, self.kernels = graph, shapes, kernels
        self.buffer = WeightBuffer({})
        self.layers: list[Operation] = []
        self.nodes: list[str] = []
        self.macs = 0
        self._at: dict[str, int] = {}
        """Index of the layer that computes a node's output; -1 is the image."""

    def write(self) -> _Writer:
        for node in self.graph.graph.nodes:
            self._add_node(node)
        return self

    def _add_node(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self._at[node.name] = -1
        elif node.op == "output":
            return
        else:
            self._operations(node)

    def _operations(self, node: fx.Node) -> None:
        inputs = [
            self._at[all_input_node.name]
            for all_input_node in node.all_input_nodes
            if all_input_node.name in self._at
        ]
        operations = self._module(node) if node.op == "call_module" else _function(node)
        if operations is None:
            raise InferenceError(f"Layer '{_name(node)}' ({self._what(node)}) cannot be drawn; {SUPPORTED}.")
        if not operations:  # dropout and other operations without effect in evaluation mode
            self._at[node.name] = inputs[0]
            return
        for number, operation in enumerate(operations, start=1):
            last = number == len(operations)
            name = _name(node) if last else f"{_name(node)}.mean"
            self.layers.append(
                {"name": name, **operation, "from": inputs, "shape": list(self.shapes[node.name])}
            )
            self.nodes.append(node.name if last else node.name + MEANS)
            inputs = [len(self.layers) - 1]
        self._at[node.name] = len(self.layers) - 1

    def _what(self, node: fx.Node) -> str:
        if node.op == "call_module":
            return type(self.graph.get_submodule(str(node.target))).__name__
        return getattr(node.target, "__name__", str(node.target))

    def _add(self, tensor: Tensor | None) -> int | None:
        return None if tensor is None else self.buffer.add(tensor.detach().float().cpu().numpy())

    def _kernel(self, tensor: Tensor, positions: int = 1) -> int | None:
        self.macs += tensor.numel() * positions
        return self._add(tensor) if self.kernels else None

    def _module(self, node: fx.Node) -> list[Operation] | None:
        """Return the operations of a layer: empty for one without effect, None for an unsupported one."""
        module = self.graph.get_submodule(str(node.target))
        shape = self.shapes[node.name]
        input_shape = self.shapes.get(node.all_input_nodes[0].name, ())
        match module:
            case nn.Conv2d() if module.padding_mode == "zeros" and not isinstance(module.padding, str):
                return [self._convolution(module, shape)]
            case nn.Linear() if len(shape) == 1:
                weight = self._kernel(module.weight)
                return [
                    {
                        "op": "linear",
                        "out": module.out_features,
                        "weight": weight,
                        "bias": self._add(module.bias),
                    }
                ]
            case nn.BatchNorm2d() | nn.BatchNorm1d():
                return self._batch_norm(module)
            case nn.MaxPool2d() if pair(module.dilation) == (1, 1):
                return [_window("max", module)]
            case nn.AvgPool2d() if module.count_include_pad and module.divisor_override is None:
                return [_window("average", module)]
            case nn.AdaptiveAvgPool2d():
                return _adaptive(input_shape, shape)
            case nn.LocalResponseNorm():
                return [
                    {
                        "op": "lrn",
                        "size": module.size,
                        "alpha": module.alpha,
                        "beta": module.beta,
                        "k": module.k,
                    }
                ]
            case nn.Softmax() if module.dim in (1, -1) and len(shape) == 1:
                return [{"op": "softmax"}]
            case nn.Flatten() if len(shape) == 1:
                return [{"op": "flatten"}]
            case nn.Dropout() | nn.Dropout2d() | nn.Identity():
                return []
            case modules.PartialConv2d():
                return [self._partial(module, shape)]
            case modules.Subsampling():
                gain = {"op": "batch_norm", "scale": self._add(module.gain), "shift": self._add(module.bias)}
                pool = {
                    "op": "pool2d",
                    "mode": "average",
                    "kernel": [2, 2],
                    "stride": [2, 2],
                    "padding": [0, 0],
                }
                return [pool | {"ceil": False}, gain]
            case modules.RadialBasis():
                return [{"op": "radial_basis", "out": len(module.codes), "codes": self._add(module.codes)}]
        return _activation(module)

    def _convolution(self, module: nn.Conv2d, shape: tuple[int, ...]) -> Operation:
        weight = self._kernel(module.weight, math.prod(shape[1:]))
        return {
            "op": "conv2d", "out": module.out_channels, "kernel": list(module.kernel_size),
            "stride": list(module.stride), "padding": [int(side) for side in module.padding],
            "dilation": list(module.dilation), "groups": module.groups, "weight": weight,
            "bias": self._add(module.bias),
        }  # fmt: skip

    def _partial(self, module: modules.PartialConv2d, shape: tuple[int, ...]) -> Operation:
        parts = [part for part in module.convs.values() if isinstance(part, nn.Conv2d)]
        weight = torch.cat([part.weight.detach().ravel() for part in parts])
        bias = torch.cat([part.bias.detach() for part in parts if part.bias is not None])
        self.macs += weight.numel() * math.prod(shape[1:])
        return {
            "op": "conv2d", "out": shape[0], "kernel": list(parts[0].kernel_size), "stride": [1, 1],
            "padding": [0, 0], "dilation": [1, 1], "connections": [list(seen) for seen in module.connections],
            "weight": self._add(weight), "bias": self._add(bias),
        }  # fmt: skip

    def _batch_norm(self, module: nn.BatchNorm2d | nn.BatchNorm1d) -> list[Operation] | None:
        if module.running_mean is None or module.running_var is None:
            return None
        scale = 1 / torch.sqrt(module.running_var.double() + module.eps)
        shift = -module.running_mean.double() * scale
        if module.affine:
            scale, shift = (
                scale * module.weight.double(),
                shift * module.weight.double() + module.bias.double(),
            )
        return [{"op": "batch_norm", "scale": self._add(scale), "shift": self._add(shift)}]


def _window(mode: str, module: nn.MaxPool2d | nn.AvgPool2d) -> Operation:
    return {
        "op": "pool2d", "mode": mode, "kernel": list(pair(module.kernel_size)),
        "stride": list(pair(module.stride)), "padding": list(pair(module.padding)), "ceil": module.ceil_mode,
    }  # fmt: skip


def _adaptive(input_shape: tuple[int, ...], shape: tuple[int, ...]) -> list[Operation] | None:
    """Convert adaptive pooling: global, without effect, or as windows of an integer size; else None."""
    if len(shape) != 3:
        return None
    if input_shape == shape:
        return []
    if shape[1:] == (1, 1):
        return [{"op": "global_pool"}]
    if any(side % out for side, out in zip(input_shape[1:], shape[1:], strict=True)):
        return None
    kernel = [side // out for side, out in zip(input_shape[1:], shape[1:], strict=True)]
    return [
        {
            "op": "pool2d",
            "mode": "average",
            "kernel": kernel,
            "stride": kernel,
            "padding": [0, 0],
            "ceil": False,
        }
    ]


def _activation(module: nn.Module) -> list[Operation] | None:
    names: dict[type[nn.Module], str] = {
        nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.SiLU: "silu", nn.ReLU6: "relu6",
        nn.Hardswish: "hardswish", modules.ScaledTanh: "scaled_tanh",
    }  # fmt: skip
    name = names.get(type(module))
    if isinstance(module, nn.GELU) and module.approximate == "none":
        name = "gelu"
    if isinstance(module, nn.LeakyReLU) and module.negative_slope == 0.01:
        name = "leaky_relu"
    return None if name is None else [{"op": "activation", "function": name}]


_RELU: tuple[Callable[..., Any], ...] = (functional.relu, torch.relu)
_ADD: tuple[Callable[..., Any], ...] = (operator.add, operator.iadd, torch.add)


def _function(node: fx.Node) -> list[Operation] | None:
    """Return the operations of a function or tensor method; None for an unsupported one."""
    target, tensors = node.target, [argument for argument in node.args if isinstance(argument, fx.Node)]
    if target in _RELU or target in ("relu", "relu_"):
        return [{"op": "activation", "function": "relu"}]
    if target in _ADD and len(tensors) == 2 and tensors[0] is not tensors[1]:
        return [{"op": "add"}]
    axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    if target in (torch.cat, torch.concat) and axis == 1 and not tensors:
        return [{"op": "concat"}]
    if target in (torch.flatten, "flatten") and axis == 1:
        return [{"op": "flatten"}]
    if target in (functional.dropout, functional.dropout2d):
        return []
    return None


def _name(node: fx.Node) -> str:
    """Return a layer's name; for a concatenation that of its block, the name in the layer table."""
    if node.op == "call_module":
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    path = str(list(stack.values())[-1][0]) if stack else ""
    return path if node.target in (torch.cat, torch.concat) and path else node.name
