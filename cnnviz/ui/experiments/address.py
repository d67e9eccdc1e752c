"""How other pages link to the Experiments page."""

from __future__ import annotations

from cnnviz.experiments import Experiment
from cnnviz.experiments.link import pack


def test_parameters(experiment: Experiment) -> dict[str, str]:
    """Query parameters that open the page on an experiment which is yet to be started.

    Raises `ValueError` for one that is too long for a link.
    """
    return {"test": pack(experiment)}
