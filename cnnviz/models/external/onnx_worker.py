"""ONNX worker: child process that parses and runs an untrusted file, `onnx_worker.py FILE MEMORY_BYTES`.

It imports numpy, onnx and onnxruntime only. Requests arrive on stdin, a line of JSON and the bytes of the
arrays; responses leave on stdout in the same form. A file can request any amount of memory (66 bytes for 40
GB) and loop forever: memory is limited here, time by the parent process (`onnx_network`). Nothing outside the
file is read: external data is refused wherever a tensor can occur, and so are custom operators.
"""

import contextlib
import itertools
import json
import math
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import onnx
import onnxruntime
from onnx import inliner, numpy_helper

MAX_NODES = 20_000
PAGE = 4096
USUAL_SIDE, USUAL_CHANNELS = 224, 3
"""Default side and channels of an input whose shape the file leaves open."""
CHANNELS = (1, 3)
STANDARD = ("", "ai.onnx", "ai.onnx.ml")
NAMES = "pkg.torch.onnx.name_scopes"
SMALL = ("Pad", "Resize", "ReduceMean", "ReduceMax", "ReduceSum", "Clip")
"""Operators with parameters in constant inputs."""
VIEWS = ("Identity", "Dropout", "Cast", "CastLike", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
"""Operators that only reshape or cast their input; they have no row of their own."""
SHAPES = ("Shape", "Size")
"""Operators whose results depend on shapes alone."""
LONGEST = 64
"""Maximum number of values read from an attribute or constant."""


class RefusedError(Exception):
    """Error for a file that cannot be read; the message has no full stop."""


def limit_memory(extra: int) -> None:
    """Limit this process to `extra` bytes beyond its current memory, where the system supports it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        with open("/proc/self/statm") as file:
            current = int(file.read().split()[0]) * PAGE
        resource.setrlimit(resource.RLIMIT_AS, (current + extra, current + extra))


# Validation of a file's content.


def graphs(model: Any) -> Iterator[Any]:
    """Yield every graph: the model's own, those inside operators, and the bodies of functions."""
    stack = [model.graph, *model.functions]
    while stack:
        graph = stack.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    stack.append(attribute.g)
                stack.extend(attribute.graphs)


def tensors(graph: Any) -> Iterator[Any]:
    """Yield every tensor of a graph, sparse ones as values and indices."""
    sparse = list(getattr(graph, "sparse_initializer", ()))
    yield from getattr(graph, "initializer", ())
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("sparse_tensor"):
                sparse.append(attribute.sparse_tensor)
            sparse.extend(attribute.sparse_tensors)
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices


def check(model: Any) -> None:
    """Raise `RefusedError` for external data, custom operators, training graphs, and too many operators."""
    own = {(function.domain, function.name) for function in model.functions}
    count = 0
    if model.training_info:
        raise RefusedError("it holds a training graph; export the network for inference")
    for graph in graphs(model):
        for tensor in tensors(graph):
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                raise RefusedError("its weights lie in another file; save it with all weights in one file")
        for node in graph.node:
            count += 1
            if node.domain not in STANDARD and (node.domain, node.op_type) not in own:
                raise RefusedError(
                    f"it asks for the operator {node.op_type[:60]} of '{node.domain[:60]}', which is not of "
                    "the ONNX standard"
                )
    if count > MAX_NODES:
        raise RefusedError(f"it has {count:,} operators, and at most {MAX_NODES:,} are read")


def image_input(model: Any, wanted: Sequence[int] | None) -> tuple[str, list[int], str, int]:
    """Return name, shape `(C, H, W)`, layout and fixed batch size (0 where dynamic) of the only input."""
    initializers = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initializers]
    if len(inputs) != 1:
        raise RefusedError(f"it reads {len(inputs)} inputs, and networks of one image are shown")
    kind = inputs[0].type.tensor_type
    dims = [side.dim_value if side.dim_value > 0 else 0 for side in kind.shape.dim]
    if kind.elem_type != onnx.TensorProto.FLOAT or len(dims) != 4:
        raise RefusedError("its input is not a batch of images as float32 (N, C, H, W)")
    channels_last = dims[3] in CHANNELS and dims[1] not in CHANNELS
    batch, channels, height, width = [dims[0], dims[3], dims[1], dims[2]] if channels_last else dims
    if wanted:
        shape = list(wanted)
        if any(
            side and side != requested
            for side, requested in zip((channels, height, width), shape, strict=True)
        ):
            sides = "×".join(str(side or "any") for side in (channels, height, width))
            raise RefusedError(f"its input is {sides}, not {'×'.join(map(str, shape))}")
    else:
        shape = [channels or USUAL_CHANNELS, height or width or USUAL_SIDE, width or height or USUAL_SIDE]
    return inputs[0].name, shape, "NHWC" if channels_last else "NCHW", batch


