"""Story of the AlexNet/STL-10 paper review: a run that did not learn, why, and the proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import streamlit as st

from cnnviz import models
from cnnviz.diagnosis import Bars, Evidence, Lines
from cnnviz.diagnosis.evidence.mean_field import LayerPropagation, Signal, after_relu, propagate
from cnnviz.diagnosis.recorded import RecordedCondition, card, names, recorded, recorded_conditions, table
from cnnviz.diagnosis.recorded.fresh import CLASSES, STARTS, fresh
from cnnviz.experiments.presets.alexnet_stl10 import FULL
from cnnviz.figures.finding import (
    SignalLine,
    accuracies,
    alt,
    bars,
    by_layer,
    by_layer_alt,
    lines,
    losses,
    paired_runs,
    paired_runs_alt,
    prediction_counts,
)
from cnnviz.figures.numbers import significant
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.models.layers import LayerList, LocalResponseNorm
from cnnviz.training import get
from cnnviz.training.recipe import Recipe, Scale
from cnnviz.ui.components.plot import plot
from cnnviz.ui.pages.diagnose import story_text
from cnnviz.ui.pages.diagnose.story_text import gain_text
from cnnviz.ui.shared import layout, notice, url_state
from cnnviz.ui.shared.runs.recipe_plan import NOT_CHOSEN, text_of
from cnnviz.ui.shared.url_state import SET

__all__ = ["FAILED", "FIXED", "story"]

# Links to the failing recipe, the fixed one, and the experiment.

RECIPE, EXPERIMENT = "article-alexnet-stl10", "alexnet-stl10"


def recipe_links(failed: Evidence, fixed: Evidence) -> None:
    """Draw the links."""
    st.header("Try it yourself", anchor=False)
    st.markdown(
        "Both runs are recipes. Open one on Train, change what you like, and see whether you can do better; "
        "the experiment repeats the proof on handwritten digits, which needs no download."
    )
    with st.container(horizontal=True, gap="medium", key="story-links"):
        layout.link(
            "train",
            "The failing recipe",
            icon=":material/sentiment_dissatisfied:",
            **parameters(failed.recipe),
        )
        layout.link("train", "The fixed recipe", icon=":material/play_arrow:", **parameters(fixed.recipe))
        layout.link("experiments", "The experiment", icon=":material/science:", experiment=EXPERIMENT)


def parameters(recipe: Recipe) -> dict[str, str | None]:
    """Return the URL parameters that open a recipe on Train, as changes of the article's."""
    base = get(RECIPE)
    changed = {
        f"{SET}{field}": text_of(ours)
        for field, (_, ours) in base.difference(recipe).items()
        if field not in NOT_CHOSEN
    }
    elsewhere: dict[str, str | None] = dict.fromkeys(("run", "model", "size", "list", "parent", "recorded"))
    return elsewhere | changed | {"recipe": RECIPE, "dataset": recipe.dataset}


# Table of the paired runs.


def results_table(conditions: Sequence[RecordedCondition]) -> None:
    """Draw a row for each condition, the failing recipe first."""
    share = st.column_config.NumberColumn(format="%.1f %%")
    st.dataframe(
        {
            "changed": [condition.name for condition in conditions],
            "runs": [condition.n for condition in conditions],
            "steps": [condition.steps for condition in conditions],
            "training loss": [condition.loss for condition in conditions],
            "test accuracy": [100 * condition.accuracy for condition in conditions],
            "gain, in points": [gain_text(condition) for condition in conditions],
            "commonest answer": [100 * condition.largest_share for condition in conditions],
            "one answer for nearly all": [
                f"{condition.collapsed} of {condition.n} runs" for condition in conditions
            ],
        },
        column_config={
            "changed": st.column_config.TextColumn(pinned=True),
            "steps": st.column_config.NumberColumn(format="localized"),
            "gain, in points": st.column_config.TextColumn(alignment="right"),
            "training loss": st.column_config.NumberColumn(format="%.3f"),
            "test accuracy": share,
            "commonest answer": share,
        },
        hide_index=True,
        height="content",
    )


# Signal propagation by layer: measured in fresh networks, and computed for the reader's settings.

Value = TypeVar("Value", bound=str)
SIGNAL_HEIGHT = 400
Start = Literal["article", "paper", "he"]
STARTING: dict[Start, str] = {
    "article": "the article",
    "paper": "the paper",
    "he": "He",
}
SCALES: dict[Scale, str] = {
    "unit": "pixels 0 to 1",
    "standardised": "standardized",
    "raw-minus-mean": "pixels up to ±255",
}
READS: dict[Scale, str] = {
    "unit": "Pixels in [0, 1]",
    "standardised": "Standardized pixels",
    "raw-minus-mean": "Pixels up to ±255",
}
MEASURED = {"article": "as the article", "paper": "as the paper", "mended": "mended"}


