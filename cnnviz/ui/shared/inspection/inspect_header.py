"""Header of the pages that look inside a model: model and image, links to the next pages, the layer strip.

The layer strip shows one small image per layer.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz import models
from cnnviz.analysis.types import Analysis
from cnnviz.inference.images.preprocessing import Preprocessing
from cnnviz.inference.images.read_image import Picture
from cnnviz.interpret.colormaps import DIVERGING, SEQUENTIAL, Theme, apply_colormap
from cnnviz.interpret.mosaic import Floats
from cnnviz.ui.components.images import Pixels
from cnnviz.ui.shared import layout, model_picker, notice, url_state
from cnnviz.ui.shared.inspection import image_input, predictions
from cnnviz.ui.shared.inspection.image_chooser import pad_is_empty, picture_chooser
from cnnviz.ui.shared.inspection.image_input import ImageState, chosen
from cnnviz.ui.shared.inspection.model_input import Network, weights_chooser
from cnnviz.ui.shared.inspection.predictions import PreprocessedImage, draw_hints, draw_predictions, prepared

if TYPE_CHECKING:
    from cnnviz.interpret.branches import Block

# The bar on top: network, controls of the page, share.

CSS = Path(__file__).with_name("inspect_header.css")


@contextlib.contextmanager
def inside_bar(network: Network) -> Iterator[None]:
    """Draw the bar; what is drawn inside the `with` block is part of it."""
    st.html(model_picker.CSS)
    st.html(CSS)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        weights_chooser(network)
        yield
        with st.container(horizontal=True, gap="xsmall", width="content", key="what-actions"):
            sample = f"sample:{image_input.default_sample(network.loaded)}"
            model_picker.share_button(weights=network.reference, picture=sample)


def stepper(
    label: str, named: Mapping[str, str], chosen: str, *, key: str, width: int, choose: Callable[[str], None]
) -> None:
    """Draw a list with buttons to the previous and next value.

    Args:
        label: Label of the list.
        named: Title by value, in order.
        chosen: The selected value.
        key: Key of the widget.
        width: Width in pixels.
        choose: Called with the new value before the page runs again.
    """
    names = list(named)
    index = names.index(chosen)
    _step(f"{label} before", f"{key}-before", "left", names[index - 1] if index else None, choose)
    st.session_state[key] = chosen
    st.selectbox(
        label,
        names,
        format_func=lambda name: named.get(name, name),
        key=key,
        on_change=partial(url_state.pick, key, named, chosen, choose),
        required=True,
        label_visibility="collapsed",
        placeholder=f"Type to find a {label.lower()}",
        width=width,
    )
    _step(f"{label} after", f"{key}-after", "right", (*names[index + 1 :], None)[0], choose)


def _step(label: str, key: str, side: str, to: str | None, choose: Callable[[str], None]) -> None:
    st.button(
        f":material/chevron_{side}:",
        key=key,
        help=label if to is None else f"{label}: {to or '(model)'}",
        disabled=to is None,
        on_click=choose,
        args=(to or "",),
        type="tertiary",
    )


# Choice of the image, with the network's prediction.


@dataclass(frozen=True, eq=False)
class ImageAndModel:
    """An image, preprocessed for a network."""

    which: ImageState
    picture: Picture
    ready: PreprocessedImage
    """The image as the network reads it."""
    own: Preprocessing
    """The network's preprocessing without changes by the URL."""

    def to(self, network: Network) -> PreprocessedImage:
        """Return the image preprocessed for another network."""
        return prepared(self.picture, fitting(network.loaded.preprocessing, self.which))


