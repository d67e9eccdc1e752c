"""Analysis of a module on the meta device: traces of the forward pass to a table and a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from cnnviz.analysis.layer_table import graph, rows
from cnnviz.analysis.trace import Opaque, Trace, trace, without_scripts
from cnnviz.analysis.types import Analysis, Shape
from cnnviz.models.user_code.dry_run import choose_output

_TRAINING_BATCH = 2
"""Batch normalization cannot be trained on a single value per channel."""


def compute(
    module: nn.Module,
    shape: Shape,
    name: str,
    title: str,
    classes: int,
    options: dict[str, Any],
    more: tuple[Shape, ...] = (),
) -> Analysis:
    """Analyze `module`, which is on the meta device and in evaluation mode, for an input of `shape`.

    `more` are the shapes of further inputs, for a network that has several. Exceptions of the module for an
    input that does not fit are not caught.
    """
    module = without_scripts(module)
    modules = dict(module.named_modules())
    seen = trace(modules, shape, further_shapes=more)
    extra = None if more else _training_pass(modules, shape, seen)
    table = rows(modules, seen, extra, _TRAINING_BATCH)
    _, logits, chosen = choose_output(seen.output, title)
    last = tuple(logits.shape)[1:]
    return Analysis(
        model=name,
        title=title,
        input_shape=tuple(shape),
        classes=classes or (last[0] if len(last) == 1 else 0),
        options=options,
        rows=table,
        graph=graph(modules, table, seen, extra, (tuple(shape), last)),
        notes=(*chosen, *_several(shape, more), *_opaque(modules), *_notes(seen, table)),
    )


def _opaque(modules: Mapping[str, nn.Module]) -> tuple[str, ...]:
    names = [name or "the model itself" for name, part in modules.items() if isinstance(part, Opaque)]
    if not names:
        return ()
    listed = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} TorchScript"
    return (f"{listed}, whose inside cannot be looked into: its parameters are counted, its work is not.",)


def _several(shape: Shape, more: tuple[Shape, ...]) -> tuple[str, ...]:
    sides = ", ".join("×".join(map(str, side_lengths)) for side_lengths in (shape, *more))
    return (f"It reads {1 + len(more)} inputs: {sides}; the graph shows them as one.",) if more else ()


def _training_pass(modules: Mapping[str, nn.Module], shape: Shape, seen: Trace) -> Trace | None:
    """Trace a pass in training mode where layers are idle in evaluation mode (auxiliary classifiers)."""
    reached = {operation.owner for operation in seen.operations} | {visit.module for visit in seen.visits}
    units = {visit.module for visit in seen.visits if visit.leaf}
    idle = [
        name
        for name, part in modules.items()
        if part._parameters and name not in reached and not _inside(name, units)
    ]
    if not idle:
        return None
    try:
        modules[""].train()
        return trace(modules, shape, _TRAINING_BATCH)
    except (RuntimeError, AssertionError, ValueError):
        return None
    finally:
        modules[""].eval()


def _inside(name: str, units: set[str]) -> bool:
    return any(name.startswith(f"{unit}.") for unit in units if unit)


_ASSUMED = {"__bool__": "a condition on its values held", "__index__": "the value were 1"}


def _notes(seen: Trace, table: tuple[Any, ...]) -> tuple[str, ...]:
    notes = [
        f"The forward pass depends on its input's values{f' ({line})' if line else ''}: one path was "
        f"analysed, as if {_ASSUMED.get(name, 'the value were 1')}."
        for name, line in seen.decided
    ]
    seen.unknown.pop("TorchScript", None)
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
