"""Charts of a run: accuracy and loss, learning rate and speed, layer statistics over time."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, NamedTuple, cast, get_args

import numpy as np
import streamlit as st

from cnnviz import datasets, models, training
from cnnviz.figures.curves import (
    STATISTIC_INFO,
    STATISTICS,
    Floats,
    Line,
    Panel,
    Reference,
    Statistic,
    auxiliary_lines,
    curves,
    curves_alt,
    layer_heatmap,
    layer_heatmap_alt,
)
from cnnviz.figures.curves import Part as Drawn
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.models import Published
from cnnviz.tracking import RunSummary
from cnnviz.training import Recipe
from cnnviz.training.recipe import value_text
from cnnviz.ui.components.plot import plot
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.glossary import explanation
from cnnviz.ui.shared.runs import recipe_plan as plans
from cnnviz.ui.shared.runs.live_run import X_TITLES, RunData, XAxis
from cnnviz.ui.shared.runs.recipe_fields import title_of

# Published accuracy of the model, and how this run differs.

MAX_NAMED = 6


class PublishedAccuracy(NamedTuple):
    """A published accuracy, and a sentence on how this run differs; empty if it does not."""

    figure: Published
    differs: str

    @property
    def label(self) -> str:
        """Label of the reference line."""
        on = f" on {self.figure.on}" if self.figure.on else ""
        return f"published: {100 * self.figure.value:.2f} %{on}"


def published_accuracy(recipe: Recipe) -> PublishedAccuracy | None:
    """Return the published accuracy to compare a run of this recipe with, preferably on the same data."""
    if recipe.layers is not None or recipe.model not in models.names():
        return None
    figures = [figure for figure in models.get(recipe.model).published if figure.what == "accuracy"]
    figures.sort(key=lambda figure: not _same(figure.on, recipe.dataset))
    return PublishedAccuracy(figures[0], _differs(figures[0], recipe)) if figures else None


def _differs(figure: Published, recipe: Recipe) -> str:
    from cnnviz.tracking import data_name

    differences = []
    if figure.on and not _same(figure.on, recipe.dataset):
        differences.append(f"{datasets.title_of(data_name(recipe.dataset))} instead of {figure.on}")
    article = next(
        (article for article in _articles(recipe.model) if _same(figure.on, article.dataset)), None
    )
    if article is not None:
        settings = [
            f"{_title(field)} {_setting(ours)} instead of {_setting(theirs)}"
            for field, (theirs, ours) in article.difference(recipe).items()
            if field not in ("dataset", "model", "device", "seed")
        ]
        differences += settings[:MAX_NAMED]
        if len(settings) > MAX_NAMED:
            differences.append(f"{len(settings) - MAX_NAMED} more")
    return f"What differs: {'; '.join(differences)}." if differences else ""


def _title(field: str) -> str:
    title = title_of(field)
    return title if title[1:2].isupper() else title[0].lower() + title[1:]  # PCA stays PCA


def _setting(value: object) -> str:
    return "default" if value == {} else value_text(value)


def _articles(model: str) -> list[Recipe]:
    known = training.all_recipes().values()
    return [recipe for recipe in known if recipe.model == model and recipe.name.startswith("article-")]


def _same(published: str, dataset: str) -> bool:
    """Return whether a data set is the one that a publication names: `CIFAR-10` and `cifar10`."""
    first, second = (re.sub(r"[^a-z0-9]", "", name.lower()) for name in (published, dataset))
    return first == second


PARTS: tuple[tuple[str, Drawn], ...] = (("train", "train"), ("val", "validation"), ("test", "test"))
SMOOTHING = {"raw": 0.0, "smooth": 0.015, "smoother": 0.05}
CURVES, COST, HEAT = 470, 300, 330
LAYER_HEIGHT = 17
MAX_HEIGHT = 900
Scale = Literal["linear", "log"]


def charts(
    run_log: RunData,
    claim: PublishedAccuracy | None,
    name: str,
    frozen: Collection[str] = (),
    run: RunSummary | None = None,
) -> None:
    """Draw all charts, or say what was not recorded.

    Args:
        run_log: Curves and records.
        claim: A published accuracy to draw beside them.
        name: File name of downloads.
        frozen: Layers that are not trained.
        run: The run; None for the example.
    """
    x, scale, smoothing = _axes(run)
    panels = [
        _accuracy(run_log, x, scale, claim),
        Panel("loss", [*_lines(run_log, x, "loss"), *_heads(run_log, x)], log=scale == "log"),
    ]
    figure = run_log.figure(
        "curves", (x, scale, smoothing, claim),
        lambda: curves(panels, x_title=X_TITLES[x], smoothing=SMOOTHING[smoothing]),
    )  # fmt: skip
    alt = curves_alt(panels, X_TITLES[x])
    plot(figure, key="train-curves", height=CURVES, alt=alt, name=f"{name}-curves", picks=False)
    if claim is not None:
        source = f" ({claim.figure.source})" if claim.figure.source else ""
        st.caption(notice.escape(f"{claim.label[0].upper()}{claim.label[1:]}{source}. {claim.differs}"))
    if {"lr", "images_per_second"} & set(run_log.curves) or not run_log.ended:
        with st.expander("Learning rate and speed", key="train-cost"):
            _cost(run_log, x, name)
    if run is None or run.timed:
        _layers(run_log, x, name, frozen)
    else:
        st.caption("An imported history has curves alone: no layer statistics, no weights, no images.")


def x_axes(run: RunSummary | None) -> tuple[XAxis, ...]:
    """Return the horizontal axes on which a run's curves mean something."""
    axes: tuple[XAxis, ...] = get_args(XAxis)
    if run is None:
        return axes
    known = {"step": True, "epoch": run.counts_epochs, "time": run.timed}
    return tuple(axis for axis in axes if known[axis])