def choose_image(network: Network, problems: Sequence[str]) -> ImageAndModel:
    """Draw URL errors (`problems` are the page's own), the image chooser, and the prediction."""
    about, sentences = _about(network, problems)
    which, picture, ready = about.which, about.picture, about.ready
    notice.show(sentences)
    left, right = st.columns([0.68, 0.32], gap="large")
    with left:
        picture_chooser(network, which)
    with right:
        if pad_is_empty(which):
            below = "" if which.kind == "drawn" else f" Below: “{notice.escape(picture.name)}”."
            st.caption(f":material/draw: Nothing is drawn yet, so there is no answer.{below}")
        else:
            with st.spinner(f"{network.loaded.name} looks at the image …"):
                draw_predictions(network, ready)
            draw_hints(network, picture, ready, about.own)
    return about


def _about(network: Network, problems: Sequence[str]) -> tuple[ImageAndModel, list[str]]:
    """Return the image that the URL names, preprocessed, and the errors in the URL."""
    which, picture, wrong = chosen(network)
    own = fitting(network.loaded.preprocessing, which)
    current, mismatch = predictions.read_overrides(st.query_params.get("prep"), own)
    sentences = [
        *url_state.current().problems,
        *network.problems,
        *problems,
        *wrong,
        *notice.pending_notices(),
    ]
    about = ImageAndModel(which, picture, prepared(picture, current), own)
    return about, [*sentences, mismatch] if mismatch else sentences


IMAGE, IMAGE_SHOWN = "folded-image", "folded-image-shown"


def choose_image_folded(network: Network, problems: Sequence[str]) -> ImageAndModel:
    """Draw as `question` does, but with the chooser in a popover and without the prediction."""
    about, sentences = _about(network, problems)
    if st.session_state.get(IMAGE_SHOWN) != about.which.text and about.which.kind != "drawn":
        st.session_state[IMAGE] = False
    st.session_state[IMAGE_SHOWN] = about.which.text
    named = notice.escape(about.picture.name)
    with st.popover(f"Image: {named}", icon=":material/image:", key=IMAGE, on_change="rerun"):
        picture_chooser(network, about.which)
    notice.show(sentences)
    return about


def fitting(own: Preprocessing, which: ImageState) -> Preprocessing:
    """Return the network's own preprocessing; a drawn digit is centered like those of the training data."""
    return own.changed(centre=True) if which.kind == "drawn" and own.channels == 1 else own


# Inception blocks, found once per network.


def blocks_of(network: Network) -> tuple[Block, ...]:
    """Return the inception blocks of the network, in order; empty if it has none."""
    return _blocks(network.stamp, network)


@st.cache_resource(max_entries=16, show_spinner=False)
def _blocks(stamp: str, _network: Network) -> tuple[Block, ...]:
    from cnnviz.interpret.branches import blocks

    return blocks(_network.loaded.model, _network.analysis)


# Links to other pages for the same network, image and layer.


def next_links(network: Network, here: str, layer: str | None = None) -> None:
    """Draw links to every other page that supports the network.

    Args:
        network: The network.
        here: Name of the current page.
        layer: The selected layer, by its name in the architecture's table.
    """
    whose = {"weights": network.reference}
    named = url_state.layer_text(layer)
    with st.container(horizontal=True, gap="xsmall", key="next-steps"):
        if here != "features":
            layout.link(
                "features", "What every layer makes of it", icon=":material/visibility:", layer=named, **whose
            )
            layout.link(
                "features", "How the image goes in", icon=":material/input:", view="input", layer=named,
                **whose,
            )  # fmt: skip
        if here != "attribution":
            seen = layer if layer in _cells(network) else None
            layout.link(
                "attribution", "Why it says so", icon=":material/center_focus_strong:", layer=seen, **whose
            )
        if here != "inception" and (blocks := blocks_of(network)):
            inner = any(f"{layer}.".startswith(f"{block.name}.") for block in blocks)
            layout.link(
                "inception", "Its inception blocks", icon=":material/call_split:",
                layer=layer if inner else None, **whose,
            )  # fmt: skip
        if here != "predict":
            layout.link(
                "predict", "Ask it about many images", icon=":material/checklist:", layer=None, **whose
            )
        _model_links(network, named)