# Layer names: the module that an operator came from, where the exporter recorded it.


def scope_of(node: Any) -> str:
    """Return the dotted name of the module that a node came from; empty where unknown."""
    for entry in node.metadata_props:
        if entry.key == NAMES:
            parts = re.findall(r"'([^']*)'", entry.value)
            return clean(parts[-2]) if len(parts) > 1 else ""
    if node.name.startswith("/"):  # torch's TorchScript-based exporter: /features/features.0/Conv
        parts = node.name.split("/")[1:-1]
        return clean(parts[-1]) if parts else ""
    return ""


def clean(text: str) -> str:
    """Convert text to a valid module name: segments of plain characters between dots."""
    parts = [re.sub(r"[^A-Za-z0-9_-]", "_", part)[:60] for part in text.split(".")]
    return ".".join(part for part in parts if part)[:200]


def by_weight(node: Any) -> str:
    """Derive a module's name from its weight's, such as `conv1` from `conv1.weight`.

    Empty where impossible.
    """
    for name in node.input[1:2]:
        stem, dot, end = name.rpartition(".")
        if dot and end in ("weight", "bias") and "/" not in stem and ":" not in stem:
            return clean(stem)
    return ""


def named(nodes: Sequence[Any]) -> list[str]:
    """Name every node after its module where that is unique, else with the operator appended."""
    scopes = [by_weight(node) or scope_of(node) for node in nodes]
    repeated = {scope for scope, count in Counter(scopes).items() if count > 1}
    containers = {".".join(s.split(".")[:n]) for s in scopes for n in range(1, s.count(".") + 1)}
    unique = {scope for scope in scopes if scope and scope not in repeated and scope not in containers}
    names: list[str] = []
    used = set(unique)
    for node, scope in zip(nodes, scopes, strict=True):
        if scope in unique:
            names.append(scope)
            continue
        stem = ".".join(filter(None, (scope, clean(node.op_type.lower()))))
        numbers = ("" if number == 1 else str(number) for number in itertools.count(1))
        name = next(f"{stem}{number}" for number in numbers if f"{stem}{number}" not in used | containers)
        used.add(name)
        names.append(name)
    return names


# Execution.


