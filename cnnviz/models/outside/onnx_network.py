"""ONNX files as models: a spec from the file's description, and a network computed by a child process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnnviz.models.outside.onnx_reader import OnnxError, OnnxFile
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
        from cnnviz.models.outside.network import OutsideNetwork

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
    from cnnviz.models.outside import network

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
