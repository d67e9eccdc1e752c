"""Saved models: the user's own layer lists as JSON files under `CNNVIZ_HOME/models`."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any

from cnnviz.access.principal import forget_file, note_file, require_file
from cnnviz.models.layers import LayerList, module_from
from cnnviz.models.layers.layer_list import MAX_BYTES
from cnnviz.models.spec import ModelSpec, Shape
from cnnviz.paths import home

PREFIX = "mine/"


def folder() -> Path:
    """Return the folder of saved layer lists, which need not exist."""
    return home() / "models"


def slug(name: str) -> str:
    """Normalize a name for the registry and the file system: lower case, other characters to hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "untitled"


def save(layers: LayerList, replace: bool = False) -> str:
    """Save a layer list and return its registry name, `mine/NAME`.

    Raises:
        ValueError: Where the list cannot be built.
        FileExistsError: Where the name is in use and `replace` is not set.
    """
    problem = layers.problem()
    if problem:
        raise ValueError(problem)
    path = folder() / f"{slug(layers.name)}.json"
    if replace or not path.exists():
        require_file(path, f"The model '{path.stem}'")
    if path.exists() and not replace:
        raise FileExistsError(
            f"You have a model called '{path.stem}' already; choose another name or replace it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(layers.write(), encoding="utf-8")
    if not path.exists():
        note_file(path)
    temporary.replace(path)
    return PREFIX + path.stem


def delete(name: str) -> None:
    """Delete the saved list `mine/NAME`.

    Raises:
        ValueError: Where there is none of that name.
    """
    path = folder() / f"{name.removeprefix(PREFIX)}.json"
    if slug(path.stem) != path.stem or not path.exists():
        raise ValueError(f"You have no model called '{name}'.")
    require_file(path, f"The model '{path.stem}'")
    path.unlink()
    forget_file(path)


def saved_specs() -> dict[str, ModelSpec]:
    """Return the specs of all saved lists that can be read; `problems` describes the others."""
    return {spec.name: spec for spec in _read_all() if isinstance(spec, ModelSpec)}


def problems() -> list[str]:
    """Describe every file in the folder that is not a valid layer list, one sentence each."""
    return [sentence for sentence in _read_all() if isinstance(sentence, str)]


def _read_all() -> list[ModelSpec | str]:
    entries: list[ModelSpec | str] = []
    for path in sorted(folder().glob("*.json")):
        try:
            entries.append(_read(path, _version(path)))
        except (OSError, ValueError) as error:
            entries.append(f"Your saved model '{path.name}' is left out: {error}")
    return entries


def _version(path: Path) -> tuple[int, ...]:
    """Return a file version; the mtime alone does not change for two edits within a clock tick."""
    state = path.stat()
    return state.st_mtime_ns, state.st_size, state.st_ino


@functools.lru_cache(maxsize=1000)
def _read(path: Path, version: tuple[int, ...]) -> ModelSpec:
    """Read a saved list (cached by file version: specs are requested on every rerun of a page)."""
    if slug(path.stem) != path.stem:
        raise ValueError(f"a model's file is named like '{slug(path.stem)}.json'; rename it.")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"a layer list is at most {MAX_BYTES // 1000:,} kB long.")
    return spec_of(LayerList.read(path.read_bytes()), PREFIX + path.stem)


def spec_of(layers: LayerList, name: str) -> ModelSpec:
    """Create the spec of a layer list, so that it can be selected wherever models are."""

    def resized(classes: int, input_shape: Shape, _: Any) -> LayerList:
        return layers.model_copy(update={"classes": classes, "input": input_shape})

    def builder(classes: int, input_shape: Shape, options: Any) -> Any:
        return module_from(resized(classes, input_shape, options))

    return ModelSpec(
        name=name,
        title=layers.name,
        family="Yours",
        year=0,
        summary=layers.description or "A layer list of your own.",
        input_shape=layers.input,
        classes=layers.classes,
        builder=builder,
        layers=resized,
        source="yours",
    )
