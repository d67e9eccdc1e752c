"""The bar's list of weights: what ships, runs, a file of one's own, any model with fresh weights."""

from __future__ import annotations

import streamlit as st

from cnnviz import models
from cnnviz.ui import notice, url_state
from cnnviz.ui.inside import handed, references
from cnnviz.ui.inside.weights import Network, choices

KEY = "weights-name"
TAKEN = "weights-taken"
SAYS_ITSELF = "the file says it"


def weights_chooser(network: Network) -> None:
    """Draw the list with the network chosen, and a way to hand in a weights file."""
    known = choices()
    named = handed.names() | references.labels(known)
    named.setdefault(network.reference, network.loaded.name)
    st.session_state[KEY] = network.reference
    st.selectbox(
        "Network",
        list(named),
        format_func=lambda reference: named.get(reference, reference),
        key=KEY,
        on_change=lambda: choose(st.session_state[KEY]),
        required=True,
        label_visibility="collapsed",
        placeholder="Type to find a network",
        width=400,
    )
    _own_file()


def choose(reference: str) -> None:
    """Make these weights the chosen ones, for use in callbacks."""
    changes = references.parameters(reference, choices())
    # Another form of the model was asked for before; weights that were trained have one of their own.
    options = (name for name in st.query_params if name.startswith(url_state.OPTION))
    changes |= dict.fromkeys(("classes", "size", *options))
    if changes["model"] != url_state.current().spec.name:
        changes |= {"layer": None, "channel": None, "class": None, "prep": None}
    url_state.change(**changes)


def _own_file() -> None:
    with st.popover("File", icon=":material/upload:", type="tertiary", help="Weights from a file of yours"):
        count = st.session_state.setdefault(TAKEN, 0)
        given = st.file_uploader(
            "A checkpoint of cnnviz, a safetensors file, or a PyTorch state dict",
            key=f"weights-upload-{count}",
            max_upload_size=500,
        )
        specs = models.specs()
        model = st.selectbox(
            "Which model its weights are for",
            [SAYS_ITSELF, *specs],
            format_func=lambda name: specs[name].title if name in specs else name,
            key="weights-model",
            help="Files that cnnviz wrote say it themselves.",
        )
        if given is not None and st.button("Load it", type="primary", key="weights-load"):
            _take(given.name, given.getvalue(), None if model == SAYS_ITSELF else str(model))
        st.caption("Nothing in a file is executed: pickled objects are refused. It stays yours alone.")


def _take(name: str, data: bytes, model: str | None) -> None:
    try:
        with st.spinner("Reading the weights …"):
            reference = handed.take(name, data, model)
    except (ValueError, OSError) as error:
        st.error(notice.plain(str(error)))
        return
    st.session_state[TAKEN] += 1
    choose(reference)
    st.rerun()
