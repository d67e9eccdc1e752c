"""The figure of a range test: what was measured, smoothed, and the suggested rate at its place."""

import math

from cnnviz.figures.curves import ABOVE, range_test, range_test_alt

RATES, LOSSES, SMOOTHED = (1e-4, 1e-2, 1.0), (2.3, 0.7, 90.0), (2.3, 1.5, 40.0)


def test_what_diverges_leaves_room_for_the_rest_and_the_suggestion_is_marked() -> None:
    figure = range_test(RATES, LOSSES, SMOOTHED, 2e-3)
    points, line = figure["data"]
    assert (points["y"], line["y"]) == (LOSSES, SMOOTHED)
    assert figure["layout"]["yaxis"]["range"] == (0, ABOVE * 2.3)
    (mark,), (label,) = figure["layout"]["shapes"], figure["layout"]["annotations"]
    assert mark["x0"] == mark["x1"] == 2e-3
    assert label["x"] == math.log10(2e-3), "Plotly places annotations on a logarithmic axis by the logarithm"
    assert label["text"] == "suggested: 0.002"


def test_without_a_suggestion_nothing_is_marked() -> None:
    figure = range_test(RATES, LOSSES, SMOOTHED, None)
    assert not figure["layout"]["shapes"]
    assert not figure["layout"]["annotations"]
    assert range_test_alt(RATES, SMOOTHED, None).endswith("is lowest, 1.50, at 0.01; no rate is suggested.")
