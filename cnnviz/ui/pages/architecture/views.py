"""Views of an architecture: bars by layer, module graph, treemap, tables, and published figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import streamlit as st

from cnnviz import models
from cnnviz.analysis.types import Analysis
from cnnviz.figures import numbers
from cnnviz.figures.layer_bars import layer_bars, parameter_tree, treemap_alt
from cnnviz.models.families.lenet import C3_CONNECTIONS
from cnnviz.ui.components.images import layer_bars_chart, picture, treemap_chart
from cnnviz.ui.components.networks import module_graph
from cnnviz.ui.pages.architecture.inspector import layer_table, select_layer
from cnnviz.ui.shared import notice, url_state
from cnnviz.ui.shared.model_data import ShownModel, torchinfo_of

# Connection table of LeNet-5's C3 as SVG.

CELL = 24
LEFT, TOP = 58, 44


def connections_svg(table: Sequence[Sequence[int]], inputs: int, alt: str) -> str:
    """Draw a grid with a column per map and a row per input map; a filled cell is a connection.

    Args:
        table: `table[map]` lists the connected input maps.
        inputs: Number of input maps.
        alt: Alternative text.
    """
    width, height = LEFT + CELL * len(table) + 4, TOP + CELL * inputs + 4
    return (
        f'<svg class="connections" viewBox="0 0 {width} {height}" role="img" aria-label="{alt}" '
        'xmlns="http://www.w3.org/2000/svg">'
        f'<text x="{LEFT}" y="14">maps of C3</text><text x="0" y="{TOP - 8}">S2</text>'
        f"{''.join(_head(column) for column in range(len(table)))}"
        f"{''.join(_row(table, source) for source in range(inputs))}</svg>"
    )


def connections_words(table: Sequence[Sequence[int]], inputs: int) -> str:
    """Describe the table in a sentence: how many maps are connected to how many inputs."""
    sizes = sorted({len(sources) for sources in table})
    counts = [f"{sum(len(sources) == size for sources in table)} see {size}" for size in sizes]
    return f"Of {len(table)} maps over {inputs} inputs, {', '.join(counts)}."


def _head(column: int) -> str:
    return f'<text class="head" x="{LEFT + CELL * (column + 0.5)}" y="{TOP - 8}">{column}</text>'


def _row(table: Sequence[Sequence[int]], source: int) -> str:
    y = TOP + CELL * source
    cells = "".join(
        f'<rect class="{"seen" if source in sources else "unseen"}" x="{LEFT + CELL * column + 1}" '
        f'y="{y + 1}" width="{CELL - 2}" height="{CELL - 2}" rx="3"/>'
        for column, sources in enumerate(table)
    )
    return f'<text class="head" x="{LEFT - 14}" y="{y + CELL / 2 + 4}">{source}</text>{cells}'


CONNECTED = "lenet5-1998"
"""The model whose connection table is drawn."""
GRAPH_HEIGHT = 560


def bars(current: ShownModel) -> None:
    """Draw the bars by layer; neighbors share a column if there are many layers, unless all are requested."""
    columns, wrong = url_state.choice("columns", ("groups", "all"), "groups")
    notice.show([wrong] if wrong else [])
    figure = layer_bars(current.analysis, current.batch, current.selection.layer, columns == "all")
    layer_bars_chart(figure, name=_file_name(current), key="layer-bars", on_select=select_layer)
    if figure.grouped:
        _offer(
            f"{figure.layers:,} layers, drawn as {len(figure.columns)} groups of neighbors.",
            "Show every layer",
            "all",
        )
    elif columns == "all":
        _offer(f"All {figure.layers:,} layers, one column each.", "Group neighbors", None)


def _offer(words: str, label: str, columns: str | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(words, width="content")
        st.button(label, key="columns", type="tertiary", on_click=lambda: url_state.change(columns=columns))


def views(current: ShownModel) -> None:
    """Draw the choice of views and the selected one."""
    known = _views(current)
    chosen, wrong = url_state.choice("view", tuple(known), next(iter(known)))
    notice.show([wrong] if wrong else [])
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


def _views(current: ShownModel) -> dict[str, Callable[[ShownModel], None]]:
    known: dict[str, Callable[[ShownModel], None]] = {
        "graph": _graph,
        "treemap": _treemap,
        "table": layer_table,
        "torchinfo": _torchinfo,
    }
    return known | {"connections": _connections} if current.selection.spec.name == CONNECTED else known


def _graph(current: ShownModel) -> None:
    module_graph(
        current.analysis.graph,
        selected=current.selection.layer,
        key="graph",
        height=GRAPH_HEIGHT,
        title=current.analysis.title,
        on_pick=select_layer,
    )


def _treemap(current: ShownModel) -> None:
    treemap_chart(
        parameter_tree(current.analysis),
        selected=current.selection.layer,
        alt=treemap_alt(current.analysis),
        name=_file_name(current),
        key="treemap",
        on_select=select_layer,
    )


def _torchinfo(current: ShownModel) -> None:
    """Draw torchinfo's table, and why its figures differ from ours."""
    chosen = current.selection
    try:
        text, differences = torchinfo_of(chosen, current.batch)
    except ValueError as error:
        st.info(notice.escape(str(error)), icon=":material/info:")
        return
    st.caption("As torchinfo prints it, the table of many articles. Where it differs from the figures above:")
    st.markdown("\n".join(f"- {notice.escape(sentence)}" for sentence in differences))
    st.code(text, language=None, height=GRAPH_HEIGHT)


