"""Static checks of a network's structure, before any training. Imports no torch.

problems = check_analysis(analyze("lenet5"))       # errors, then warnings, then notes
problems = check_layers(LayerList.read(text))      # the same for a layer list, without building it
"""

from cnnviz.analysis.checks import activations
from cnnviz.analysis.checks.network import Network, OutputActivation
from cnnviz.analysis.checks.registry import (
    SEVERITIES,
    Check,
    Problem,
    Severity,
    check_analysis,
    check_layers,
    checks,
)

__all__ = [
    "SEVERITIES",
    "Check",
    "Network",
    "OutputActivation",
    "Problem",
    "Severity",
    "activations",
    "check_analysis",
    "check_layers",
    "checks",
]
