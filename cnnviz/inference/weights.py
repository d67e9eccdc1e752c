"""Weights files: safetensors whose header a bounded child checked, state dicts that one read."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from cnnviz.formats.safetensors_header import HeaderError, check_header
from cnnviz.inference.errors import InferenceError
from cnnviz.inference.weight_kinds import ACCEPTED, weights_kind

MOST_BYTES = 4 << 30
MOST_SECONDS = 120.0
SPARE = 1 << 30
"""Bytes that the child may take beyond four times the file: read, copied, written."""
_CHILD = Path(__file__).with_name("state_dict_reader.py")


@dataclass(frozen=True)
class Weights:
    """Tensors by name, safetensors' metadata, and sentences on what was done to get them."""

    tensors: dict[str, Tensor]
    details: dict[str, str]
    notes: tuple[str, ...] = ()


def read_weights(path: Path, name: str = "", seconds: float = MOST_SECONDS) -> Weights:
    """The tensors in a weights file, told by its content; `name` is what messages call it.

    Raises `InferenceError` for what is not read: pickles, TorchScript, exported programs, ONNX, HDF5 and
    all else, each with its reason.
    """
    name = name or path.name
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InferenceError(
                f"'{name}' has {size / 1e9:.1f} GB; weights have at most {MOST_BYTES >> 30} GiB."
            )
        if weights_kind(path, name) == "safetensors":
            return _safetensors(path, name)
        with tempfile.TemporaryDirectory(prefix="cnnviz-weights-") as folder:
            return _state_dict(path, name, Path(folder) / "plain.safetensors", seconds)
    except OSError as error:
        raise InferenceError(f"'{name}' cannot be read: {error.strerror or error}.") from None


def _safetensors(path: Path, name: str) -> Weights:
    try:
        check_header(path)
        with safe_open(path, "pt") as file:
            keys = list(file.keys())
            return Weights({key: file.get_tensor(key) for key in keys}, file.metadata() or {})
    except HeaderError as error:
        raise InferenceError(f"'{name}' {error}; what is read is {ACCEPTED}.") from None
    except SafetensorError as error:
        raise InferenceError(f"'{name}' is damaged safetensors ({error}); copy it again.") from None


def _state_dict(path: Path, name: str, target: Path, seconds: float) -> Weights:
    memory = SPARE + 4 * path.stat().st_size
    command = [sys.executable, "-I", str(_CHILD), str(path.resolve()), str(target), str(memory)]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise InferenceError(f"'{name}' took more than {seconds:.0f} s to read; give safetensors.") from None
    try:
        told = json.loads(ended.stdout)
    except ValueError:
        told = {"refused": "It made the reader fail"}
    if "refused" in told:
        raise InferenceError(f"'{name}' cannot be read: {told['refused']}; what is read is {ACCEPTED}.")
    notes = (f"The weights lay under '{told['key']}' in the file.",) if told["key"] else ()
    return Weights(_safetensors(target, name).tensors, {}, notes)