def network(start: Start, normalisation: str) -> LayerList:
    """Return AlexNet of full size with ten classes, as a layer list."""
    spec = models.get("alexnet")
    assert spec.layers is not None
    return spec.layers(CLASSES, FULL, spec.options.parse({"init": start, "normalisation": normalisation}))


def compute_signal(start: Start, scale: Scale) -> tuple[LayerPropagation, ...]:
    """Compute the signal propagation for that initialization and pixel scale."""
    normalisation = "lrn-paper" if start == "paper" else "lrn-article"
    return propagate(network(start, normalisation), fresh().entering(scale))


def signal_section(failed: Evidence) -> None:
    """Draw the section on signal propagation: settings, figure, and the arithmetic in words and by layer."""
    st.header("Where the images get lost", anchor=False)
    st.markdown(
        "Show a network that has learned nothing yet many images, and ask of each of its values how far "
        "it differs from one image to the next. That difference is all that later layers can learn from. "
        "Solid lines were measured in AlexNets of full size; the dashed one is reckoned, for the start that "
        "you choose here."
    )
    start, scale = _choices()
    layers = compute_signal(start, scale)
    left, right = st.columns([0.42, 0.58], gap="large")
    with left:
        for sentence in (
            story_text.first_layer(layers[0], READS[scale]),
            story_text.last_layer(layers),
            story_text.biases(layers),
        ):
            if sentence:
                st.markdown(notice.escape(sentence))
    with right:
        _signal_figure(layers)
    _layer_by_layer(layers)
    st.markdown(notice.escape(story_text.noise(failed)))


def _signal_figure(layers: tuple[LayerPropagation, ...]) -> None:
    trails = [*_measured(), _trail(layers)]
    title = "difference between images"
    plot(by_layer(trails, title), key="story-signal", height=SIGNAL_HEIGHT, alt=by_layer_alt(trails, title),
         name="alexnet-stl10-signal", picks=False)  # fmt: skip


def response() -> None:
    """Draw the section on LRN."""
    st.header("Is it the weaker normalization?", anchor=False)
    first = compute_signal("article", "unit")[0]
    square = after_relu(Signal(first.spread**2, first.signal), first.bias).square
    weak, strong = (
        _first_response(network("article", normalisation)) for normalisation in ("lrn-article", "lrn-paper")
    )
    st.markdown(notice.escape(story_text.response(weak, strong, square)))


def _choices() -> tuple[Start, Scale]:
    """Draw both choices; the defaults are those of the AlexNet/STL-10 paper review."""
    with st.container(horizontal=True, gap="medium", key="story-choice"):
        start = _choice("start", "Weight initialization as in", STARTING)
        scale = _choice("pixels", "The network reads", SCALES)
    return start, scale


def _choice(name: str, label: str, titles: Mapping[Value, str]) -> Value:
    values = list(titles)
    key = f"story-{name}"
    chosen, wrong = url_state.choice(name, values, values[0])
    notice.show([wrong] if wrong else [])
    url_state.show_value(key, chosen)

    def write() -> None:
        value = st.session_state[key]
        url_state.change(**{name: None if value == values[0] else value})

    st.segmented_control(
        label, values, key=key, on_change=write, required=True, format_func=lambda value: titles[value]
    )
    return next(value for value in values if value == chosen)


def _measured() -> list[SignalLine]:
    recorded_networks = fresh()
    return [
        SignalLine(
            MEASURED[key],
            ["picture", *(layer.name for layer in recorded_networks.layers[key])],
            [
                recorded_networks.entering(scale).signal,
                *(layer.signal for layer in recorded_networks.layers[key]),
            ],
            colour,
        )
        for (key, (_, _, scale)), colour in zip(STARTS.items(), COMPARED, strict=False)
    ]


def _trail(layers: tuple[LayerPropagation, ...]) -> SignalLine:
    return SignalLine(
        "reckoned, as chosen",
        ["picture", *(layer.name for layer in layers)],
        [layers[0].entering.signal, *(layer.signal for layer in layers)],
        COMPARED[3],
        dashed=True,
    )


def _first_response(layers: LayerList) -> LocalResponseNorm:
    return next(layer for layer in layers.layers if isinstance(layer, LocalResponseNorm))


