"""ONNX files as models: a spec from the file's description, and a network computed by a child process."""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.models.layers.base import MAX_CLASSES, MAX_SIDE
from cnnviz.models.spec import ModelSpec, Options, Shape

if TYPE_CHECKING:
    from torch import nn


FAMILY = "Yours"
DATA_ONLY = "data-only"
"""Tag of a spec that is described by data: it has its weights and cannot be trained here."""
NOT_TRAINED = (
    "{title} is read as data, so it can be looked at but not trained; a network trains as net.py:Net."
)


def spec_of(file: OnnxFile, name: str, title: str) -> ModelSpec:
    """Create the spec of an ONNX file.

    Raises:
        OnnxError: Where the file cannot be read; one sentence.
    """
    description = file.describe()
    shape = description["input"]["shape"]
    out_shape = description["output"]["shape"]
    if len(out_shape) < 2:
        raise OnnxError(
            f"'{file.name}' gives {'×'.join(map(str, out_shape)) or 'one number'}, not logits (N, classes)."
        )
    classes = 1
    for side in out_shape[1:]:
        classes *= side
    return ModelSpec(
        name=name,
        title=title,
        family=FAMILY,
        year=0,
        summary=f"An ONNX file, {file.name}, read as data.",
        input_shape=(shape[0], shape[1], shape[2]),
        classes=classes,
        builder=_Builder(file, description),
        notes=(NOT_TRAINED.format(title=title),),
        source="yours",
        tags=frozenset({DATA_ONLY}),
        edition=file.digest,
        description=description,
    )


class _Builder:
    """Builder of the network of an ONNX description."""

    def __init__(self, file: OnnxFile, description: Mapping[str, Any]) -> None:
        self._file, self._description = file, description

    def __call__(self, classes: int, input_shape: Shape, options: Options) -> nn.Module:
        from cnnviz.models.external.network import OutsideNetwork

        layers = {
            node["name"]: (_live(node), node["outputs"][0]["tensor"])
            for node in self._description["nodes"]
            if node["name"]
        }
        output = self._description["output"]["name"]
        return OutsideNetwork(self._file, layers, output, self._weighted()).eval()

    def _weighted(self) -> dict[str, nn.Module]:
        """Build placeholder layers for the nodes whose weights are constants of the file."""
        weight_names = {
            node["name"]: names for node in self._description["nodes"] if (names := _weights(node))
        }
        flat = [name for names in weight_names.values() for name in names]
        arrays = dict(zip(flat, self._file.weights(flat), strict=False)) if flat else {}
        layers = {}
        for node in self._description["nodes"]:
            names = weight_names.get(node["name"], [])
            if names and all(name in arrays for name in names):
                layers[node["name"]] = _layer(node, [arrays[name] for name in names])
        return {name: layer for name, layer in layers.items() if layer is not None}


def _live(node: Mapping[str, Any]) -> str:
    return next((entry["tensor"] for entry in node["inputs"] if entry["live"]), "")


def _weights(node: Mapping[str, Any]) -> list[str]:
    """Return the names of weight and bias of a convolution or matrix product.

    Empty where they are computed.
    """
    if node["op"] not in ("Conv", "Gemm", "MatMul"):
        return []
    constants = [entry for entry in node["inputs"][1:] if entry["tensor"] and not entry["live"]]
    return [entry["tensor"] for entry in constants] if node["inputs"][0]["live"] else []


def _layer(node: Mapping[str, Any], arrays: list[Any]) -> nn.Module | None:
    """Build a placeholder with the weights; None where torch has no such module, as for other dimensions."""
    from cnnviz.models.external import network

    attributes, weight, biases = node["attributes"], arrays[0], [array.reshape(-1) for array in arrays[1:2]]
    if node["op"] == "Conv":
        pads = attributes.get("pads") or [0, 0, 0, 0]
        if weight.ndim != 4 or len(pads) != 4:
            return None
        strides, dilations = (tuple(attributes.get(key, [1, 1])) for key in ("strides", "dilations"))
        return network.convolution(
            [weight, *biases], strides, (pads[0], pads[1]), dilations, attributes.get("group", 1)
        )
    if weight.ndim != 2:
        return None
    transposed = node["op"] == "Gemm" and attributes.get("transB")
    return network.linear([weight if transposed else weight.T, *biases])


def facts_of(spec: ModelSpec) -> tuple[tuple[str, ...], dict[str, Any] | None]:
    """Return the class names and preprocessing that cnnviz wrote into the file.

    Empty and None where absent.
    """
    metadata = (spec.description or {}).get("metadata", {})
    classes = _read(metadata.get("cnnviz.classes"))
    preprocessing = _read(metadata.get("cnnviz.preprocessing"))
    fits = isinstance(classes, list) and len(classes) == spec.classes
    names = tuple(str(label)[:200] for label in classes) if fits and isinstance(classes, list) else ()
    return names, preprocessing if isinstance(preprocessing, dict) else None


