"""Static checks: what is found in networks made to be wrong, and nothing in networks that are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from torch import nn
from torch.nn import functional

from cnnviz import analysis, models
from cnnviz.analysis.checks import Network, OutputActivation, check_analysis, check_layers, checks
from cnnviz.analysis.core import analyze_fitting
from cnnviz.models.layers import LayerList
from tests.models.layer_lists import documents


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
    output_activations = Network(analysis.analyze(Ending(last), 28)).output_activations()
    assert output_activations == (OutputActivation(function, layer, pooled=False),)


@pytest.mark.parametrize("last", [lambda x: x, functional.dropout, lambda x: 3 * x, nn.Identity()])
def test_what_is_no_activation_is_not_taken_for_one(last: Any) -> None:
    assert Network(analysis.analyze(Ending(last), 28)).output_activations() == ()


def listed(*layers: Any, side: int = 28, classes: int = 10) -> LayerList:
    """A layer list; a kind alone stands for a layer with its defaults."""
    whole = [{"kind": layer} if isinstance(layer, str) else layer for layer in layers]
    return LayerList.model_validate({"input": [1, side, side], "classes": classes, "layers": whole})


def conv(out: int = 8, **more: Any) -> dict[str, Any]:
    return {"kind": "conv", "out": out, **more}


def fc(out: int) -> dict[str, Any]:
    return {"kind": "linear", "out": out}


END = ("global_pool", "flatten", "linear")
BIG = {"kind": "activation", "function": "sigmoid"}
WRONG: dict[str, tuple[LayerList, str, str, tuple[str, ...]]] = {
    "sigmoid": (listed(conv(), "activation", *END, BIG), "output-activation", "error", ("activation2",)),
    "relu": (
        listed(conv(), "activation", *END, "activation"), "output-activation", "error", ("activation2",),
    ),
    "softmax": (listed(conv(), "activation", *END, "softmax"), "output-activation", "error", ("softmax1",)),
    "dropped": (listed(conv(), "activation", *END, "dropout"), "output-dropout", "error", ("dropout1",)),
    "normed": (listed(conv(), "activation", *END, "batch_norm"), "output-norm", "warning", ("batch_norm1",)),
    "units": (listed(conv(), "activation", "flatten", fc(7)), "class-count", "error", ("linear1",)),
    "maps": (listed(conv(), "activation"), "class-count", "error", ("conv1",)),
    "one": (listed(conv(), "activation", *END, classes=1), "class-count", "error", ("linear1",)),
    "sums": (
        listed("flatten", fc(64), fc(10)), "missing-activation", "warning", ("linear1", "linear2"),
    ),
    "convolutions": (
        listed(conv(), "batch_norm", conv(), "activation", *END),
        "missing-activation", "warning", ("conv1", "conv2"),
    ),
    "to-linear": (listed(conv(), *END), "missing-activation", "warning", ("conv1", "linear1")),
    "twice": (
        listed(conv(), "activation", "dropout", BIG, *END),
        "activation-twice", "warning", ("activation1", "activation2"),
    ),
    "bias": (listed(conv(), "batch_norm", "activation", *END), "bias-before-norm", "note", ("conv1",)),
    "norms": (
        listed(conv(bias=False), "batch_norm", "batch_norm", "activation", *END),
        "norm-twice", "warning", ("batch_norm1", "batch_norm2"),
    ),
    "shifted": (
        listed(conv(), "activation", "dropout", conv(bias=False), "batch_norm", "activation", *END),
        "dropout-before-norm", "warning", ("dropout1", "batch_norm1"),
    ),
    "hardly": (
        listed(conv(), "activation", {"kind": "dropout", "p": 0.95}, *END),
        "dropout-rate", "warning", ("dropout1",),
    ),
    "hidden": (
        listed("flatten", fc(64), "softmax", "linear"), "hidden-softmax", "warning", ("softmax1", "linear2"),
    ),
    "deep": (
        listed("flatten", *(fc(64), BIG) * 4, "linear"),
        "saturating-activations", "note", ("activation1", "activation2", "activation3", "activation4"),
    ),
    "narrow": (listed("flatten", fc(3), "activation", "linear"), "bottleneck", "warning", ("linear1",)),
    "large": (
        listed(conv(32, padding=1), "activation", "flatten", fc(100), "activation", "linear"),
        "flatten-large-map", "warning", ("linear1",),
    ),
    "padding": (
        listed(conv(), "activation", "global_pool", conv(padding=1), "activation", "flatten", "linear"),
        "kernel-in-padding", "warning", ("conv2",),
    ),
    "skips": (
        listed(conv(kernel=2, stride=4), "activation", *END), "stride-skips-pixels", "warning", ("conv1",),
    ),
    "pooled": (
        listed(conv(), "activation", "pool", "pool", *END), "pooling-twice", "warning", ("pool1", "pool2"),
    ),
    "falling": (
        listed(conv(64), "activation", conv(8), "activation", *END), "channels-fall", "note", ("conv2",),
    ),
    "near": (listed(conv(), "activation", *END, side=64), "receptive-field", "note", ("conv1",)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_structural_fault_is_found_where_it_is(name: str) -> None:
    document, check, severity, layers = WRONG[name]
    result = {(one.check, one.severity, one.layers) for one in check_layers(document)}
    assert (check, severity, layers) in result


@pytest.mark.parametrize("name", WRONG)
def test_a_layer_list_and_the_module_built_of_it_are_judged_alike(name: str) -> None:
    document = WRONG[name][0]
    built = check_analysis(analyze_fitting(document))
    assert [(one.check, one.layers) for one in check_layers(document)] == [
        (one.check, one.layers) for one in built
    ]


@pytest.mark.parametrize("name", WRONG)
def test_every_problem_is_told_in_two_sentences(name: str) -> None:
    for one in check_layers(WRONG[name][0]):
        assert not one.message[0].islower()
        assert one.message.endswith(".")
        assert one.fix.endswith(".")
        assert "  " not in one.message + one.fix
        assert one.title
        assert one.reference
        assert one.as_json()["layers"] == list(one.layers)


def test_every_check_has_a_fault_that_shows_it() -> None:
    shown = {check for _, check, _, _ in WRONG.values()} | {"unused-layer"}
    assert shown == set(checks())


def test_errors_come_before_warnings_and_warnings_before_notes() -> None:
    document = listed(conv(), "batch_norm", conv(), "activation", *END, BIG)
    assert [one.severity for one in check_layers(document)] == ["error", "warning", "note"]


def test_a_layer_list_that_does_not_fit_has_that_as_its_first_error() -> None:
    problems = check_layers(listed(conv(kernel=40), "activation", *END))
    assert problems[0].check == "misfit"
    assert problems[0].layers == ("conv1",)
    assert "does not fit" in problems[0].message


def test_a_layer_list_that_is_right_has_no_problem() -> None:
    assert check_layers(listed(conv(), "activation", "pool", conv(16), "activation", "pool", *END)) == ()
    assert check_layers(listed("residual", "pool", "residual", "pool", *END)) == ()


def test_a_layer_that_forward_never_calls_is_found() -> None:
    model = Ending(nn.Identity())
    model.spare = nn.Linear(3, 4)
    (result,) = check_analysis(analysis.analyze(model, 28))
    assert (result.check, result.layers) == ("unused-layer", ("spare",))
    assert "16 parameters" in result.message


def test_a_gate_that_multiplies_is_no_saturating_activation() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList([nn.Conv2d(1, 1, 1) for _ in range(6)])
            self.fc = nn.Linear(1, 10)

        def forward(self, x: Any) -> Any:
            for part in self.convs:
                x = x * torch.sigmoid(part(x))
            return self.fc(x.mean((2, 3)))

    assert [one.check for one in check_analysis(analysis.analyze(Gated(), 28))] == []


@given(documents)
def test_checking_raises_for_no_layer_list(document: LayerList) -> None:
    for one in check_layers(document):
        assert set(one.layers) <= set(document.names())


def test_no_registered_model_as_published_has_an_error_or_a_warning() -> None:
    by_name = {
        name: [
            (one.check, one.layers)
            for one in check_analysis(analysis.analyze(name))
            if one.severity != "note"
        ]
        for name, spec in models.specs().items()
        if spec.source in ("cnnviz", "torchvision")
    }
    assert len(by_name) > 80
    assert {name: result for name, result in by_name.items() if result} == {}


def test_of_registered_models_only_squeezenet_rectifies_its_outputs_and_before_pooling() -> None:
    result = {
        name: Network(analysis.analyze(name)).output_activations()
        for name, spec in models.specs().items()
        if spec.source in ("cnnviz", "torchvision")
    }
    rectified = {name for name, activations in result.items() if activations}
    assert rectified == {"torchvision/squeezenet1_0", "torchvision/squeezenet1_1"}
    assert all(one.function == "relu" and one.pooled for name in rectified for one in result[name])
