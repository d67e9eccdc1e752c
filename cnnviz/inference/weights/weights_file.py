"""Weights files: safetensors and PyTorch state dicts, read by a bounded child and matched with a model."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cnnviz import models
from cnnviz.formats.headers import HeaderError, check_header, directory_bytes
from cnnviz.inference import InferenceError
from cnnviz.inference.images.read_image import START, kind
from cnnviz.models.meta_device import on_meta
from cnnviz.training.fine_tuning import FILE, store_start_weights
from cnnviz.training.recipe import Recipe, side_for, spec_for

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


COUNTER = "num_batches_tracked"
"""Counter of batch normalization, unused in evaluation mode; older files lack it."""
USUAL = frozenset((torch.float16, torch.bfloat16, torch.float32, torch.float64))
"""Usual data types of weights."""
LARGEST = 1e8
"""Magnitude beyond that of trained weights; running variances of raw pixels reach some 1e6."""
NAMED = 3
"""Maximum number of names in a message; the others are counted."""


def load_state_dict(model: nn.Module, weights: Mapping[str, Tensor], title: str) -> tuple[str, ...]:
    """Load `weights` into `model`; return notes on changes of their names.

    `title` is the model's name in messages.

    Raises:
        InferenceError: As `match_state_dict`; the model is then unchanged.
    """
    named, notes = match_state_dict(model.state_dict(), weights, title)
    try:
        model.load_state_dict(named, strict=False)
    except RuntimeError as error:
        raise InferenceError(f"These weights do not fit {title}: {_line(error)}") from None
    return notes


def match_state_dict(
    expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], title: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Match weights to the model's names; return them, and notes on the changes.

    Raises:
        InferenceError: Where tensors are missing, unexpected or of another shape.
    """
    named, notes = without_prefix(weights, expected)
    problem = difference(expected, named)
    if problem:
        raise InferenceError(f"These weights do not fit {title}: {problem}. {suggest_fix(expected, named)}")
    return convert_dtypes(named, expected, notes)


def convert_dtypes(
    named: Mapping[str, Tensor], expected: Mapping[str, Tensor], notes: tuple[str, ...] = ()
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Convert weights to the model's data types; return them, and notes on unusual values.

    Noted are other data types (integers, booleans, complex numbers, 8 bits), values that are not finite, and
    values larger than `LARGEST`. 16-bit and 64-bit floats are usual and not noted.
    """
    tensors: dict[str, Tensor] = {}
    kinds: dict[str, list[str]] = {}
    non_finite, large = [], []
    for name, value in named.items():
        converted = value
        if name in expected and expected[name].is_floating_point():
            if value.dtype not in USUAL:
                kinds.setdefault(str(value.dtype).removeprefix("torch."), []).append(name)
            converted = (value.real if value.is_complex() else value).to(expected[name].dtype)
        tensors[name] = converted
        if not torch.isfinite(converted).all():
            non_finite.append(name)
        elif converted.numel() and converted.is_floating_point() and converted.abs().max() > LARGEST:
            large.append(name)
    for dtype, names in kinds.items():
        detail = ", their imaginary parts left out" if dtype.startswith("complex") else ""
        notes += (
            f"Weights are not floating-point numbers of 16 to 64 bits but {dtype}: {listed(names)}; they "
            f"were converted{detail}, and without a scale that belongs to them the answers may mean nothing.",
        )
    if non_finite:
        notes += (
            f"Not all weights are finite numbers: {listed(non_finite)}; what comes out is worth nothing.",
        )
    if large:
        notes += (
            f"Weights are larger than training leaves them (beyond {LARGEST:.0e}): {listed(large)}; what "
            "comes out is hardly worth anything.",
        )
    return tensors, notes


def without_prefix(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Match the names' prefix to the model's: remove one (`module.`, `net.`), or add one that is missing.

    The prefix with which most names match is used (`module.`, `net.`, `state_dict.encoder.`, …).

    Returns:
        The renamed weights, and notes on the change.
    """
    prefix = _best_prefix(weights, expected)
    if prefix:
        named = {name.removeprefix(prefix): v for name, v in weights.items() if name.startswith(prefix)}
        others = [name for name in weights if not name.startswith(prefix)]
        if not others:
            return named, (f"The prefix '{prefix}' was taken off every name.",)
        return named, (f"Taken are the weights under '{prefix}'; left out: {listed(others)}.",)
    missing_prefix = _best_prefix(expected, weights)
    if missing_prefix and all(name.startswith(missing_prefix) for name in expected):
        return {missing_prefix + name: value for name, value in weights.items()}, (
            f"The prefix '{missing_prefix}' was put before every name.",
        )
    return dict(weights), ()


def _best_prefix(names: Iterable[str], expected: Mapping[str, Tensor]) -> str:
    """Return the most frequent prefix of the `expected` names among `names`; empty where most have none."""
    counts = Counter[str]()
    for name in names:
        start = 0
        while True:
            if name[start:] in expected:
                counts[name[:start]] += 1
            start = name.find(".", start) + 1
            if not start:
                break
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix)), default="")


