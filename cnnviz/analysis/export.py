"""Export of the layer table: JSON, CSV, Markdown, HTML for notebooks, and the summary that torchinfo prints.

Torch is imported only when torchinfo's table is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from cnnviz import models
from cnnviz.analysis.types import MIB, Analysis, ReceptiveField, Row
from cnnviz.formats import csv_text
from cnnviz.models.layers import LayerList
from cnnviz.models.library import spec_of
from cnnviz.models.user_code.registration import CLASSES_FROM_OUTPUT
from cnnviz.sentences import full_stop, percent

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


TORCHINFO_COLUMNS, COLUMN_WIDTH = ("output_size", "num_params", "mult_adds"), 18
"""Fits a page's column beside the inspector."""
DEPTH = 20
"""Maximum module depth with a line; torchinfo's default of 3 would hide the layers of blocks."""


@dataclass(frozen=True)
class TorchinfoTable:
    """Output of torchinfo, and sentences that explain its differences from our table."""

    text: str
    params: int
    macs: int
    """Total for one image."""
    differences: tuple[str, ...]


def torchinfo_table(
    model: str | models.ModelSpec | LayerList,
    analysis: Analysis,
    options: Mapping[str, Any] | None = None,
    batch: int = 1,
) -> TorchinfoTable:
    """Summarize the analyzed architecture with torchinfo, on the meta device.

    Args:
        model: Analyzed model: a name, a spec, or a layer list.
        analysis: Its analysis, which determines input shape and classes.
        options: Options of the model, as for `analyze`.
        batch: Batch size, which scales torchinfo's output sizes and memory.

    Returns:
        The table and the differences.

    Raises:
        ValueError: Where torchinfo does not support the network; one sentence.
    """
    import torchinfo

    from cnnviz.models.meta_device import on_meta

    spec = spec_of(model, model.name) if isinstance(model, LayerList) else model
    spec = models.get(spec) if isinstance(spec, str) else spec
    if spec.description is not None:
        raise ValueError(
            f"torchinfo follows a PyTorch module at work, and {spec.title} is read as data: the table of "
            "layers beside this one has its figures."
        )
    known = None if CLASSES_FROM_OUTPUT in spec.tags else analysis.classes or None
    classes, shape, chosen = models.resolve(spec, known, None, options)
    shape = analysis.input_shape if len(analysis.input_shape) == 3 else shape
    module = on_meta(lambda: spec.builder(classes, shape, chosen))
    try:
        statistics = torchinfo.summary(
            module, (batch, *shape), depth=DEPTH, verbose=0, device="meta", col_names=TORCHINFO_COLUMNS,
            col_width=COLUMN_WIDTH, row_settings=("var_names",),
        )  # fmt: skip
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = full_stop(next(iter(str(error).splitlines()), type(error).__name__))
        raise ValueError(f"torchinfo cannot follow {analysis.title}: {reason}") from None
    macs = statistics.total_mult_adds // batch
    text = "\n".join(line.rstrip() for line in str(statistics).splitlines())
    return TorchinfoTable(text, statistics.total_params, macs, _differences(analysis, statistics, macs))


def _differences(analysis: Analysis, statistics: Any, macs: int) -> tuple[str, ...]:
    """Explain the differences between the figures, with this network's numbers."""
    sentences = []
    more = macs - analysis.macs
    part = percent(abs(more) / max(analysis.macs, 1), 1)
    if more > 0:
        sentences.append(
            f"Multiply-adds: torchinfo counts {macs:,}, {more:,} ({part}) more than ours. It takes every "
            "value of a bias, and of the scale and shift of a normalization, for a multiply-add as well."
        )
    elif more < 0:
        sentences.append(
            f"Multiply-adds: torchinfo counts {macs:,}, {-more:,} ({part}) fewer than ours. It sees modules "
            "only: matrix products of attention, and functions called in a forward pass, are missing."
        )
    if statistics.total_params != analysis.total_params:
        sentences.append(
            f"Parameters: torchinfo counts {statistics.total_params:,}, ours are {analysis.total_params:,}: "
            "it counts what is shared, or no module's own, in another way."
        )
    sentences.append(
        "Memory: its forward/backward size holds the outputs of layers with parameters alone, in MB of 10⁶ "
        "bytes; ours holds the output of every layer, in MiB."
    )
    return tuple(sentences)
