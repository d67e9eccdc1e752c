"""The histogram of channels as a figure."""

import numpy as np
import pytest

from cnnviz.figures.distributions import channel_histogram, channel_names, histogram_words


def test_shares_add_up_and_what_is_not_taken_is_a_gap() -> None:
    counts = np.zeros((3, 256), dtype=np.int64)
    counts[:, 10], counts[:, 200] = 30, 10
    figure = channel_histogram(counts)
    assert [trace["name"] for trace in figure["data"]] == ["red", "green", "blue"]
    for trace in figure["data"]:
        assert trace["y"][10] == pytest.approx(75)
        assert trace["y"][0] is None
        assert sum(value for value in trace["y"] if value) == pytest.approx(100)
    assert len({trace["line"]["dash"] for trace in figure["data"]}) == 3
    assert histogram_words(counts).endswith("the most common is 10, taken by 75 % of the pixels.")


def test_grey_has_one_channel_and_no_legend() -> None:
    figure = channel_histogram(np.ones((1, 256), dtype=np.int64))
    assert channel_names(1) == ("gray",)
    assert not figure["layout"]["showlegend"]
