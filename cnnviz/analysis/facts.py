"""The analysis of every registered default, made once and shipped, so that the first page needs no torch.

`python -m cnnviz.analysis.facts` writes the files anew; a test recomputes each and compares.
"""

from __future__ import annotations

import functools
import gzip
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from cnnviz.analysis.codec import decode, encode
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


def depth(analysis: Analysis) -> int:
    """Weight layers on the longest path from input to output, those of training alone left out."""
    weighted = {row.name for row in analysis.rows if row.params and row.kind in ("conv", "fc", "attention")}
    late = {node.id for node in analysis.graph.nodes if node.training_only}
    following: dict[int, list[int]] = {}
    for start, end in analysis.graph.edges:
        if end not in late:
            following.setdefault(start, []).append(end)
    longest: dict[int, int] = {}
    # Boxes are numbered in the order of their making, so an edge leads on, or to the output (1).
    for node in sorted(analysis.graph.nodes, key=lambda node: (node.id != 1, -node.id)):
        beyond = max((longest[n] for n in following.get(node.id, ())), default=0)
        longest[node.id] = beyond + (node.id > 1 and node.row in weighted)
    return longest[0]


def write_all() -> None:
    """Analyse every registered default and write the files."""
    from cnnviz import models
    from cnnviz.analysis.core import of_spec

    lines = []
    for spec in models.specs().values():
        if spec.source not in SOURCES:
            continue
        analysis = of_spec(spec, spec.classes, spec.input_shape, spec.options())
        path = path_of(spec.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(orjson.dumps(encode(analysis)), mtime=0))
        lines.append(asdict(summarise(analysis, spec)))
    OVERVIEW.write_bytes(orjson.dumps(lines, option=orjson.OPT_INDENT_2) + b"\n")


def summarise(analysis: Analysis, spec: object) -> Overview:
    """The line of one model."""
    from cnnviz.models import ModelSpec

    assert isinstance(spec, ModelSpec)
    accuracy = next((p for p in spec.published if p.what == "accuracy"), None)
    return Overview(
        name=spec.name,
        title=spec.title,
        family=spec.family,
        year=spec.year,
        source=spec.source,
        params=analysis.total_params,
        macs=analysis.macs,
        conv_params=analysis.conv_params,
        fc_params=analysis.fc_params,
        norm_params=analysis.norm_params,
        other_params=analysis.other_params,
        depth=depth(analysis),
        layers=len(analysis.rows),
        accuracy=accuracy.value if accuracy else None,
        accuracy_on=accuracy.on if accuracy else "",
        input_shape=spec.input_shape,
        classes=spec.classes,
    )


if __name__ == "__main__":
    write_all()