def _read(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


# ONNX client: a child process (`onnx_worker`) parses and runs the file with bounded memory and time.

Floats = NDArray[np.float32]
MAX_BYTES = 1 << 30
MAX_SECONDS = 60.0
SPARE = 2 << 30
"""Memory of the child beyond four times the file: it is parsed, copied into a session, and run."""
MAX_RUNNING = 2
"""Maximum number of children that stay alive with a network loaded."""
_CHILD = Path(__file__).with_name("onnx_worker.py")
MISSING = "ONNX files are read by onnx and onnxruntime, which are not installed: pip install 'cnnviz[onnx]'."


class OnnxError(ValueError):
    """Error for an ONNX file that cannot be read, in one sentence."""


class OnnxFile:
    """ONNX file and its child process; thread-safe, and shared by copies of the networks built from it."""

    def __init__(
        self,
        data: bytes,
        name: str,
        wanted: tuple[int, ...] | None = None,
        *,
        seconds: float = MAX_SECONDS,
        spare: int = SPARE,
    ) -> None:
        if any(importlib.util.find_spec(package) is None for package in ("onnx", "onnxruntime")):
            raise OnnxError(MISSING)
        if len(data) > MAX_BYTES:
            raise OnnxError(f"'{name}' has {len(data) / 1e9:.1f} GB; an ONNX file has at most 1 GiB here.")
        self.name, self.wanted, self.seconds = name, wanted, seconds
        self.digest = hashlib.sha256(data + repr(wanted).encode()).hexdigest()
        self._data, self._memory = data, spare + 4 * len(data)
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxFile:
        """Return the same object: copies of a network share the child process."""
        return self

    def describe(self) -> dict[str, Any]:
        """Return the network as plain values (see `cnnviz.analysis.onnx_graph`); raise `OnnxError`."""
        description: dict[str, Any] = self._ask({"do": "describe"})[0]["description"]
        shape, output_shape = description["input"]["shape"], description["output"]["shape"]
        if not 1 <= min(shape) <= max(shape) <= MAX_SIDE:
            raise OnnxError(f"'{self.name}' reads an input of {shape}; sides go from 1 to {MAX_SIDE} pixels.")
        if len(output_shape) >= 2 and output_shape[1] > MAX_CLASSES:
            raise OnnxError(
                f"'{self.name}' gives {output_shape[1]:,} numbers; at most {MAX_CLASSES:,} are shown."
            )
        return description

    def run(self, images: Floats, tensors: Sequence[str]) -> list[Floats]:
        """Compute the named tensors for images `(N, C, H, W)`; raise `OnnxError`."""
        return self._ask({"do": "run", "names": list(tensors)}, [images])[1]

    def weights(self, names: Sequence[str]) -> list[Floats]:
        """Return constants of the file by name; raise `OnnxError`."""
        return self._ask({"do": "weights", "names": list(names)})[1]

    def ping(self) -> None:
        """Do nothing: a child is started on demand."""

    def close(self) -> None:
        """End the child process; the next request starts another."""
        with self._lock:
            self._stop()

    def _ask(
        self, request: dict[str, Any], arrays: Sequence[Floats] = ()
    ) -> tuple[dict[str, Any], list[Floats]]:
        with self._lock:
            if self._child is None:
                self._child = _Child(self._data, self._memory)
            child = self._child
            _keep_few(self)
            timer = threading.Timer(self.seconds, child.expire)
            timer.start()
            try:
                facts, arrays_out = child.exchange({**request, "wanted": self.wanted}, arrays)
            except (OSError, ValueError, KeyError, TypeError):
                self._stop()
                reason = (
                    f"took more than {self.seconds:.0f} s, so it was ended"
                    if child.late
                    else "made the process that reads it fail"
                )
                raise OnnxError(f"'{self.name}' {reason}.") from None
            finally:
                timer.cancel()
        if "refused" in facts:
            raise OnnxError(f"'{self.name}' is not read: {facts['refused']}.")
        return facts, arrays_out

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop()


class _Child:
    """Running `onnx_worker` and its working folder, which contains the file only."""

    def __init__(self, data: bytes, memory: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cnnviz-onnx-")
        path = Path(self._folder.name) / "network.onnx"
        path.write_bytes(data)
        self.late = False
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_CHILD), str(path), str(memory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self._folder.name,
            # Settings that onnxruntime would read from the environment are not meant for this process.
            env={k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "OMP_"))},
        )  # fmt: skip

    def exchange(
        self, request: dict[str, Any], arrays: Sequence[Floats]
    ) -> tuple[dict[str, Any], list[Floats]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({**request, "shapes": [array.shape for array in arrays]})
        self._process.stdin.write(line.encode() + b"\n")
        for array in arrays:
            self._process.stdin.write(np.ascontiguousarray(array, np.float32).tobytes())
        self._process.stdin.flush()
        facts = json.loads(self._process.stdout.readline())
        results = []
        for shape in facts["shapes"]:
            size = 4 * int(np.prod(shape, dtype=np.int64))
            data = self._process.stdout.read(size)
            if len(data) != size:
                raise ValueError("The child ended in the middle.")
            results.append(np.frombuffer(data, np.float32).reshape(shape))
        return facts, results

    def expire(self) -> None:
        self.late = True
        self._process.kill()

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


_running: OrderedDict[str, OnnxFile] = OrderedDict()
_few = threading.Lock()


def _keep_few(file: OnnxFile) -> None:
    """Record the use of a file's child, and end the least recently used ones beyond the limit."""
    with _few:
        key = f"{file.digest} {id(file)}"
        _running[key] = file
        _running.move_to_end(key)
        old = [_running.pop(next(iter(_running))) for _ in range(len(_running) - MAX_RUNNING)]
    for evicted in old:
        # In a thread: the lock may be held by a long request.
        threading.Thread(target=evicted.close, daemon=True).start()


def _close_all() -> None:
    for file in list(_running.values()):
        child = file._child
        if child is not None:
            child.stop()


atexit.register(_close_all)
