"""Points of a data set and shares of weights, as figures."""

import numpy as np

from cnnviz.figures.distributions import class_color, scatter, weight_histogram
from cnnviz.interpret.filters import Weights, histogram


def test_every_point_knows_its_row_and_every_class_its_middle() -> None:
    points = np.array([[0, 0], [1, 0], [2, 0], [9, 9]], np.float32)
    figure = scatter(points, np.array([1, 1, 1, 0]), ("cat", "dog"), np.array([5, 6, 7, 8]), chosen=6)
    assert [trace["name"] for trace in figure["data"]] == ["cat", "dog", "the chosen image"]
    cat, dog, ring = figure["data"]
    assert list(cat["customdata"]) == [[8, 3]]
    assert list(dog["customdata"]) == [[5, 0], [6, 1], [7, 2]]
    assert (ring["x"], ring["y"]) == ((1,), (0,))
    notes = {note["text"]: (note["x"], note["y"]) for note in figure["layout"]["annotations"]}
    assert notes == {"<b>cat</b>": (9, 9), "<b>dog</b>": (1, 0)}


def test_no_two_of_twenty_classes_share_a_colour() -> None:
    assert len({class_color(number) for number in range(20)}) == 20


def test_shares_of_weights_add_up_for_each_network() -> None:
    values = np.linspace(-1, 1, 90).astype(np.float32).reshape(10, 1, 3, 3)
    result = histogram(Weights("conv", values, np.ones((10, 1), bool), None))
    one, two = weight_histogram([("a", result)]), weight_histogram([("a", result), ("b", result)])
    assert all(abs(sum(trace["y"]) - 1) < 1e-9 for trace in two["data"])
    assert (one["layout"]["showlegend"], two["layout"]["showlegend"]) == (False, True)
