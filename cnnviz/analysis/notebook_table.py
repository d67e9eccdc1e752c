"""The layer table as HTML, which a notebook shows for an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from cnnviz.analysis.export import COLUMNS, NUMERIC, by_size, to_table

if TYPE_CHECKING:
    from cnnviz.analysis.types import Analysis

MOST_ROWS = 200
"""Rows that a notebook shows; of a larger network the first ones."""


def to_html(analysis: Analysis, batch: int = 1) -> str:
    """The table with totals and notes; everything that names bring is escaped."""
    *lines, total = to_table(analysis, batch)
    head = "".join(f'<th style="text-align:{_side(name)}">{escape(name)}</th>' for name in COLUMNS)
    body = "".join(f"<tr>{_cells(line)}</tr>" for line in (*lines[:MOST_ROWS], total))
    left_out = f"{len(lines) - MOST_ROWS:,} more rows are not shown here." if len(lines) > MOST_ROWS else ""
    notes = "".join(f"<p>{escape(note)}</p>" for note in (*analysis.notes, left_out) if note)
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
