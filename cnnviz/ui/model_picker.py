"""Choosing a model: a list by family that narrows down while one types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from cnnviz import models
from cnnviz.figures import numbers
from cnnviz.ui.data import overview

YOURS = "Yours"


def model_picker(
    label: str,
    chosen: str,
    *,
    key: str,
    on_change: Callable[[], None],
    width: int | Literal["stretch"] = "stretch",
) -> None:
    """Draw the list with `chosen` chosen; `on_change` finds the new name in `st.session_state[key]`."""
    specs = by_family()
    st.session_state[key] = chosen
    st.selectbox(
        label,
        list(specs),
        format_func=lambda name: model_label(specs[name]),
        key=key,
        on_change=on_change,
        required=True,
        label_visibility="collapsed",
        placeholder="Type to find a model",
        width=width,
    )


def by_family() -> dict[str, models.ModelSpec]:
    """Every model by name: the user's own first, then families by the year of their first member."""
    specs = models.specs()
    first: dict[str, int] = {}
    for spec in specs.values():
        if spec.family != YOURS:
            first[spec.family] = min(spec.year, first.get(spec.family, spec.year))
    ordered = sorted(
        specs.values(), key=lambda spec: (first.get(spec.family, 0), spec.family, spec.source != "cnnviz")
    )
    return {spec.name: spec for spec in ordered}


def model_label(spec: models.ModelSpec) -> str:
    """A model in the list: family, title and how large it is."""
    facts = overview().get(spec.name)
    size = f" · {numbers.short(facts.params)}" if facts else ""
    family = "" if spec.title.lower().startswith(spec.family.lower()) else f"{spec.family} › "
    return f"{family}{spec.title}{size}"
