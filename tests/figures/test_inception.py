"""Activity by class and growth from block to block, as figures."""

import numpy as np
import pytest

from cnnviz.analysis.bottleneck import Cost, Stage
from cnnviz.figures.inception import (
    MAX_CLASSES,
    branch_classes,
    growth,
    growth_alt,
    preferred_classes,
    relative,
)

TITLES = ("1×1", "3×3", "5×5", "pool")
TABLE = np.array([[1.0, 3.0, np.nan], [2.0, 2.0, np.nan], [0.0, 0.0, np.nan], [4.0, 1.0, np.nan]])


def test_each_branch_is_told_against_its_own_average() -> None:
    result = relative(TABLE)
    assert result[:, :2] == pytest.approx(np.array([[-0.5, 0.5], [0, 0], [0, 0], [0.6, -0.6]]))
    assert np.isnan(result[:, 2]).all()
    assert [preferred_classes(TABLE)[branch][0] for branch in (0, 3)] == [1, 0]
    assert [preferred_classes(TABLE)[branch][1] for branch in (0, 3)] == pytest.approx([0.5, 0.6])


def test_a_bar_a_branch_and_class() -> None:
    figure = branch_classes(TABLE, TITLES, ["cat", "dog", "owl"])
    assert [trace["name"] for trace in figure["data"]] == list(TITLES)
    assert len({trace["marker"]["color"] for trace in figure["data"]}) == 4
    assert figure["data"][0]["x"] == ("cat", "dog", "owl")
    assert figure["data"][0]["customdata"][1] == 3


def test_of_many_classes_those_are_shown_in_which_a_branch_strays() -> None:
    table = np.ones((4, 60))
    table[2, 57] = 9
    figure = branch_classes(table, TITLES, [str(place) for place in range(60)])
    assert len(figure["data"][0]["x"]) == MAX_CLASSES
    assert "57" in figure["data"][0]["x"]


def test_growth_has_both_forms_in_both_panels() -> None:
    naive = [Stage("inception_3a", 416, Cost(10, 100)), Stage("inception_3b", 832, Cost(20, 300))]
    reduced = [Stage("inception_3a", 256, Cost(1, 10)), Stage("inception_3b", 480, Cost(2, 20))]
    figure = growth(naive, reduced)
    assert [trace["y"] for trace in figure["data"]] == [(416, 832), (100, 300), (256, 480), (10, 20)]
    assert figure["data"][0]["x"] == ("3a", "3b")
    assert "416" in growth_alt(naive, reduced)
    assert "480" in growth_alt(naive, reduced)
