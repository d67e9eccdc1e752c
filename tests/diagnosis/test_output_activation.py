"""An activation that the logits pass through: recorded, found first, and its loss floor worked out."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from cnnviz import tracking
from cnnviz.analysis.checks import activations
from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, diagnose, gather, rules
from cnnviz.diagnosis.evidence import Histogram, LayerFact, OutputActivationFact
from cnnviz.models.layers import LayerList
from cnnviz.training import Recipe
from tests.diagnosis.evidence import healthy
from tests.diagnosis.runs import run_with_curves
from tests.diagnosis.well_formed import assert_well_formed

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
        run = run_with_curves(database, collapsed=False, layers=layer_list(*last))
        output_activations = gather(database, run).output_activations
    assert output_activations == tuple(
        OutputActivationFact(function=name, layer=f"last{i}") for i, name in enumerate(last)
    )


def apply_rule(*functions: str, **changes: Any) -> Any:
    """What the rule says of a healthy run, or one with these changes, whose logits pass through these."""
    named = tuple(OutputActivationFact(function=name, layer=f"last{i}") for i, name in enumerate(functions))
    recipe = Recipe(layers=LayerList.model_validate(layer_list(*functions)), dataset="mnist", epochs=10)
    evidence = healthy(**{"recipe": recipe, "output_activations": named} | changes)
    return evidence, rules()["output-activation"].apply(evidence)


@pytest.mark.parametrize(
    ("function", "floor"),
    [
        ("sigmoid", math.log(math.e + 9) - 1),
        ("softmax", math.log(math.e + 9) - 1),
        ("tanh", math.log(math.e**2 + 9) - 2),
        ("relu6", math.log(math.e**6 + 9) - 6),
    ],
)
def test_outputs_that_pass_through_a_bounded_activation_are_found_with_their_loss_floor(
    function: str, floor: float
) -> None:
    named = (OutputActivationFact(function=function, layer="last"),)
    evidence = healthy(output_activations=named)
    judged = rules()["output-activation"].apply(evidence)
    assert isinstance(judged, Finding)
    assert next(fact.value for fact in judged.facts if fact.label == "least possible loss") == pytest.approx(
        floor
    )
    assert f"{floor:.3f}" in judged.verdict
    assert_well_formed(judged, evidence)


@given(
    st.sampled_from(sorted(activations.BOUNDED)),
    st.integers(2, 50),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(0, 10_000),
)
def test_no_bounded_outputs_reach_a_loss_below_the_floor_and_the_best_reach_it(
    function: str, classes: int, smoothing: float, seed: int
) -> None:
    low, high = activations.BOUNDED[function]
    floor = activations.loss_floor(low, high, classes, smoothing)
    draw = torch.Generator().manual_seed(seed)
    random = low + (high - low) * torch.rand((50, classes), generator=draw, dtype=torch.float64)
    truth = torch.zeros(50, dtype=torch.long)
    losses = functional.cross_entropy(random, truth, reduction="none", label_smoothing=smoothing)
    assert float(losses.min()) >= floor - 1e-12
    leads = torch.linspace(0, high - low, 2001, dtype=torch.float64)
    best = torch.full((2001, classes), low, dtype=torch.float64)
    best[:, 0] += leads
    aligned = functional.cross_entropy(
        best, truth[:1].expand(2001), reduction="none", label_smoothing=smoothing
    )
    assert float(aligned.min()) == pytest.approx(floor, abs=1e-4)


@pytest.mark.parametrize("function", ["relu", "sigmoid", "tanh"])
def test_the_first_change_takes_the_activation_out_of_the_layer_list(function: str) -> None:
    evidence, result = apply_rule(function)
    assert isinstance(result, Finding)
    assert_well_formed(result, evidence)
    mended = result.changes[0].recipe(evidence.recipe).layers
    assert mended is not None
    assert [layer.kind for layer in mended.layers] == [layer["kind"] for layer in BODY]
    assert mended.problem() == ""


def test_of_a_registered_model_no_change_of_the_recipe_is_proposed() -> None:
    judged = rules()["output-activation"].apply(
        healthy(output_activations=(OutputActivationFact(function="sigmoid"),))
    )
    assert isinstance(judged, Finding)
    assert judged.changes == ()
    assert "called by the model itself" in judged.verdict


def test_log_softmax_is_harmless_since_cross_entropy_leaves_it_as_it_is() -> None:
    logits = torch.randn((4, 7), generator=torch.Generator().manual_seed(0))
    once, truth = functional.log_softmax(logits, 1), torch.arange(4)
    assert torch.allclose(functional.cross_entropy(once, truth), functional.cross_entropy(logits, truth))
    assert isinstance(
        apply_rule("relu", output_activations=(OutputActivationFact(function="log_softmax"),))[1], Negative
    )


def test_a_mild_activation_is_named_only_where_the_run_failed() -> None:
    gelu = (OutputActivationFact(function="gelu", layer="last"),)
    assert isinstance(apply_rule("relu", output_activations=gelu)[1], Negative)
    flat = {
        "train/epoch_loss": healthy().curves["train/epoch_loss"].model_copy(update={"values": (2.3,) * 10})
    }
    assert isinstance(apply_rule("relu", output_activations=gelu, curves=flat)[1], Finding)


def test_rectified_maps_that_are_averaged_are_not_called_a_fault_as_in_squeezenet() -> None:
    pooled = (OutputActivationFact(function="relu", layer="classifier.2", pooled=True),)
    assert isinstance(apply_rule("relu", output_activations=pooled)[1], Negative)


def test_evidence_of_an_earlier_version_is_judged_by_the_order_of_its_layers() -> None:
    rows = [("conv", "Conv2d", "conv"), ("relu", "ReLU", "activation"), ("fc", "Linear", "fc")]
    facts = tuple(LayerFact(name=n, type=t, kind=k, params=9, out=(10,)) for n, t, k in rows)
    last = LayerFact(name="last", type="Sigmoid", kind="activation", params=0, out=(10,))
    apply_rule = rules()["output-activation"].apply
    assert isinstance(apply_rule(healthy(layers=facts)), Negative)
    assert isinstance(apply_rule(healthy(layers=(*facts, last))), Finding)
    assert isinstance(apply_rule(healthy(layers=())), Inconclusive)


def test_it_stands_before_what_it_causes() -> None:
    flat = {
        name: points.model_copy(update={"values": (2.3 if name.endswith("loss") else 0.1,) * len(points)})
        for name, points in healthy().curves.items()
    }
    collapsed = {"test": (Histogram(step=200, counts=(0, 0, 200, *(0,) * 7)),)}
    evidence, result = apply_rule("sigmoid", curves=flat, predicted=collapsed)
    assert isinstance(result, Finding)
    causes = [finding.cause for finding in diagnose(evidence).findings]
    assert causes[:2] == ["output-activation", "one-class"]


def test_a_healthy_run_without_such_an_activation_has_no_finding() -> None:
    evidence: Evidence = healthy(output_activations=())
    assert diagnose(evidence).findings == ()
