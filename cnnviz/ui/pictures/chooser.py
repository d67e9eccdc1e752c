"""Choosing a picture: bundled ones, test images, one's own files, the camera, a drawing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st

from cnnviz.figures.sprite import Sprite, sprite
from cnnviz.inference.picture import Pixels
from cnnviz.ui.components.drawing_pad import drawing_pad
from cnnviz.ui.components.pictures import Cell, Line, pictures
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures import drawing, handed, samples, state
from cnnviz.ui.pictures.of_data import images_of_data
from cnnviz.ui.pictures.state import Asked, Kind
from cnnviz.ui.pictures.uploads import uploads

KEY = "picture-from"
SOURCES: dict[Kind, str] = {
    "sample": ":material/image: Bundled",
    "test": ":material/grid_view: Test images",
    "handed": ":material/upload: Yours",
    "camera": ":material/photo_camera: Camera",
    "drawn": ":material/draw: Draw",
}
CELL = 52
THUMB = 64


def pad_is_empty(asked: Asked) -> bool:
    """Whether the visitor has the pad in front of them and nothing is drawn on it."""
    return _source(asked) == "drawn" and drawing.kept() is None


def _source(asked: Asked) -> Kind:
    """Where pictures come from: as the visitor chose since the URL was last another, else as the URL says."""
    if KEY not in st.session_state or st.session_state.get(f"{KEY}-for") != asked.text:
        st.session_state[KEY] = asked.kind
        st.session_state[f"{KEY}-for"] = asked.text
    source: Kind = st.session_state[KEY]
    return source


def picture_chooser(network: Network, asked: Asked) -> None:
    """Draw the choice of where pictures come from, and what there is."""
    _source(asked)
    st.segmented_control(
        "Picture from",
        list(SOURCES),
        format_func=SOURCES.__getitem__,
        key=KEY,
        required=True,
        label_visibility="collapsed",
    )
    source: Kind = st.session_state[KEY]
    shown: dict[Kind, Callable[[], None]] = {
        "sample": partial(_samples, network, asked),
        "test": partial(images_of_data, network, asked),
        "handed": partial(_own, asked),
        "camera": _camera,
        "drawn": partial(_pad, asked),
    }
    shown[source]()


def _samples(network: Network, asked: Asked) -> None:
    names = samples.names(network.loaded)
    cells = [Cell(f"{samples.title(name)} ({samples.credit(name)})", f"sample:{name}") for name in names]
    pictures(
        _sample_sheet(tuple(names)), [Line("", cells)], key="picture-samples", name="", cell=CELL,
        alt="Bundled pictures", chosen=asked.text, on_choose=state.choose,
    )  # fmt: skip


@st.cache_data(max_entries=4, show_spinner=False)
def _sample_sheet(names: tuple[str, ...]) -> Sprite:
    return sprite(np.stack([_thumb(samples.picture(name).pixels[..., :3]) for name in names]))


def _thumb(pixels: Pixels) -> Pixels:
    from PIL import Image, ImageOps

    return np.asarray(ImageOps.fit(Image.fromarray(pixels), (THUMB, THUMB))).transpose(2, 0, 1)


def _own(asked: Asked) -> None:
    mine = handed.kept()
    if mine:
        cells = [Cell(one.name, f"handed:{one.number}") for one in mine]
        pictures(
            sprite(handed.sheet(mine)), [Line("", cells)], key="picture-own", alt="Your pictures", name="",
            cell=CELL, chosen=asked.text, on_choose=state.choose,
        )  # fmt: skip
    uploads()


def _camera() -> None:
    taken = st.camera_input("Take a picture", label_visibility="collapsed", width=320)
    if taken is not None and drawing.keep_taken(taken.getvalue()):
        state.choose("camera")
        st.rerun()


def _pad(asked: Asked) -> None:
    drawn = drawing_pad(key="picture-pad")
    other = drawing.keep(drawn)
    if drawn is not None and other:
        state.choose("drawn")
        st.rerun()
    if drawn is None and other and asked.kind == "drawn":
        # It was cleared after the answer above had been drawn.
        st.rerun()
