"""The pictures of an architecture: bars by layer, and below them one view at a time."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from cnnviz.figures.connections import connections_svg, connections_words
from cnnviz.figures.layer_bars import layer_bars
from cnnviz.figures.treemap import parameter_tree, treemap_alt
from cnnviz.models.lenet1998 import C3_CONNECTIONS
from cnnviz.ui import notice, url_state
from cnnviz.ui.architecture.inspector import select_layer
from cnnviz.ui.architecture.table import layer_table
from cnnviz.ui.components.graph import module_graph
from cnnviz.ui.components.layer_bars import layer_bars_chart
from cnnviz.ui.components.picture import picture
from cnnviz.ui.components.treemap import treemap_chart
from cnnviz.ui.data import Shown

CONNECTED = "lenet5-1998"
"""The model whose connection table is drawn."""
GRAPH_HEIGHT = 560


def bars(current: Shown) -> None:
    """Draw the bars by layer; of very many layers, neighbours share a column unless all are asked for."""
    columns, wrong = url_state.choice("columns", ("groups", "all"), "groups")
    notice.say([wrong] if wrong else [])
    figure = layer_bars(current.analysis, current.batch, current.selection.layer, columns == "all")
    layer_bars_chart(figure, name=_file_name(current), key="layer-bars", on_select=select_layer)
    if figure.grouped:
        _offer(
            f"{figure.layers:,} layers, drawn as {len(figure.columns)} groups of neighbours.",
            "Show every layer",
            "all",
        )
    elif columns == "all":
        _offer(f"All {figure.layers:,} layers, one column each.", "Group neighbours", None)


def _offer(words: str, label: str, columns: str | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(words, width="content")
        st.button(label, key="columns", type="tertiary", on_click=lambda: url_state.change(columns=columns))


def views(current: Shown) -> None:
    """Draw the choice of views and the one that is chosen."""
    known = _views(current)
    chosen, wrong = url_state.choice("view", tuple(known), next(iter(known)))
    notice.say([wrong] if wrong else [])
    st.session_state["view"] = chosen
    st.segmented_control(
        "View",
        list(known),
        format_func=str.capitalize,
        key="view",
        on_change=lambda: url_state.change(view=st.session_state["view"]),
        required=True,
        label_visibility="collapsed",
    )
    known[chosen](current)


def _views(current: Shown) -> dict[str, Callable[[Shown], None]]:
    known: dict[str, Callable[[Shown], None]] = {"graph": _graph, "treemap": _treemap, "table": layer_table}
    return known | {"connections": _connections} if current.selection.spec.name == CONNECTED else known


def _graph(current: Shown) -> None:
    module_graph(
        current.analysis.graph,
        selected=current.selection.layer,
        key="graph",
        height=GRAPH_HEIGHT,
        title=current.analysis.title,
        on_pick=select_layer,
    )


def _treemap(current: Shown) -> None:
    treemap_chart(
        parameter_tree(current.analysis),
        selected=current.selection.layer,
        alt=treemap_alt(current.analysis),
        name=_file_name(current),
        key="treemap",
        on_select=select_layer,
    )


def _connections(_current: Shown) -> None:
    inputs = 1 + max(max(sources) for sources in C3_CONNECTIONS)
    words = connections_words(C3_CONNECTIONS, inputs)
    svg = connections_svg(C3_CONNECTIONS, inputs, words)
    picture(svg, name="lenet5-1998-connections", key="connections", height=260)
    st.caption(
        f"{words} A filled cell means that the map of C3 (column) sees the map of S2 (row): fewer weights, "
        "and maps that must differ because they see different things."
    )


def _file_name(current: Shown) -> str:
    return current.selection.spec.name.replace("/", "-")
