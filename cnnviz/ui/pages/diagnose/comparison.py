"""Curves of the diagnosed run beside those of related runs: its parent, clones, or fixed counterpart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.diagnosis import Evidence, recorded
from cnnviz.figures import numbers
from cnnviz.figures.curves import Floats, Line, Panel, Part, curves, curves_alt
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.training.recipe import Recipe
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.diagnose import state
from cnnviz.ui.pages.diagnose.state import in_words
from cnnviz.ui.shared import layout
from cnnviz.ui.shared.runs import run_data

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary
    from cnnviz.ui.pages.diagnose.state import LoadedDiagnosis

HEIGHT, SMOOTHING = 430, 0.02
MAX_RELATED = len(COMPARED) - 1
"""Maximum number of other runs: as many as there are colors left."""
SPIKE = 30.0
"""Multiple of the median beyond which a value makes the axis logarithmic."""
PANELS = (("accuracy", True), ("loss", False))
PARTS: tuple[tuple[str, Part], ...] = (("train", "train"), ("val", "validation"), ("test", "test"))


@dataclass(frozen=True)
class Side:
    """One run of the comparison: its curves over epochs, and its recipe."""

    name: str
    state: str
    curves: Mapping[str, tuple[Floats, Floats]]
    recipe: Recipe | None
    """None if this version cannot parse it."""
    run: int | None = None
    recorded: str | None = None
    axis: str = "epoch"
    """What its curves are over: `step` where epochs are not known."""

    @property
    def called(self) -> str:
        """Its name within a sentence; that of a recorded run is quoted, since it contains commas."""
        return self.name if self.recorded is None else f"“{self.name}”"

    @property
    def accuracy(self) -> float | None:
        """Last test accuracy, else validation accuracy."""
        for part in ("test", "val"):
            values = self.curves.get(f"{part}/accuracy", (np.array([]), np.array([])))[1]
            if len(values) and np.isfinite(values[-1]):
                return float(values[-1])
        return None


def related_runs(case: LoadedDiagnosis, runs: Sequence[RunSummary]) -> list[Side]:
    """Return the parent and the newest clones of a run; the counterpart of a recorded one."""
    if case.recorded is not None:
        name = recorded.fixed(case.recorded)
        return [] if name is None else [_shipped(recorded.recorded(name), name)]
    if case.run is None:
        return []
    parent = [run for run in runs if run.id == case.run.parent_id]
    return [_of_run(run) for run in [*parent, *clones(case.run, runs)][:MAX_RELATED]]


def clones(run: RunSummary, runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Return the clones of a run, newest first."""
    return [other for other in runs if other.parent_id == run.id]


def diagnosed_side(case: LoadedDiagnosis) -> Side:
    """Return the diagnosed run."""
    if case.run is None:
        return _shipped(case.evidence, case.recorded or "")
    in_epochs = case.run.counts_epochs
    curves = _curves(case.evidence, case.evidence.steps_per_epoch if in_epochs else 1.0)
    axis = "epoch" if in_epochs else "step"
    return Side(
        case.name, case.run.status.value, curves, case.evidence.recipe, run=case.run.id, axis=axis
    )  # fmt: skip


def improvement_text(diagnosed: Side, others: Sequence[Side]) -> str:
    """Describe the best of the other runs with its changes; empty if none is better."""
    known = [(side.accuracy, side) for side in others if side.accuracy is not None]
    if not known:
        return ""
    reached, best = max(known, key=lambda pair: pair[0])
    if diagnosed.accuracy is not None and reached <= diagnosed.accuracy:
        return ""
    reference = "" if diagnosed.accuracy is None else f", {diagnosed.called} {_percent(diagnosed.accuracy)}"
    return (
        f"{best.called} reaches {_percent(reached)}{reference}. What differs: {difference(diagnosed, best)}."
    )


def difference(diagnosed: Side, other: Side) -> str:
    """Describe how two recipes differ: `learning rate 0.5 → 0.05`."""
    if diagnosed.recipe is None or other.recipe is None:
        return "its recipe is of another version"
    return in_words(diagnosed.recipe, other.recipe) or "nothing in the recipe"


