"""An activation that the logits pass through: recorded, found first, and its loss floor worked out."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz import tracking
from cnnviz.diagnosis import gather
from cnnviz.diagnosis.evidence import OutputActivationFact
from tests.diagnosis.runs import told

BODY: list[dict[str, Any]] = [
    {"kind": "conv", "out": 4, "kernel": 5},
    {"kind": "activation"},
    {"kind": "pool"},
    {"kind": "flatten"},
    {"kind": "linear"},
]


def layer_list(*last: str) -> dict[str, Any]:
    ending = [{"kind": "activation", "function": name, "name": f"last{i}"} for i, name in enumerate(last)]
    return {"input": [1, 28, 28], "layers": [*BODY, *ending]}


@pytest.mark.parametrize("last", [(), ("sigmoid",), ("relu", "tanh")])
def test_the_activations_of_the_outputs_are_gathered(last: tuple[str, ...]) -> None:
    with tracking.connect() as database:
        run = told(database, collapsed=False, layers=layer_list(*last))
        found = gather(database, run).output_activations
    assert found == tuple(
        OutputActivationFact(function=name, layer=f"last{i}") for i, name in enumerate(last)
    )
