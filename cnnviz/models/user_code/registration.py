"""Registration of user code: models named on the command line, as specs called `file/Net`.

`CNNVIZ_MODELS` holds the references, so that the workers and pages of one start share them; a command's
`--model net.py:Net` adds to it. A file that is edited is read again, and a run uses the copy that it began
with.
"""

from __future__ import annotations

import enum
import functools
import importlib.util
import inspect
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnviz.models import external as data_files
from cnnviz.models.external import DataFile
from cnnviz.models.spec import Builder, ModelSpec, Options, Shape
from cnnviz.models.user_code import NAME, ModelReference, importer, source
from cnnviz.models.user_code.importer import Constructor, Imported
from cnnviz.models.user_code.source import Source

if TYPE_CHECKING:
    from torch import nn

VARIABLE = "CNNVIZ_MODELS"
PREFIX = "file/"
FAMILY = "Yours"
USUAL_SHAPE: Shape = (3, 224, 224)
OWN_FILE = "own-file"
"""Tag of a spec that comes from a user's file or package."""
CLASSES_FROM_OUTPUT = "classes-from-output"
"""Tag of a spec with a fixed number of classes: the network's number of outputs."""
INPUT_FROM_NETWORK = "input-from-network"
"""Tag of a spec whose input shape has not been determined yet."""
NOT_A_CLASSIFIER = "not-a-classifier"
"""Tag of a spec whose output is not one number per class."""


def is_named(text: str) -> bool:
    """Return whether the text refers to a file or a module rather than to a registered model."""
    if data_files.is_data_file(text):
        return True
    location, _, target = text.partition(":")
    return ".py:" in text or (bool(target) and "/" not in location and NAME.fullmatch(target) is not None)


# References and their specs.


def named() -> list[ModelReference | DataFile]:
    """Parse the references in `CNNVIZ_MODELS`; raise `ValueError` for an invalid one."""
    text = os.environ.get(VARIABLE, "")
    return [_read(entry) for entry in _split(text)]


def _read(text: str) -> ModelReference | DataFile:
    return DataFile.read(text) if data_files.is_data_file(text) else ModelReference.read(text)


def _split(text: str) -> list[str]:
    """Split the variable; where the path separator is the colon, it also occurs within each reference."""
    parts = [part for part in text.split(os.pathsep) if part.strip()]
    if os.pathsep != ":":
        return parts
    entries: list[str] = []
    for part in parts:
        incomplete = bool(entries) and ":" not in entries[-1] and not data_files.is_data_file(entries[-1])
        if incomplete:
            entries[-1] += f":{part}"
        else:
            entries.append(part)
    return entries


def add(text: str, arguments: Mapping[str, Any] | None = None) -> ModelSpec:
    """Register a network for this process and its child processes, and return its spec.

    Args:
        text: Reference, as `ModelReference.read` parses it.
        arguments: Further arguments of its constructor, as given by `--option`.

    Raises:
        ValueError: Where the network cannot be loaded; one sentence.
    """
    reference = _with_arguments(_read(text), arguments)
    entry = reference.write()
    entries = [
        known
        for known in _split(os.environ.get(VARIABLE, ""))
        if _target_of(_read(known).write()) != _target_of(entry)
    ]
    spec = _spec(reference, _name_of(reference, [_read(known) for known in entries]))
    os.environ[VARIABLE] = os.pathsep.join([*entries, entry])
    return spec


def _with_arguments(
    reference: ModelReference | DataFile, arguments: Mapping[str, Any] | None
) -> ModelReference | DataFile:
    if isinstance(reference, ModelReference):
        return replace(reference, arguments=tuple({**dict(reference.arguments), **(arguments or {})}.items()))
    if arguments:
        raise ValueError(f"{reference.path.name} is read as data and has no options; leave --option out.")
    return reference


def _target_of(entry: str) -> str:
    """Strip arguments and size from a reference: the same target with others replaces it."""
    return re.split(r"[(@]", entry)[0]


