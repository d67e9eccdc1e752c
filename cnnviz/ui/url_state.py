"""The selection that crosses pages lives in the URL, and only here is it read."""

import streamlit as st

CARRIED = ("model", "classes", "size", "batch", "layer")
"""Parameters that a link to another page takes along, besides every `option.*`."""


def carried() -> dict[str, str]:
    """Return the parameters of the current URL that a link to another page takes along."""
    return {
        name: value
        for name, value in st.query_params.items()
        if name in CARRIED or name.startswith("option.")
    }
