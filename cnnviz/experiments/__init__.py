"""Experiments: recipes that differ in one thing, run with the same seeds, and compared by their results.

    experiment = from_change(recipe, {"scale": "standardised"}, "Does normalizing the input help?")
    number = start(database, experiment)        # queued like any other runs
    result(database, number).verdict            # "with the change: +11.2 ± 1.9 points at 5 epochs, n = 5."

Importing this package does not import torch.
"""

from cnnviz.experiments.experiment import METRIC, Cell, Condition, Experiment, from_change
from cnnviz.experiments.results import ConditionResult, Result, result
from cnnviz.experiments.running import SavedExperiment, extend, get, list_all, queue, start, stop

__all__ = [
    "METRIC",
    "Cell",
    "Condition",
    "ConditionResult",
    "Experiment",
    "Result",
    "SavedExperiment",
    "extend",
    "from_change",
    "get",
    "list_all",
    "queue",
    "result",
    "start",
    "stop",
]
