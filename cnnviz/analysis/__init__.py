"""Static analysis of an architecture: layer table, MACs, receptive field, graph. Imports no torch."""

from cnnviz.analysis.core import analyze
from cnnviz.analysis.diff import Change, Diff, diff
from cnnviz.analysis.export import to_html
from cnnviz.analysis.precomputed import Overview, overview
from cnnviz.analysis.types import (
    KIND_TITLES,
    KINDS,
    Analysis,
    Block,
    Graph,
    Group,
    Kind,
    Node,
    ReceptiveField,
    Row,
    grouped,
)

# The HTML table in notebooks; set here, since the table module imports the types.
setattr(Analysis, "_repr_html_", to_html)  # noqa: B010 (a method that mypy need not know)

__all__ = [
    "KINDS",
    "KIND_TITLES",
    "Analysis",
    "Block",
    "Change",
    "Diff",
    "Graph",
    "Group",
    "Kind",
    "Node",
    "Overview",
    "ReceptiveField",
    "Row",
    "analyze",
    "diff",
    "grouped",
    "overview",
]
