"""The analysis of a layer list as far as its shapes fit, for an editor whose list need not be finished."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from cnnviz.analysis.types import Analysis, Graph, Kind, Row, Shape
from cnnviz.models.layers import Layer, LayerList

KINDS_OF_LAYERS: dict[str, Kind] = {
    "conv": "conv",
    "linear": "fc",
    "pool": "pool",
    "global_pool": "pool",
    "batch_norm": "norm",
    "lrn": "norm",
    "activation": "activation",
    "softmax": "activation",
    "inception": "conv",
    "naive_inception": "conv",
    "residual": "conv",
}
"""The kind that a layer of a list mostly is; any other is "other"."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one layer of a list costs, with all that it holds."""

    params: int = 0
    macs: int = 0
    outputs: int = 0


def analyze_fitting(document: LayerList) -> Analysis:
    """Analyse the layers up to the first that does not fit; the others have no rows.

    Unlike `analyze` it takes lists that do not end in their classes. Raises nothing for shapes.
    """
    from torch import nn

    from cnnviz.analysis.compute import compute
    from cnnviz.models.builder import on_meta

    def build() -> nn.Sequential:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for step in document.steps():
            if step.input_shape is None or step.output_shape is None:
                break
            parts[step.name] = step.layer.module(step.input_shape, document.classes)
        return nn.Sequential(parts)

    module = on_meta(build)
    if next(module.children(), None) is None:
        return _nothing(document)
    name = document.name
    return compute(module, document.input, name, name, document.classes, {})


def costs(document: LayerList, analysis: Analysis) -> dict[str, Cost]:
    """The cost of each layer of the list by its name, from the rows of its analysis."""
    costs = {name: Cost() for name in document.names()}
    for row in analysis.rows:
        name = row.name.split(".")[0]
        if name in costs:
            cost = costs[name]
            costs[name] = Cost(cost.params + row.params, cost.macs + row.macs, cost.outputs + row.outputs)
    return costs


def kind_of(layer: Layer) -> Kind:
    """The kind in whose colour a layer of a list is drawn."""
    return KINDS_OF_LAYERS.get(layer.kind, "other")


def outline(document: LayerList, costed: bool = True) -> tuple[Row, ...]:
    """The list as one row a layer, without building it: for a difference of two lists.

    Behind the first misfit parameters count as none, and everywhere if not `costed`: then only settings
    make a difference.
    """
    rows = []
    for step in document.steps():
        taken: Shape = step.input_shape or ()
        fits = costed and step.input_shape is not None and step.output_shape is not None
        settings = step.layer.model_dump(exclude={"name", "kind"})
        params = step.layer.params(taken, document.classes) if fits else 0
        title = type(step.layer).title
        rows.append(
            Row(step.name, title, kind_of(step.layer), taken, step.output_shape or (), settings, params)
        )
    return tuple(rows)


def _nothing(document: LayerList) -> Analysis:
    name = document.name
    return Analysis(name, name, document.input, document.classes, {}, (), Graph((), ()))