class Network:
    """Validated model and a session that computes selected tensors of it."""

    def __init__(self, data: bytes, wanted: Sequence[int] | None) -> None:
        try:
            model = onnx.load_model_from_string(data)
        except Exception as error:
            raise RefusedError(f"it is damaged ({reason(error)})") from None
        check(model)
        if model.functions:
            model = inliner.inline_local_functions(model)
            check(model)
        if not model.graph.node or not model.graph.output:
            raise RefusedError("it computes nothing")
        self.model = model
        self.input, self.shape, self.layout, self.batch = image_input(model, wanted)
        if self.batch > 1:
            raise RefusedError(
                f"it reads {self.batch} images at a time; export it for one, or for any number"
            )
        self._session: tuple[tuple[str, ...], Any] = ((), None)

    def run(self, images: Any, names: Sequence[str]) -> list[Any]:
        """Compute the named tensors for images `(N, C, H, W)`, in that order, batch first."""
        session = self._for(tuple(names))
        batch = images.transpose(0, 2, 3, 1) if self.layout == "NHWC" else images
        groups = np.split(batch, len(batch)) if self.batch == 1 and len(batch) > 1 else [batch]
        results = [session.run(list(names), {self.input: np.ascontiguousarray(group)}) for group in groups]
        return (
            results[0]
            if len(results) == 1
            else [np.concatenate(parts) for parts in zip(*results, strict=True)]
        )

    def _for(self, names: tuple[str, ...]) -> Any:
        if self._session[0] != names:
            model = onnx.ModelProto()
            model.CopyFrom(self.model)
            known = {value.name for value in model.graph.output}
            model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in known)
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.enable_cpu_mem_arena = options.enable_mem_pattern = False
            options.log_severity_level = 4
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            self._session = (names, session)
        return self._session[1]

    def describe(self) -> dict[str, Any]:
        """Describe the network as plain values, the input of `cnnviz.analysis.onnx_graph`."""
        graph = self.model.graph
        all_names = [name for node in graph.node for name in node.output if name]
        output_name = graph.output[0].name
        results = self.run(np.zeros((1, *self.shape), np.float32), all_names)
        shapes = {
            name: list(value.shape)
            for name, value in zip(all_names, results, strict=True)
            if hasattr(value, "shape")
        }
        final = next(value for name, value in zip(all_names, results, strict=True) if name == output_name)
        if not hasattr(final, "shape") or final.dtype.kind != "f":
            raise RefusedError("its output is no tensor of numbers")
        shapes[self.input] = (
            [1, *self.shape] if self.layout == "NCHW" else [1, *self.shape[1:], self.shape[0]]
        )
        constants = {tensor.name: tensor for tensor in graph.initializer}
        shapes |= {name: list(tensor.dims) for name, tensor in constants.items()}
        live = self._live()
        nodes = [node for node in graph.node if any(name in live for name in node.output)]
        biases = self._biases(nodes, shapes, live)
        folded = {id(bias) for bias in biases.values()}
        nodes = [node for node in nodes if id(node) not in folded]
        shown = [node for node in nodes if node.op_type not in VIEWS]
        names = dict(zip(map(id, shown), named(shown), strict=True))
        return {
            "format": "onnx",
            "producer": clean(self.model.producer_name)[:60],
            "opset": max(
                (opset.version for opset in self.model.opset_import if opset.domain in ("", "ai.onnx")),
                default=0,
            ),
            "input": {"name": self.input, "shape": self.shape, "layout": self.layout},
            "output": {"name": output_name, "shape": list(final.shape)},
            "metadata": {p.key: p.value for p in self.model.metadata_props if p.key.startswith("cnnviz.")},
            "nodes": [
                self._node(node, names.get(id(node), ""), shapes, live, biases.get(id(node)))
                for node in nodes
            ],
        }

    def _live(self) -> set[str]:
        """Return the tensors that depend on the input's values, not only on its shape."""
        live = {self.input}
        for node in self.model.graph.node:
            inner = any(a.HasField("g") or a.graphs for a in node.attribute)
            if node.op_type not in SHAPES and (any(name in live for name in node.input) or inner):
                live.update(name for name in node.output if name)
        return live

    def _biases(self, nodes: Sequence[Any], shapes: dict[str, Any], live: set[str]) -> dict[int, Any]:
        """Map the id of each matrix product to the addition of its bias, where one directly follows."""
        users = Counter(name for node in self.model.graph.node for name in node.input)
        users.update(value.name for value in self.model.graph.output)
        products = {node.output[0]: node for node in nodes if node.op_type == "MatMul"}
        biases = {}
        for node in nodes:
            constants = [name for name in node.input if name not in live]
            product = next((products[name] for name in node.input if name in products), None)
            if (
                node.op_type != "Add"
                or len(constants) != 1
                or product is None
                or users[product.output[0]] > 1
            ):
                continue
            sides = [side for side in shapes.get(constants[0]) or () if side != 1]
            if product.input[1] not in live and sides == (shapes.get(product.input[1]) or [0])[-1:]:
                biases[id(product)] = node
        return biases

    def _node(
        self, node: Any, name: str, shapes: dict[str, Any], live: set[str], bias: Any = None
    ) -> dict[str, Any]:
        inputs = [*node.input, *(name for name in (bias.input if bias else ()) if name not in live)]
        outputs = (bias or node).output
        return {
            "name": name,
            "op": node.op_type,
            "attributes": {
                attribute.name: value
                for attribute in node.attribute
                if (value := plain(attribute)) is not None
            },
            "inputs": [
                {"tensor": tensor, "shape": shapes.get(tensor), "live": tensor in live} for tensor in inputs
            ],
            "outputs": [{"tensor": tensor, "shape": shapes.get(tensor)} for tensor in outputs],
            "values": self._small(node),
        }

    def _small(self, node: Any) -> dict[str, list[float]]:
        """Return the node's constant inputs of few values, such as pads and scales, by input index."""
        if node.op_type not in SMALL:
            return {}
        known = {tensor.name: tensor for tensor in self.model.graph.initializer}
        known |= {
            constant.output[0]: attribute.t
            for constant in self.model.graph.node
            if constant.op_type == "Constant"
            for attribute in constant.attribute
            if attribute.HasField("t")
        }
        return {
            str(place): [float(value) for value in np.ravel(numpy_helper.to_array(known[name]))]
            for place, name in enumerate(node.input)
            if name in known and math.prod(known[name].dims) <= LONGEST
        }

    def weights(self, names: Sequence[str]) -> list[Any]:
        """Return constants by name, as float32."""
        known = {tensor.name: tensor for tensor in self.model.graph.initializer}
        return [np.asarray(numpy_helper.to_array(known[name]), np.float32) for name in names if name in known]


