"""The bar on top: which networks answer; share."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui.inside import references
from cnnviz.ui.inside.address import put
from cnnviz.ui.inside.bar import inside_bar
from cnnviz.ui.inside.weights import choices
from cnnviz.ui.predict.state import MOST, Asked, written

BESIDE = "predict-beside"


def predict_bar(asked: Asked) -> None:
    """Draw it."""
    with inside_bar(asked.networks[0]):
        _beside(asked)


def _beside(asked: Asked) -> None:
    first, *others = asked.networks
    named = references.labels(choices())
    named.pop(first.reference, None)
    for one in others:
        named.setdefault(one.reference, one.loaded.name)
    st.session_state[BESIDE] = [one.reference for one in others]
    st.multiselect(
        "Beside it",
        list(named),
        format_func=lambda reference: named.get(reference, reference),
        key=BESIDE,
        on_change=lambda: put(against=written(st.session_state[BESIDE]), page=None),
        max_selections=MOST - 1,
        label_visibility="collapsed",
        placeholder=f"up to {MOST - 1} more beside it",
        width=430,
    )
