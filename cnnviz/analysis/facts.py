"""The analysis of every registered default, made once and shipped, so that the first page needs no torch.

`python -m cnnviz.analysis.shipping` writes the files; a test recomputes each and compares.
"""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from pathlib import Path

import orjson

from cnnviz.analysis.codec import decode
from cnnviz.analysis.types import Analysis

SOURCES = frozenset(("cnnviz", "torchvision"))
"""Whose defaults ship."""
FOLDER = Path(__file__).parent / "shipped"
OVERVIEW = FOLDER / "overview.json"


@dataclass(frozen=True, slots=True)
class Overview:
    """One model in a line, for lists and the Start page. Accuracies are fractions in [0, 1]."""

    name: str
    title: str
    family: str
    year: int
    source: str
    params: int
    macs: int
    conv_params: int
    fc_params: int
    norm_params: int
    other_params: int
    depth: int
    """Convolutional, fully connected and attention layers on the longest path."""
    layers: int
    accuracy: float | None
    accuracy_on: str
    input_shape: tuple[int, int, int]
    classes: int


def path_of(name: str) -> Path:
    """Where the facts of model `name` stand."""
    return FOLDER / f"{name}.json.gz"


@functools.lru_cache(maxsize=32)
def load(name: str) -> Analysis | None:
    """The shipped analysis of a registered default, or None where there is none."""
    path = path_of(name)
    if not path.is_relative_to(FOLDER) or not path.is_file():
        return None
    return decode(orjson.loads(gzip.decompress(path.read_bytes())))


@functools.cache
def overview() -> tuple[Overview, ...]:
    """Every shipped model in a line, without importing torch."""
    if not OVERVIEW.is_file():
        return ()
    entries = orjson.loads(OVERVIEW.read_bytes())
    return tuple(Overview(**(entry | {"input_shape": tuple(entry["input_shape"])})) for entry in entries)
