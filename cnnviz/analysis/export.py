"""Export of the layer table: JSON, CSV and Markdown, and HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from cnnviz.analysis.types import MIB, Analysis, ReceptiveField, Row
from cnnviz.formats.csv_text import csv_text

if TYPE_CHECKING:
    from cnnviz.analysis.types import Analysis

COLUMNS = ("layer", "type", "input", "output", "parameters", "trainable", "multiply-adds", "element-wise",
           "MiB", "receptive field", "formula")  # fmt: skip

NUMERIC = frozenset(("parameters", "trainable", "multiply-adds", "element-wise", "MiB"))


def to_json(analysis: Analysis, batch: int = 1) -> dict[str, Any]:
    """Convert the analysis to JSON values; shapes are without the batch, which only scales the memory."""
    channels, height, width = analysis.input_shape
    return {
        "model": analysis.model,
        "input_size": [height, width],
        "input_channels": channels,
        "classes": analysis.classes,
        "options": analysis.options,
        "batch": batch,
        "total_params": analysis.total_params,
        "trainable_params": analysis.trainable_params,
        "conv_params": analysis.conv_params,
        "fc_params": analysis.fc_params,
        "norm_params": analysis.norm_params,
        "other_params": analysis.other_params,
        "macs": analysis.macs,
        "elementwise": analysis.elementwise,
        "parameter_mib": round(analysis.parameter_bytes / MIB, 2),
        "forward_mib": round(analysis.forward_bytes(batch) / MIB, 2),
        "forward_backward_mib": round(analysis.training_bytes(batch) / MIB, 2),
        "layers": [_layer(analysis, row, batch) for row in analysis.rows],
        "notes": list(analysis.notes),
    }


def _layer(analysis: Analysis, row: Row, batch: int) -> dict[str, Any]:
    return {
        "name": row.name,
        "type": row.type,
        "kind": row.kind,
        "input_shape": list(row.input_shape),
        "output_shape": list(row.output_shape),
        "settings": row.settings,
        "params": row.params,
        "trainable": row.trainable,
        "frozen": row.frozen,
        "buffers": row.buffers,
        "macs": row.macs,
        "params_share": round(analysis.share_of_params(row), 6),
        "macs_share": round(analysis.share_of_macs(row), 6),
        "elementwise": row.elementwise,
        "activation_bytes": row.activation_bytes(batch),
        "backward_bytes": row.backward_bytes(batch),
        "receptive_field": _field(row.receptive_field),
        "formula": row.formula,
        "calls": row.calls,
        "training_only": row.training_only,
        "shared_with": row.shared_with,
    }


def _field(field: ReceptiveField) -> Any:
    if field.whole:
        return "whole input"
    return {"size": list(field.size), "jump": list(field.jump), "start": list(field.start)}


def by_size(shape: tuple[int, ...]) -> str:
    """Format a shape as `96×29×29`."""
    return "×".join(map(str, shape))


def to_table(analysis: Analysis, batch: int = 1) -> list[list[Any]]:
    """Return the table's lines below `COLUMNS`, with totals in the last one."""
    lines = [_line(row, batch) for row in analysis.rows]
    memory = round(analysis.forward_bytes(batch) / MIB, 3)
    total = [
        "total",
        "",
        by_size(analysis.input_shape),
        "",
        analysis.total_params,
        analysis.trainable_params,
        analysis.macs,
        analysis.elementwise,
    ]
    return [*lines, [*total, memory, "", ""]]


def _line(row: Row, batch: int) -> list[Any]:
    shapes = (by_size(row.input_shape), by_size(row.output_shape))
    memory = round(row.activation_bytes(batch) / MIB, 3)
    counts = (row.params, row.trainable, row.macs, row.elementwise, memory)
    return [row.name or "(model)", row.type, *shapes, *counts, str(row.receptive_field), row.formula]


def to_csv(analysis: Analysis, batch: int = 1) -> str:
    """Format the table as CSV, numbers without thousands separators."""
    return csv_text(COLUMNS, to_table(analysis, batch))


def to_markdown(analysis: Analysis, batch: int = 1) -> str:
    """Format the table as Markdown, numbers with thousands separators."""
    return markdown_text(COLUMNS, to_table(analysis, batch), NUMERIC)


def markdown_text(head: Sequence[str], lines: Iterable[Sequence[Any]], numeric: frozenset[str]) -> str:
    """Format lines below a header as a Markdown table, with the `numeric` columns right-aligned."""
    rule = f"| {' | '.join('---:' if name in numeric else '---' for name in head)} |"
    body = [f"| {' | '.join(_cell(value) for value in line)} |" for line in lines]
    return "\n".join([f"| {' | '.join(map(_cell, head))} |", rule, *body]) + "\n"


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value).replace("|", "\\|")


# HTML table for notebooks.

MAX_ROWS = 200
"""Maximum number of rows in a notebook; of a larger network the first ones are shown."""


def to_html(analysis: Analysis, batch: int = 1) -> str:
    """Format the table with totals and notes as HTML; all text is escaped."""
    *lines, total = to_table(analysis, batch)
    head = "".join(f'<th style="text-align:{_side(name)}">{escape(name)}</th>' for name in COLUMNS)
    body = "".join(f"<tr>{_cells(line)}</tr>" for line in (*lines[:MAX_ROWS], total))
    omitted = f"{len(lines) - MAX_ROWS:,} more rows are not shown here." if len(lines) > MAX_ROWS else ""
    notes = "".join(f"<p>{escape(note)}</p>" for note in (*analysis.notes, omitted) if note)
    counts = f"{analysis.total_params:,} parameters ({analysis.trainable_params:,} trainable)"
    title = f"<b>{escape(analysis.title)}</b> · {by_size(analysis.input_shape)} · {counts}"
    return (
        f'<div><p>{title} · {analysis.macs:,} multiply-adds</p><div style="overflow-x:auto"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{notes}</div>"
    )


def _side(column: str) -> str:
    return "right" if column in NUMERIC else "left"


def _cells(line: Sequence[Any]) -> str:
    texts = (f"{value:,}" if isinstance(value, int | float) else str(value) for value in line)
    cells = zip(COLUMNS, texts, strict=True)
    return "".join(f'<td style="text-align:{_side(name)}">{escape(text)}</td>' for name, text in cells)
