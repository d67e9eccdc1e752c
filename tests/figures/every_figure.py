"""An example of every figure that cnnviz draws by Plotly."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cnnviz.analysis.bottleneck import Cost, Stage
from cnnviz.diagnosis import Bars, Lines, Series
from cnnviz.figures import confusion, distributions, inception, pareto
from cnnviz.figures.curves import STATISTICS, Line, Panel, Reference, curves, layer_heatmap, range_test
from cnnviz.figures.experiment import experiment
from cnnviz.figures.finding import SignalLine, bars, by_layer, lines, paired_runs
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.interpret.filters import Weights, histogram
from tests.figures.test_alexnet_stl10 import ARMS
from tests.figures.test_experiment import RESULT

COUNTS, OTHERS = np.array([[8, 2], [5, 5]]), np.array([[9, 1], [1, 9]])
CLASSES = ("cat", "dog")
X, Y = np.arange(100.0), np.array([*np.linspace(1, 0.1, 99), np.nan])
NO_COST = Cost(params=0, macs=10)
STAGES = [Stage("inception_3a", 256, NO_COST), Stage("inception_3b", 480, NO_COST)]
POINTS = [pareto.Point("1", "run 1", 10.0, 0.5), pareto.Point("2", "run 2", 100.0, 0.9, compared_index=0)]
PUBLISHED = [pareto.Point("", "LeNet-5", 60_000.0, 0.99, "the paper")]
SERIES = (Series("training", (1.0, 2.0), (2.3, None)), Series("test", (1.0, 2.0), (2.3, 0.1), dashed=True))
LAYERS: Any = [(1.0, [{"name": "conv1"} | dict.fromkeys(STATISTICS, 0.25)])]
WEIGHTS = histogram(
    Weights(
        "conv", np.linspace(-1, 1, 90, dtype=np.float32).reshape(10, 1, 3, 3), np.ones((10, 1), bool), None
    )
)


def _curves(*, log: bool) -> Any:
    panels = [
        Panel("accuracy", [Line("train", X, Y), Line("test", X, Y, "test")], percent=True),
        Panel("loss", [Line("train", X, Y)], log=log, references=[Reference("article", 0.01, "other data")]),
    ]
    return curves(panels, x_title="step", smoothing=0.05, log_x=log)


FIGURES: dict[str, Callable[[], Any]] = {
    "confusion": lambda: confusion.confusion(COUNTS, CLASSES),
    "confusion_difference": lambda: confusion.difference(COUNTS, OTHERS, CLASSES),
    "by_class": lambda: confusion.by_class(
        [("one", COUNTS, COMPARED[0]), ("two", OTHERS, COMPARED[1])], CLASSES
    ),
    "curves": lambda: _curves(log=False),
    "curves_logarithmic": lambda: _curves(log=True),
    "curves_empty": lambda: curves([Panel("loss", [])], x_title="step"),
    "embedding": lambda: distributions.scatter(
        np.ones((4, 2), np.float32), np.array([0, 0, 1, 1]), CLASSES, np.arange(4), 1
    ),
    "embedding_many_classes": lambda: distributions.scatter(
        np.ones((1000, 2), np.float32), np.arange(1000), [str(i) for i in range(1000)], np.arange(1000)
    ),
    "channels": lambda: distributions.channel_histogram(np.ones((3, 256), np.int64)),
    "weights": lambda: distributions.weight_histogram([("a", WEIGHTS), ("b", WEIGHTS)]),
    "branch_classes": lambda: inception.branch_classes(np.ones((4, 2)), ("1", "3", "5", "pool"), CLASSES),
    "growth": lambda: inception.growth(STAGES, STAGES),
    **{f"layers_{name}": partial(layer_heatmap, LAYERS, name, "epoch") for name in STATISTICS},
    "pareto": lambda: pareto.pareto(POINTS, PUBLISHED, "time", value="test accuracy"),
    "experiment": lambda: experiment(RESULT),
    "finding_lines": lambda: lines(Lines("Loss", SERIES, reference=("ln 10", 2.303))),
    "finding_many_lines": lambda: lines(Lines("Loss", SERIES[:1] * 9, logarithmic=True)),
    "finding_bars": lambda: bars(Bars("B", CLASSES, {"a": (0.7, 0.3)}, percent=True, marked=("cat",))),
    "finding_points": lambda: bars(Bars("B", CLASSES, {"a": (1e-9, 1.0)}, logarithmic=True)),
    "by_layer": lambda: by_layer([SignalLine("seen", ["conv1", "fc1"], [0.1, 1e-5], COMPARED[0])], "signal"),
    "range_test": lambda: range_test([1e-4, 1e-2], [2.3, 1.0], [2.3, 1.2], 1e-3),
    "paired_runs": lambda: paired_runs(ARMS, 0.1),
}
"""By name, built when called."""
