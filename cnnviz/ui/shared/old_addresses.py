"""Addresses that pages once had: each leads on to the page's name of today, with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

MOVED = {"why": "attribution", "side-by-side": "compare"}
"""The path of old, and the page that it leads to."""


def old_pages(routes: Mapping[str, Any]) -> list[Any]:
    """Return a page for each old path that switches to the one in `routes`."""
    return [
        st.Page(partial(_lead_on, routes[name]), title=routes[name].title, url_path=path, visibility="hidden")
        for path, name in MOVED.items()
    ]


def _lead_on(page: Any) -> None:
    st.switch_page(page, query_params=st.query_params.to_dict())
