"""Precomputed analyses of the registered models, shipped so that the first page does not import torch.

`python -m cnnviz.analysis.precompute` writes the files; a test recomputes and compares each.
"""

from __future__ import annotations

import functools
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cnnviz.analysis.types import WHOLE, Analysis, Block, Graph, Node, ReceptiveField, Row

# Compact JSON: rows and nodes are lists, in the order of their fields.

FORMAT = 1


def encode(analysis: Analysis) -> dict[str, Any]:
    """Convert an analysis to plain JSON values."""
    graph = analysis.graph
    return {
        "format": FORMAT,
        "model": analysis.model,
        "title": analysis.title,
        "input_shape": analysis.input_shape,
        "classes": analysis.classes,
        "options": analysis.options,
        "rows": [_row(row) for row in analysis.rows],
        "nodes": [
            [n.id, n.row, n.label, n.kind, n.container, n.output_shape, int(n.training_only)]
            for n in graph.nodes
        ],
        "edges": graph.edges,
        "blocks": [[b.name, b.type, b.repeats, b.repeat_of] for b in graph.blocks],
        "notes": analysis.notes,
    }


def decode(data: dict[str, Any]) -> Analysis:
    """Convert the result of `encode` back; raise `ValueError` for another format."""
    if data["format"] != FORMAT:
        raise ValueError(f"These facts have format {data['format']}; this version reads format {FORMAT}.")
    return Analysis(
        model=data["model"],
        title=data["title"],
        input_shape=tuple(data["input_shape"]),
        classes=data["classes"],
        options=data["options"],
        rows=tuple(map(_unrow, data["rows"])),
        graph=Graph(
            nodes=tuple(Node(i, r, lb, k, c, tuple(s), bool(t)) for i, r, lb, k, c, s, t in data["nodes"]),
            edges=tuple((a, b) for a, b in data["edges"]),
            blocks=tuple(Block(*block) for block in data["blocks"]),
        ),
        notes=tuple(data["notes"]),
    )


def _row(row: Row) -> list[Any]:
    return [
        *(row.name, row.type, row.kind, row.input_shape, row.output_shape, row.settings),
        *(row.trainable, row.frozen, row.buffers, row.macs, row.elementwise, row.outputs),
        *(_field(row.receptive_field), row.calls, int(row.training_only), row.shared_with),
    ]


def _unrow(values: list[Any]) -> Row:
    *leading, field, calls, training_only, shared = values
    leading[3:5] = map(tuple, leading[3:5])
    row = (*leading, _unfield(field), calls, bool(training_only), shared)
    return Row(*row)


def _field(field: ReceptiveField) -> Any:
    return 0 if field.whole else [field.size, field.jump, field.start]


def _unfield(value: Any) -> ReceptiveField:
    if value == 0:
        return WHOLE
    size, jump, start = map(tuple, value)
    return ReceptiveField(size, jump, start)


SOURCES = frozenset(("cnnviz", "torchvision"))
"""Sources of models whose analyses are shipped."""
FOLDER = Path(__file__).parent / "shipped"
OVERVIEW = FOLDER / "overview.json"


@dataclass(frozen=True, slots=True)
class Overview:
    """Summary of one model, for lists and the start page. Accuracies are fractions in [0, 1]."""

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
    """Return the path of a model's precomputed analysis."""
    return FOLDER / f"{name}.json.gz"


@functools.lru_cache(maxsize=32)
def load(name: str) -> Analysis | None:
    """Load the precomputed analysis of a registered model, or None where there is none."""
    path = path_of(name)
    if not path.is_relative_to(FOLDER) or not path.is_file():
        return None
    return decode(orjson.loads(gzip.decompress(path.read_bytes())))


@functools.cache
def overview() -> tuple[Overview, ...]:
    """Return the summaries of all shipped models, without importing torch."""
    if not OVERVIEW.is_file():
        return ()
    entries = orjson.loads(OVERVIEW.read_bytes())
    return tuple(Overview(**(entry | {"input_shape": tuple(entry["input_shape"])})) for entry in entries)
