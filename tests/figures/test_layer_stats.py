"""Layer statistics over time."""

from typing import Any

import numpy as np
import pytest

from cnnviz.figures.curves import STATISTICS, Statistic, layer_heatmap, layer_heatmap_alt

POOL: dict[str, Any] = {"name": "pool1", "gradient": None}
LOOKS: list[tuple[float, list[dict[str, Any]]]] = [
    (1.0, [{"name": "conv1", "zeros": 0.25, "gradient": 0.01}, POOL | {"zeros": 0.5}]),
    (2.0, [{"name": "conv1", "zeros": 0.5, "gradient": 0.0}, POOL | {"zeros": 1.0}]),
]


def test_layers_go_down_and_time_goes_right() -> None:
    trace = layer_heatmap(LOOKS, "zeros", "epoch")["data"][0]
    assert trace["y"] == ("conv1", "pool1")
    assert trace["x"] == (1, 2)
    assert trace["z"].tolist() == [[0.25, 0.5], [0.5, 1.0]]
    assert (trace["zmin"], trace["zmax"]) == (0, 1)


def test_frozen_layers_are_named_so() -> None:
    assert layer_heatmap(LOOKS, "zeros", "epoch", {"conv1"})["data"][0]["y"] == ("conv1 (frozen)", "pool1")


def test_magnitudes_are_logarithms_with_true_values_to_point_at() -> None:
    trace = layer_heatmap(LOOKS, "gradient", "epoch")["data"][0]
    assert trace["y"] == ("conv1",), "a layer without weights has no gradient"
    assert trace["z"][0, 0] == pytest.approx(-2)
    assert np.isnan(trace["z"][0, 1]), "no logarithm of nothing"
    assert trace["customdata"][0].tolist() == pytest.approx([0.01, 0.0])


@pytest.mark.parametrize("statistic", STATISTICS)
def test_nothing_yet_is_a_figure_too(statistic: Statistic) -> None:
    figure = layer_heatmap([], statistic, "epoch")
    assert figure["data"][0]["y"] == ()
    assert layer_heatmap_alt([], statistic).startswith("No ")


def test_words_name_the_extremes() -> None:
    assert layer_heatmap_alt(LOOKS, "zeros") == (
        "Sparsity of 2 layers over time. Now highest in pool1 (1), lowest in conv1 (0.5)."
    )
