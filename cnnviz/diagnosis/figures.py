"""Figures that several rules use."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.layer_signals import USUAL_UPDATE, LayerSignal, layer_signals
from cnnviz.diagnosis.evidence.learning_curves import LossCurve
from cnnviz.diagnosis.finding import Bars, Lines, Series
from cnnviz.diagnosis.numbers import fixed, short


def loss_curve(course: LossCurve, classes: int) -> Lines:
    """Plot the training loss against chance level."""
    even = math.isclose(course.chance, math.log(max(classes, 1)), rel_tol=1e-3)
    name = f"ln {classes}: chance level" if even else "chance level"
    return Lines(
        title="Training loss",
        series=(Series("training loss", tuple(course.loss.steps), course.loss.values),),
        y_label="loss (nats)",
        logarithmic=course.worst > 20 * course.chance,
        reference=(name, course.chance),
        alt=f"It goes from {short(course.start)} to {short(course.end)}; "
        f"chance level is {fixed(course.chance)}.",
    )


def signal_bars(evidence: Evidence, signals: Sequence[LayerSignal], marked: Sequence[str] = ()) -> Bars:
    """Plot standard deviation and signal of each layer's outputs, input first, on a logarithmic axis."""
    entering = evidence.input.spread if evidence.input else None
    names = ("input", *(stage.name for stage in signals))
    values = {"spread": (entering, *(stage.at.spread for stage in signals))}
    if any(stage.at.signal is not None for stage in signals):
        values["of it from image to image"] = (entering, *(stage.at.signal for stage in signals))
    last = signals[-1]
    return Bars(
        title="Signal propagation, layer by layer, before anything is learned",
        names=names,
        values={name: _above_zero(line) for name, line in values.items()},
        y_label="standard deviation",
        logarithmic=True,
        marked=tuple(marked),
        alt=f"From image to image the outputs of {last.name} differ by {short(last.at.signal or 0)}.",
    )


def layer_bars(
    title: str, signals: Sequence[LayerSignal], of: Callable[[LayerSignal], float | None], y_label: str
) -> Bars:  # fmt: skip
    """Plot one statistic of each layer with weights on a logarithmic axis."""
    values = [of(stage) for stage in signals]
    nonzero = [value for value in values if value]
    return Bars(
        title=title,
        names=tuple(stage.name for stage in signals),
        values={y_label: _above_zero(values)},
        y_label=y_label,
        logarithmic=True,
        alt=f"From {short(nonzero[0])} at the first layer to {short(nonzero[-1])} at the last."
        if nonzero
        else title,
    )


def gradient_bars(signals: Sequence[LayerSignal]) -> Bars:
    """Plot the gradient norm of each layer's weights at the first step, from which `seen` is."""
    title = "Gradient of each layer's weights at the first step"
    return layer_bars(title, signals, lambda stage: stage.at.gradient, "L2 norm")


def update_lines(evidence: Evidence) -> Lines:
    """Plot the median update-to-weight ratio over steps, against the rule of thumb."""
    steps, typical = [], []
    for look in evidence.looks:
        ratios = [stage.at.update for stage in layer_signals(evidence, look) if stage.at.update]
        if ratios:
            steps.append(look.step)
            typical.append(median(ratios))
    text = f"from {short(typical[0])} to {short(typical[-1])}" if typical else "not recorded"
    return Lines(
        title="How far a step moves the weights, by their own size",
        series=(Series("median layer", tuple(steps), tuple(typical)),),
        y_label="step / weights",
        logarithmic=True,
        reference=("usual: about 1 in 1,000", USUAL_UPDATE),
        alt=f"In the median layer the share goes {text}; about 0.001 is usual.",
    )


def _above_zero(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Replace zeros, which a logarithmic axis does not have, by None."""
    return tuple(value if value else None for value in values)
