"""The Pareto front against its definition, and the picture around it."""

import math

from hypothesis import given
from hypothesis import strategies as st

from cnnviz.figures import pareto
from cnnviz.figures.pareto import Point

COSTS = st.integers(1, 20).map(float) | st.floats(1e-3, 1e12)
PAIRS = st.lists(st.tuples(COSTS, st.integers(0, 10).map(lambda tenth: tenth / 10)), max_size=40)


def betters(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(PAIRS)
def test_the_front_is_what_nothing_betters(pairs: list[tuple[float, float]]) -> None:
    front = pareto.pareto_front(pairs)
    assert set(front) == {
        i for i, pair in enumerate(pairs) if not any(betters(other, pair) for other in pairs)
    }
    assert len(front) == len(set(front))
    costs = [pairs[i][0] for i in front]
    assert costs == sorted(costs)


def points(count: int) -> list[Point]:
    return [
        Point(str(i), f"run {i}", cost=10.0 + i % 997, value=(i * 37 % 1009) / 1009) for i in range(count)
    ]


def test_many_points_are_thinned_but_the_front_and_the_compared_stay() -> None:
    many = points(10_000)
    best = {many[i].key for i in pareto.pareto_front([(p.cost, p.value) for p in many])}
    many[5000] = Point("5000", "run 5000", 500.0, 0.5, compared_index=0)
    drawn = pareto.pareto(many, [], "parameters", value="test accuracy")["data"]
    keys = {key for trace in drawn for key, *_ in trace["customdata"] or ()}
    assert best <= keys
    assert "5000" in keys
    cells = pareto.CELLS[0] * pareto.CELLS[1]
    assert len(keys) <= cells + len(best) + 1 < len(many)


def test_few_points_are_all_drawn() -> None:
    assert pareto.downsample(points(50), set()) == points(50)


def test_published_results_are_said_to_be_published() -> None:
    shown = [Point("", "SmallAlexNet", 12_417_098, 0.8316, "an article")]
    figure = pareto.pareto([], shown, "parameters", value="test accuracy")
    trace = next(trace for trace in figure["data"] if trace["name"] == "published")
    assert "published: %{customdata[3]}" in trace["hovertemplate"]
    assert trace["text"] == ("SmallAlexNet",)
    low, high = figure["layout"]["xaxis"]["range"]
    assert low < math.log10(12_417_098) < high


def test_the_picture_in_words_names_the_front() -> None:
    runs = [
        Point("1", "run 1", 60, 0.9),
        Point("2", "run 2", 30, 0.9),
        Point("3", "run 3", 90, 0.95),
    ]
    words = pareto.pareto_alt(runs, [], "time", value="test accuracy")
    assert words.endswith("On the Pareto front: run 2: 30 s, 90.0 %; run 3: 1 min 30 s, 95.0 %.")


def test_nothing_is_drawn_of_nothing() -> None:
    assert pareto.pareto([], [], "macs", value="test accuracy")["data"] == ()
    assert pareto.pareto_alt([], [], "macs", value="test accuracy").endswith("nothing.")


def test_time_has_marks_that_people_read() -> None:
    axis = pareto.pareto(points(3), [Point("", "a", 5_000, 0.5)], "time", value="v")["layout"]["xaxis"]
    assert axis["ticktext"] == ("10 s", "1 min", "10 min", "1 h")


def test_an_axis_of_shares_ends_at_100_percent() -> None:
    alone = [Point("1", "run 1", cost=61_706.0, value=0.98)]
    low, high = pareto.pareto(alone, [], "parameters", value="test accuracy")["layout"]["yaxis"]["range"]
    assert 0.9 < low < 0.98 < high <= 1.02
