"""The table of layers: exact figures, kinds in their colours, one row selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.analysis.types import KIND_TITLES, KINDS, MIB, Analysis
from cnnviz.figures import numbers
from cnnviz.figures.palette import KIND_COLOURS, Theme
from cnnviz.ui.architecture.inspector import select_layer
from cnnviz.ui.data import Shown

if TYPE_CHECKING:
    import pandas as pd

KEY = "layer-table"
ROW_HEIGHT = 35
TALLEST = 560


def layer_table(current: Shown) -> None:
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
    """The table as data, a row a layer in the order of the pass."""
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
            color=[KIND_COLOURS[kind].of(theme) for kind in KINDS],
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
    """Select the row that was clicked; a second click, which takes the mark away, changes nothing."""
    marks = st.session_state[KEY]["selection"]
    places = [row for row, _ in marks["cells"]] or marks["rows"]
    if places:
        select_layer(analysis.rows[places[0]].name)
