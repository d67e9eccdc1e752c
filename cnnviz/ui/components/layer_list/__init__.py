"""Layer list editor: rows that are selected and reordered by mouse or keyboard, with fixes for misfits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import streamlit as st

from cnnviz.ui.components import component

HERE = Path(__file__).parent
Deed = Literal["select", "move", "remove", "duplicate", "fix", "undo", "redo"]


def layer_list(data: dict[str, Any], *, key: str, on_deed: Callable[[Deed, int, int], None]) -> None:
    """Draw the list; `on_deed(what, place, to)` is called before the page runs again.

    `to` is the new index of a moved layer, or the number of a chosen fix; otherwise it is 0.
    """

    def acted() -> None:
        act = st.session_state[key].get("act") or {}
        if act.get("do") in get_args(Deed):
            on_deed(act["do"], int(act.get("place", 0)), int(act.get("to", 0)))

    component("layer_list", HERE, css="list.css", js=("rows.js", "drag.js", "list.js"))(
        key=key, data=data, on_act_change=acted
    )
