"""The bar of Side by side: two to four models, each with its own settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from cnnviz import models
from cnnviz.figures.palette import COMPARED
from cnnviz.models.spec import bounds, choices
from cnnviz.ui import chrome, notice, url_state
from cnnviz.ui.compare import state
from cnnviz.ui.compare.state import DEFAULT, FEWEST, MOST
from cnnviz.ui.data import Shown
from cnnviz.ui.model_picker import model_picker
from cnnviz.ui.url_state import OPTION, Selection, option_text

CSS = Path(__file__).with_name("compare.css")


def compare_bar(shown: Sequence[Shown]) -> None:
    """Draw a card for each model, and the button that adds one."""
    st.html(CSS)
    hues = " ".join(f".st-key-card-{i} {{ --hue: {hue.css}; }}" for i, hue in enumerate(COMPARED))
    st.html(f"<style>{hues}</style>")
    entries = [one.selection for one in shown]
    with st.container(horizontal=True, gap="small", key="cards"):
        for place, one in enumerate(shown):
            with st.container(key=f"card-{place}", gap="xsmall", width=250):
                _card(entries, place, one)
        if len(entries) < MOST:
            st.button("Add a model", icon=":material/add:", key="add-model", on_click=_add, args=(entries,))


def _card(entries: list[Selection], place: int, one: Shown) -> None:
    key = f"compared-{place}"
    entry = entries[place]
    model_picker(
        f"Model {place + 1}", entry.spec.name, key=key, on_change=partial(_pick, entries, place, key)
    )
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", wrap=False):
        _settings(entries, place, one)
        parameters: dict[str, str | None] = dict.fromkeys(url_state.carried())
        chrome.link("architecture", "Architecture", **(parameters | entry.parameters() | {"layer": None}))
        if len(entries) > FEWEST:
            st.button(
                ":material/close:", key=f"remove-{place}", on_click=_remove, args=(entries, place),
                type="tertiary",
                help=f"Take {entry.spec.title} away",
            )  # fmt: skip


def _pick(entries: list[Selection], place: int, key: str) -> None:
    _replace(entries, place, Selection(models.get(st.session_state[key])))


def _replace(entries: list[Selection], place: int, entry: Selection) -> None:
    state.put([*entries[:place], entry, *entries[place + 1 :]])


def _remove(entries: list[Selection], place: int) -> None:
    state.put([*entries[:place], *entries[place + 1 :]])


def _add(entries: list[Selection]) -> None:
    known = {entry.spec.name for entry in entries}
    candidates = [*DEFAULT, *models.names()]
    state.put([*entries, Selection(models.get(next(name for name in candidates if name not in known)))])


def _settings(entries: list[Selection], place: int, one: Shown) -> None:
    """Classes, input and options of one model, behind a button that says how many are changed."""
    entry = entries[place]
    changed = len(entry.options) + (entry.classes is not None) + (entry.size is not None)
    _, height, width = one.analysis.input_shape
    with st.popover(f"Settings ({changed})" if changed else "Settings", type="tertiary", key=f"set-{place}"):
        _text(entries, place, "classes", str(one.analysis.classes))
        _text(entries, place, "size", url_state.size_text((height, width)))
        for name, info in entry.spec.options.model_fields.items():
            _option(entries, place, name, info)


def _text(entries: list[Selection], place: int, name: str, value: str) -> None:
    key = f"compared-{place}-{name}"
    st.session_state[key] = value
    st.text_input(
        "Classes" if name == "classes" else "Input",
        key=key,
        on_change=lambda: _set(entries, place, name, str(st.session_state[key]).strip()),
    )


def _option(entries: list[Selection], place: int, name: str, info: FieldInfo) -> None:
    key = f"compared-{place}-option-{name}"
    st.session_state[key] = entries[place].options.get(name, info.default)
    title = name.replace("_", " ").capitalize()
    keyed: dict[str, Any] = {
        "key": key,
        "help": info.description,
        "on_change": lambda: _set(entries, place, f"{OPTION}{name}", option_text(st.session_state[key])),
    }
    accepted = choices(info)
    if info.annotation is bool:
        st.toggle(title, **keyed)
    elif accepted:
        st.selectbox(title, accepted, format_func=option_text, **keyed)
    else:
        number = int if info.annotation is int else float
        low, high = (None if bound is None else number(bound) for bound in bounds(info))
        st.number_input(title, low, high, **keyed)


def _set(entries: list[Selection], place: int, name: str, value: str) -> None:
    """Give one model another setting; what it cannot be is said at the next run, and nothing changes."""
    entry = url_state.read({**entries[place].parameters(), name: value})
    if entry.problems:
        notice.later(f"{entry.spec.title}: {entry.problems[0]}")
    else:
        _replace(entries, place, replace(entry, problems=()))
