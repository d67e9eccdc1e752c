"""The options of a model as widgets, made from the fields that its spec declares."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st
from pydantic.fields import FieldInfo

from cnnviz.models.spec import bounds, choices
from cnnviz.ui import url_state
from cnnviz.ui.url_state import OPTION, Selection, option_text


def options_popover(selection: Selection) -> None:
    """Draw a button that opens the model's options; it says how many differ from the defaults."""
    fields = selection.spec.options.model_fields
    if not fields:
        return
    changed = len(selection.options)
    label = f"Options ({changed} changed)" if changed else "Options"
    with st.popover(label, icon=":material/tune:", type="tertiary"):
        for name, info in fields.items():
            _option(name, info, selection.options.get(name, info.default))
        if changed:
            st.button("Back to the defaults", on_click=partial(_reset, tuple(fields)), key="options-reset")


def _option(name: str, info: FieldInfo, value: Any) -> None:
    key = f"option-{name}"
    st.session_state[key] = value
    title = name.replace("_", " ").capitalize()
    write = partial(_write, name, key)
    accepted = choices(info)
    if info.annotation is bool:
        st.toggle(title, key=key, on_change=write)
    elif accepted:
        st.segmented_control(
            title, accepted, format_func=option_text, key=key, on_change=write, required=True
        )
    else:
        number = int if info.annotation is int else float
        low, high = (None if bound is None else number(bound) for bound in bounds(info))
        st.slider(title, low, high, step=number(1) if number is int else 0.05, key=key, on_change=write)
    if info.description:
        st.caption(info.description)


def _write(name: str, key: str) -> None:
    value = st.session_state[key]
    url_state.change(**{f"{OPTION}{name}": None if value is None else option_text(value)})


def _reset(names: tuple[str, ...]) -> None:
    url_state.change(**{f"{OPTION}{name}": None for name in names})
