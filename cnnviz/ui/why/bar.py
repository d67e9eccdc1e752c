"""The bar on top: which network, which one beside it; share and download."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from cnnviz.ui.inside import references
from cnnviz.ui.inside.address import put
from cnnviz.ui.inside.bar import inside_bar
from cnnviz.ui.inside.weights import Network, choices
from cnnviz.ui.why.drawing import painted, png
from cnnviz.ui.why.found import Found
from cnnviz.ui.why.state import Asked

BESIDE = "why-beside"
NONE = ""


def why_bar(network: Network, asked: Asked) -> None:
    """Draw it."""
    with inside_bar(network):
        _beside(network, asked)


def _beside(network: Network, asked: Asked) -> None:
    named = {NONE: "nothing beside it"} | references.labels(choices())
    named.pop(network.reference, None)
    if asked.other is not None:
        named.setdefault(asked.other.reference, asked.other.loaded.name)
    st.session_state[BESIDE] = NONE if asked.other is None else asked.other.reference
    st.selectbox(
        "Beside it",
        list(named),
        format_func=lambda reference: named.get(reference, reference),
        key=BESIDE,
        on_change=lambda: put(against=st.session_state[BESIDE] or None),
        required=True,
        label_visibility="collapsed",
        placeholder="Type to find a network",
        width=330,
    )


def downloads(shown: Sequence[Found], asked: Asked) -> None:
    """Draw the menu of what can be taken along: pictures and values."""
    with st.popover("Download", icon=":material/download:", type="tertiary", key="why-download"):
        st.caption("The map over the picture, and its values as `cnnviz features` writes them.")
        for place, found in enumerate(shown):
            stem = f"{found.network.loaded.spec.name.replace('/', '-')}-{asked.method}"
            whose = f", {found.network.loaded.name}" if len(shown) > 1 else ""
            _button(f"Picture (PNG){whose}", partial(_picture, found, asked.opacity), f"{stem}.png", place)
            _button(f"Values (NPZ){whose}", partial(values, found), f"{stem}.npz", place)


def _button(label: str, data: partial[bytes], name: str, place: int) -> None:
    st.download_button(
        label, data, name, key=f"why-{place}-{name[-3:]}", on_click="ignore", type="tertiary",
        icon=":material/download:",
    )  # fmt: skip


def _picture(found: Found, opacity: int) -> bytes:
    return png(painted(found, opacity))


def values(found: Found) -> bytes:
    """A file of `attribution` `(H, W)` and `input` `(C, H, W)`, float32."""
    file = io.BytesIO()
    np.savez(file, attribution=found.attribution.values, input=found.ready.tensor[0].numpy())
    return file.getvalue()
