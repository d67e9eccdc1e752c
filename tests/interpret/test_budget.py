"""The articles' figures, and the same costs counted another way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.analysis import analyze
from cnnviz.interpret import budget


def test_the_articles_example() -> None:
    example = budget.ARTICLE
    assert example.naive.macs == 112_896_000
    assert example.reduced.macs == 5_268_480
    assert (example.naive.params, example.reduced.params) == (576_048, 26_944)
    assert example.saving == pytest.approx(21.4, abs=0.05)


def test_naive_blocks_grow_without_bound() -> None:
    stages = budget.growth()
    assert [stage.name[-2:] for stage in stages] == ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    assert (stages[0].naive.channels, stages[-1].naive.channels) == (416, 4_944)
    assert [stage.reduced.channels for stage in stages] == [256, 480, 512, 512, 512, 528, 832, 832, 1024]


@pytest.mark.parametrize(("model", "way"), [("googlenet", "reduced"), ("inception-naive", "naive")])
def test_growth_costs_what_the_analysis_counts(model: str, way: str) -> None:
    analysis = analyze(model)
    for stage in budget.growth():
        rows = [row for row in analysis.rows if row.name.startswith(f"{stage.name}.")]
        cost = getattr(stage, way)
        assert cost.params == sum(row.params for row in rows)
        assert cost.macs == sum(row.macs for row in rows)
        assert cost.channels == analysis.row(stage.name).output_shape[0]


def test_global_pooling_has_no_weights_where_a_dense_layer_has_51_million() -> None:
    assert budget.dense_head(1024, 7) == 51_380_224
    assert analyze("googlenet").row("pool5").params == 0


@given(
    st.integers(1, 64), st.integers(1, 32), st.sampled_from([1, 3, 5]), st.integers(1, 16), st.integers(1, 9)
)
def test_costs_are_those_of_the_layers(
    channels: int, maps: int, kernel: int, reduction: int, side: int
) -> None:
    from torch import nn

    ways = {
        budget.direct(channels, maps, kernel, side): nn.Conv2d(channels, maps, kernel, padding=kernel // 2),
        budget.through(channels, reduction, maps, kernel, side): nn.Sequential(
            nn.Conv2d(channels, reduction, 1), nn.Conv2d(reduction, maps, kernel, padding=kernel // 2)
        ),
    }
    for cost, module in ways.items():
        found = analyze(module, (channels, side, side))
        assert (cost.params, cost.macs) == (found.total_params, found.macs)
