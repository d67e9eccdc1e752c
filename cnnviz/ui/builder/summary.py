"""What the design costs in all, in the same figures as on the Architecture page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from cnnviz.analysis.checks import Problem, check_layers
from cnnviz.figures.layer_bars import layer_bars
from cnnviz.ui.architecture.headline import headline
from cnnviz.ui.builder import state
from cnnviz.ui.builder.cost import Costed
from cnnviz.ui.components.layer_bars import layer_bars_chart
from cnnviz.ui.data import Shown


def summary(costed: Costed, problems: Sequence[Problem]) -> None:
    """Draw the headline numbers of the layers that fit, and how many problems are described further down."""
    design = costed.design
    # What is said of the model is not true of the design.
    told = f"A change of {design.base.title}." if design.edited else design.base.summary
    about = design.document.description or told
    spec = replace(design.base, summary=f"{about} {_counts(problems)}".rstrip())
    headline(Shown(replace(design.selection, spec=spec), costed.analysis))
    if costed.misfit is not None and costed.analysis.rows:
        last = costed.analysis.rows[-1].name.split(".")[0]
        st.caption(f"These are the figures of the part that fits, up to {last}.")


def structure(costed: Costed) -> tuple[Problem, ...]:
    """Return what the static checks find in the design, as far as it fits."""
    problems = check_layers(costed.design.document)
    if costed.misfit is None:
        return problems
    # The list says itself what does not fit, or how it has to end.
    return tuple(one for one in problems if one.check not in ("misfit", "class-count"))


def _counts(problems: Sequence[Problem]) -> str:
    """`2 errors and 1 warning are described below the layer's settings.`; empty for none."""
    counts = [(kind, sum(one.severity == kind for one in problems)) for kind in ("error", "warning")]
    named = [f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts if count]
    if not named:
        return ""
    verb = "is" if sum(count for _, count in counts) == 1 else "are"
    return f"{' and '.join(named)} {verb} described below the layer's settings."


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
