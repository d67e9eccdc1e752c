"""From the file to the numbers that the network reads: every step shown, and what can be changed."""

from __future__ import annotations

import base64
from functools import partial
from html import escape
from pathlib import Path

import streamlit as st

from cnnviz.inference.preprocessing import Preprocessing
from cnnviz.ui.inside.address import put
from cnnviz.ui.pictures import overrides
from cnnviz.ui.pictures.prepared import Prepared, Shot

CSS = Path(__file__).with_name("steps.css")
LABELS = {
    "oriented": "turn upright",
    "invert": "light and dark exchanged",
    "centre": "centred as MNIST's digits",
    "fit": "other proportions",
    "resample": "filter",
    "background": "behind transparency",
    "scale": "numbers",
}


def preprocessing_steps(ready: Prepared, own: Preprocessing) -> None:
    """Draw the steps of the picture, and the settings; `own` is how the network's pictures go in."""
    how = ready.how
    st.html(CSS)
    st.html(f'<div class="steps">{"".join(map(_step, ready.shots))}</div>')
    st.caption("What the network was trained on went the same way. Change a step, and see what that does.")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="prep"):
        for name in overrides.SWITCHES:
            _switch(name, how, own)
        for name in overrides.CHOICES:
            _choice(name, how, own)
        if how != own:
            st.button("As trained", key="prep-reset", on_click=partial(put, prep=None))


def _step(shot: Shot) -> str:
    height, width = shot.size
    source = f"data:image/png;base64,{base64.b64encode(shot.png).decode()}"
    alt = f"The picture, {shot.name}"
    return (
        f'<figure><div class="frame"><img src="{source}" alt="{escape(alt)}"></div>'
        f"<figcaption><b>{escape(shot.name)}</b> <span>{width}×{height}</span><p>{escape(shot.text)}</p>"
        "</figcaption></figure>"
    )


def _switch(name: str, how: Preprocessing, own: Preprocessing) -> None:
    key = f"prep-{name}"
    st.session_state[key] = getattr(how, name)
    explanation = type(own).model_fields[name].description
    st.toggle(LABELS[name], key=key, help=explanation, on_change=_changed, args=(name, key, how, own))


def _choice(name: str, how: Preprocessing, own: Preprocessing) -> None:
    possible = overrides.values(name, own)
    if len(possible) < 2:
        return
    key = f"prep-{name}"
    st.session_state[key] = getattr(how, name)
    explanation = type(own).model_fields[name].description
    st.selectbox(
        LABELS[name], possible, key=key, help=explanation, width=150, on_change=_changed,
        args=(name, key, how, own),
    )  # fmt: skip


def _changed(name: str, key: str, how: Preprocessing, own: Preprocessing) -> None:
    overrides.change(name, st.session_state[key], how, own)
