"""Layer table and module graph of a trace: one row per module, in order of execution."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from cnnviz.analysis.module_settings import kind_of, own_buffers, own_parameters, settings
from cnnviz.analysis.trace import Opaque, Operation, Trace, Visit, trace, without_scripts
from cnnviz.analysis.types import WHOLE, Analysis, Block, Graph, Kind, Node, ReceptiveField, Row, Shape
from cnnviz.models.user_code.dry_run import choose_output

_DECIDES: tuple[Kind, ...] = ("conv", "recurrent", "attention", "fc", "norm", "pool", "activation", "other")
"""Priority of kinds: a row with several operations has the first of these."""


@dataclass(slots=True)
class _Work:
    """Operations and visits of one module itself, without its children."""

    clock: float
    visits: list[Visit] = field(default_factory=list)
    weighted: bool = False
    operations: list[Operation] = field(default_factory=list)

    @property
    def kind(self) -> Kind | None:
        kinds = {operation.effect.kind for operation in self.operations}
        return next((kind for kind in _DECIDES if kind in kinds), None)

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        if self.visits:
            return self.visits[0].input_shape, self.visits[0].output_shape
        return self.operations[0].input_shape, self.operations[-1].output_shape

    @property
    def field(self) -> ReceptiveField:
        if self.visits and self.visits[0].leaf:
            # With shared weights the receptive field grows at each call; a module without weights is shown at
            # its first.
            return self.visits[-1 if self.weighted else 0].field
        return self.operations[-1].effect.field if self.operations else WHOLE

    @property
    def outputs(self) -> int:
        if not (self.visits and self.visits[0].leaf):
            return sum(operation.outputs for operation in self.operations if not operation.effect.view)
        writing = {id(operation.visit) for operation in self.operations if not operation.effect.view}
        return sum(visit.outputs for visit in self.visits if id(visit) in writing)


def rows(
    modules: Mapping[str, nn.Module], trace: Trace, extra: Trace | None = None, batch: int = 1
) -> tuple[Row, ...]:
    """Build the table of a model.

    Args:
        modules: Modules by name.
        trace: Forward pass in evaluation mode.
        extra: Forward pass in training mode; modules that occur only here are training-only.
        batch: Batch size of `extra`.
    """
    weighted = {name for name, module in modules.items() if any(True for _ in own_parameters(module))}
    work = _work(trace, weighted)
    only_training = _only_in(_work(extra, weighted) if extra else {}, work)
    order = _order(modules, work, only_training)
    seen: dict[int, str] = {}
    table = []
    for name in order:
        training_only = name in only_training
        module_work = only_training.get(name) or work.get(name)
        table.append(
            _row(name, modules[name], module_work, seen, batch if training_only else 1, training_only)
        )
    return tuple(table)


def _work(trace: Trace, weighted: Collection[str]) -> dict[str, _Work]:
    work: dict[str, _Work] = {}
    visits: dict[str, list[Visit]] = {}
    for visit in trace.visits:
        visits.setdefault(visit.module, []).append(visit)
    for operation in trace.operations:
        new_work = _Work(operation.clock, visits.get(operation.owner, []), operation.owner in weighted)
        work.setdefault(operation.owner, new_work).operations.append(operation)
    return work


def _only_in(extra: dict[str, _Work], work: dict[str, _Work]) -> dict[str, _Work]:
    return {name: module_work for name, module_work in extra.items() if name not in work}


def _order(modules: Mapping[str, nn.Module], work: dict[str, _Work], late: dict[str, _Work]) -> list[str]:
    """Order names by time; a module with parameters that never ran follows the module defined before it."""
    position: dict[str, tuple[float, int]] = {}
    last = -1.0
    for number, (name, module) in enumerate(modules.items()):
        module_work = work.get(name) or late.get(name)
        if module_work:
            last = module_work.clock if name in work else last
            position[name] = (last, number)
        elif any(True for _ in own_parameters(module)) and not _inside_unit(name, work):
            position[name] = (last, number)
    return sorted(position, key=position.__getitem__)


def _inside_unit(name: str, work: dict[str, _Work]) -> bool:
    parent = name.rpartition(".")[0]
    return bool(parent in work and work[parent].visits and work[parent].visits[0].leaf)


def _row(
    name: str,
    module: nn.Module,
    module_work: _Work | None,
    seen: dict[int, str],
    batch: int,
    training_only: bool,
) -> Row:
    counts = {True: 0, False: 0}
    shared = ""
    for parameter in own_parameters(module):
        if id(parameter) in seen:
            shared = seen[id(parameter)]
            continue
        seen[id(parameter)] = name
        counts[parameter.requires_grad] += parameter.numel()
    input_shape, output_shape = module_work.shapes if module_work else ((), ())
    operations: Iterable[Operation] = module_work.operations if module_work else ()
    return Row(
        name=name,
        type=type(module).__name__,
        kind=(module_work.kind if module_work else None) or kind_of(module),
        input_shape=input_shape,
        output_shape=output_shape,
        settings=settings(module),
        trainable=counts[True],
        frozen=counts[False],
        buffers=own_buffers(module),
        macs=sum(operation.effect.macs for operation in operations) // batch,
        elementwise=sum(operation.effect.elementwise for operation in operations) // batch,
        outputs=module_work.outputs // batch if module_work else 0,
        receptive_field=module_work.field if module_work else WHOLE,
        calls=len(module_work.visits) if module_work else 0,
        training_only=training_only,
        shared_with=shared,
    )


# Module graph of a trace: a node for each call of a layer and each operation between layers.

INPUT, OUTPUT = 0, 1
_Key = tuple[str, int, int]


class _Draft:
    def __init__(self, rows: Iterable[Row]) -> None:
        self.nodes: list[Node] = []
        self.edges: dict[tuple[int, int], None] = {}
        self._rows = {row.name: row for row in rows}
        self._keys: dict[_Key, int] = {}

    def add(self, trace: Trace, training_only: bool = False) -> dict[int, int]:
        """Add a trace; existing nodes are reused. Return the node of each operation."""
        node_of: dict[int, int] = {INPUT: INPUT}
        counts: dict[int, int] = {}
        for operation in trace.operations:
            if not operation.inputs:  # Depends on constants only, as on position embeddings.
                continue
            key = self._key(operation, counts)
            is_new = key not in self._keys
            if is_new:
                self._keys[key] = self._box(operation, training_only)
            node = node_of[operation.id] = self._keys[key]
            if is_new or not training_only:
                self.edges.update({(node_of[i], node): None for i in operation.inputs if node_of[i] != node})
        return node_of

    def _key(self, operation: Operation, counts: dict[int, int]) -> _Key:
        visit = operation.visit
        if visit.leaf:
            return visit.module, visit.number, 0
        counts[id(visit)] = counts.get(id(visit), 0) + 1
        return visit.module, visit.number, counts[id(visit)]

    def _box(self, operation: Operation, training_only: bool) -> int:
        row, visit = self._rows[operation.owner], operation.visit
        number = len(self.nodes)
        is_operation = operation.owner == visit.module and not visit.leaf
        label = operation.effect.label if is_operation else _label(row)
        kind = operation.effect.kind if is_operation else row.kind
        container = visit.module if is_operation else row.container
        shape = visit.output_shape if visit.leaf else operation.output_shape
        self.nodes.append(Node(number, row.name, label, kind, container, shape, training_only))
        return number


def _label(row: Row) -> str:
    """Return a layer's own name, with its type where the name is only an index."""
    name = row.name.rpartition(".")[2]
    return f"{name} · {row.type}" if name.isdigit() else name


