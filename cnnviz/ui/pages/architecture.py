"""Architecture page: bars by layer, module graph, treemap, tables, published figures, and the inspector."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz import models
from cnnviz.analysis import worked_numbers
from cnnviz.analysis.types import BYTES, KIND_TITLES, KINDS, MIB, Analysis, Row
from cnnviz.figures import numbers
from cnnviz.figures.architecture import (
    connections_svg,
    connections_words,
    layer_bars,
    parameter_tree,
    receptive_svg,
    receptive_words,
    treemap_alt,
)
from cnnviz.figures.plotly_theme import KIND_COLORS, Theme
from cnnviz.models.families.lenet import C3_CONNECTIONS
from cnnviz.ui.components.images import layer_bars_chart, picture, treemap_chart
from cnnviz.ui.components.networks import module_graph
from cnnviz.ui.shared import layout, notice, url_state
from cnnviz.ui.shared.model_data import ShownModel, torchinfo_of

if TYPE_CHECKING:
    import pandas as pd


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


# Inspector of the selected layer, with formulas worked out in its numbers.


def inspector(current: ShownModel) -> None:
    """Draw the inspector of the selected layer, with buttons to the previous and next one."""
    analysis = current.analysis
    row = analysis.row(current.selection.layer or "")
    with st.container(border=True, key="inspector"):
        _steps(analysis, row)
        st.html(inspector_html(analysis, row, current.batch))
        _receptive_field(analysis, row)
        _next_steps(current)


def _next_steps(current: ShownModel) -> None:
    """Draw links to other pages for the selection."""
    spec = current.selection.spec
    with st.container(horizontal=True, gap="xsmall", key="next-steps"):
        layout.link("features", "See its feature maps", icon=":material/visibility:", model=spec.name)
        layout.link("compare", "Compare with another", icon=":material/compare:", model=spec.name)
        if spec.layers is not None:
            layer = url_state.layer_text(current.selection.layer)
            layout.link(
                "build", "Change it in Build", icon=":material/construction:", model=spec.name, layer=layer
            )
        # The model's default recipe, not the one selected for another model.
        layout.link(
            "train", "Train it", icon=":material/model_training:", model=spec.name, recipe=None, run=None
        )


def _steps(analysis: Analysis, row: Row) -> None:
    """Draw the buttons to the previous and next layer."""
    index = analysis.rows.index(row)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        _step("Layer before", ":material/chevron_left:", analysis, index - 1)
        st.caption(f"Row {index + 1} of {len(analysis.rows)}", width="stretch", text_alignment="center")
        _step("Layer after", ":material/chevron_right:", analysis, index + 1)


def _step(label: str, icon: str, analysis: Analysis, index: int) -> None:
    exists = 0 <= index < len(analysis.rows)
    name = analysis.rows[index].name if exists else ""
    st.button(
        icon,
        key=f"step-{label}",
        help=f"{label}: {name or '(model)'}" if exists else None,
        disabled=not exists,
        on_click=select_layer,
        args=(name,),
        type="tertiary",
    )


def select_layer(name: str) -> None:
    """Select a layer by writing it to the URL."""
    url_state.change(layer=url_state.layer_text(name))


def inspector_html(analysis: Analysis, row: Row, batch: int) -> str:
    """Return the description of a layer as HTML."""
    return (
        f'<div class="layer" style="--kind: var(--kind-{row.kind})">'
        f"<h2>{breakable(row.name or '(model)')}</h2>"
        f'<p class="what"><span class="kind">{KIND_TITLES[row.kind]}</span> {escape(row.type)}'
        f"{_remarks(row)}</p>"
        f'<p class="shapes">{numbers.shape(row.input_shape)} <span>→</span> '
        f"<b>{numbers.shape(row.output_shape)}</b></p>"
        f'<p class="words">{escape(worked_numbers.in_words(row))}</p>'
        f"{_sums(analysis, row, batch)}</div>"
    )


def breakable(name: str) -> str:
    """Return a qualified name as HTML that may wrap after dots and underscores."""
    return re.sub(r"([._])", r"\1<wbr>", escape(name))


def _sums(analysis: Analysis, row: Row, batch: int) -> str:
    sections = [
        ("Parameters", _sum(row.formula) or "None.", _fraction(row.params, analysis.total_params)),
        (
            "Multiply-adds",
            _sum(worked_numbers.multiply_adds(row)) or "None.",
            _fraction(row.macs, analysis.macs),
        ),
        ("Memory", _memory(row, batch), _fraction(row.outputs, analysis.forward_bytes() // BYTES)),
    ]
    size = worked_numbers.output_size(row)
    if size:
        sections.insert(1, ("Output size", _sum(size), ""))
    return "".join(_section(*section) for section in sections)


def _memory(row: Row, batch: int) -> str:
    if not row.outputs:
        return "None of its own."
    images = f"{batch:,}·" if batch > 1 else ""
    return _sum(f"{images}{row.outputs:,}·{BYTES} bytes = {numbers.mib(row.activation_bytes(batch))}")


def _receptive_field(analysis: Analysis, row: Row) -> None:
    """Draw the receptive field on the input, and describe it."""
    size = (analysis.input_shape[1], analysis.input_shape[2])
    words = receptive_words(row, size)
    section = _section("Receptive field", escape(words), escape(str(row.receptive_field)))
    st.html(f'<div class="layer">{section}</div>')
    alt = f"The input, and what one output of {row.name or 'the model'} sees. {words}"
    name = f"{analysis.model}-{row.name}-receptive-field".replace("/", "-")
    picture(receptive_svg(row, size, alt), name=name, key="receptive", height=262)


def _section(title: str, body: str, share: str) -> str:
    return f"<section><h3>{title}<span>{share}</span></h3><div>{body}</div></section>"


def _sum(text: str) -> str:
    """Return a formula as HTML with its result emphasized."""
    if not text:
        return ""
    terms, equals, result = text.rpartition(" = ")
    return (
        f"<code>{escape(terms)}</code>{equals}<b>{escape(result)}</b>" if equals else f"<b>{escape(text)}</b>"
    )


def _fraction(part: int, whole: int) -> str:
    return f"{numbers.percent(part / whole, 1)} of all" if part and whole else ""


def _remarks(row: Row) -> str:
    sentences = []
    if row.shared_with:
        sentences.append(f"shares its weights with {row.shared_with}")
    if row.calls > 1:
        sentences.append(f"used {row.calls} times")
    if row.frozen:
        sentences.append(f"{row.frozen:,} parameters frozen")
    if row.training_only:
        sentences.append("only in training")
    return escape("".join(f" · {remark}" for remark in sentences))


# The table of layers.

KEY = "layer-table"
ROW_HEIGHT = 35
TALLEST = 560


def layer_table(current: ShownModel) -> None:
    """Draw the table. A click on a row, or any of its cells, selects its layer."""
    analysis = current.analysis
    frame = table_frame(analysis, current.batch)
    chosen = [row.name for row in analysis.rows].index(current.selection.layer or "")
    st.session_state[KEY] = {"selection": {"rows": [chosen], "columns": [], "cells": []}}
    st.dataframe(
        frame,
        key=KEY,
        hide_index=True,
        height=min(TALLEST, ROW_HEIGHT * (len(frame) + 1) + 3),
        column_config=_columns(),
        on_select=lambda: _selected(analysis),
        selection_mode=["single-row", "single-cell"],
        alt=f"Table of the {len(frame)} layers of {analysis.title}",
    )


def table_frame(analysis: Analysis, batch: int) -> pd.DataFrame:
    """Return the table as a data frame, one row per layer in the order of the forward pass."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "layer": row.name or "(model)",
                "kind": [KIND_TITLES[row.kind]],
                "type": row.type,
                "input": numbers.shape(row.input_shape),
                "output": numbers.shape(row.output_shape),
                "parameters": row.params,
                "multiply-adds": row.macs,
                "MiB": row.activation_bytes(batch) / MIB,
                "receptive field": str(row.receptive_field),
                "formula": row.formula,
            }
            for row in analysis.rows
        ]
    )


def _columns() -> dict[str, Any]:
    theme: Theme = "dark" if st.context.theme.type == "dark" else "light"
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "layer": text("Layer", pinned=True),
        "kind": st.column_config.MultiselectColumn(
            "Kind",
            options=[KIND_TITLES[kind] for kind in KINDS],
            color=[KIND_COLORS[kind].of(theme) for kind in KINDS],
        ),
        "type": text("Type"),
        "input": text("Input"),
        "output": text("Output"),
        "parameters": number("Parameters", format="localized"),
        "multiply-adds": number("Multiply-adds", format="localized", help="Products, without bias"),
        "MiB": number("Memory (MiB)", format="%.3f", help="The values it writes, for the batch chosen"),
        "receptive field": text("Receptive field", help="Pixels of the input that one output sees"),
        "formula": text("Parameters worked out"),
    }


def _selected(analysis: Analysis) -> None:
    """Select the clicked row; a second click, which clears the selection, changes nothing."""
    marks = st.session_state[KEY]["selection"]
    places = [row for row, _ in marks["cells"]] or marks["rows"]
    if places:
        select_layer(analysis.rows[places[0]].name)