def draw_comparison(diagnosed: Side, sides: Sequence[Side]) -> None:
    """Draw the curves of all runs, and a line for each of the others."""
    drawn = [diagnosed, *sides]
    panels = [
        Panel(metric, lines, percent=percent, log=not percent and _flattened(lines))
        for metric, percent in PANELS
        if (lines := _lines(drawn, metric))
    ]
    st.header("Beside one another" if sides else "Its curves", anchor=False)
    if panels:
        st.caption("Training solid, validation dotted, test dashed.")
        key = f"{diagnosed.recorded or diagnosed.run}"
        figure = curves(panels, x_title=diagnosed.axis, smoothing=SMOOTHING, revision=key)
        alt, name = curves_alt(panels, diagnosed.axis), f"diagnosis-{key}-curves"
        plot(figure, key=f"diagnose-curves-{key}", height=HEIGHT, alt=alt, name=name, picks=False)
    else:
        st.caption("No curves were recorded.")
    for side, hue in zip(sides, COMPARED[1:], strict=False):
        _row(diagnosed, side, hue.css)
    if diagnosed.run is not None:
        _links(diagnosed, sides)


def _row(diagnosed: Side, other: Side, hue: str) -> None:
    reached = "" if other.accuracy is None else f", {_percent(other.accuracy)}"
    st.html(
        f'<p class="beside"><i style="background:{hue}"></i><b>{escape(other.name)}</b>: '
        f"{escape(difference(diagnosed, other))} <span>({escape(other.state)}{reached})</span></p>"
    )


def _links(diagnosed: Side, sides: Sequence[Side]) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="diagnose-links"):
        layout.link(
            "train", f"Watch run {diagnosed.run}", icon=":material/monitoring:", run=str(diagnosed.run)
        )
        for side in sides:
            if side.run is not None:
                _diagnose_button(side.run)
        chosen = ",".join(str(side.run) for side in (diagnosed, *sides))
        label = "Compare on Runs" if sides else "Find it on Runs"
        layout.link("runs", label, icon=":material/table_rows:", runs=chosen, run=None)


def _diagnose_button(run: int) -> None:
    """Draw the button to another run; not a link, which would be marked as the current page."""
    icon, key = ":material/stethoscope:", f"diagnose-other-{run}"
    if st.button(f"Diagnose run {run}", icon=icon, key=key, type="tertiary"):
        state.choose(run=run)
        st.rerun()


def _lines(sides: Sequence[Side], metric: str) -> list[Line]:
    """Return a line per run and split; one label per run, so that the legend has each once."""
    return [
        Line(side.name, *side.curves[f"{part}/{metric}"], dashed, hue)
        for side, hue in zip(sides, COMPARED, strict=False)
        for part, dashed in PARTS
        if f"{part}/{metric}" in side.curves
    ]


def _flattened(lines: Sequence[Line]) -> bool:
    """Return whether one spike would flatten the rest of the curves."""
    values = np.concatenate([line.y for line in lines])
    seen = values[np.isfinite(values) & (values > 0)]
    return len(seen) > 0 and bool(seen.max() > SPIKE * np.median(seen))


def _of_run(run: RunSummary) -> Side:
    curves = {}
    for metric, _ in PANELS:
        for part, _ in PARTS:
            curve = run_data.curve(run, run_data.recorded_name(run, f"{part}/{metric}")).curve
            if len(curve):
                curves[f"{part}/{metric}"] = (curve.epochs, curve.values)
    try:
        recipe = Recipe().changed(run_data.recipe(run.id))
    except ValueError:
        recipe = None
    return Side(f"Run {run.id}", run.status.value, curves, recipe, run=run.id)


def _shipped(evidence: Evidence, name: str) -> Side:
    curves = _curves(evidence, evidence.steps_per_epoch)
    return Side(evidence.title, evidence.status, curves, evidence.recipe, recorded=name)


def _curves(evidence: Evidence, steps_per_unit: float) -> dict[str, tuple[Floats, Floats]]:
    """Return the curves that are drawn; of training the epoch means where steps were not recorded."""
    drawn = {}
    for metric, _ in PANELS:
        for part, _ in PARTS:
            named = evidence.curves
            points = named.get(f"{part}/{metric}") or named.get(f"{part}/epoch_{metric}")
            if points:
                steps = np.array(points.steps, np.float64) / steps_per_unit
                drawn[f"{part}/{metric}"] = (steps, np.array(points.values, np.float64))
    return drawn


def _percent(value: float) -> str:
    return numbers.metric_text("test/accuracy", value)
