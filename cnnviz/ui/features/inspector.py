"""What the chosen layer is, in words, and where to take it."""

from __future__ import annotations

import streamlit as st

from cnnviz.analysis import formulas
from cnnviz.figures import numbers
from cnnviz.figures.receptive import receptive_words
from cnnviz.ui import notice
from cnnviz.ui.features.state import Asked
from cnnviz.ui.inside.onwards import onwards
from cnnviz.ui.inside.weights import Network


def inspector(network: Network, asked: Asked) -> None:
    """Draw a line on the layer, and links that take it along."""
    analysis = network.analysis
    row = next((row for row in analysis.rows if row.name == asked.layer.row), None)
    if row is not None:
        side = (analysis.input_shape[1], analysis.input_shape[2])
        words = f"{formulas.in_words(row)} {receptive_words(row, side)}"
        shapes = f"{numbers.shape(row.input_shape)} → {numbers.shape(row.output_shape)}"
        name = notice.plain(asked.layer.name or "(model)")
        st.markdown(f"**{name}** · {shapes} · {notice.plain(words)}")
    onwards(network, "features", row.name if row is not None else None)