def _name_of(reference: ModelReference | DataFile, earlier: list[ModelReference | DataFile]) -> str:
    """Return the registry name, `file/Net`, or `file/other.Net` where that is in use by another file."""
    names = [known.attribute if isinstance(known, ModelReference) else known.stem for known in earlier]
    if isinstance(reference, DataFile):
        return (
            f"{PREFIX}{reference.stem}"
            if reference.stem not in names
            else f"{PREFIX}{reference.path.suffix[1:]}.{reference.stem}"
        )
    if reference.attribute not in names:
        return f"{PREFIX}{reference.attribute}"
    stem = Path(reference.location).stem if reference.is_file else reference.location.rpartition(".")[2]
    return f"{PREFIX}{re.sub(r'[^A-Za-z0-9_-]', '-', stem)}.{reference.attribute}"


def specs() -> dict[str, ModelSpec]:
    """Return the specs of all references that can be loaded, by registry name."""
    return {spec.name: spec for spec in _all() if isinstance(spec, ModelSpec)}


def problems() -> list[str]:
    """Return a sentence for each reference that cannot be loaded."""
    return [sentence for sentence in _all() if isinstance(sentence, str)]


def _all() -> list[ModelSpec | str]:
    entries: list[ModelSpec | str] = []
    try:
        names = named()
    except ValueError as error:
        return [f"{VARIABLE} cannot be read: {error}"]
    for index, reference in enumerate(names):
        try:
            entries.append(_spec(reference, _name_of(reference, names[:index])))
        except ValueError as error:
            label = reference.attribute if isinstance(reference, ModelReference) else reference.stem
            entries.append(f"Your model {label} is left out: {error}")
    return entries


_lock = threading.RLock()
_live: dict[ModelReference, tuple[Any, Source, Any]] = {}
"""For each reference the stamp of its files, its source, and its spec or error message."""


def _spec(reference: ModelReference | DataFile, name: str) -> ModelSpec:
    """Return the spec of a reference, created again only where one of its files has changed."""
    if isinstance(reference, DataFile):
        return data_files.spec_of(reference, name)
    with _lock:
        known = _live.get(reference)
        if known is None or source.stamp(known[1]) != known[0]:
            files = _source_of(reference)
            loaded = Imported(files)
            try:
                result: Any = _described(_target(loaded, reference), reference, loaded)
            except ValueError as error:
                result = str(error)
            files = loaded.source = loaded.complete_source()
            known = _live[reference] = (source.stamp(files), files, result)
        if isinstance(known[2], str):
            raise ValueError(known[2])
        spec: ModelSpec = known[2]
        return replace(spec, name=name, edition=known[1].digest)


def _source_of(reference: ModelReference) -> Source:
    if reference.is_file:
        return source.from_path(Path(reference.location), reference.attribute)
    top = reference.location.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
        origins = (
            [spec.origin] if spec and spec.origin else list((spec and spec.submodule_search_locations) or ())
        )
    except (ImportError, ValueError):
        origins = []
    local = Path.cwd().joinpath(*reference.location.split("."))
    if not origins or "site-packages" not in Path(str(origins[0])).parts:
        root = Path(str(origins[0])).parent if origins else Path.cwd()
        root = root.parent if origins and Path(str(origins[0])).name == "__init__.py" else root
        local = root.joinpath(*reference.location.split(".")) if origins else local
        for path in (local.with_suffix(".py"), local / "__init__.py"):
            if path.is_file():
                return source.from_path(path, reference.attribute)
    if not origins:
        raise ValueError(
            f"There is no module '{reference.location}' here, neither installed nor in this folder."
        )
    return Source(Path.cwd(), reference.location, reference.attribute)


def source_of(name: str) -> Source | None:
    """Return the source files of a registered name, or None where it was not registered here."""
    spec = specs().get(name)
    with _lock:
        return next((files for _, files, _ in _live.values() if spec and files.digest == spec.edition), None)


# From a source to a spec.


