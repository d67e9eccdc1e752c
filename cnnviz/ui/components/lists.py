"""Lists that a page's user acts on: the layers of a network that is edited, and the table of runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import streamlit as st

from cnnviz.ui.components import component

# Layer list editor: rows that are selected and reordered by mouse or keyboard, with fixes for misfits.

LAYER_LIST = Path(__file__).with_name("layer_list")
Deed = Literal["select", "move", "remove", "duplicate", "fix", "undo", "redo"]


def layer_list(data: dict[str, Any], *, key: str, on_deed: Callable[[Deed, int, int], None]) -> None:
    """Draw the list; `on_deed(what, place, to)` is called before the page runs again.

    `to` is the new index of a moved layer, or the number of a chosen fix; otherwise it is 0.
    """

    def acted() -> None:
        act = st.session_state[key].get("act") or {}
        if act.get("do") in get_args(Deed):
            on_deed(act["do"], int(act.get("place", 0)), int(act.get("to", 0)))

    component("layer_list", LAYER_LIST, css="list.css", js=("rows.js", "drag.js", "list.js"))(
        key=key, data=data, on_act_change=acted
    )


# Table of runs with sorting, paging, checkboxes and links; its content is computed in Python.

RUN_TABLE = Path(__file__).with_name("run_table")


def run_table(data: dict[str, Any], *, key: str, on_act: Callable[[dict[str, Any]], None]) -> None:
    """Draw what `cnnviz.ui.pages.runs.rows.payload` made; `on_act` is called before the page runs again.

    Its argument is `{"do": "choose", "runs": [3, 7]}`, `{"do": "open", "run": 3}`, `{"do": "sort", "column":
    "best"}` or `{"do": "page", "page": 2}`. It comes from a browser and must be validated.
    """

    def acted() -> None:
        act = st.session_state[key].get("act")
        if isinstance(act, dict):
            on_act(act)

    component("run_table", RUN_TABLE, css="table.css", js=("row.js", "groups.js", "table.js"))(
        key=key, data=data, on_act_change=acted
    )
