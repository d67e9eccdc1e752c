"""The list itself with its tools: add, duplicate, move, remove, undo, redo."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cnnviz.models import edit
from cnnviz.models.layers import KINDS
from cnnviz.models.mend import fixes
from cnnviz.ui import notice
from cnnviz.ui.builder import history, state
from cnnviz.ui.builder.cost import Costed
from cnnviz.ui.builder.payload import payload
from cnnviz.ui.builder.state import Design
from cnnviz.ui.components.layer_list import Deed, layer_list

ADD = "builder-add"


def editor(costed: Costed) -> None:
    """Draw the tools and the list."""
    design = costed.design
    _tools(design)
    offered = fixes(design.document)
    if design.document.layers:
        data = payload(
            design.document, costed.by_layer, costed.statuses, [fix.label for fix in offered], design.place
        )
        layer_list(data, key="layer-list", on_deed=do)
    else:
        st.info("An empty list. Add a convolution first, then an activation, then pooling; end with flatten "
                "and a fully connected layer of one unit a class.", icon=":material/lightbulb:")  # fmt: skip
    if costed.misfit == len(design.document.layers) and design.document.layers:
        st.error(notice.plain(design.document.problem()))
        with st.container(horizontal=True, gap="small"):
            for number, fix in enumerate(offered):
                st.button(fix.label, key=f"end-{number}", on_click=state.put, args=(fix.document,))


def do(deed: Deed, place: int, to: int) -> None:
    """Do what was done in the list."""
    document = state.read().document
    if deed == "select":
        state.select(place)
    elif deed == "move":
        state.attempt(lambda: edit.move(document, place, to), to)
    elif deed == "remove":
        state.attempt(lambda: edit.remove(document, place), min(place, len(document.layers) - 2))
    elif deed == "duplicate":
        state.attempt(lambda: edit.duplicate(document, place), place + 1)
    elif deed == "fix":
        offered = fixes(document)
        if 0 <= to < len(offered):
            state.put(offered[to].document, place)
    else:
        {"undo": history.undo, "redo": history.redo}[deed]()


def _tools(design: Design) -> None:
    place, count = design.place, len(design.document.layers)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="tools"):
        st.menu_button(
            "Add a layer",
            list(KINDS),
            format_func=lambda kind: KINDS[kind].title,
            icon=":material/add:",
            key=ADD,
            on_click=_add,
            type="primary",
            help=f"Behind {design.step.name}" if design.step else "The first one",
        )
        _tool("Duplicate", "content_copy", count > 0, lambda: do("duplicate", place, 0))
        _tool("Up", "arrow_upward", place > 0, lambda: do("move", place, place - 1))
        _tool("Down", "arrow_downward", place < count - 1, lambda: do("move", place, place + 1))
        _tool("Remove", "delete", count > 0, lambda: do("remove", place, 0))
        _tool("Undo", "undo", history.can_undo(), history.undo)
        _tool("Redo", "redo", history.can_redo(), history.redo)


def _tool(label: str, icon: str, usable: bool, act: Callable[[], None]) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        key=f"tool-{label}",
        disabled=not usable,
        on_click=act,
        type="tertiary",
    )


def _add() -> None:
    """Add a layer behind the selected one, set so that it fits if it can, and select it."""
    design = state.read()
    kind = st.session_state[ADD]
    place = design.place + 1 if design.document.layers else 0
    if kind in KINDS:
        new = edit.suggest(design.document, place, kind)
        state.attempt(lambda: edit.add(design.document, place, new), place)
