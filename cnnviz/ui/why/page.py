"""The page in its parts, top to bottom."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui import notice
from cnnviz.ui.inside.answers import shares
from cnnviz.ui.inside.onwards import onwards
from cnnviz.ui.inside.question import question
from cnnviz.ui.inside.weights import Network, network, shipped
from cnnviz.ui.pictures.prepared import Prepared
from cnnviz.ui.why import state
from cnnviz.ui.why.bar import downloads, why_bar
from cnnviz.ui.why.controls import method_choice, settings
from cnnviz.ui.why.drawing import CSS
from cnnviz.ui.why.found import Found, found
from cnnviz.ui.why.panel import panel
from cnnviz.ui.why.state import Asked
from cnnviz.ui.why.strip import strip


def why() -> None:
    """Draw it for the page's URL."""
    st.html(CSS)
    current = network([state.PREFERRED] if shipped(state.PREFERRED) else ())
    asked = state.current(current)
    why_bar(current, asked)
    about = question(current, asked.problems)
    method_choice(asked)
    settings(current, asked, current.loaded.classes[int(shares(current, about.ready).argmax())])
    asking = [(current, about.ready)]
    if asked.other is not None:
        asking.append((asked.other, about.to(asked.other)))
    _panels(asking, asked)
    onwards(current, "why", asked.layer)


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
