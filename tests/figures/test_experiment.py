"""The picture of an experiment: a dot a seed, pairs joined, intervals where there are any."""

from __future__ import annotations

from typing import Any

import pytest

from cnnviz.experiments import ConditionResult, Result
from cnnviz.experiments.results import difference
from cnnviz.experiments.verdict import Outcome
from cnnviz.figures.experiment import experiment, experiment_alt, height

BASE, BETTER = (0.80, 0.84, None), (0.90, 0.95, 0.94)


def arm(
    name: str, accuracies: tuple[float | None, ...], base: tuple[float | None, ...] = ()
) -> ConditionResult:
    outcomes, against = (
        tuple(
            Outcome(seed=seed, run=seed + 1, status="finished" if value else "failed", accuracy=value)
            for seed, value in enumerate(values)
        )
        for values in (accuracies, base)
    )
    result = difference(against, outcomes, 1) if base else None
    return ConditionResult(
        name=name, changes="", params=None, outcomes=outcomes, difference=result, sentence=""
    )


RESULT = Result(
    id=1, name="test", question="Does it help?", epochs="at 5 epochs", test_images=None, hardware="",
    verdict="", notes=(),
    conditions=(arm("as it is", BASE), arm("with a change of a long name", BETTER, BASE)),
)  # fmt: skip


def traces(axis: str | None) -> list[Any]:
    return [trace for trace in experiment(RESULT)["data"] if trace["xaxis"] == axis]


def test_each_finished_run_is_a_dot_and_a_missing_one_a_gap() -> None:
    pairs, first, second, *_ = traces(None)
    assert (first["x"], second["x"]) == ((0.80, 0.84), (0.90, 0.95, 0.94))
    assert pairs["x"] == (0.80, 0.90, None, 0.84, 0.95, None, None, 0.94, None)
    assert list(second["customdata"]) == [["1", "seed 0"], ["2", "seed 1"], ["3", "seed 2"]]


def test_means_and_the_paired_difference_with_its_interval() -> None:
    (right,) = traces("x2")
    assert right["x"] == (pytest.approx(10.5),)
    # Differences of 10 and 11 points: s = 0.707, t(1) = 12.706, 12.706·0.707/√2 = 6.353.
    assert right["error_x"]["array"] == (pytest.approx(6.353, abs=1e-3),)
    low, high = experiment(RESULT)["layout"]["xaxis2"]["range"]
    assert low < 0
    assert high > 10.5 + 6.353
    means = [trace["x"] for trace in traces(None)[3:]]
    assert means == [(pytest.approx(0.82),) * 2, (pytest.approx(0.93),) * 2]


def test_runs_fill_their_panel_whether_they_are_one_or_many() -> None:
    low, high = experiment(RESULT)["layout"]["xaxis"]["range"]
    assert 0.75 < low < 0.80 < 0.95 < high <= 1
    lone = RESULT.model_copy(update={"conditions": (arm("a", (0.8,)), arm("b", (None,)))})
    low, high = experiment(lone)["layout"]["xaxis"]["range"]
    assert 0.75 < low < 0.8 < high < 0.85
    none = RESULT.model_copy(update={"conditions": (arm("a", (None,)), arm("b", (None,)))})
    assert experiment(none)["layout"]["xaxis"]["range"] == (0, 1)
    counts = [len(experiment(result)["layout"]["annotations"]) - 2 for result in (RESULT, lone, none)]
    assert counts == [0, 0, 1], "an empty picture says what will be in it"


def test_one_pair_has_no_interval_to_draw() -> None:
    single = RESULT.model_copy(update={"conditions": (arm("a", (0.8,)), arm("b", (0.9,), (0.8,)))})
    (right,) = (trace for trace in experiment(single)["data"] if trace["xaxis"] == "x2")
    assert right["error_x"]["array"] is None


def test_nothing_yet_is_drawn_and_told() -> None:
    empty = RESULT.model_copy(update={"conditions": (arm("a", (None,)), arm("b", (None,), (None,)))})
    assert experiment(empty)["layout"]["xaxis2"]["range"] == (-1.0, 1.0)
    assert "No run has finished yet" in experiment_alt(empty)


def test_each_arm_is_named_above_its_own_row_however_many_there_are() -> None:
    names = [f"arm {n}" for n in range(6)] + ["<b>" + "a very long name " * 5]
    many = RESULT.model_copy(update={"conditions": tuple(arm(name, (0.8,)) for name in names)})
    figure = experiment(many)["layout"]
    rows = [note["y"] for note in figure["annotations"]]
    edges = [figure["yaxis"]["range"][1], *figure["yaxis"]["tickvals"], figure["yaxis"]["range"][0]]
    for place, (top, row, bottom) in enumerate(zip(edges, rows, edges[1:], strict=False)):
        dots = experiment(many)["data"][1 + place]["y"]
        assert top < row < min(dots) <= max(dots) < bottom
    assert figure["annotations"][0]["text"] == "<b>arm 0</b>"
    assert "…" in figure["annotations"][-1]["text"]
    assert "&lt;b&gt;" in figure["annotations"][-1]["text"], "a name is no markup"
    assert height(many) - height(RESULT) == 5 * (height(RESULT) - height(lone()))


def lone() -> Result:
    return RESULT.model_copy(update={"conditions": RESULT.conditions[:1]})


def test_the_alt_text_tells_the_numbers() -> None:
    assert experiment_alt(RESULT) == (
        "Test accuracy by condition, a dot a seed. as it is: mean 82.0 % of 2 runs; "
        "with a change of a long name: mean 93.0 % of 3 runs, +10.5 ± 6.4 points to as it is."
    )