def graph(
    modules: Mapping[str, nn.Module],
    rows: tuple[Row, ...],
    trace: Trace,
    extra: Trace | None,
    shapes: tuple[Shape, Shape],
) -> Graph:
    """Build the graph of a forward pass and of what training adds.

    `shapes` are the input's and the output's.
    """
    draft = _Draft(rows)
    for number, label in ((INPUT, "input"), (OUTPUT, "output")):
        draft.nodes.append(Node(number, "", label, "other", "", shapes[number]))
    node_of = draft.add(trace)
    draft.edges.update({(node_of[i], OUTPUT): None for i in trace.result})
    if extra is not None:
        node_of = draft.add(extra, training_only=True)
        late = {node.id for node in draft.nodes if node.training_only}
        draft.edges.update({(node_of[i], OUTPUT): None for i in extra.result if node_of[i] in late})
    types = {name: type(module).__name__ for name, module in modules.items()}
    return Graph(tuple(draft.nodes), tuple(draft.edges), blocks(types, rows))


def blocks(types: Mapping[str, str], rows: Iterable[Row]) -> tuple[Block, ...]:
    """Return every container of rows, in order; consecutive equal siblings refer to the first of them.

    `types` are the modules' types by name.
    """
    members: dict[str, list[Row]] = {}
    for row in rows:
        name = row.name
        while "." in name:
            name = name.rpartition(".")[0]
            members.setdefault(name, []).append(row)
    signatures = {name: _signature(name, inside) for name, inside in members.items()}
    runs: dict[str, list[str]] = {}
    leader: dict[str, str] = {}
    previous: dict[str, str] = {}
    for name in members:
        parent = name.rpartition(".")[0]
        sibling = previous.get(parent)
        first = leader[sibling] if sibling and signatures[sibling] == signatures[name] else name
        leader[name], previous[parent] = first, name
        runs.setdefault(first, []).append(name)
    return tuple(
        Block(
            name,
            types[name],
            len(runs[name]) if leader[name] == name else 1,
            "" if leader[name] == name else leader[name],
        )
        for name in members
    )


def _signature(container: str, rows: Iterable[Row]) -> tuple[object, ...]:
    """Return the signature of a block: equal blocks have the same layers with the same sizes.

    The drop probability is excluded, since it grows with depth in networks of stochastic depth.
    """
    return tuple(
        (
            row.name[len(container) :],
            row.type,
            row.output_shape,
            row.params,
            row.macs,
            repr({key: value for key, value in row.settings.items() if key != "p"}),
        )
        for row in rows
    )


# Analysis of a module on the meta device: traces of the forward pass to a table and a graph.

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
        f"analyzed, as if {_ASSUMED.get(name, 'the value were 1')}."
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
