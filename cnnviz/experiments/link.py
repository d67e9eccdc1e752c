"""An experiment as a short text that fits into a link, and back."""

from __future__ import annotations

from cnnviz.experiments.experiment import Experiment
from cnnviz.models import packing


def pack(experiment: Experiment) -> str:
    """The experiment as text for a link; raises `ValueError` where it is too long for one."""
    text = packing.packed(experiment.write())
    if text is None:
        raise ValueError("This experiment is too long for a link; take it along as a file.")
    return text


def unpack(text: str) -> Experiment:
    """The experiment that a link holds; raises `ValueError` with one sentence where it holds none."""
    return Experiment.read(packing.unpacked(text, "An", "experiment"))
