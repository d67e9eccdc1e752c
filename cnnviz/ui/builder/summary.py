"""What the design costs in all, in the same figures as on the Architecture page."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from cnnviz.analysis.checks import check_layers
from cnnviz.figures.layer_bars import layer_bars
from cnnviz.ui.architecture.headline import headline
from cnnviz.ui.builder import state
from cnnviz.ui.builder.cost import Costed
from cnnviz.ui.components.layer_bars import layer_bars_chart
from cnnviz.ui.data import Shown
from cnnviz.ui.structure import problem_boxes


def summary(costed: Costed) -> None:
    """Draw the headline numbers of the layers that fit."""
    design = costed.design
    # What is said of the model is not true of the design.
    told = f"A change of {design.base.title}." if design.edited else design.base.summary
    spec = replace(design.base, summary=design.document.description or told)
    headline(Shown(replace(design.selection, spec=spec), costed.analysis))
    if costed.misfit is not None and costed.analysis.rows:
        last = costed.analysis.rows[-1].name.split(".")[0]
        st.caption(f"These are the figures of the part that fits, up to {last}.")


def structure(costed: Costed) -> None:
    """Draw what the static checks find in the design, as far as it fits."""
    problems = check_layers(costed.design.document)
    if costed.misfit is not None:  # The list says itself what does not fit, or how it has to end.
        problems = tuple(one for one in problems if one.check not in ("misfit", "class-count"))
    problem_boxes(problems)


def bars(costed: Costed) -> None:
    """Draw the bars by layer, if any fits; a click selects the layer of the list."""
    design = costed.design
    if not costed.analysis.rows:
        return
    rows = [row.name for row in costed.analysis.rows]
    chosen = next((name for name in rows if design.step and name.split(".")[0] == design.step.name), None)
    names = design.document.names()

    def choose(row: str) -> None:
        name = row.split(".")[0]
        if name in names:
            state.select(names.index(name))

    figure = layer_bars(costed.analysis, design.batch, chosen)
    layer_bars_chart(figure, name=design.document.name, key="design-bars", on_select=choose)
