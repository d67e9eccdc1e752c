"""What a run has told so far, in the form in which the page draws it; from the database, or recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from cnnviz.tracking import Curve, StatusChange, elapsed
from cnnviz.tracking.sampling import Floats

XAxis = Literal["step", "epoch", "time"]
X_TITLES: dict[XAxis, str] = {"step": "step", "epoch": "epoch", "time": "minutes in training"}


class Looked(NamedTuple):
    """The layers at one step, as `asdict(LayerLook)`."""

    step: int
    epoch: float
    time: float
    layers: list[dict[str, Any]]


class Confused(NamedTuple):
    """The newest confusion matrix and the part of the data it is of."""

    part: str
    epoch: float
    matrix: list[list[int]]


@dataclass(frozen=True)
class Story:
    """Curves and records of a run."""

    curves: Mapping[str, Curve] = field(default_factory=dict)
    looks: Sequence[Looked] = ()
    confused: Confused | None = None
    data: Mapping[str, Any] | None = None
    """What the run reads: classes, sizes of the parts, notes."""
    images: Sequence[Mapping[str, Any]] = ()
    predictions: Sequence[Mapping[str, Any]] = ()
    predicted_at: float = 0.0
    """Epoch of the predictions."""
    history: Sequence[StatusChange] = ()

    @property
    def classes(self) -> list[str]:
        """The names of the classes; their numbers where nobody told."""
        if self.data:
            return [str(name) for name in self.data["classes"]]
        return [str(i) for i in range(len(self.confused.matrix))] if self.confused else []

    def last(self, name: str) -> float | None:
        """The newest value of a metric that is a number."""
        curve = self.curves.get(name)
        values = curve.values[np.isfinite(curve.values)] if curve is not None else np.array([])
        return float(values[-1]) if len(values) else None

    def at(self, curve: Curve, x: XAxis) -> Floats:
        """Where the points of a curve lie."""
        if x == "step":
            return curve.steps.astype(np.float64)
        return curve.epochs if x == "epoch" else elapsed(self.history, curve.times) / 60

    def look_at(self, x: XAxis) -> list[tuple[float, list[dict[str, Any]]]]:
        """Where each look at the layers lies, and the layers."""
        if x != "time":
            return [(float(look.step) if x == "step" else look.epoch, look.layers) for look in self.looks]
        times = elapsed(self.history, np.array([look.time for look in self.looks], np.float64)) / 60
        return [(float(time), look.layers) for time, look in zip(times, self.looks, strict=True)]


def seconds_left(story: Story, step: int, total: int | None, recent: int = 40) -> float | None:
    """How long the rest takes at the pace of the newest points, judging and checkpoints included.

    None before there is a pace. Pauses do not slow it.
    """
    curve = story.curves.get("train/loss")
    if total is None or curve is None or len(curve) < 2:
        return None
    spent = elapsed(story.history, curve.times[-recent:])
    steps = curve.steps[-recent:]
    if spent[-1] <= spent[0]:
        return None
    return max(0.0, (total - step) * float(spent[-1] - spent[0]) / float(steps[-1] - steps[0]))
