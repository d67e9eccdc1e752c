"""Static checks: what is found in networks made to be wrong, and nothing in networks that are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from cnnviz import analysis, models
from cnnviz.analysis.checks import Network, OutputActivation


class Ending(nn.Module):
    """One convolution, the mean over positions, and a linear layer whose result passes through `last`."""

    def __init__(self, last: Callable[[Any], Any]) -> None:
        super().__init__()
        self.conv, self.fc, self.last = nn.Conv2d(1, 4, 3), nn.Linear(4, 10), last

    def forward(self, x: Any) -> Any:
        return self.last(self.fc(self.conv(x).relu().mean((2, 3))))


@pytest.mark.parametrize(
    ("last", "function", "layer"),
    [
        (torch.sigmoid, "sigmoid", ""),
        (functional.relu, "relu", ""),
        (lambda x: x.relu_(), "relu", ""),
        (lambda x: x.softmax(-1), "softmax", ""),
        (lambda x: functional.log_softmax(x, dim=1), "log_softmax", ""),
        (functional.leaky_relu, "leaky_relu", ""),
        (nn.Sigmoid(), "sigmoid", "last"),
        (nn.Softmax(dim=1), "softmax", "last"),
    ],
)
def test_an_activation_of_the_outputs_is_located(last: Any, function: str, layer: str) -> None:
    found = Network(analysis.analyze(Ending(last), 28)).output_activations()
    assert found == (OutputActivation(function, layer, pooled=False),)


@pytest.mark.parametrize("last", [lambda x: x, functional.dropout, lambda x: 3 * x, nn.Identity()])
def test_what_is_no_activation_is_not_taken_for_one(last: Any) -> None:
    assert Network(analysis.analyze(Ending(last), 28)).output_activations() == ()


def test_of_registered_models_only_squeezenet_rectifies_its_outputs_and_before_pooling() -> None:
    found = {
        name: Network(analysis.analyze(name)).output_activations()
        for name, spec in models.specs().items()
        if spec.source in ("cnnviz", "torchvision")
    }
    rectified = {name for name, activations in found.items() if activations}
    assert rectified == {"torchvision/squeezenet1_0", "torchvision/squeezenet1_1"}
    assert all(one.function == "relu" and one.pooled for name in rectified for one in found[name])
