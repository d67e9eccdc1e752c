"""What a design costs, computed once for each design, and how it differs from the list it started from."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from cnnviz.analysis.diff import Diff, Status, diff_rows
from cnnviz.analysis.part import Cost, analyze_fitting, costs, outline
from cnnviz.analysis.types import Analysis
from cnnviz.models.edit import compact
from cnnviz.models.layers import LayerList
from cnnviz.models.mend import misfit
from cnnviz.ui.builder.state import Design

KEPT = 64
"""Designs kept in memory, of all visitors together."""


@dataclass(frozen=True)
class Costed:
    """A design with its analysis as far as it fits, and that of the list it started from."""

    design: Design
    analysis: Analysis
    original: Analysis
    misfit: int | None
    """Place of the first layer that does not fit; None where all do."""
    difference: Diff
    """Layer by layer, a block as one layer."""

    @property
    def by_layer(self) -> dict[str, Cost]:
        """What each layer costs, by its name."""
        return costs(self.design.document, self.analysis)

    @property
    def statuses(self) -> dict[str, Status]:
        """What happened to each layer of the design, by its name."""
        return {change.b.name: change.status for change in self.difference.changes if change.b is not None}


def costed(design: Design) -> Costed:
    """Analyse a design and the list that it started from."""
    return Costed(
        design,
        _analysis(compact(design.document)),
        _analysis(compact(design.original)),
        misfit(design.document),
        _difference(design.original, design.document),
    )


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _analysis(document: str) -> Analysis:
    return analyze_fitting(LayerList.read(document))


def _difference(before: LayerList, after: LayerList) -> Diff:
    """The difference of two lists, by settings alone while some layer does not fit.

    Behind a misfit nobody knows what enters a layer, so nothing can be said of it.
    """
    known = all(step.output_shape is not None for step in after.steps())
    return diff_rows(outline(before, costed=known), outline(after, costed=known))
