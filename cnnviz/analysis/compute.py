"""The analysis itself, of a module that stands on the meta device."""

from __future__ import annotations

from typing import Any

from torch import nn

from cnnviz.analysis.graph import graph
from cnnviz.analysis.rows import rows
from cnnviz.analysis.trace import Trace, trace
from cnnviz.analysis.types import Analysis, Shape

_TRAINING_BATCH = 2
"""Batch normalisation cannot train on a single value a channel."""


def compute(
    module: nn.Module, shape: Shape, name: str, title: str, classes: int, options: dict[str, Any]
) -> Analysis:
    """Analyse `module`, which is on the meta device and in evaluation mode, for an input of `shape`.

    Raises whatever the module raises where the input does not fit.
    """
    module.eval()
    seen = trace(module, shape)
    extra = _training_pass(module, shape, seen)
    table = rows(module, seen, extra, _TRAINING_BATCH)
    last = seen.visits[0].output_shape
    return Analysis(
        model=name,
        title=title,
        input_shape=tuple(shape),
        classes=classes or (last[0] if len(last) == 1 else 0),
        options=options,
        rows=table,
        graph=graph(module, table, seen, extra, (tuple(shape), last)),
        notes=_notes(seen, table),
    )


def _training_pass(module: nn.Module, shape: Shape, seen: Trace) -> Trace | None:
    """A second pass where some layers take part in training only, as auxiliary classifiers do."""
    reached = {operation.owner for operation in seen.operations} | {visit.module for visit in seen.visits}
    idle = [
        name
        for name, part in module.named_modules()
        if name not in reached and part._parameters and not _inside(name, reached_units(seen))
    ]
    if not idle:
        return None
    try:
        return trace(module.train(), shape, _TRAINING_BATCH)
    except (RuntimeError, AssertionError, ValueError):
        return None
    finally:
        module.eval()


def reached_units(seen: Trace) -> set[str]:
    """Names of modules that are one row with all that they hold."""
    return {visit.module for visit in seen.visits if visit.leaf}


def _inside(name: str, units: set[str]) -> bool:
    return any(name.startswith(f"{unit}.") for unit in units if unit)


def _notes(seen: Trace, table: tuple[Any, ...]) -> tuple[str, ...]:
    notes = []
    if seen.unknown:
        names = ", ".join(f"{name} ({count}×)" for name, count in seen.unknown.most_common())
        notes.append(f"Counted as one operation a value, for want of a rule of their own: {names}.")
    idle = [
        row.name for row in table if row.params and not row.calls and not row.macs and not row.elementwise
    ]
    unused = [row for row in table if row.name in idle and not row.outputs]
    if unused:
        notes.append(
            f"Never called as layers: {', '.join(row.name or 'the model itself' for row in unused[:5])}."
        )
    return tuple(notes)
