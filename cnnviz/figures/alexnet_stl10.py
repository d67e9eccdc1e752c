"""Figures of the AlexNet/STL-10 paper review's failed training: recorded, fresh and paired runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnviz.diagnosis import Bars, Evidence, Lines, Points, Series
from cnnviz.diagnosis.recorded import RecordedCondition
from cnnviz.figures.plotly_theme import COMPARED, TEXT, Color, build_figure
from cnnviz.sentences import percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "SignalLine",
    "accuracies",
    "by_layer",
    "by_layer_alt",
    "losses",
    "paired_runs",
    "paired_runs_alt",
    "prediction_counts",
]

# Layer by layer, on a logarithmic axis, since signals shrink by factors.


class SignalLine(NamedTuple):
    """One curve of `by_layer`: a value above 0 for each layer, in the network's order."""

    label: str
    names: Sequence[str]
    values: Sequence[float]
    colour: Color
    dashed: bool = False
    """True for computed values, as opposed to measured ones."""


def by_layer(trails: Sequence[SignalLine], y_title: str, revision: str = "") -> Figure:
    """Plot curves over the layers of the first one, on a logarithmic axis.

    A new `revision` resets the zoom.
    """
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines" if trail.dashed else "lines+markers",
            "name": trail.label,
            "x": list(trail.names),
            "y": list(trail.values),
            "line": {"color": trail.colour, "width": 1.8, "dash": "dash" if trail.dashed else "solid"},
            "marker": {"color": trail.colour, "size": 7},
            "hovertemplate": "%{y:.3~g}",
        }
        for trail in trails
    ]
    layout = {
        "hovermode": "x unified",
        "showlegend": len(data) > 1,
        "xaxis": {"type": "category", "categoryarray": list(trails[0].names), "showgrid": False},
        "yaxis": {"type": "log", "title": {"text": y_title}, "exponentformat": "power", "dtick": 1},
        "uirevision": f"{y_title}|{revision}",
    }
    return build_figure(data, layout)


def by_layer_alt(trails: Sequence[SignalLine], y_title: str) -> str:
    """Describe `by_layer` in words: the first and last value of each curve."""
    parts = [
        f"{t.label} from {t.values[0]:.2g} at {t.names[0]} to {t.values[-1]:.2g} at {t.names[-1]}"
        for t in trails
    ]
    return f"{y_title}, layer by layer: {'; '.join(parts)}."


# Paired runs: one row per condition, one point per seed, and the difference to the baseline.

ROOM = 1.25
"""Upper end of the axis, as a multiple of the best accuracy; intervals beyond it are clipped."""


def paired_runs(conditions: Sequence[RecordedCondition], chance: float) -> Figure:
    """Plot accuracies in [0, 1] by condition, with 95 % intervals; the baseline first, on top.

    The interval is that of the paired difference to the baseline, so it is centered on the baseline's
    accuracy
    plus the mean difference.

    Args:
        conditions: The recorded conditions, baseline first.
        chance: Accuracy at chance level, drawn as a vertical line.
    """
    base = conditions[0]
    names = [condition.name for condition in conditions]
    intervals = [condition.gain.half if condition.gain is not None else None for condition in conditions]
    means: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": "mean, and 95 % interval of the difference",
        "y": names,
        "x": [
            base.accuracy + (condition.gain.mean if condition.gain is not None else 0)
            for condition in conditions
        ],
        "error_x": {"type": "data", "array": [half or 0 for half in intervals], "thickness": 1.6, "width": 5},
        "marker": {"symbol": "line-ns-open", "size": 14, "line": {"width": 2.4}, "color": COMPARED[0]},
        "hovertemplate": "%{y}: mean %{x:.1%}<extra></extra>",
    }
    points: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": "one run",
        "y": [condition.name for condition in conditions for _ in condition.accuracies],
        "x": [value for condition in conditions for value in condition.accuracies],
        "marker": {"size": 7, "color": COMPARED[1], "opacity": 0.75},
        "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
    }
    layout = {
        "xaxis": {
            "title": {"text": "accuracy on test images"},
            "tickformat": "~%",
            "range": [0, min(1.0, ROOM * max(max(condition.accuracies) for condition in conditions))],
        },
        "yaxis": {"categoryarray": names, "autorange": "reversed", "automargin": True, "showgrid": True},
        "shapes": [
            {
                "type": "line", "xref": "x", "yref": "paper", "x0": chance, "x1": chance, "y0": 0, "y1": 1,
                "line": {"color": TEXT, "width": 1, "dash": "dot"}, "opacity": 0.6,
            }
        ],
        "hovermode": "closest",
        "uirevision": "paired",
    }  # fmt: skip
    return build_figure([points, means], layout)


def paired_runs_alt(conditions: Sequence[RecordedCondition]) -> str:
    """Describe `paired_runs` in words: the mean of each condition."""
    parts = [f"{condition.name} {percent(condition.accuracy, 1)}" for condition in conditions]
    return f"Mean accuracy of each condition: {', '.join(parts)}."


# Recorded runs compared: losses, accuracies, predicted classes.


def losses(runs: Mapping[str, Evidence]) -> Lines:
    """Build loss curves over steps, training solid and test dashed, with the chance level as reference.

    `runs` holds at least one run.
    """
    first = next(iter(runs.values()))
    return Lines(
        title="Loss",
        series=_both(runs, "train/loss", "test/loss"),
        y_label="loss",
        reference=(f"ln {first.classes}: chance level", first.chance_loss),
    )


def accuracies(runs: Mapping[str, Evidence]) -> Lines:
    """Build accuracy curves by epoch, training solid and test dashed, with that of a constant prediction."""
    first = next(iter(runs.values()))
    return Lines(
        title="Accuracy",
        series=_both(runs, "train/epoch_accuracy", "test/accuracy"),
        y_label="accuracy",
        reference=("one answer for all", first.chance),
        percent=True,
    )


def prediction_counts(runs: Mapping[str, Evidence]) -> Bars:
    """Build bars of the test images' predicted classes after the last epoch, beside the class frequencies."""
    first = next(iter(runs.values()))
    values = {name: _shares(run.predicted["test"][-1].counts) for name, run in runs.items()}
    return Bars(
        title="Answers to the test images",
        names=first.data.classes,
        values=values | {"training images": _shares(first.data.counts)},
        y_label="share of the images",
        percent=True,
    )


def _both(runs: Mapping[str, Evidence], training: str, test: str) -> tuple[Series, ...]:
    shown = []
    for name, run in runs.items():
        before = f"{name}, " if len(runs) > 1 else ""
        shown += [
            _series(f"{before}training", run.curve(training)),
            _series(f"{before}test", run.curve(test), dashed=True),
        ]
    return tuple(shown)


def _series(name: str, curve: Points, dashed: bool = False) -> Series:
    return Series(name, tuple(map(float, curve.steps)), curve.values, dashed)


def _shares(counts: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(count / max(sum(counts), 1) for count in counts)
