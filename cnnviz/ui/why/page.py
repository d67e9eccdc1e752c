"""The page in its parts, top to bottom."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from cnnviz.ui import chrome, notice, url_state
from cnnviz.ui.features.page import fitting
from cnnviz.ui.inside.answers import answers, doubts, shares
from cnnviz.ui.inside.weights import Network, network
from cnnviz.ui.pictures import overrides
from cnnviz.ui.pictures.chooser import picture_chooser
from cnnviz.ui.pictures.chosen import chosen
from cnnviz.ui.pictures.prepared import Prepared, prepared
from cnnviz.ui.why import state
from cnnviz.ui.why.bar import downloads, why_bar
from cnnviz.ui.why.controls import method_choice, settings
from cnnviz.ui.why.found import Found, found
from cnnviz.ui.why.panel import panel
from cnnviz.ui.why.state import Asked
from cnnviz.ui.why.strip import strip

CSS = Path(__file__).with_name("why.css")


def why() -> None:
    """Draw it for the page's URL."""
    st.html(CSS)
    current = network()
    asked = state.current(current)
    why_bar(current, asked)
    which, picture, wrong = chosen(current)
    own = fitting(current.loaded.preprocessing, which)
    how, mismatch = overrides.read(st.query_params.get("prep"), own)
    said = [*url_state.current().problems, *current.problems, *asked.problems, *wrong, *notice.kept()]
    notice.say([*said, mismatch] if mismatch else said)
    ready = prepared(picture, how)
    left, right = st.columns([0.68, 0.32], gap="large")
    with left:
        picture_chooser(current, which)
    with right:
        answers(current, ready)
        doubts(current, picture, ready)
    method_choice(asked)
    settings(current, asked, current.loaded.classes[int(shares(current, ready).argmax())])
    asking = [(current, ready)]
    if asked.other is not None:
        asking.append((asked.other, prepared(picture, fitting(asked.other.loaded.preprocessing, which))))
    _panels(asking, asked)
    _onwards(current)


def _panels(asking: list[tuple[Network, Prepared]], asked: Asked) -> None:
    shown: list[Found] = []
    columns = st.columns(len(asking), gap="large") if len(asking) > 1 else [st.container()]
    for place, (column, (one, ready)) in enumerate(zip(columns, asking, strict=True)):
        with column:
            reasons = _reasons(one, ready, asked, first=place == 0)
            if reasons is None:
                continue
            shown.append(reasons)
            panel(reasons, asked, named=len(asking) > 1)
            if asked.method == "gradcam":
                strip(reasons, f"why-strip-{place}", choosable=place == 0)
    if shown:
        downloads(shown, asked)


def _reasons(one: Network, ready: Prepared, asked: Asked, first: bool) -> Found | None:
    try:
        return found(one, ready, asked, first)
    except ValueError as error:
        st.info(notice.plain(str(error)), icon=":material/info:")
        return None


def _onwards(current: Network) -> None:
    with st.container(horizontal=True, gap="xsmall", key="next-steps"):
        chrome.link("features", "What every layer makes of it", icon=":material/visibility:")
