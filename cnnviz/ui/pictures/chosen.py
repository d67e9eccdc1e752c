"""The chosen picture itself: what the URL asks for, or the nearest that there is, and why."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.inference.picture import Picture, Refusal
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures import drawing, handed, samples, state
from cnnviz.ui.pictures.data import data_of
from cnnviz.ui.pictures.state import Asked

PAD = (280, 280)
"""Height and width of what is drawn."""


def chosen(network: Network) -> tuple[Asked, Picture, list[str]]:
    """The picture of the page's URL, and sentences where it is not what was asked for."""
    asked, wrong = state.read(st.query_params.get("picture"))
    said = [wrong] if wrong else []
    if asked is not None:
        found = _picture(asked, network)
        if isinstance(found, Picture):
            return asked, found, said
        said.append(f"{found} A bundled picture is shown instead.")
    name = samples.fitting(network.loaded)
    return Asked("sample", name), samples.picture(name), said


def _picture(asked: Asked, network: Network) -> Picture | str:
    """The picture, or a sentence that says why there is none."""
    if asked.kind == "sample":
        known = asked.detail in samples.names(network.loaded)
        return samples.picture(asked.detail) if known else f"There is no bundled picture {asked.detail}."
    if asked.kind == "test":
        return _of_test(int(asked.detail), network)
    if asked.kind == "handed":
        return handed.picture(int(asked.detail)) or (
            "That picture was handed in by somebody else, or too long ago; it is not kept."
        )
    if asked.kind == "drawn" and drawing.emptied():
        return Picture("empty pad", np.zeros((*PAD, 3), np.uint8), mode="L")
    data = drawing.kept() if asked.kind == "drawn" else drawing.taken()
    if data is None:
        return "Nothing has been drawn yet." if asked.kind == "drawn" else "No picture was taken yet."
    found = handed.decoded("drawing" if asked.kind == "drawn" else "camera", data)
    return found.reason if isinstance(found, Refusal) else found


def _of_test(row: int, network: Network) -> Picture | str:
    data = data_of(network)
    if data is None:
        return "The test images of this network's data are not prepared on this machine."
    if row >= len(data.test):
        return f"There are {len(data.test):,} test images; there is none with the number {row:,}."
    image = data.test.pixels(np.array([row]))[0]
    label = data.classes[int(data.test.labels[row])]
    return Picture.of_data(f"test image {row:,}", np.asarray(image), label)
