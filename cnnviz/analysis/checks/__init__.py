"""Static checks of a network's structure, before any training. Importing this imports no torch."""

from cnnviz.analysis.checks.network import Network, OutputActivation

__all__ = ["Network", "OutputActivation"]