def _target(loaded: Imported, reference: ModelReference) -> Constructor:
    module = loaded.module()
    name = Path(reference.location).name if reference.is_file else reference.location
    target = getattr(module, reference.attribute, None)
    if target is None:
        defined = [k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
        raise ValueError(
            f"There is no '{reference.attribute}' in {name}; it defines {', '.join(defined) or 'nothing'}."
        )
    if not callable(target) or not (inspect.isclass(target) or inspect.isroutine(target)):
        raise ValueError(
            f"'{reference.attribute}' in {name} is of type {type(target).__name__}, not a class or a "
            "function that makes a torch.nn.Module; name one, as "
            f"'def make_{reference.attribute}(): return {reference.attribute}'."
        )
    return importer.read(reference.attribute, loaded, target, dict(reference.arguments))


def _described(constructor: Constructor, reference: ModelReference, loaded: Imported) -> ModelSpec:
    """Create the spec of a constructor, with the input, classes and output that a dry run finds."""
    from cnnviz.models.meta_device import on_meta
    from cnnviz.models.user_code.dry_run import inspect_network

    if constructor.missing:
        raise ValueError(constructor.missing_text())
    defaults = constructor.options().model_dump()
    shape = reference.size if reference.size and len(reference.size) == 3 else USUAL_SHAPE
    module = on_meta(
        lambda: constructor.build(constructor.default_classes, (shape[0], shape[1], shape[2]), defaults)
    )
    facts = inspect_network(module, constructor.name, reference.size)
    if not constructor.classes_parameter and facts.classes:
        constructor.classes_parameter = importer.infer_classes_parameter(constructor, facts.classes)
        if constructor.classes_parameter:
            fields = set(constructor.options.model_fields) - {constructor.classes_parameter}
            constructor = replace_options(constructor, fields)
    spec = spec_without_dry_run(constructor, reference)
    return replace(
        spec,
        input_shape=facts.input_shape,
        classes=facts.classes or spec.classes,
        builder=_builder(constructor, facts.classes, facts.output, facts.drops_batch),
        notes=facts.notes,
        tags=frozenset(
            {OWN_FILE}
            | (set() if constructor.classes_parameter else {CLASSES_FROM_OUTPUT})
            | (set() if facts.classes else {NOT_A_CLASSIFIER})
        ),
    )


def replace_options(constructor: Constructor, fields: set[str]) -> Constructor:
    """Restrict the constructor's options to these fields."""
    from pydantic import create_model

    from cnnviz.models.spec import NoOptions

    known = constructor.options.model_fields
    selected: dict[str, Any] = {
        name: (info.annotation, info) for name, info in known.items() if name in fields
    }
    constructor.options = (
        create_model(constructor.options.__name__, __base__=Options, **selected) if selected else NoOptions
    )
    return constructor


def spec_without_dry_run(constructor: Constructor, reference: ModelReference) -> ModelSpec:
    """Create the spec of a constructor without a forward pass.

    Its input shape is the reference's, `net.py:Net@1x28x28`; without one, an analysis finds it.
    """
    size = reference.size if reference.size and len(reference.size) == 3 else None
    tags = {OWN_FILE} | (set() if size else {INPUT_FROM_NETWORK})
    tags |= set() if constructor.classes_parameter else {CLASSES_FROM_OUTPUT}
    location = Path(reference.location).name if reference.is_file else reference.location
    return ModelSpec(
        name=f"{PREFIX}{reference.attribute}",
        title=reference.attribute,
        family=FAMILY,
        year=0,
        summary=f"A model of your own, from {location}.",
        input_shape=(size[0], size[1], size[2]) if size else USUAL_SHAPE,
        classes=constructor.default_classes,
        builder=_builder(constructor, 0, None, is_shape_known=size is not None),
        options=constructor.options,
        source="yours",
        tags=frozenset(tags),
    )


def _builder(
    constructor: Constructor,
    outputs: int,
    output: str | int | None,
    drops_batch: bool = False,
    *,
    is_shape_known: bool = True,
) -> Builder:
    """Return a builder: constructs the network, materializes lazy layers and selects the logits.

    `outputs` is the number of outputs where that cannot be chosen, and 0 where it is unknown. Until the input
    shape is known, lazy layers stay lazy: an analysis tries several shapes.
    """

    def build(classes: int, input_shape: Shape, options: Options) -> nn.Module:
        from cnnviz.models.user_code.dry_run import materialize, reason, select_output

        if not constructor.classes_parameter and classes != (outputs or constructor.default_classes):
            text = f" and gives {outputs:,} numbers" if outputs else ""
            raise ValueError(
                f"{constructor.name} has no parameter 'num_classes'{text}, so its number of classes cannot "
                f"be chosen: it cannot be built for {classes:,}."
            )
        module = constructor.build(classes, input_shape, options.model_dump())
        if not is_shape_known:
            return module
        try:
            module = materialize(module, input_shape)
        except Exception as error:
            if "meta" in str(error):
                raise
            sides = "×".join(map(str, input_shape))
            raise ValueError(
                f"{constructor.name} cannot take an input of {sides}: {reason(error)}."
            ) from None
        return select_output(module, output, drops_batch)

    build.bound = constructor.bound  # type: ignore[attr-defined]
    build.classes_parameter = constructor.classes_parameter  # type: ignore[attr-defined]
    build.output = output  # type: ignore[attr-defined]
    return build


def from_text(text: str, arguments: Mapping[str, Any] | None = None) -> ModelSpec:
    """Create the spec of `net.py:Net` for an analysis only: not registered, its input shape undetermined.

    Raises:
        ValueError: Where the file or name is missing, or the file's code fails; one sentence.
    """
    reference = _with_arguments(_read(text), arguments)
    if isinstance(reference, DataFile):
        return data_files.spec_of(reference, f"{PREFIX}{reference.stem}")
    loaded = Imported(_source_of(reference))
    return spec_without_dry_run(_target(loaded, reference), reference)


# Copies of the code, for runs.


def save_copy(name: str) -> str:
    """Save a copy of a registered network's files and return their digest; empty where it has no files."""
    files = source_of(name)
    return "" if files is None else source.save_copy(files)


def known_digests() -> list[str]:
    """Return the digests of all user code saved on this machine."""
    return sorted(path.name for path in source.folder().glob("[0-9a-f]*") if path.is_dir())


def arguments_of(name: str) -> dict[str, str | int | float | bool]:
    """Return the constructor arguments of a registered network, as values of a recipe."""
    spec = specs().get(name)
    bound = getattr(spec.builder, "bound", {}) if spec else {}
    return {argument: _plain(value) for argument, value in bound.items()}


def _plain(value: Any) -> str | int | float | bool:
    if isinstance(value, enum.Enum):
        return value.name
    return value if isinstance(value, str | int | float | bool) else repr(value)


@functools.lru_cache(maxsize=32)
def _from_copy(name: str, digest: str, arguments: tuple[tuple[str, Any], ...]) -> ModelSpec:
    files = source.load_copy(digest, name)
    reference = ModelReference(f"{files.module}.py", files.attribute, arguments)
    loaded = Imported(files)
    return replace(_described(_target(loaded, reference), reference, loaded), name=name, edition=digest)


def from_copy(name: str, digest: str, arguments: Mapping[str, Any]) -> ModelSpec:
    """Return the spec of a network as it was when a run began; the registered one if its files are the same.

    Args:
        name: Registry name, `file/Net`.
        digest: Digest of the files.
        arguments: Options of the run, which may include values that a page does not offer.

    Raises:
        ValueError: Where the copy is missing or was modified; one sentence.
    """
    spec = specs().get(name)
    if spec is not None and spec.edition == digest:
        try:
            spec.options.parse(arguments)
            return spec
        except ValueError:
            pass
    with _lock:
        return _from_copy(name, digest, tuple(sorted(arguments.items())))
