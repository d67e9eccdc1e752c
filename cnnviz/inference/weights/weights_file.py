"""Weights files: safetensors and PyTorch state dicts, validated or read by a bounded child process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from safetensors import SafetensorError, safe_open
from torch import Tensor

from cnnviz.formats.headers import HeaderError, check_header, directory_bytes
from cnnviz.inference import InferenceError
from cnnviz.inference.images.read_image import START, kind

# Detection of the file type: which are supported, and why others are not.

Readable = Literal["safetensors", "state dict"]
ACCEPTED = "safetensors, or a PyTorch state dict (`torch.save(model.state_dict(), …)`)"
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""Magic bytes of PyTorch files before 1.6: the pickled magic number 0x1950a86a20f9469cfc6c."""
ONNX_FIELDS = frozenset(b"\x12\x1a\x22\x28\x32\x3a\x42")
"""Tags that follow the format's version in an ONNX file's protocol buffer."""
PICKLES = frozenset(bytes((0x80, version)) for version in range(2, 6))
MAX_DIRECTORY = 8 << 20
"""Maximum bytes of a zip's directory: some 100 per tensor."""


def weights_kind(path: Path, name: str) -> Readable:
    """Detect which supported type a file has; raise `InferenceError`, which names the type, for others."""
    with path.open("rb") as file:
        start = file.read(START)
    if _is_safetensors(start):
        return "safetensors"
    if start.startswith(LEGACY):
        return "state dict"
    reason = _zip_reason(path) if start.startswith(b"PK") else _reason(start)
    if reason:
        raise InferenceError(f"'{name}' is {reason}; what is read is {ACCEPTED}.")
    return "state dict"


def _is_safetensors(start: bytes) -> bool:
    """Return whether a file starts like safetensors; the header's length is limited by `check_header`."""
    return len(start) >= 10 and start[8:9] == b"{" and start[4:8] == bytes(4)


def _reason(start: bytes) -> str:
    if start[:2] in PICKLES:
        return "a Python pickle, which can run code when it is opened"
    if start[:1] == b"\x08" and 1 <= start[1] <= 31 and start[2] in ONNX_FIELDS:
        return "an ONNX graph, which is a network of its own and no weights for another (--model FILE.onnx)"
    return kind(start) or "of no kind that is known here"


def _zip_reason(path: Path) -> str:
    """Return the reason against a zip; empty for those of `torch.save`."""
    try:
        length = directory_bytes(path)
        if length > MAX_DIRECTORY:
            return f"a zip archive with a directory of {length / 1e6:,.0f} MB, which no state dict has"
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] or name for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return "a damaged zip archive"
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return "an exported program (.pt2), which holds code beside weights"
    if "data.pkl" in names and ("constants.pkl" in names or any(n.startswith("code/") for n in names)):
        return "TorchScript, which holds code beside weights"
    if "data.pkl" in names:
        return ""
    if any(name.endswith(".weights.h5") for name in names):
        return "a Keras model"
    if names and all(name.endswith(".npy") for name in names):
        return "a file of NumPy arrays"
    return "a zip archive without a state dict"


MAX_BYTES = 4 << 30
MAX_SECONDS = 120.0
MAX_OTHERS, MAX_NAME = 4, 40
"""Maximum number of names, and of characters each, of omitted tensor mappings in a note."""
SPARE = 1 << 30
"""Memory of the child beyond four times the file: it is read, copied and written."""
_CHILD = Path(__file__).with_name("state_dict_reader.py")


@dataclass(frozen=True)
class Weights:
    """Tensors by name, safetensors metadata, and notes on how they were read."""

    tensors: dict[str, Tensor]
    details: dict[str, str]
    notes: tuple[str, ...] = ()


def read_weights(path: Path, name: str = "", seconds: float = MAX_SECONDS) -> Weights:
    """Read the tensors of a weights file, whose type is detected by content; `name` is its name in messages.

    Raises:
        InferenceError: For unsupported files: pickles, TorchScript, exported programs, ONNX, HDF5 and others,
            each with its reason.
    """
    name = name or path.name
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InferenceError(
                f"'{name}' has {size / 1e9:.1f} GB; weights have at most {MAX_BYTES >> 30} GiB."
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
        completed = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise InferenceError(f"'{name}' took more than {seconds:.0f} s to read; give safetensors.") from None
    try:
        document = json.loads(completed.stdout)
    except ValueError:
        document = {"refused": "It made the reader fail"}
    if "refused" in document:
        raise InferenceError(f"'{name}' cannot be read: {document['refused']}; what is read is {ACCEPTED}.")
    others = ", ".join(f"'{name[:MAX_NAME]}'" for name in document["others"][:MAX_OTHERS])
    omitted_note = f"; those under {others} are left out" if others else ""
    notes = (
        (f"The weights lay under '{document['key']}' in the file{omitted_note}.",) if document["key"] else ()
    )
    return Weights(_safetensors(target, name).tensors, {}, notes)