def difference(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Describe the differences of names and shapes, as part of a sentence; empty where the weights fit."""
    missing = [name for name in expected if name not in given and not name.endswith(COUNTER)]
    unexpected = [name for name in given if name not in expected]
    mismatched = [
        f"{name} is {shape(given[name])} where the model has {shape(expected[name])}"
        for name in expected
        if name in given and given[name].shape != expected[name].shape
    ]
    parts = []
    if missing:
        parts.append(f"{listed(missing)} {_are(missing)} missing")
    if unexpected:
        parts.append(f"the model has no {listed(unexpected)}")
    if mismatched:
        parts.append(listed(mismatched))
    return "; ".join(parts)


def suggest_fix(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Suggest the likeliest solution for weights that do not fit, in a sentence."""
    shapes_expected = {
        name: tuple(value.shape) for name, value in expected.items() if not name.endswith(COUNTER)
    }
    shapes_given = {name: tuple(value.shape) for name, value in given.items() if not name.endswith(COUNTER)}
    shared = shapes_expected.keys() & shapes_given.keys()
    mismatched = [
        name for name in shapes_expected if name in shared and shapes_expected[name] != shapes_given[name]
    ]
    if not shared and list(shapes_expected.values()) == list(shapes_given.values()):
        return (
            "The shapes agree one by one, so only names differ: rename the layers, or save the weights again "
            "from the network as it is now."
        )
    if not shared and shapes_given:
        return "No name is the model's own: is it another network, or another version of it?"
    if (
        len(mismatched) == 1
        and len(shapes_expected[mismatched[0]]) == 4
        and shapes_expected[mismatched[0]][2:] == shapes_given[mismatched[0]][2:]
    ):
        return (
            f"They read {shapes_given[mismatched[0]][1]} channels, "
            f"and this model {shapes_expected[mismatched[0]][1]}."
        )
    outputs = {
        (shapes_given[name][0], shapes_expected[name][0])
        for name in mismatched
        if shapes_given[name][1:] == shapes_expected[name][1:]
    }
    if mismatched and len(outputs) == 1 and mismatched == list(shapes_expected)[-len(mismatched) :]:
        given_classes, expected_classes = outputs.pop()
        return (
            f"They give {given_classes:,} classes, and {expected_classes:,} are asked for: "
            f"name {given_classes:,} classes, or fine-tune "
            "from them (start_from), which makes a new last layer."
        )
    if mismatched and len(shared) == len(shapes_expected) == len(shapes_given):
        return "It is the same network of other sizes: give its options as --option K=V."
    missing = [name for name in shapes_expected if name not in shapes_given]
    if missing and not mismatched and shared and missing == list(shapes_expected)[-len(missing) :]:
        return "All but the last layers are there: fine-tune from them (start_from), which makes new ones."
    if not missing and not mismatched:
        return (
            "All of the model's own are there: take the model that has the others too (an option may add "
            "them), or leave them out and save the rest."
        )
    return (
        "The saved network differs in these layers: take the model, and the options, that it was made with."
    )


def listed(names: Sequence[str]) -> str:
    """Join the first few names, with the number of further ones."""
    remainder = len(names) - NAMED
    if remainder > 0:
        return f"{', '.join(names[:NAMED])} and {remainder} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def shape(value: Tensor) -> str:
    """Format a shape as `6×1×5×5`."""
    return "×".join(map(str, value.shape)) or "a single number"


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


# Initial weights of a recipe from a weights file: stored by digest.

LONGEST_NAME = 100


def store_start_file(path: Path, name: str, recipe: Recipe) -> tuple[str, tuple[str, ...]]:
    """Store a copy of a weights file under its digest.

    Returns:
        `start_from` of a recipe that begins with it, and notes on how names were matched.

    Raises:
        InferenceError: The file is of a type that is not read.
    """
    tensors = read_weights(path, name).tensors
    spec, options = spec_for(recipe), None if recipe.layers else recipe.options
    expected = on_meta(lambda: models.build(spec, None, side_for(recipe), options)).state_dict()
    named, notes = without_prefix(tensors, expected)
    return store_start_tensors(named, name), notes


def store_start_tensors(weights: Mapping[str, Tensor], name: str) -> str:
    """Store a copy of weights under their digest; return `start_from` of a recipe that begins with it."""
    plain = "".join(character for character in name if character.isprintable()).replace("@", "-")
    return f"{FILE}{plain[-LONGEST_NAME:] or 'weights'}@{store_start_weights(weights)}"
