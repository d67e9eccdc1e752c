"""Predictions of a network for the image: its top classes as bars, and hints on unsuitable input."""

from __future__ import annotations

from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.inference import ClassProbability
from cnnviz.inference.images.read_image import Picture
from cnnviz.interpret.mosaic import Floats
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.inspection import preprocessing
from cnnviz.ui.shared.inspection.model_input import Network
from cnnviz.ui.shared.inspection.preprocessing import PreprocessedImage
from cnnviz.ui.shared.url_state import change_without_model

if TYPE_CHECKING:
    from cnnviz.inference.images.checks import Hint
    from cnnviz.inference.images.preprocessing import Preprocessing
    from cnnviz.inference.weights.loaded_model import Loaded

CSS = Path(__file__).with_name("predictions.css")
TOP = 5
CHANGES = {"invert": "Invert it", "centre": "Center it"}
"""Preprocessing fields that a hint may propose to change, with the button's label."""


def class_probabilities(network: Network, ready: PreprocessedImage) -> Floats:
    """Return the probabilities of all classes, float32 `(classes,)`."""
    return _shares(network.stamp, ready.digest, network, ready)


def top(network: Network, probabilities: Floats) -> list[ClassProbability]:
    """Return the `TOP` most probable classes, in descending order."""
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    return [ClassProbability(network.loaded.classes[index], float(probabilities[index])) for index in order]


def draw_predictions(network: Network, ready: PreprocessedImage) -> None:
    """Draw the top classes as bars, and a note on the network's accuracy."""
    st.html(CSS)
    best = top(network, class_probabilities(network, ready))
    rows = "".join(_row(answer, ready.truth) for answer in best)
    truth = f"<p>True class: <b>{escape(ready.truth)}</b></p>" if ready.truth is not None else ""
    words = ", ".join(f"{answer.name} {numbers.percent(answer.probability, 1)}" for answer in best)
    st.html(
        f'<div class="answers" role="img" aria-label="The network says: {escape(words)}">{rows}</div>{truth}'
    )
    if not network.loaded.trained:
        of = notice.escape(f"Fresh weights{_form(network.loaded)}")
        st.caption(f":material/warning: {of}: nothing was learned, so its answers mean nothing.")
    elif network.loaded.accuracy is not None:
        right = numbers.percent(network.loaded.accuracy, 1)
        st.caption(f"{notice.escape(network.loaded.name)}: {right} of its test images right.")


def _form(loaded: Loaded) -> str:
    """Describe how the network's form differs from its model's default."""
    spec, options = loaded.spec, {} if loaded.options is None else loaded.options.changed()
    differs = [f"{len(loaded.classes):,} classes"] if len(loaded.classes) != spec.classes else []
    differs += [f"input {numbers.shape(loaded.side)}"] if loaded.side != spec.input_shape[1:] else []
    differs += [f"{name.replace('_', ' ')} {url_state.option_text(value)}" for name, value in options.items()]
    return f" ({', '.join(differs)})" if differs else ""


def draw_hints(network: Network, picture: Picture, ready: PreprocessedImage, own: Preprocessing) -> None:
    """Draw hints on what is unsuitable about the image for this network, with buttons that change it.

    Args:
        network: The network.
        picture: The image.
        ready: The preprocessed image.
        own: The network's own preprocessing; a button restores it.
    """
    hints = (
        _hints(network.stamp, ready.digest, picture, ready, network.loaded.centered)
        if network.loaded.trained
        else ()
    )
    for hint in hints:
        st.caption(f":material/help: {notice.escape(hint.text)}")
    changes = [name for name in CHANGES if any(hint.change == name for hint in hints)]
    if not changes and ready.how == own:
        return
    with st.container(horizontal=True, gap="small", key="doubts"):
        for name in changes:
            st.button(
                CHANGES[name], key=f"doubts-{name}", icon=":material/auto_fix:",
                on_click=partial(preprocessing.change, name, True, ready.how, own),
            )  # fmt: skip
        if ready.how != own:
            st.button(
                "As trained", key="doubts-reset", type="tertiary", icon=":material/undo:",
                help="Take back what was changed about how the image goes in.",
                on_click=partial(change_without_model, prep=None),
            )  # fmt: skip


@st.cache_data(max_entries=256, show_spinner=False)
def _hints(
    stamp: str, digest: str, _picture: Picture, _ready: PreprocessedImage, centered: bool
) -> tuple[Hint, ...]:
    from cnnviz.inference.images.checks import hints

    return hints(_picture, _ready.how, centered)


def _row(answer: ClassProbability, truth: str | None) -> str:
    true = ' class="true"' if answer.name == truth else ""
    name = escape(answer.name)
    return (
        f'<div{true}><span title="{name}">{name}</span>'
        f'<i><b style="width:{100 * answer.probability:.1f}%"></b></i>'
        f"<em>{numbers.percent(answer.probability, 1)}</em></div>"
    )


@st.cache_data(max_entries=256, show_spinner=False)
def _shares(stamp: str, digest: str, _network: Network, _ready: PreprocessedImage) -> Floats:
    import torch

    from cnnviz.inference.predict import probabilities

    pixels = torch.from_numpy(_ready.stored)[None]
    values: Floats = probabilities(_network.loaded.model, _ready.how, pixels)[0].numpy()
    return values
