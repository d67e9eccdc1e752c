"""Accuracy class by class of several runs."""

import numpy as np

from cnnviz.figures.confusion import MAX_CLASSES, by_class, by_class_alt, most_confused_classes
from cnnviz.figures.plotly_theme import COMPARED

FIRST, SECOND = np.array([[8, 2], [5, 5]]), np.array([[9, 1], [1, 9]])
RUNS = [("one", FIRST, COMPARED[0]), ("two", SECOND, COMPARED[1])]


def test_each_run_has_a_mark_a_class_and_a_line_joins_them() -> None:
    line, one, two = by_class(RUNS, ["cat", "dog"])["data"]
    assert one["y"] == (0.8, 0.5)
    assert two["y"] == (0.9, 0.9)
    assert line["y"] == (0.8, 0.9, None, 0.5, 0.9, None)
    assert one["marker"]["symbol"] != two["marker"]["symbol"]


def test_of_many_classes_those_where_runs_differ_most_are_shown() -> None:
    same = [0.9] * 100
    other = [0.9] * 100
    other[77] = 0.1
    shown = most_confused_classes([same, other])
    assert len(shown) == MAX_CLASSES
    assert 77 in shown
    assert shown == sorted(shown)


def test_a_class_without_images_is_a_gap() -> None:
    matrix = np.array([[0, 0], [1, 3]])
    figure = by_class([("one", matrix, COMPARED[0])], ["cat", "dog"])
    assert figure["data"][1]["y"] == (None, 0.75)


def test_in_words_the_worst_class_is_named() -> None:
    assert by_class_alt(RUNS, ["cat", "dog"]) == (
        "Accuracy of 2 classes: one is worst at dog (50.0 %); two is worst at cat (90.0 %)."
    )
