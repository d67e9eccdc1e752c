"""How other pages link to the Experiments page."""

from __future__ import annotations

from cnnviz import datasets
from cnnviz.experiments import Experiment
from cnnviz.experiments.link import pack


def test_parameters(experiment: Experiment, parent: int | None = None) -> dict[str, str]:  # noqa: PT028 it is no test
    """Query parameters that open the page on an experiment which is yet to be started.

    A run's number as `parent` lets the experiment name that run's data, which may be no registered ones.
    Raises `ValueError` for one that is too long for a link.
    """
    registered = experiment.base.dataset in datasets.names()
    return {"test": pack(experiment)} | ({} if registered or parent is None else {"parent": str(parent)})