def _connections(_current: ShownModel) -> None:
    inputs = 1 + max(max(sources) for sources in C3_CONNECTIONS)
    words = connections_words(C3_CONNECTIONS, inputs)
    svg = connections_svg(C3_CONNECTIONS, inputs, words)
    picture(svg, name="lenet5-1998-connections", key="connections", height=260)
    st.caption(
        f"{words} A filled cell means that the map of C3 (column) sees the map of S2 (row): fewer weights, "
        "and maps that must differ because they see different things."
    )


def _file_name(current: ShownModel) -> str:
    return current.selection.spec.name.replace("/", "-")


# Published figures against measured ones, and notes on the model.

COUNTED: dict[str, tuple[str, Callable[[Analysis], float]]] = {
    "params": ("parameters", lambda a: a.total_params),
    "macs": ("multiply-adds", lambda a: a.macs),
    "conv_share": ("convolutions' share of the parameters", lambda a: a.conv_params / a.total_params),
    "fc_share": ("fully connected share of the parameters", lambda a: a.fc_params / a.total_params),
    "fc_macs_share": ("fully connected share of the computation", lambda a: a.macs_of("fc") / a.macs),
}
"""Published figures that the analysis can verify: title, and the function that computes it."""
MEASURED = {
    "accuracy": "test accuracy",
    "accuracy_top5": "top-5 test accuracy",
    "error_top5": "top-5 error",
    "train_accuracy": "training accuracy",
    "loss": "test loss",
    "seconds": "training time",
}
"""Published figures that only training can verify."""


def claims(current: ShownModel) -> None:
    """Draw the comparison and the notes, if there are any."""
    spec, analysis = current.selection.spec, current.analysis
    lines = [compare(published, analysis) for published in spec.published]
    notes = [*spec.notes, *analysis.notes]
    if not lines and not notes:
        return
    st.header("Published against measured", anchor=False)
    rows = "".join(
        f"<tr><td>{escape(what)}</td><td>{escape(claim)}</td><td>{escape(counted)}</td><td>{escape(source)}</td></tr>"
        for what, claim, counted, source in lines
    )
    table = (
        "<table><thead><tr><td></td><th>Published</th><th>Measured here</th><th>Source</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if rows
        else ""
    )
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    st.html(f'<div class="claims">{table}<ul>{listed}</ul></div>')


def compare(published: models.Published, analysis: Analysis) -> tuple[str, str, str, str]:
    """Compare a published figure with ours, as (title, published, measured, source).

    A figure that only training can verify is marked as not measured.
    """
    if published.what in COUNTED:
        title, count = COUNTED[published.what]
        format_value = _as_share if published.what.endswith("share") else _as_count
        return title, format_value(published.value), format_value(count(analysis)), published.source
    title = MEASURED.get(published.what, published.what.replace("_", " "))
    on = f" on {published.on}" if published.on else ""
    write = MEASURES.get(published.what, _as_share)
    return f"{title}{on}", write(published.value), "not measured (needs training)", published.source


def _as_share(value: float) -> str:
    return numbers.percent(value, 1)


def _as_count(value: float) -> str:
    return f"{value:,.0f}"


MEASURES: dict[str, Callable[[float], str]] = {"loss": "{:g}".format, "seconds": numbers.duration}
"""Formats of published figures that are not percentages."""
