"""Article D's failure as pictures, each made from what ships: recorded runs, fresh networks, paired runs."""

from cnnviz.figures.article_d.by_layer import Trail, by_layer, by_layer_alt
from cnnviz.figures.article_d.paired import paired_runs, paired_runs_alt
from cnnviz.figures.article_d.runs import accuracies, answers, losses

__all__ = [
    "Trail",
    "accuracies",
    "answers",
    "by_layer",
    "by_layer_alt",
    "losses",
    "paired_runs",
    "paired_runs_alt",
]
