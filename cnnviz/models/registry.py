"""Model registry: every known model by name.

A family module registers its models with `@register(…)` or `@sequential(…)` when it is imported; the modules
are discovered, so that adding a model is one function in one file.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import pkgutil
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapidfuzz import process

from cnnviz.models import families
from cnnviz.models.external import DataFile, from_bytes
from cnnviz.models.layers import module_from
from cnnviz.models.layers.base import MAX_CLASSES, MAX_SIDE
from cnnviz.models.spec import ModelSpec, Options, Shape
from cnnviz.models.user_code import registration

if TYPE_CHECKING:
    from torch import nn

    from cnnviz.models.layers import LayerList
    from cnnviz.models.spec import Builder, LayerListBuilder


_SPECS: dict[str, ModelSpec] = {}
ENTRY_POINT_GROUP = "cnnviz.models"
WEIGHTS_FILES = ("pth", "pt", "ckpt", "safetensors", "bin")
"""Extensions of weights files."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/\-]{0,79}")


class UnknownModelError(ValueError):
    """Error for an unknown model name; the message suggests the most similar names."""


def register(name: str, **facts: Any) -> Callable[[Builder], Builder]:
    """Return a decorator that registers a builder `(classes, (C, H, W), options) -> nn.Module`.

    Args:
        name: Name in the registry.
        **facts: Fields of `ModelSpec`.
    """

    def wrap(builder: Builder) -> Builder:
        add(ModelSpec(name=name, builder=builder, **_sourced(facts, builder)))
        return builder

    return wrap


def sequential(name: str, **facts: Any) -> Callable[[LayerListBuilder], LayerListBuilder]:
    """Return a decorator that registers a function `(classes, (C, H, W), options) -> LayerList`.

    The builder of the module is derived from the list.

    Args:
        name: Name in the registry.
        **facts: Fields of `ModelSpec`.
    """

    def wrap(layers: LayerListBuilder) -> LayerListBuilder:
        def builder(classes: int, input_shape: Shape, options: Any) -> nn.Module:
            return module_from(layers(classes, input_shape, options))

        add(ModelSpec(name=name, builder=builder, layers=layers, **_sourced(facts, layers)))
        return layers

    return wrap


def _sourced(facts: dict[str, Any], function: Any) -> dict[str, Any]:
    ours = function.__module__.startswith(f"{families.__name__}.")
    return {"source": "cnnviz" if ours else "yours", **facts}


def add(spec: ModelSpec) -> None:
    """Add a spec; one of the user's own replaces an earlier one of the same name.

    Raises:
        ValueError: Where the name belongs to a built-in or torchvision model, or is invalid.
    """
    if not _NAME.fullmatch(spec.name):
        raise ValueError(
            f"'{spec.name}' cannot be a model's name; letters, digits and . _ - / can, from 1 to 80 of them."
        )
    if spec.source == "yours":
        _load_families()
    known = _SPECS.get(spec.name)
    if known is not None and known.source != "yours":
        raise ValueError(f"The name '{spec.name}' is taken by a model of {known.source}; choose another.")
    _SPECS[spec.name] = spec


def remove(name: str) -> None:
    """Remove a registered model; unknown names are ignored."""
    _SPECS.pop(name, None)


@functools.cache
def _load_families() -> None:
    for module in pkgutil.iter_modules(families.__path__):
        importlib.import_module(f"{families.__name__}.{module.name}")


@functools.cache
def _load_entry_points() -> tuple[str, ...]:
    """Import the models of other packages and return error messages: their failure must not stop the app."""
    problems = []
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            entry.load()
        except Exception as error:
            problems.append(
                f"The models of entry point '{entry.name}' ({entry.value}) could not be loaded: "
                f"{type(error).__name__}: {error}"
            )
    return tuple(problems)


def problems() -> list[str]:
    """Describe the models that could not be loaded: files, entry points and saved lists."""
    from cnnviz.models import library

    return [*registration.problems(), *_load_entry_points(), *library.problems()]


def specs() -> dict[str, ModelSpec]:
    """Return all specs by name: built-in ones by year, torchvision's, then the user's files and layer lists.

    Torch is imported only where the command line names a file.
    """
    from cnnviz.models.library import saved_specs

    _load_families()
    _load_entry_points()
    order = {"cnnviz": 0, "torchvision": 1}
    known = sorted(
        _SPECS.values(), key=lambda s: (order.get(s.source, 2), s.year if s.source == "cnnviz" else 0)
    )
    return {spec.name: spec for spec in known} | registration.specs() | saved_specs() | shown_specs()


def names() -> list[str]:
    """Return the names of all models."""
    return list(specs())


def title_of(name: str) -> str:
    """Return the title of the model called `name`; of an unknown one, such as a layer list, the name."""
    spec = specs().get(name)
    return name if spec is None else spec.title


