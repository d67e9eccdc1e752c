"""The signal layer by layer: measured in fresh networks, and by arithmetic for what the reader chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

import streamlit as st

from cnnviz import models
from cnnviz.diagnosis import Evidence
from cnnviz.diagnosis.propagation import Passed, Signal, propagated, rectified
from cnnviz.diagnosis.recorded.fresh import CLASSES, STARTS, fresh
from cnnviz.experiments.article_d import FULL
from cnnviz.figures.article_d import Trail, by_layer, by_layer_alt
from cnnviz.figures.numbers import significant
from cnnviz.figures.palette import COMPARED
from cnnviz.models.layers import LayerList, LocalResponseNorm
from cnnviz.training.recipe import Scale
from cnnviz.ui import notice, url_state
from cnnviz.ui.components.plot import plot
from cnnviz.ui.story import words

Value = TypeVar("Value", bound=str)
HEIGHT = 400
Start = Literal["article", "paper", "he"]
STARTING: dict[Start, str] = {
    "article": "the article",
    "paper": "the paper",
    "he": "He",
}
SCALES: dict[Scale, str] = {
    "unit": "pixels 0 to 1",
    "standardised": "standardised",
    "raw-minus-mean": "pixels up to ±255",
}
READS: dict[Scale, str] = {
    "unit": "Pixels in [0, 1]",
    "standardised": "Standardised pixels",
    "raw-minus-mean": "Pixels up to ±255",
}
MEASURED = {"article": "as the article", "paper": "as the paper", "mended": "mended"}


def network(start: Start, normalisation: str) -> LayerList:
    """AlexNet of full size with ten classes, before its first step."""
    spec = models.get("alexnet")
    assert spec.layers is not None
    return spec.layers(CLASSES, FULL, spec.options.parse({"init": start, "normalisation": normalisation}))


def reckoned(start: Start, scale: Scale) -> tuple[Passed, ...]:
    """What arithmetic says of that start on pixels of that scale."""
    normalisation = "lrn-paper" if start == "paper" else "lrn-article"
    return propagated(network(start, normalisation), fresh().entering(scale))


def lost(failed: Evidence) -> None:
    """Draw the section: the choice, the picture, and the arithmetic in words and layer by layer."""
    st.subheader("Where the pictures get lost", anchor=False)
    st.markdown(
        "Show a network that has learned nothing yet many pictures, and ask of each of its values how far "
        "it differs from one picture to the next. That difference is all that later layers can learn from. "
        "Solid lines were measured in AlexNets of full size; the dashed one is reckoned, for the start that "
        "you choose here."
    )
    start, scale = _choices()
    layers = reckoned(start, scale)
    left, right = st.columns([0.42, 0.58], gap="large")
    with left:
        for said in (words.first_layer(layers[0], READS[scale]), words.further(layers), words.biases(layers)):
            if said:
                st.markdown(notice.plain(said))
    with right:
        _picture(layers)
    _layer_by_layer(layers)
    st.markdown(notice.plain(words.noise(failed)))


def _picture(layers: tuple[Passed, ...]) -> None:
    trails = [*_measured(), _trail(layers)]
    title = "difference between pictures"
    plot(by_layer(trails, title), key="story-signal", height=HEIGHT, alt=by_layer_alt(trails, title),
         name="article-d-signal", picks=False)  # fmt: skip


def response() -> None:
    """Draw the section on LRN."""
    st.subheader("Is it the weaker normalisation?", anchor=False)
    first = reckoned("article", "unit")[0]
    square = rectified(Signal(first.spread**2, first.signal), first.bias).square
    weak, strong = (_first_response(network("article", how)) for how in ("lrn-article", "lrn-paper"))
    st.markdown(notice.plain(words.response(weak, strong, square)))


def _choices() -> tuple[Start, Scale]:
    """What the URL says of both, article D's where it says nothing."""
    with st.container(horizontal=True, gap="medium", key="story-choice"):
        start = _choice("start", "Weights start as in", STARTING)
        scale = _choice("pixels", "The network reads", SCALES)
    return start, scale


def _choice(name: str, label: str, titles: Mapping[Value, str]) -> Value:
    values = list(titles)
    key = f"story-{name}"
    chosen, wrong = url_state.choice(name, values, values[0])
    notice.say([wrong] if wrong else [])
    url_state.show_value(key, chosen)

    def write() -> None:
        value = st.session_state[key]
        url_state.change(**{name: None if value == values[0] else value})

    st.segmented_control(
        label, values, key=key, on_change=write, required=True, format_func=lambda value: titles[value]
    )
    return next(value for value in values if value == chosen)


def _measured() -> list[Trail]:
    told = fresh()
    return [
        Trail(
            MEASURED[key],
            ["picture", *(layer.name for layer in told.layers[key])],
            [told.entering(scale).signal, *(layer.signal for layer in told.layers[key])],
            colour,
        )
        for (key, (_, _, scale)), colour in zip(STARTS.items(), COMPARED, strict=False)
    ]


def _trail(layers: tuple[Passed, ...]) -> Trail:
    return Trail(
        "reckoned, as chosen",
        ["picture", *(layer.name for layer in layers)],
        [layers[0].entering.signal, *(layer.signal for layer in layers)],
        COMPARED[3],
        dashed=True,
    )


def _first_response(layers: LayerList) -> LocalResponseNorm:
    return next(layer for layer in layers.layers if isinstance(layer, LocalResponseNorm))


def _layer_by_layer(layers: tuple[Passed, ...]) -> None:
    with st.expander("The arithmetic of every layer", key="story-layers"):
        st.dataframe(
            {
                "layer": [layer.name for layer in layers],
                "values that one output sums, n": [round(layer.inputs) for layer in layers],
                "σ of the weights": [significant(layer.std, 2) for layer in layers],
                "multiplies by σ·√n": [significant(layer.gain, 3) for layer in layers],
                "pictures differ before": [f"{layer.entering.signal:.2g}" for layer in layers],
                "pictures differ after": [f"{layer.signal:.2g}" for layer in layers],
                "spread of all outputs": [f"{layer.spread:.2g}" for layer in layers],
                "bias": [f"{layer.bias:g}" for layer in layers],
            },
            hide_index=True,
        )
        st.caption(
            "Padding counts for less, so n is what a window covers on average. Pooling takes the largest of "
            "its neighbours and lifts values somewhat; that is left out here, so measured lines may lie a "
            "little higher."
        )
