"""The slim bar on top: which model, how many classes, what input, what batch; share and download."""

from __future__ import annotations

import contextlib
import json
from functools import partial
from pathlib import Path

import streamlit as st

from cnnviz.analysis.export import to_csv, to_json, to_markdown
from cnnviz.analysis.types import Analysis
from cnnviz.ui import notice, url_state
from cnnviz.ui.data import Shown, shown
from cnnviz.ui.model_options import options_popover
from cnnviz.ui.model_picker import model_picker

CSS = Path(__file__).with_name("model_bar.css")
PAGE_HEIGHT = 1000
"""Pixels, kept free while the first model is analysed; later ones replace what is there."""


def _json(analysis: Analysis, batch: int) -> str:
    return json.dumps(to_json(analysis, batch), indent=2)


EXPORTS = (
    ("CSV", "csv", "text/csv", to_csv),
    ("Markdown", "md", "text/markdown", to_markdown),
    ("JSON", "json", "application/json", _json),
)


def model_bar() -> Shown:
    """Draw the bar for the page's URL, and a notice of what is wrong in it; return what is to be shown."""
    st.html(CSS)
    with _kept_free():
        current = shown(url_state.current())
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="what"):
        _what(current)
    notice.say(current.selection.problems)
    return current


def _kept_free() -> contextlib.AbstractContextManager[object]:
    """Room for the page on a first visit, which may have to wait for torch; nothing that jumps later."""
    if "what-drawn" in st.session_state:
        st.empty()  # holds the skeleton's place, without which all that follows would be drawn anew
        return contextlib.nullcontext()
    st.session_state["what-drawn"] = True
    return st.skeleton(height=PAGE_HEIGHT)


def _what(current: Shown) -> None:
    selection, analysis = current.selection, current.analysis
    write = partial(_write, "model", "what-name")
    model_picker("Model", selection.spec.name, key="what-name", on_change=write, width=380)
    _field("classes", str(analysis.classes), "How many classes the network tells apart.", 142)
    _field(
        "size",
        url_state.size_text((analysis.input_shape[1], analysis.input_shape[2])),
        "Pixels of the input: one number for a square, or height x width such as 224x192.",
        142,
        label="input",
    )
    _field("batch", str(selection.batch), "Images at a time. Memory for activations grows with it.", 128)
    options_popover(selection)
    with st.container(horizontal=True, gap="xsmall", width="content", key="what-actions"):
        share()
        _download(current)


def _field(name: str, value: str, explanation: str, width: int, label: str | None = None) -> None:
    """One number of the bar, as text: whatever is typed goes to the URL, where it is validated."""
    key = f"what-{name}"
    st.session_state[key] = value
    st.text_input(label or name, key=key, help=explanation, on_change=_write, args=(name, key), width=width)


def _write(name: str, key: str) -> None:
    url_state.change(**{name: str(st.session_state[key]).strip() or None})


def share(elsewhere: str | None = None) -> None:
    """Draw the button that shows the page's address.

    `elsewhere` is an address for people with another app, where this one's numbers mean nothing.
    """
    with st.popover("Share", icon=":material/link:", type="tertiary"):
        st.caption("This address opens what you see now.")
        st.code(url_state.address(), language=None, wrap_lines=True)
        if elsewhere is not None:
            st.caption("This one opens it in anybody's cnnviz, ready to be started; it holds no runs.")
            st.code(elsewhere, language=None)


def _download(current: Shown) -> None:
    analysis, batch = current.analysis, current.batch
    stem = current.selection.spec.name.replace("/", "-")
    with st.popover("Download", icon=":material/download:", type="tertiary"):
        st.caption("The table of layers, with every figure.")
        for label, suffix, mime, write in EXPORTS:
            st.download_button(
                label,
                partial(write, analysis, batch),
                f"{stem}.{suffix}",
                mime,
                key=f"download-{suffix}",
                on_click="ignore",
                type="tertiary",
            )
