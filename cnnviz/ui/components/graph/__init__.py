"""The interactive module graph: blocks that open and close, laid out and drawn by our own JavaScript."""

from cnnviz.ui.components.graph.mount import module_graph

__all__ = ["module_graph"]
