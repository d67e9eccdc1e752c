"""No rule raises, whatever a run left behind; and what a rule finds can be told, drawn and tried."""

import math
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cnnviz.diagnosis import Evidence, Finding, Inconclusive, Negative, Points, diagnose, rules
from cnnviz.diagnosis.evidence import Data, Histogram, Input, LayerAt, Look, NonFinite
from cnnviz.diagnosis.rules.training import under_fitting
from cnnviz.training import Recipe
from tests.diagnosis.evidence import healthy
from tests.diagnosis.networks import run
from tests.diagnosis.test_rules_of_signal import SPOILT
from tests.diagnosis.well_formed import assert_well_formed

EMPTY = Evidence(recipe=Recipe())
ODD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "no layers": {"layers": ()},
    "no looks": {"looks": ()},
    "no curves": {"curves": {}},
    "no data": {"data": Data()},
    "one class": {"data": Data(classes=("only",), counts=(50,), train=50, test=5, shape=(1, 8, 8))},
    "no test images": {"predicted": {}, "data": Data(classes=("a", "b"), counts=(5, 5), train=10)},
    "a class without images": {"data": Data(classes=("a", "b"), counts=(0, 7), train=7, test=3)},
    "no step": {"step": 0, "total_steps": 0, "looks": (), "curves": {}, "status": "queued"},
    "one step": {"step": 1, "total_steps": 1, "looks": run().looks[:1]},
    "empty histogram": {"predicted": {"test": (Histogram(step=1, counts=()),), "train": ()}},
    "all answers none": {"predicted": {"test": (Histogram(step=1, counts=(0, 0)),)}},
    "input of one value": {"input": Input(mean=0.0, spread=0.0, low=0.0, high=0.0)},
    "numbers that are none": {"input": Input(mean=math.nan, spread=math.inf, low=-math.inf, high=math.inf)},
    "layers of another network": {"looks": (Look(step=1, layers=(LayerAt(name="elsewhere", update=1.0),)),)},
    "layers that saw nothing": {
        "looks": (Look(step=1, layers=tuple(LayerAt(name=fact.name) for fact in run().layers)),)
    },
    "layers whose outputs are not known": {
        "layers": tuple(fact.model_copy(update={"out": ()}) for fact in run().layers)
    },
    "a look at no layer": {"looks": (Look(step=1, layers=()),)},
    "a model that is not here": {"recipe": Recipe(model="mine/gone")},
    "options that are no more": {"recipe": Recipe(model="alexnet", options={"gone": 1})},
    "a registered model": {"recipe": Recipe(model="alexnet-cifar10", dataset="cifar10")},
    "no sequence of layers": {"recipe": Recipe(model="resnet18-32", dataset="cifar10")},
    "a loss that overflowed": {"status": "failed", "nonfinite": NonFinite(step=1, layer=None, what="loss")},
    "an unknown failure": {"status": "failed", "error": "The disk is full."},
}  # fmt: skip


def _judged(evidence: Evidence) -> None:
    for cause, rule in rules().items():
        outcome = rule.apply(evidence)
        if isinstance(outcome, Finding):
            assert outcome.cause == cause
            assert_well_formed(outcome, evidence)
        else:
            assert (outcome.by if isinstance(outcome, Negative) else outcome.why).endswith(".")
    diagnosis = diagnose(evidence)
    orjson.dumps(diagnosis.as_json())
    assert len(diagnosis.checked) == sum(not rule.loop for rule in rules().values())


@pytest.mark.parametrize(
    "base", [EMPTY, healthy(), run(), *SPOILT.values()], ids=["empty", "healthy", "run", *SPOILT]
)
@pytest.mark.parametrize("what", ODD)
def test_no_rule_stumbles_over_what_is_missing_or_odd(base: Evidence, what: str) -> None:
    _judged(base.model_copy(update=ODD[what]))


_VALUES = st.one_of(st.floats(), st.floats(0, 5), st.just(2.302))
_CURVE = st.lists(_VALUES, max_size=12).map(
    lambda values: Points(steps=tuple(range(1, len(values) + 1)), values=tuple(values))
)
_NAMES = (
    "train/loss",
    "train/epoch_loss",
    "train/epoch_accuracy",
    "test/loss",
    "test/accuracy",
    "val/accuracy",
    "lr",
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    base=st.sampled_from([run(), healthy(), *SPOILT.values()]),
    curves=st.dictionaries(st.sampled_from(_NAMES), _CURVE),
    dropped=st.sets(st.sampled_from(["looks", "layers", "predicted", "input", "quality"])),
    step=st.integers(0, 500),
)
def test_no_rule_stumbles_over_any_curve(
    base: Evidence, curves: dict[str, Points], dropped: set[str], step: int
) -> None:
    fresh = {name: Evidence.model_fields[name].get_default(call_default_factory=True) for name in dropped}
    _judged(base.model_copy(update={"curves": base.curves | curves, "step": step, **fresh}))


def test_a_stream_of_images_is_judged_as_any_other() -> None:
    """Data that stream have the same record; their first batch may be of one image."""
    _judged(run(recipe={"batch_size": 1}, looks=run().looks[1:]))


def test_outcomes_are_of_three_kinds() -> None:
    for rule in rules().values():
        assert isinstance(rule.apply(EMPTY), Negative | Inconclusive)


def test_a_layer_that_has_not_run_has_no_width() -> None:
    layers = [SimpleNamespace(name="conv", out=(24, 5, 5)), SimpleNamespace(name="unused", out=())]
    evidence: Any = SimpleNamespace(weighted=lambda: layers, classes=3)
    bars = under_fitting._widths(evidence, None)
    assert (bars.names, bars.values, bars.alt) == (("conv",), {"maps or units": (24.0,)}, "conv 24.")