def _model_links(network: Network, layer: str | None) -> None:
    loaded = network.loaded
    if loaded.spec.name not in models.specs() and loaded.spec.description is None:
        return
    layout.link(
        "architecture", "What this layer costs" if layer else "What it costs", icon=":material/schema:",
        model=loaded.spec.name, layer=layer, **form(network),
    )  # fmt: skip
    if loaded.spec.description is not None:
        return  # a model read from a data file cannot be trained here
    layout.link(
        "train", "Train this network", icon=":material/play_arrow:", model=loaded.spec.name, layer=layer
    )


def form(network: Network) -> dict[str, str | None]:
    """Return classes, size and options that differ from the model's defaults, as URL parameters."""
    loaded = network.loaded
    spec, options = loaded.spec, {} if loaded.options is None else loaded.options.changed()
    own = spec.input_shape[1:]
    selection = url_state.Selection(
        spec,
        None if len(loaded.classes) == spec.classes else len(loaded.classes),
        None if loaded.side == own else loaded.side,
        options=options,
    ).parameters()
    return {"classes": None, "size": None} | {k: v for k, v in selection.items() if k != "model"}


def _cells(network: Network) -> tuple[str, ...]:
    from cnnviz.interpret.attribution import layers_with_cells

    return layers_with_cells(network.analysis)


# Placeholder while the first network is loaded.


def reserve_height(key: str, height: int) -> contextlib.AbstractContextManager[object]:
    """Reserve `height` pixels on the first visit, which may wait for torch; later nothing shifts.

    `key` is the page's own.
    """
    if key in st.session_state:
        st.empty()  # takes the skeleton's position, without which everything below would be redrawn
        return contextlib.nullcontext()
    st.session_state[key] = True
    return st.skeleton(height=height)


MAX_STRIP_LAYERS = 26
SIDE, CELL, LETTERS = 48, 58, 8


def short(name: str, letters: int = LETTERS) -> str:
    """Shorten a layer's name to its end, which distinguishes it from the others: `…3a` of `inception_3a`.

    It is cut where a part of the name begins, so that a whole one is read; within a part that is too long.
    """
    if len(name) <= letters:
        return name
    end = name[1 - letters :]
    begins = [match.end() for match in re.finditer(r"[._]", end[:-1])]
    whole = name[-letters] in "._"
    return f"…{end if whole or not begins else end[begins[0] :]}"


def strip_layers(analysis: Analysis, known: Collection[str], chosen: str) -> list[str]:
    """Return the layers to show: all known ones if they are few, else the outermost blocks.

    And the chosen one.
    """
    rows = [row.name for row in analysis.predicting if row.name in known and row.outputs]
    for depth in range(8, 0, -1):
        layers = [name for name in rows if name.count(".") < depth]
        if len(layers) <= MAX_STRIP_LAYERS:
            break
    else:
        layers = [layers[int(index)] for index in np.linspace(0, len(layers) - 1, MAX_STRIP_LAYERS)]
    selected = {*layers, chosen}
    return [name for name in rows if name in selected]


def strip_image(maps: Floats, theme: Theme) -> Pixels:
    """Color the map with the largest variance, or a vector as a square: uint8 `(3, SIDE, SIDE)`."""
    count, height, width = maps.shape
    if height * width == 1:
        across = int(np.ceil(np.sqrt(count)))
        values: Floats = np.zeros((across, across), np.float32)
        values.ravel()[:count] = maps.ravel()
    else:
        values = maps[int(np.nan_to_num(maps).reshape(count, -1).std(1).argmax())]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    end = max(abs(low), abs(high))
    colours = (
        apply_colormap(values, -end, end, DIVERGING[theme])
        if low < 0
        else apply_colormap(values, low, high, SEQUENTIAL)
    )
    rows, columns = (np.arange(SIDE) * length // SIDE for length in values.shape)
    return np.ascontiguousarray(colours[rows][:, columns].transpose(2, 0, 1))
