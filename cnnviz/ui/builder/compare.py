"""The design against the list that it started from: totals before and after, and layer by layer."""

from __future__ import annotations

import streamlit as st

from cnnviz.analysis.types import Row
from cnnviz.figures import numbers
from cnnviz.ui.builder.cost import Costed
from cnnviz.ui.builder.words import words
from cnnviz.ui.diff_table import Side, Sides, diff_sentence, diff_table


def totals(costed: Costed) -> list[str]:
    """What changed in the totals, in words; empty where nothing did."""
    before, after, batch = costed.original, costed.analysis, costed.design.batch
    pairs = (
        ("Parameters", before.total_params, after.total_params, numbers.short),
        ("Multiply-adds", before.macs, after.macs, numbers.macs),
        ("Activations", before.forward_bytes(batch), after.forward_bytes(batch), numbers.mib),
    )
    return [
        f"{title} {tell(old)} → {tell(new)}{_relative(old, new)}"
        for title, old, new, tell in pairs
        if old != new
    ]


def _relative(old: int, new: int) -> str:
    if not old:
        return ""
    change = (new - old) / old
    sign = "+" if change > 0 else "−"
    return f" ({sign}{numbers.percent(abs(change), 1)})" if abs(change) < 10 else f" (×{new / old:.0f})"


def comparison(costed: Costed) -> None:
    """Draw the comparison."""
    design = costed.design
    st.subheader(f"Compared with {design.base.title}", anchor=False)
    if not design.edited:
        st.caption("Nothing is changed yet. Choose a layer above and change one of its settings.")
        return
    fits = all(step.output_shape is not None for step in design.steps)
    documents = {"a": design.original, "b": design.document}
    layers = {side: dict(zip(d.names(), d.layers, strict=True)) for side, d in documents.items()}

    def tell(side: Side, row: Row) -> str:
        return words(layers[side][row.name], documents[side].classes)

    sides = Sides("the original", "the design", tell, counted=fits)
    st.markdown("  \n".join([diff_sentence(costed.difference, sides), *(totals(costed) if fits else [])]))
    diff_table(costed.difference, sides, key="design-diff", file=f"{design.document.name} differences")