def plain(attribute: Any) -> Any:
    """Convert an attribute to a JSON value; None for tensors and graphs."""
    kind = attribute.type
    if kind == onnx.AttributeProto.INT:
        return attribute.i
    if kind == onnx.AttributeProto.FLOAT:
        return attribute.f
    if kind == onnx.AttributeProto.STRING:
        return attribute.s.decode(errors="replace")[:200]
    if kind == onnx.AttributeProto.INTS:
        return list(attribute.ints)[:LONGEST]
    if kind == onnx.AttributeProto.FLOATS:
        return list(attribute.floats)[:LONGEST]
    return None


def reason(error: BaseException) -> str:
    """Return an error's first line, shortened, without a full stop."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    return text[:200].rstrip(".")


def handle_request(
    network: Network, request: dict[str, Any], arrays: list[Any]
) -> tuple[dict[str, Any], list[Any]]:
    """Handle one request: `describe`, `run` or `weights`."""
    if request["do"] == "describe":
        return {"description": network.describe()}, []
    if request["do"] == "weights":
        return {}, network.weights(request["names"])
    return {}, [np.asarray(value, np.float32) for value in network.run(arrays[0], request["names"])]


def serve(path: str, requests: BinaryIO, answers: BinaryIO) -> None:
    """Handle requests until the input ends."""
    network = None
    while line := requests.readline():
        request = json.loads(line)
        arrays = [
            np.frombuffer(requests.read(4 * math.prod(shape)), np.float32).reshape(shape)
            for shape in request["shapes"]
        ]
        try:
            if network is None:
                with open(path, "rb") as file:
                    network = Network(file.read(), request["wanted"])
            facts, given = handle_request(network, request, arrays)
        except RefusedError as error:
            facts, given = {"refused": str(error)}, []
        except MemoryError:
            facts, given = {"refused": "it takes more memory than a network of its size should"}, []
        except Exception as error:  # An untrusted file may make the libraries raise anything.
            memory = re.search("alloc|memory", str(error), re.I)
            words = "it takes more memory than a network of its size should" if memory else ""
            facts, given = {"refused": words or f"onnxruntime does not run it ({reason(error)})"}, []
        answers.write(json.dumps(facts | {"shapes": [list(array.shape) for array in given]}).encode() + b"\n")
        for array in given:
            answers.write(np.ascontiguousarray(array).tobytes())
        answers.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    limit_memory(int(sys.argv[2]))
    serve(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer)