def _layer_by_layer(layers: tuple[LayerPropagation, ...]) -> None:
    with st.expander("The arithmetic of every layer", key="story-layers"):
        st.dataframe(
            {
                "layer": [layer.name for layer in layers],
                "values that one output sums, n": [round(layer.inputs) for layer in layers],
                "σ of the weights": [significant(layer.std, 2) for layer in layers],
                "multiplies by σ·√n": [significant(layer.gain, 3) for layer in layers],
                "images differ before": [f"{layer.entering.signal:.2g}" for layer in layers],
                "images differ after": [f"{layer.signal:.2g}" for layer in layers],
                "standard deviation of all outputs": [f"{layer.spread:.2g}" for layer in layers],
                "bias": [f"{layer.bias:g}" for layer in layers],
            },
            hide_index=True,
        )
        st.caption(
            "Padding counts for less, so n is what a window covers on average. Pooling takes the largest of "
            "its neighbors and lifts values somewhat; that is left out here, so measured lines may lie a "
            "little higher."
        )


# The whole story, which needs neither internet access, nor a run database, nor torch.

FAILED, FIXED = "alexnet-stl10-failed", "alexnet-stl10-fixed"
CSS = Path(__file__).with_name("story.css")
HEIGHT = 300
ROOM, HEAD = 30, 130
"""Pixels of a condition in the figure of paired runs, and of the rest of it."""


def story() -> None:
    """Draw the story; nothing if the recorded runs do not ship."""
    if not {FAILED, FIXED} <= set(names()):
        return
    failed, fixed = recorded(FAILED), recorded(FIXED)
    st.html(CSS)
    with st.container(key="story"):
        st.header("The AlexNet/STL-10 paper review, solved", anchor=False)
        st.markdown(
            "An article trained AlexNet as its paper describes it, on the 5,000 images of STL-10, and got "
            "10 %: the same answer for nearly every image. It never found out why. Here the run is made "
            "again, its inside is measured, and one thing at a time is changed until it learns."
        )
        _observed(failed)
        signal_section(failed)
        _backwards()
        response()
        _fixed(failed, fixed)
        _proof()
        recipe_links(failed, fixed)
        _cards()


def _observed(failed: Evidence) -> None:
    st.header("What the article saw", anchor=False)
    st.markdown(notice.escape(story_text.observed(failed)))
    left, right = st.columns(2, gap="medium")
    with left:
        _picture(losses({"as the article": failed}), "saw-loss")
    with right:
        _picture(prediction_counts({"answers": failed}), "saw-answers")


def _backwards() -> None:
    layers = fresh().layers
    st.header("And the way back", anchor=False)
    st.markdown(notice.escape(story_text.backwards(layers["article"], layers["mended"])))
    trails = [
        SignalLine(
            label, [layer.name for layer in layers[key]], [layer.gradient for layer in layers[key]], colour
        )
        for (key, label), colour in zip(
            (("article", "as the article"), ("mended", "mended")), COMPARED, strict=False
        )
    ]
    title = "gradient in the first step"
    plot(by_layer(trails, title), key="story-gradient", height=HEIGHT, alt=by_layer_alt(trails, title),
         name="alexnet-stl10-gradients", picks=False)  # fmt: skip


def _fixed(failed: Evidence, fixed: Evidence) -> None:
    st.header("The fixed run beside the failed one", anchor=False)
    st.markdown(notice.escape(story_text.compared(failed, fixed)))
    runs = {"as the article": failed, "mended": fixed}
    left, right = st.columns(2, gap="medium")
    with left:
        _picture(losses(runs), "mended-loss")
    with right:
        _picture(accuracies(runs), "mended-accuracy")
    _picture(prediction_counts(runs), "mended-answers")


def _proof() -> None:
    conditions = recorded_conditions(table())
    st.header("The proof: one change at a time", anchor=False)
    st.markdown(notice.escape(story_text.ANSWER))
    for paragraph in story_text.proof(conditions):
        st.markdown(notice.escape(paragraph))
    figure = paired_runs(conditions, 1 / recorded(FAILED).classes)
    plot(figure, key="story-arms", height=HEAD + ROOM * len(conditions), alt=paired_runs_alt(conditions),
         name="alexnet-stl10-conditions", picks=False)  # fmt: skip
    results_table(conditions)


def _cards() -> None:
    with st.expander("How the recorded runs were made", key="story-cards"):
        for name in (FAILED, FIXED):
            st.markdown(
                f"**{notice.escape(recorded(name).title)}.** {notice.escape(story_text.made(card(name)))}"
            )
            st.code(card(name).command, language="bash", wrap_lines=True)
        st.markdown(notice.escape(story_text.paired(table())))
        st.markdown(notice.escape(story_text.measured(fresh())))


def _picture(picture: Lines | Bars, key: str) -> None:
    st.html(f'<p class="story-title">{picture.title}</p>')
    figure = bars(picture) if isinstance(picture, Bars) else lines(picture)
    figure.update_layout(yaxis_rangemode="tozero")  # so that noise of a constant value does not fill the axis
    plot(
        figure, key=f"story-{key}", height=HEIGHT, alt=alt(picture), name=f"alexnet-stl10-{key}", picks=False
    )