def _axes(run: RunSummary | None) -> tuple[XAxis, Scale, str]:
    """Draw the choices of axes and smoothing, which are in the URL, and return them."""
    problems: list[str] = []
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="train-axes"):
        axes = x_axes(run)
        x = _choice("x", "over", axes, problems) if len(axes) > 1 else axes[0]
        scale = _choice("scale", "scale", get_args(Scale), problems)
        smoothing = _choice("smooth", "smoothing", tuple(SMOOTHING), problems, "smooth")
    notice.show(problems)
    return cast("XAxis", x), cast("Scale", scale), smoothing


def _choice(name: str, label: str, values: tuple[str, ...], problems: list[str], default: str = "") -> str:
    key = f"train-{name}"
    default = default or values[0]
    chosen, fault = url_state.choice(name, values, default)
    problems += [fault] if fault else []
    url_state.show_value(key, chosen)

    def write() -> None:
        value = st.session_state[key]
        plans.put(**{name: None if value == default else value})

    st.segmented_control(label, values, key=key, on_change=write, required=True, label_visibility="collapsed")
    return chosen


def _lines(run_log: RunData, x: XAxis, what: str, *, error: bool = False) -> list[Line]:
    """Return the curves of training, validation and test; with `error` as 1 − accuracy."""
    lines = []
    for prefix, part in PARTS:
        curve = run_log.curve(prefix, what)
        if curve is not None:
            values = 1 - curve.values if error else curve.values
            values = np.where(values > 0, values, np.nan) if error else values
            lines.append(Line(part, run_log.at(curve, x), values, part))
    return lines


def _heads(run_log: RunData, x: XAxis) -> list[Line]:
    """Return the losses of auxiliary classifiers, if the run has any."""

    def points(metric: str) -> tuple[Floats, Floats] | None:
        curve = run_log.curves.get(metric)
        return None if curve is None else (run_log.at(curve, x), curve.values)

    return auxiliary_lines(points)


def _accuracy(run_log: RunData, x: XAxis, scale: Scale, claim: PublishedAccuracy | None) -> Panel:
    """Return the accuracy panel; on a logarithmic scale the error, since that is what still changes."""
    error = scale == "log"
    references = []
    if claim is not None:
        value = 1 - claim.figure.value if error else claim.figure.value
        references.append(Reference(claim.label, value, claim.differs))
    title = "error (1 − accuracy)" if error else "accuracy"
    lines = _lines(run_log, x, "accuracy", error=error)
    return Panel(title, lines, log=error, percent=True, references=references)


def _cost(run_log: RunData, x: XAxis, name: str) -> None:
    def line(metric: str) -> list[Line]:
        curve = run_log.curves.get(metric)
        return (
            [] if curve is None else [Line(metric, run_log.at(curve, x), curve.values, "train", COMPARED[0])]
        )

    panels = [Panel("learning rate", line("lr")), Panel("images / s", line("images_per_second"))]
    if run_log.ended:
        panels = [panel for panel in panels if panel.lines]
    figure = run_log.figure(
        "costs", x, lambda: curves(panels, x_title=X_TITLES[x]).update_layout(showlegend=False)
    )
    alt = curves_alt(panels, X_TITLES[x])
    plot(figure, key="train-costs", height=COST, alt=alt, name=f"{name}-speed", picks=False)


TERMS: dict[Statistic, str] = {
    "zeros": "Sparsity",
    "dead": "Dead units",
    "gradient": "Gradient norm",
    "update": "Update-to-weight ratio",
    "spread": "Activation standard deviation",
}
"""Glossary term of each statistic."""


def _layers(run_log: RunData, x: XAxis, name: str, frozen: Collection[str]) -> None:
    st.header("Layer statistics", anchor=False)
    problems: list[str] = []
    key = "train-layers"
    chosen, fault = url_state.choice("layers", STATISTICS, STATISTICS[0])
    problems += [fault] if fault else []
    url_state.show_value(key, chosen)

    def write() -> None:
        value = st.session_state[key]
        plans.put(layers=None if value == STATISTICS[0] else value)

    st.segmented_control(
        "statistic", STATISTICS, key=key, on_change=write, required=True, label_visibility="collapsed",
        format_func=lambda statistic: STATISTIC_INFO[statistic].title, wrap=True,
    )  # fmt: skip
    statistic = cast("Statistic", chosen)
    notice.show(problems)
    st.caption(STATISTIC_INFO[statistic].meaning, help=explanation(TERMS[statistic]))
    records = run_log.layer_stats_over(x)
    if not records:
        st.caption(
            "No layer statistics were recorded."
            if run_log.ended
            else "The first look at the layers comes with the first step."
        )
        return
    height = min(MAX_HEIGHT, max(HEAT, LAYER_HEIGHT * len(records[-1][1]) + 90))
    figure = run_log.figure(
        "heat", (statistic, x, tuple(frozen)), lambda: layer_heatmap(records, statistic, X_TITLES[x], frozen)
    )
    plot(figure, key="train-heat", height=height,
         alt=layer_heatmap_alt(records, statistic), name=f"{name}-{statistic}", picks=False)  # fmt: skip
