"""Curves: every point is in the figure whatever is drawn through it, and axes mean what they say."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.figures.curves import FAINT, FEW, Line, Panel, Reference, curves, curves_alt, smooth

VALUES = st.lists(st.floats(-1e6, 1e6, width=32) | st.just(math.nan), min_size=1, max_size=300)
SHARES = st.floats(0, 0.5)


def line(values: Any, label: str = "train", **others: Any) -> Line:
    return Line(label, np.arange(len(values), dtype=np.float64), np.asarray(values, np.float64), **others)


@given(VALUES, SHARES)
def test_smoothing_stays_within_the_values_and_leaves_gaps(values: list[float], share: float) -> None:
    result = smooth(np.arange(len(values), dtype=np.float64), np.array(values), share)
    assert np.array_equal(np.isnan(result), np.isnan(values))
    real = [value for value in values if not math.isnan(value)]
    if real:
        assert min(real) <= np.nanmin(result)
        assert np.nanmax(result) <= max(real)


@given(st.integers(3, 200), SHARES, st.floats(-100, 100), st.floats(-100, 100))
def test_a_straight_line_is_smooth_already(count: int, share: float, start: float, slope: float) -> None:
    x = np.arange(count, dtype=np.float64)
    assert smooth(x, start + slope * x, share) == pytest.approx(start + slope * x, abs=1e-6)


def test_smoothing_takes_noise_away_and_does_not_lag() -> None:
    x = np.linspace(0, 1, 1001)
    truth = np.sin(6 * x)
    noisy = truth + np.random.default_rng(1).normal(0, 0.3, len(x))
    result = smooth(x, noisy, 0.03)
    inside = slice(50, -50)
    assert np.std((result - truth)[inside]) < 0.07
    assert abs(np.mean((result - truth)[inside])) < 0.02


@given(VALUES, SHARES)
def test_every_point_is_drawn_however_smooth_the_line_through_it(values: list[float], share: float) -> None:
    figure = curves([Panel("loss", [line(values)])], x_title="step", smoothing=share)
    raw = figure["data"][0]
    assert np.array_equal(raw["y"], np.array(values, np.float32), equal_nan=True)
    assert len(figure["data"]) == (2 if share > 0 and len(values) > FEW else 1)
    if len(figure["data"]) == 2:
        assert raw["opacity"] == FAINT
        assert figure["data"][1]["hoverinfo"] == "skip", "a pointer must tell measured values"


def test_parts_are_told_apart_by_their_dashes_and_named_once() -> None:
    lines = [line([1.0, 0.5]), line([0.9], "validation", part="validation"), line([1.1], "test", part="test")]
    figure = curves([Panel("accuracy", lines, percent=True), Panel("loss", lines)], x_title="epoch")
    assert [trace["line"]["dash"] for trace in figure["data"]] == 2 * ["solid", "dot", "dash"]
    assert [trace["name"] for trace in figure["data"] if trace["showlegend"]] == [
        "train",
        "validation",
        "test",
    ]
    assert figure["data"][3]["yaxis"] == "y2"
    assert figure["layout"]["xaxis"]["anchor"] == "y2"
    upper, lower = figure["layout"]["yaxis"]["domain"], figure["layout"]["yaxis2"]["domain"]
    assert lower[0] == 0
    assert upper[1] == 1
    assert lower[1] < upper[0]
    modes = [figure["layout"][axis]["rangemode"] for axis in ("yaxis", "yaxis2")]
    assert modes == ["nonnegative", None], "there is no accuracy below zero"


def test_other_axes_begin_with_a_new_zoom_and_the_same_keep_it() -> None:
    def revision(values: list[float], log: bool, x: str) -> Any:
        return curves([Panel("loss", [line(values)], log=log)], x_title=x)["layout"]["uirevision"]

    assert revision([1, 2], False, "step") == revision([1, 2, 3], False, "step")
    assert len({revision([1], log, x) for log in (True, False) for x in ("step", "epoch")}) == 4


def test_a_reference_lies_at_its_value_on_either_scale() -> None:
    for log in (False, True):
        panel = Panel("error", [line([0.5])], log=log, references=[Reference("article", 0.01, "other data")])
        layout = curves([panel], x_title="epoch")["layout"]
        assert layout["shapes"][0]["y0"] == 0.01
        assert layout["annotations"][0]["y"] == pytest.approx(-2 if log else 0.01)
        assert layout["annotations"][0]["hovertext"] == "other data"


def test_a_figure_is_json_and_has_words() -> None:
    panels = [Panel("accuracy", [line([0.1, 0.9876])], percent=True), Panel("loss", [])]
    figure = curves(panels, x_title="step")
    assert json.loads(figure.to_json())["data"][0]["x"] == {
        "dtype": "f8",
        "bdata": "AAAAAAAAAAAAAAAAAADwPw==",
    }
    assert curves_alt(panels, "step") == (
        "Curves over step. Last values: accuracy: train 98.76 %; loss: nothing yet."
    )
    parts = [line([0.5], "Run 1"), line([0.4], "Run 1", part="test")]
    assert "Run 1, train 0.5, Run 1, test 0.4" in curves_alt([Panel("loss", parts)], "step")


def test_a_run_without_points_is_drawn_from_0_to_100_percent() -> None:
    """Plotly's own range where there is nothing would be -100 to 400 %."""
    empty = curves([Panel("accuracy", [], percent=True), Panel("loss", [])], x_title="step")["layout"]
    assert empty["yaxis"]["range"] == (0, 1)
    assert empty["yaxis"]["showticklabels"]
    assert not empty["yaxis2"]["showticklabels"]
    assert not empty["xaxis"]["showticklabels"]
    drawn = curves([Panel("accuracy", [], percent=True), Panel("loss", [])], x_title="step")["data"]
    assert [trace["yaxis"] for trace in drawn] == ["y", "y2"]  # without a trace Plotly draws no axes
    line = Line("train", np.arange(3.0), np.array([0.1, np.nan, 0.9]))
    drawn = curves([Panel("accuracy", [line], percent=True)], x_title="step")["layout"]
    assert drawn["yaxis"]["range"] is None, "what has points zooms by itself"
    assert drawn["xaxis"]["range"] is None
