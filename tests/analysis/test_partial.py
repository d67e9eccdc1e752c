"""A layer list analyzed as far as it fits, against the whole analysis and against its own arithmetic."""

import pytest
from hypothesis import given, settings

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.analysis.core import Cost, analyze_fitting, costs, outline
from cnnviz.analysis.diff import diff_rows
from cnnviz.models import layer_list_edit
from cnnviz.models.layers import Conv, LayerList
from tests.models.layer_lists import documents

SEQUENTIAL = [name for name, spec in models.specs().items() if spec.layers is not None]


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_a_list_that_fits_has_the_same_totals_as_its_model(name: str) -> None:
    document = models.layer_list(name)
    assert document is not None
    part, whole = analyze_fitting(document), analyze(name)
    assert (part.total_params, part.macs, part.forward_bytes()) == (
        whole.total_params,
        whole.macs,
        whole.forward_bytes(),
    )
    by_layer = costs(document, part)
    assert sum(cost.params for cost in by_layer.values()) == whole.total_params
    assert sum(cost.macs for cost in by_layer.values()) == whole.macs
    assert [row.params for row in outline(document)] == [cost.params for cost in by_layer.values()]


@settings(max_examples=25)
@given(documents)
def test_of_any_list_the_part_that_fits_is_analysed(document: LayerList) -> None:
    analysis = analyze_fitting(document)
    fitting = [step for step in document.steps() if step.output_shape is not None]
    assert {row.name.split(".")[0] for row in analysis.rows if row.name} <= {step.name for step in fitting}
    expected = sum(step.layer.params(step.input_shape or (), document.classes) for step in fitting)
    assert analysis.total_params == expected == sum(row.params for row in outline(document))


def test_what_comes_behind_a_misfit_costs_nothing() -> None:
    document = LayerList(input=(1, 8, 8), layers=(Conv(out=4, kernel=3), Conv(kernel=9), Conv()))
    result = costs(document, analyze_fitting(document))
    assert result == {"conv1": Cost(4 * 10, 4 * 9 * 36, 4 * 36), "conv2": Cost(), "conv3": Cost()}


def test_an_outline_tells_what_an_edit_changed() -> None:
    document = models.layer_list("alexnet-cifar10")
    assert document is not None
    edited = layer_list_edit.set_field(document, 0, "kernel", 7)
    first, *others = diff_rows(outline(document), outline(edited)).differences
    assert first.details == ("kernel 4 → 7",)
    assert [change.details for change in others] == [("takes 9,216 → 6,400 values",)]
