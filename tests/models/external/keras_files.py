"""Keras 3 files, written as Keras writes them: only `config.json` is looked at."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any


def archive(config: Any, **more: bytes) -> bytes:
    """A `.keras` file of that configuration."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        zipped.writestr("config.json", json.dumps(config))
        zipped.writestr("model.weights.h5", b"\x89HDF never read")
        for name, data in more.items():
            zipped.writestr(name, data)
    return file.getvalue()


def layer(kind: str, name: str = "", **config: Any) -> dict[str, Any]:
    """A layer of Keras's own."""
    return {
        "module": "keras.layers", "class_name": kind, "registered_name": None,
        "config": {"name": name or kind.lower(), **config},
    }  # fmt: skip


def sequential(*layers: dict[str, Any], shape: Any = (None, 28, 28, 1)) -> dict[str, Any]:
    """A Sequential model."""
    first = layer("InputLayer", "input_layer", batch_shape=list(shape))
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [first, *layers]},
    }


def tensor(name: str, node: int = 0, number: int = 0) -> dict[str, Any]:
    """A tensor that a call takes."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, node, number]}}


def called(made: dict[str, Any], *calls: Any) -> dict[str, Any]:
    """A layer of a Functional model, with the tensors that each call takes."""
    nodes = [{"args": [one], "kwargs": {}} for one in calls]
    return {**made, "name": made["config"]["name"], "inbound_nodes": nodes}


def functional(*layers: dict[str, Any], output: str, shape: Any = (None, 8, 8, 3)) -> dict[str, Any]:
    """A Functional model."""
    first = called(layer("InputLayer", "image", batch_shape=list(shape)))
    inside = {
        "name": "f", "layers": [first, *layers], "input_layers": [["image", 0, 0]],
        "output_layers": [[output, 0, 0]],
    }  # fmt: skip
    return {"module": "keras", "class_name": "Functional", "config": inside}
