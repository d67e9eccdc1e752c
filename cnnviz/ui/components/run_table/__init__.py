"""Table of runs with sorting, paging, checkboxes and links; its content is computed in Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from cnnviz.ui.components import component

HERE = Path(__file__).parent


def run_table(data: dict[str, Any], *, key: str, on_act: Callable[[dict[str, Any]], None]) -> None:
    """Draw what `cnnviz.ui.pages.runs.rows.payload` made; `on_act` is called before the page runs again.

    Its argument is `{"do": "choose", "runs": [3, 7]}`, `{"do": "open", "run": 3}`, `{"do": "sort", "column":
    "best"}` or `{"do": "page", "page": 2}`. It comes from a browser and must be validated.
    """

    def acted() -> None:
        act = st.session_state[key].get("act")
        if isinstance(act, dict):
            on_act(act)

    component("run_table", HERE, css="table.css", js=("row.js", "groups.js", "table.js"))(
        key=key, data=data, on_act_change=acted
    )
