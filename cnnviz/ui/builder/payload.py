"""A layer list as the compact data that its editor in the browser draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnnviz.analysis.diff import Status
from cnnviz.analysis.part import Cost, kind_of
from cnnviz.analysis.types import KIND_TITLES
from cnnviz.figures import numbers
from cnnviz.models.layers import LayerList, Step
from cnnviz.ui.builder.words import words


def payload(
    document: LayerList,
    costs: Mapping[str, Cost],
    statuses: Mapping[str, Status],
    fixes: Sequence[str],
    place: int,
) -> dict[str, Any]:
    """One entry a layer, shares relative to the largest; the first misfit carries `fixes`."""
    most = max((cost.params for cost in costs.values()), default=0) or 1
    hardest = max((cost.macs for cost in costs.values()), default=0) or 1
    return {
        "title": f"Layers of {document.name}",
        "place": place,
        "fixes": list(fixes),
        "rows": [
            _row(step, document, costs[step.name], statuses.get(step.name, "same"), (most, hardest))
            for step in document.steps()
        ],
    }


def _row(
    step: Step, document: LayerList, cost: Cost, status: Status, largest: tuple[int, int]
) -> dict[str, Any]:
    kind = kind_of(step.layer)
    known = step.output_shape is not None
    told = words(step.layer, document.classes)
    output = numbers.shape(step.output_shape) if step.output_shape is not None else "—"
    params, macs = (numbers.exact(n) if n else "" for n in (cost.params, cost.macs))
    return {
        "name": step.name,
        "kind": kind,
        "words": told,
        "output": output,
        "params": params,
        "macs": macs,
        "share": [cost.params / largest[0], cost.macs / largest[1]],
        "status": "" if status == "same" else status,
        "problem": step.problem,
        "unknown": not known and not step.problem,
        "label": _label(step, KIND_TITLES[kind], told, output, params, status),
    }


def _label(step: Step, kind: str, told: str, output: str, params: str, status: Status) -> str:
    """The line in words, for who cannot see it."""
    parts = [step.name, kind, told, f"output {output}" if step.output_shape else "output unknown"]
    parts += [f"{params} parameters"] if params else []
    parts += [status] if status != "same" else []
    parts += [f"does not fit: {step.problem}"] if step.problem else []
    return ", ".join(parts)
