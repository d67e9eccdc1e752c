"""Figures of a diagnosis: a finding's evidence, and the AlexNet/STL-10 paper review's failed training.

Bars and curves are Plotly figures, images are HTML; each has an alternative text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz.diagnosis import Bars, Evidence, Images, Lines, Points, Series
from cnnviz.diagnosis.finding import Picture
from cnnviz.diagnosis.recorded import RecordedCondition
from cnnviz.figures.architecture import shortened
from cnnviz.figures.curves import (
    Floats,
    Line,
    Panel,
    Reference,
    curves,
    reference_annotation,
    reference_shape,
)
from cnnviz.figures.plotly_theme import COMPARED, PAPER, TEXT, Color, build_figure, mix_srgb, translucent
from cnnviz.sentences import percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


# Colors of the series.


def hues(dashed: Sequence[bool]) -> list[Color]:
    """Assign a color to each series: a solid one gets the palette's next, a dashed one its predecessor's.

    So training and test curves of one run share a color. More than `len(COMPARED)` solid series get evenly
    spaced mixtures of two colors, since they are ordered, as layers are.

    Args:
        dashed: Whether each series is dashed.
    """
    solid = sum(not is_dashed for is_dashed in dashed)
    shades = (
        COMPARED
        if solid <= len(COMPARED)
        else [mix_srgb(COMPARED[3], COMPARED[1], i / (solid - 1)) for i in range(solid)]
    )
    colours: list[Color] = []
    index = -1
    for is_dashed in dashed:
        index += not is_dashed or not colours
        colours.append(shades[max(0, index)])
    return colours


# Curves of a finding.

FEW = 12
"""Maximum number of points that get markers; of more, markers would hide the dashes."""
STILL = 0.25
"""Axes start at zero if the values span less than this fraction of their maximum."""
MAX_DECADES = 6
"""Maximum number of ticks on a logarithmic axis."""
NAME_PAPER = translucent(PAPER, 0.8)
"""Background of a reference label, since the curve of a run that does not learn lies on it."""


def lines(picture: Lines) -> Figure:
    """Plot the curves of a finding.

    Values that are not finite, or not positive on a logarithmic axis, are gaps.
    """
    colours = hues([series.dashed for series in picture.series])
    panel = Panel(
        picture.y_label,
        [_line(one, hue, picture.logarithmic) for one, hue in zip(picture.series, colours, strict=True)],
        log=picture.logarithmic,
        percent=picture.percent,
        references=[Reference(*picture.reference)] if picture.reference else [],
    )
    figure = curves(
        [panel], x_title=picture.x_label, revision=picture.title, few=FEW, level_background=NAME_PAPER
    )
    values = np.concatenate([line.y for line in panel.lines] or [np.array([])])
    if picture.logarithmic:
        figure.update_layout(yaxis=decades(values))
    elif picture.reference and _still(values):
        figure.update_layout(yaxis_rangemode="tozero")
    figure.update_layout(showlegend=len(picture.series) > 1)
    return figure


def _still(values: Floats) -> bool:
    """Return whether the values vary so little that an axis fitted to them would exaggerate noise."""
    known = values[np.isfinite(values)]
    return len(known) > 0 and bool(np.ptp(known) < STILL * known.max())


def _line(series: Series, colour: Color, logarithmic: bool) -> Line:
    values = np.array([np.nan if value is None else value for value in series.y], np.float64)
    return Line(
        series.name, np.array(series.x, np.float64), finite_values(values, logarithmic),
        "test" if series.dashed else "train", colour,
    )  # fmt: skip


def decades(values: Floats) -> dict[str, Any]:
    """Return a logarithmic axis with ticks at powers of ten only, if the values span two or more of them."""
    known = values[np.isfinite(values)]
    span = float(np.log10(known.max() / known.min())) if len(known) else 0.0
    marks = {"dtick": math.ceil(span / MAX_DECADES)} if span >= 2 else {}
    return {"type": "log", "exponentformat": "power", "tickformat": ""} | marks


def finite_values(values: Floats, logarithmic: bool) -> Floats:
    """Replace values that cannot be drawn on the axis by NaN."""
    drawn = np.isfinite(values) & (values > 0 if logarithmic else True)
    return np.where(drawn, values, np.nan)


# Bars of a finding, one per layer or class; points on a logarithmic axis, since a bar needs a zero.

FAINT = 0.35
MAX_LABELS = 30
"""Maximum number of tick labels; of more names, every n-th is labeled."""


def bars(picture: Bars) -> Figure:
    """Plot the bars of a finding; where it marks some, the others are faint."""
    colours = hues([False] * len(picture.values))
    data = [
        _trace(picture, name, np.array([np.nan if v is None else v for v in values], np.float64), colour)
        for (name, values), colour in zip(picture.values.items(), colours, strict=True)
    ]
    indices = range(0, len(picture.names), max(1, -(-len(picture.names) // MAX_LABELS)))
    vertical: dict[str, Any] = {"title": {"text": picture.y_label}, "tickformat": "~g"}
    if picture.percent:
        vertical["tickformat"] = "~%"
    if picture.logarithmic:
        vertical |= decades(np.concatenate([trace["y"] for trace in data]))
    layout: dict[str, Any] = {
        "barmode": "group",
        "bargap": 0.25,
        "hovermode": "x unified",
        "showlegend": len(data) > 1,
        "xaxis": {
            "tickvals": list(indices),
            "ticktext": [_label(picture, index) for index in indices],
            "range": [-0.6, len(picture.names) - 0.4],
            "showgrid": False,
        },
        "yaxis": vertical,
        "uirevision": picture.title,
    }
    if picture.reference:
        reference = Reference(*picture.reference)
        layout["shapes"] = [reference_shape(reference)]
        layout["annotations"] = [
            reference_annotation(reference, log=picture.logarithmic) | {"bgcolor": NAME_PAPER}
        ]
    return build_figure(data, layout)


def _trace(picture: Bars, name: str, values: Floats, colour: Color) -> dict[str, Any]:
    number_format = ".2%" if picture.percent else ".4~g"
    trace = {
        "name": name,
        "x": list(range(len(picture.names))),
        "y": finite_values(values, picture.logarithmic),
        "customdata": list(picture.names),
        "hovertemplate": f"%{{customdata}}: %{{y:{number_format}}}",
        "marker": {"color": colour, "opacity": _opacity(picture)},
    }
    if not picture.logarithmic:
        return trace | {"type": "bar"}
    sizes = {"size": [11 if name in picture.marked else 7 for name in picture.names]}
    return trace | {
        "type": "scatter",
        "mode": "lines+markers",
        "line": {"color": colour, "width": 1.6},
        "marker": {"color": colour} | sizes,
    }


def _opacity(picture: Bars) -> list[float]:
    return [1.0 if not picture.marked or name in picture.marked else FAINT for name in picture.names]


def _label(picture: Bars, index: int) -> str:
    name = shortened(picture.names[index])
    return f"<b>{name}</b>" if picture.names[index] in picture.marked else name


# Images of a finding as HTML.


def images_html(picture: Images) -> str:
    """Return the images side by side as HTML, each with its caption."""
    return f'<div class="evidence-images">{"".join(_image_html(*image) for image in picture.images)}</div>'


def _image_html(png: str, line: str) -> str:
    text = escape(line)
    return (
        f'<figure><img src="data:image/png;base64,{escape(png)}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


# Alternative texts.


def alt(picture: Picture) -> str:
    """Return the alternative text: the title, and the rule's own text or the last or highest values."""
    if picture.alt:
        return f"{picture.title}. {picture.alt}"
    if isinstance(picture, Images):
        text = f"Images: {', '.join(line for _, line in picture.images)}"
    else:
        text = _ends(picture) if isinstance(picture, Lines) else _highest(picture)
    return f"{picture.title}. {text}."


def _ends(picture: Lines) -> str:
    last = [
        (series.name, next((v for v in reversed(series.y) if v is not None and math.isfinite(v)), None))
        for series in picture.series
    ]
    values = [f"{name} {_value(picture, value)}" for name, value in last if value is not None]
    return f"Curves over {picture.x_label}; last values: {', '.join(values) or 'none'}"


def _highest(picture: Bars) -> str:
    parts = []
    for series, values in picture.values.items():
        known = [(v, i) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
        if known:
            value, index = max(known)
            parts.append(f"{series} is highest at {picture.names[index]} ({_value(picture, value)})")
    return "; ".join(parts) or "Nothing was measured"


def _value(picture: Lines | Bars, value: float) -> str:
    return f"{100 * value:.1f} %" if picture.percent else f"{value:.3g}"


# Figures of the AlexNet/STL-10 paper review's failed training: recorded, fresh and paired runs.

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
