"""State-dict reader: loads an untrusted file in its own process, `state_dict_reader.py IN OUT MEMORY`.

`torch.load(weights_only=True)` supports tensors and plain containers only, and executes nothing; memory is
limited nevertheless. The tensors are written to OUT as safetensors, and a line of JSON to stdout. MEMORY is
in bytes, in addition to what torch itself needs.
"""

import contextlib
import json
import re
import sys
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from safetensors.torch import save_file

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights", "module")
"""Keys under which training scripts store the state dict besides an epoch and an optimizer state."""
NOT_WEIGHTS = re.compile(r"optim|sched|scaler|callback|loops|metric")
"""Keys of other parts of a training checkpoint."""
DEEPEST = 4
PAGE = 4096
MAX_TENSORS = 10_000
"""Equal to the limit of `cnnviz.formats.headers`, which reads the result."""


def limit_memory(extra: int) -> None:
    """Limit this process to `extra` bytes beyond its current memory, where the system supports it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        with open("/proc/self/statm") as file:
            current = int(file.read().split()[0]) * PAGE
        resource.setrlimit(resource.RLIMIT_AS, (current + extra, current + extra))


class Record:
    """Placeholder for an object with plain attributes, such as `argparse.Namespace`."""


class RecordText(str):
    """Placeholder for a path."""

    def __new__(cls, *parts: str) -> "RecordText":
        """Join the parts to one string."""
        return super().__new__(cls, "/".join(map(str, parts)))


STAND_INS = (
    (Record, "argparse.Namespace"),
    (OrderedDict, "lightning.fabric.utilities.data.AttributeDict"),
    (OrderedDict, "lightning_fabric.utilities.data.AttributeDict"),
    (OrderedDict, "pytorch_lightning.utilities.parsing.AttributeDict"),
    (RecordText, "pathlib.PosixPath"),
    (RecordText, "pathlib.WindowsPath"),
    (RecordText, "pathlib._local.PosixPath"),
)
"""Classes often stored besides weights, replaced by placeholders; none of the named code is imported."""


def tensors_in(content: Any) -> tuple[dict[str, torch.Tensor], str]:
    """Return the tensors by name, and the key under which they were stored.

    Under a usual key (`state_dict`, …) the mapping below it is used, else the only mapping with tensors. With
    several such mappings all are used, their names prefixed with the keys.

    Raises:
        TypeError: For content without tensors.
    """
    if not isinstance(content, Mapping):
        raise TypeError(f"It holds a {type(content).__name__}, not a state dict")
    for key in WRAPPERS:
        inner = content.get(key)
        if isinstance(inner, Mapping) and any(isinstance(value, torch.Tensor) for value in inner.values()):
            return tensors_in(inner)[0], key
    tensors = _direct_tensors(content)
    nested = dict(_mappings(content, ()))
    if not tensors and not nested:
        raise TypeError("It holds no tensors")
    if not tensors and len(nested) == 1:
        ((path, inner),) = nested.items()
        return _direct_tensors(inner), ".".join(path)
    if not tensors:
        tensors = {
            ".".join((*p, name)): value
            for p, inner in nested.items()
            for name, value in _direct_tensors(inner).items()
        }
    return tensors, ""


def _direct_tensors(mapping: Mapping[Any, Any]) -> dict[str, torch.Tensor]:
    return {str(name): value for name, value in mapping.items() if isinstance(value, torch.Tensor)}


def _mappings(
    mapping: Mapping[Any, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """Yield the nested mappings that contain tensors, except those of an optimizer or schedule."""
    for key, value in mapping.items():
        if not isinstance(value, Mapping) or NOT_WEIGHTS.search(str(key).lower()) or len(path) >= DEEPEST:
            continue
        nested = (*path, str(key))
        if _direct_tensors(value):
            yield nested, value
        yield from _mappings(value, nested)


def read_or_error(source: str, target: str) -> dict[str, Any]:
    """Read a file and write its tensors; return a summary or an error."""
    torch.serialization.add_safe_globals([*STAND_INS])
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
        tensors, key = tensors_in(content)
        others = [".".join(path) for path, _ in _mappings(content, ()) if key in WRAPPERS and path[0] != key]
        if len(tensors) > MAX_TENSORS:
            raise TypeError(f"It holds {len(tensors):,} tensors, and at most {MAX_TENSORS:,} are read")
        copies = {name: value.detach().to_dense().clone().contiguous() for name, value in tensors.items()}
        save_file(copies, target)
    except TypeError as error:
        return {"refused": str(error)}
    except Exception as error:
        return {"refused": reason(error)}
    return {"key": key, "count": len(copies), "others": others}


def reason(error: Exception) -> str:
    """Describe the reason why a file cannot be read, without a full stop."""
    text = str(error)
    if isinstance(error, MemoryError) or "allocate memory" in text:
        return "It takes more memory than a file of its size should"
    named = re.search(r"GLOBAL ([\w.]+)", text)
    if named:
        return f"It holds more than tensors: it asks for {named[1]}"
    return f"It is damaged ({next(iter(text.splitlines()), '')[:160].rstrip('.') or type(error).__name__})"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    limit_memory(int(sys.argv[3]))
    print(json.dumps(read_or_error(sys.argv[1], sys.argv[2])))