def get(name: str) -> ModelSpec:
    """Return the spec called `name`.

    Raises:
        UnknownModelError: Where there is none; it suggests the most similar names.
    """
    spec = _built_in(name) or in_memory(name)
    if spec is not None:
        return spec
    known = specs()
    if name in known:
        return known[name]
    if name.startswith((UPLOAD_PREFIX, SHOWN_PREFIX)):
        raise UnknownModelError(
            f"There is no model '{name}' here any more: what is handed in or shown is kept while the program "
            "runs; hand it in again."
        )
    if name.startswith(registration.PREFIX):
        class_name = name.removeprefix(registration.PREFIX).rpartition(".")[2]
        reason = next((text for text in registration.problems() if f"model {class_name} is" in text), "")
        raise UnknownModelError(
            reason
            or f"There is no model '{name}' here: it is known to a program that is started with "
            f"--model net.py:{class_name}, or with {registration.VARIABLE}."
        )
    kind = name.rpartition(".")[2].lower()
    if kind == "py":
        raise UnknownModelError(f"'{name}' is a file: name what makes the network in it too, as {name}:Net.")
    if kind == "pt2":
        raise UnknownModelError(
            f"'{name}' is an exported program: it holds code and is not read. Give net.py:Net or FILE.onnx."
        )
    if kind in WEIGHTS_FILES:
        raise UnknownModelError(
            f"'{name}' holds weights, not a network: name a model with it, as net.py:Net, and the file with "
            "--weights."
        )
    near = [match for match, _, _ in process.extract(name, known.keys(), limit=3, score_cutoff=60)]
    hint = f"did you mean {' or '.join(near)}?" if near else "`python -m cnnviz models` lists them all."
    raise UnknownModelError(f"There is no model '{name}'; {hint}")


def _built_in(name: str) -> ModelSpec | None:
    """Return a model of cnnviz or torchvision by its name, which nobody else can take."""
    _load_families()
    spec = _SPECS.get(name)
    return spec if spec is not None and spec.source in ("cnnviz", "torchvision") else None


def resolve(
    spec: ModelSpec,
    classes: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    options: Mapping[str, Any] | Options | None = None,
) -> tuple[int, Shape, Options]:
    """Validate classes, input size and options, with the spec's defaults for those that are None.

    Returns:
        Classes, input shape `(C, H, W)` and options.

    Raises:
        ValueError: Where a value is out of range.
    """
    classes = spec.classes if classes is None else classes
    if not 1 <= classes <= MAX_CLASSES:
        raise ValueError(f"A model has from 1 to {MAX_CLASSES:,} classes, not {classes:,}.")
    channels, height, width = spec.input_shape
    if input_size is not None:
        height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    if not 1 <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise ValueError(f"An input is from 1×1 to {MAX_SIDE}×{MAX_SIDE} pixels, not {height}×{width}.")
    chosen = options if isinstance(options, Options) else spec.options.parse(options or {})
    return classes, (channels, height, width), chosen


def build(
    model: str | ModelSpec,
    classes: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    options: Mapping[str, Any] | Options | None = None,
) -> nn.Module:
    """Build a model that maps `(N, C, H, W)` to logits `(N, classes)`.

    Raises:
        UnknownModelError: For an unknown name.
        ValueError: For options, classes or an input size that the architecture does not support; the message
            says which it does.
    """
    spec = get(model) if isinstance(model, str) else model
    return spec.builder(*resolve(spec, classes, input_size, options))


def layer_list(
    model: str | ModelSpec,
    classes: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    options: Mapping[str, Any] | Options | None = None,
) -> LayerList | None:
    """Return the model as a layer list, or None where it is not sequential. Does not import torch."""
    spec = get(model) if isinstance(model, str) else model
    return None if spec.layers is None else spec.layers(*resolve(spec, classes, input_size, options))


# In-memory registry of networks that came in as data while the program runs: uploads and `cnnviz.show`.
#
# They exist in this process only, limited in number and bytes. The name of an upload is the hash of its
# content, so that only somebody who has the file (or was given the address) can name it, and it is not
# listed; networks that are shown are listed.

UPLOAD_PREFIX = "handed/"
SHOWN_PREFIX = "shown/"
MAX_IN_MEMORY = 16
MAX_IN_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True)
class _InMemory:
    spec: ModelSpec
    size: int
    listed: bool


_in_memory: OrderedDict[str, _InMemory] = OrderedDict()
_in_memory_lock = threading.Lock()


def add_upload(data: bytes, file: str) -> ModelSpec:
    """Register an uploaded `.onnx` or `.keras` file and return its spec, which `in_memory` finds by name.

    Raises:
        ValueError: Where the file cannot be read; one sentence.
    """
    name = f"{UPLOAD_PREFIX}{hashlib.sha256(data).hexdigest()[:20]}"
    known = in_memory(name)
    if known is not None:
        return known
    stem = DataFile(Path(file)).stem
    spec = replace(from_bytes(data, file, stem), name=name)
    _keep_in_memory(spec, len(data), listed=False)
    return spec


def add_shown(spec: ModelSpec, size: int) -> None:
    """Add a network to the list of every page; one of the same name is replaced."""
    _keep_in_memory(spec, size, listed=True)


def in_memory(name: str) -> ModelSpec | None:
    """Return the network of that name; None where there is none, or where it was evicted."""
    with _in_memory_lock:
        entry = _in_memory.get(name)
        if entry is not None:
            _in_memory.move_to_end(name)
        return entry.spec if entry else None


def shown_specs() -> dict[str, ModelSpec]:
    """Return the shown networks by name."""
    with _in_memory_lock:
        return {name: entry.spec for name, entry in _in_memory.items() if entry.listed}


def _keep_in_memory(spec: ModelSpec, size: int, *, listed: bool) -> None:
    with _in_memory_lock:
        _in_memory[spec.name] = _InMemory(spec, size, listed)
        _in_memory.move_to_end(spec.name)
        while len(_in_memory) > 1 and (
            len(_in_memory) > MAX_IN_MEMORY
            or sum(entry.size for entry in _in_memory.values()) > MAX_IN_MEMORY_BYTES
        ):
            _in_memory.popitem(last=False)
