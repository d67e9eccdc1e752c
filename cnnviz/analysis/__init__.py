"""Facts of an architecture, without running it. Importing this imports no torch."""

from cnnviz.analysis.core import analyze
from cnnviz.analysis.diff import Change, Diff, diff
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
