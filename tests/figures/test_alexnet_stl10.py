"""The AlexNet/STL-10 paper review's pictures hold what they are given, and say it in words."""

from typing import Any

import pytest

from cnnviz.diagnosis.evidence import Histogram, Points
from cnnviz.diagnosis.recorded import RecordedCondition
from cnnviz.experiments.verdict import Interval
from cnnviz.figures.finding import (
    SignalLine,
    accuracies,
    bars,
    by_layer,
    by_layer_alt,
    lines,
    losses,
    paired_runs,
    paired_runs_alt,
    prediction_counts,
)
from cnnviz.figures.plotly_theme import COMPARED
from tests.diagnosis.evidence import healthy

RUN = healthy(
    curves={
        "train/loss": Points(steps=(1, 20), values=(2.3, 1.1)),
        "test/loss": Points(steps=(20,), values=(1.4,)),
        "train/epoch_accuracy": Points(steps=(20,), values=(0.5,)),
        "test/accuracy": Points(steps=(20,), values=(0.4,)),
    },
    predicted={"test": (Histogram(step=20, counts=(2, 0, 0, 0, 0, 0, 0, 0, 0, 2)),)},
)
_BASE: dict[str, Any] = {
    "n": 2,
    "steps": 9,
    "loss": 2.3,
    "accuracy": 0.1,
    "accuracies": (0.1, 0.1),
    "largest_share": 1,
}
ARMS = (
    RecordedCondition(name="base", collapsed=2, gain=None, **_BASE),
    RecordedCondition(name="up", collapsed=0, gain=Interval(0.3, 0.2, 2),
        **_BASE | {"accuracy": 0.4, "accuracies": (0.3, 0.5), "largest_share": 0.2}),
)  # fmt: skip


def test_runs_beside_each_other() -> None:
    alone, both = losses({"as the article": RUN}), losses({"as the article": RUN, "mended": RUN})
    assert [one.name for one in alone.series] == ["training", "test"]
    assert [one.name for one in both.series][2:] == ["mended, training", "mended, test"]
    assert [one.dashed for one in both.series] == [False, True] * 2
    assert alone.series[0].y == (2.3, 1.1)
    assert alone.reference == ("ln 10: chance level", RUN.chance_loss)
    assert accuracies({"run": RUN}).series[1].y == (0.4,)
    assert len(lines(both)["data"]) == 4


def test_answers_stand_beside_what_there_is() -> None:
    picture = prediction_counts({"answers": RUN})
    assert picture.values["answers"] == (0.5, *(0,) * 8, 0.5)
    assert picture.values["training images"] == (0.1,) * 10
    assert len(bars(picture)["data"]) == 2


def test_layers_on_a_logarithmic_axis() -> None:
    trails = [SignalLine("seen", ["conv1", "fc1"], [0.1, 1e-5], COMPARED[0]),
              SignalLine("reckoned", ["conv1", "fc1"], [0.2, 2e-5], COMPARED[1], dashed=True)]  # fmt: skip
    figure = by_layer(trails, "difference")
    assert figure["layout"]["yaxis"]["type"] == "log"
    assert [trace["line"]["dash"] for trace in figure["data"]] == ["solid", "dash"]
    assert figure["data"][0]["y"] == (0.1, 1e-5)
    assert "seen from 0.1 at conv1 to 1e-05 at fc1" in by_layer_alt(trails, "difference")


def test_paired_runs_show_every_run_and_every_interval() -> None:
    figure = paired_runs(ARMS, 0.1)
    points, means = figure["data"]
    assert points["x"] == (0.1, 0.1, 0.3, 0.5)
    assert points["y"] == ("base", "base", "up", "up")
    assert list(means["x"]) == pytest.approx([0.1, 0.4])
    assert means["error_x"]["array"] == (0, 0.2)
    assert figure["layout"]["shapes"][0]["x0"] == 0.1
    assert paired_runs_alt(ARMS) == "Mean accuracy of each condition: base 10.0 %, up 40.0 %."
