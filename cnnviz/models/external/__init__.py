"""Networks described by data, not code: ONNX files, Keras configurations, modules of another process.

Here files are registered as models by the command line: `net.onnx`, `net.onnx@1x28x28`, `net.keras`. They are
parsed, never executed, and get a name like a user's Python file, `file/net`. Importing this package does not
import torch.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cnnviz.models.spec import ModelSpec, Shape

ENDINGS = (".onnx", ".keras")
_NAMED = re.compile(r"(?P<path>.+?(?P<ending>\.onnx|\.keras))(?:@(?P<size>[0-9]+(?:[xX×][0-9]+){2}))?")
MAX_CACHED = 4
"""Maximum number of parsed files in the cache."""


@dataclass(frozen=True)
class DataFile:
    """Reference to a data file, with an input shape where one was chosen."""

    path: Path
    size: Shape | None = None

    @classmethod
    def read(cls, text: str) -> DataFile:
        """Parse `net.onnx` or `net.onnx@3x64x64`.

        Raises:
            ValueError: For anything else.
        """
        match = _NAMED.fullmatch(text)
        if match is None:
            raise ValueError(f"'{text[:120]}' is not of the form path/to/net.onnx or path/to/net.onnx@CxHxW.")
        sides = [int(side) for side in re.split("[xX×]", match["size"] or "") if side]
        return cls(Path(match["path"]), (sides[0], sides[1], sides[2]) if sides else None)

    def write(self) -> str:
        """Serialize the reference with an absolute path, for a process with another working directory."""
        size = f"@{'x'.join(map(str, self.size))}" if self.size else ""
        return f"{self.path.resolve()}{size}"

    @property
    def stem(self) -> str:
        """The file's stem, restricted to the characters of a model name."""
        return re.sub(r"[^A-Za-z0-9_-]", "-", self.path.stem)[:60].strip("-") or "network"


def is_data_file(text: str) -> bool:
    """Return whether the text refers to a data file rather than to code or a registered model."""
    return _NAMED.fullmatch(text) is not None


_lock = threading.Lock()
_known: dict[tuple[str, int, int], ModelSpec | str] = {}


def spec_of(file: DataFile, name: str) -> ModelSpec:
    """Return the spec of a data file, parsed again where it has changed.

    Raises:
        ValueError: Where it cannot be read; one sentence.
    """
    try:
        state = file.path.stat()
        key = (file.write(), state.st_mtime_ns, state.st_size)
        with _lock:
            if key not in _known:
                _known[key] = _read(file)
                for old in list(_known)[:-MAX_CACHED]:
                    del _known[old]
            spec = _known[key]
    except FileNotFoundError:
        raise ValueError(f"There is no file '{file.path}'.") from None
    except OSError as error:
        raise ValueError(f"'{file.path.name}' cannot be read: {error.strerror or error}.") from None
    if isinstance(spec, str):
        raise ValueError(spec)
    return replace(spec, name=name)


def _read(file: DataFile) -> ModelSpec | str:
    try:
        return from_bytes(file.path.read_bytes(), file.path.name, file.stem, file.size)
    except ValueError as error:
        return str(error)


def from_bytes(data: bytes, file: str, title: str, size: Shape | None = None) -> ModelSpec:
    """Create the spec of a file's content; `file` is its name in messages.

    Raises:
        ValueError: Where it cannot be read; one sentence.
    """
    return _READERS[Path(file).suffix.lower()](data, file, title, size)


def _onnx(data: bytes, file: str, title: str, size: Shape | None) -> ModelSpec:
    from cnnviz.models.external import onnx_network
    from cnnviz.models.external.onnx_network import OnnxFile

    return onnx_network.spec_of(OnnxFile(data, file, size), f"file/{title}", title)


def _keras(data: bytes, file: str, title: str, size: Shape | None) -> ModelSpec:
    from cnnviz.models.external.keras_config import spec_of as keras_spec

    return keras_spec(data, file, f"file/{title}", title, size)


_READERS: dict[str, Callable[[bytes, str, str, Shape | None], ModelSpec]] = {".onnx": _onnx, ".keras": _keras}
