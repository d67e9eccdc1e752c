"""Batch-norm statistics that have not settled are a cause of their own, and no over-fitting."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, diagnose, rules
from cnnviz.diagnosis.evidence import Accuracy, BatchNorm, BatchNormLayer, LayerFact
from cnnviz.models.layers import BatchNorm as BatchNormInList
from cnnviz.models.layers import Conv, Flatten, LayerList, Linear
from cnnviz.training import Recipe
from tests.diagnosis.evidence import healthy
from tests.diagnosis.test_rules_of_data import run
from tests.diagnosis.well_formed import assert_well_formed

FACTS = (
    LayerFact(name="conv1", type="Conv2d", kind="conv", params=80, out=(8, 26, 26)),
    LayerFact(name="norm1", type="BatchNorm2d", kind="norm", params=16, out=(8, 26, 26)),
    LayerFact(name="fc1", type="Linear", kind="fc", params=54_090, out=(10,)),
)


def layers(momentum: float) -> LayerList:
    parts = (
        Conv(name="conv1", out=8), BatchNormInList(name="norm1", momentum=momentum),
        Flatten(), Linear(name="fc1", out="classes"),
    )  # fmt: skip
    return LayerList(name="normalized", input=(1, 28, 28), layers=parts)


def normalized(
    momentum: float | None, running: float | None, batch: float | None, updates: int = 200, **changes: Any
) -> Evidence:
    """A run that knows its training images and, with running statistics, `running` of the others."""
    both: dict[str, Any] = {}
    if running is not None and batch is not None:
        both = {
            "images": 500,
            "running": Accuracy(loss=2.0, accuracy=running),
            "batch": Accuracy(loss=0.2, accuracy=batch),
        }
    recorded = BatchNorm(layers=(BatchNormLayer(name="norm1", momentum=momentum, updates=updates),), **both)
    given: dict[str, Any] = {"layers": FACTS, "batch_norm": recorded} | changes
    return run(1.0, running if running is not None else 0.5, **given)


def apply_rule(evidence: Evidence) -> Any:
    return rules()["batch-norm-unsettled"].apply(evidence)


def test_statistics_that_have_not_settled_are_named_first_and_no_over_fitting_is() -> None:
    evidence = normalized(0.005, 0.5, 0.95, recipe=Recipe(layers=layers(0.005), epochs=10))
    diagnosis = diagnose(evidence)
    assert diagnosis.findings[0].cause == "batch-norm-unsettled"
    assert not [one.cause for one in diagnosis.findings if one.cause.startswith("over-fitting")]
    finding = diagnosis.findings[0]
    assert_well_formed(finding, evidence)
    assert f"(1 − 0.005)^200 = {100 * 0.995**200:.0f} %" in finding.explanation
    assert "1/0.005 = 200 batches" in finding.explanation
    faster = finding.changes[0].recipe(evidence.recipe).layers
    assert faster is not None
    assert [part.momentum for part in faster.layers if isinstance(part, BatchNormInList)] == [0.1]


@pytest.mark.parametrize(("momentum", "updates"), [(0.1, 200), (0.01, 3000), (None, 200)])
def test_settled_statistics_are_ruled_out_by_the_same_images(momentum: float | None, updates: int) -> None:
    outcome = apply_rule(normalized(momentum, 0.93, 0.94, updates))
    assert isinstance(outcome, Negative)
    assert "93.0 % are known with running statistics and 94.0 %" in outcome.by


@pytest.mark.parametrize(("momentum", "updates"), [(0.0003, 2_000), (0.01, 60), (0.0, 5_000), (None, 300)])
def test_torchvisions_momenta_are_judged_by_the_steps_that_the_run_had(
    momentum: float | None, updates: int
) -> None:
    assert isinstance(apply_rule(normalized(momentum, 0.4, 0.9, updates)), Finding)


def test_a_difference_that_momentum_does_not_explain_is_not_said_of_it() -> None:
    """Momentum 0.1 looks back on ten batches: after 2,000 steps it has long settled."""
    assert isinstance(apply_rule(normalized(0.1, 0.4, 0.9, 2_000)), Negative)


def test_without_the_comparison_the_arithmetic_speaks_where_held_out_images_suffer() -> None:
    assert isinstance(apply_rule(normalized(0.005, None, None)), Finding)
    well = normalized(0.005, None, None, curves=run(0.96, 0.95).curves)
    assert isinstance(apply_rule(well), Negative)


def test_an_old_run_is_judged_by_its_layer_list() -> None:
    old = run(1.0, 0.5, layers=FACTS, recipe=Recipe(layers=layers(0.005), epochs=10))
    assert isinstance(apply_rule(old), Finding)
    assert isinstance(apply_rule(run(1.0, 0.5, layers=FACTS)), Inconclusive)


def test_without_batch_norm_it_is_ruled_out() -> None:
    assert isinstance(apply_rule(healthy(layers=FACTS[:1])), Negative)
