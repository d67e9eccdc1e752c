"""Recorded results that ship: preset experiments in their small form, as measured.

`python -m cnnviz.experiments.recorded.record ID` creates one from a finished experiment of the run database.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import orjson

from cnnviz.experiments.experiment import Experiment
from cnnviz.experiments.results import Result

HERE = Path(__file__).parent


class Recording(NamedTuple):
    """A recorded result, its experiment, and the version of torch."""

    experiment: Experiment
    result: Result
    torch: str


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of the presets with a recorded result."""
    return tuple(sorted(path.stem for path in HERE.glob("*.json")))


@functools.lru_cache(maxsize=32)
def recording(name: str) -> Recording:
    """Return a recorded result by name; raise `KeyError` if there is none."""
    if name not in names():
        raise KeyError(name)
    document = orjson.loads((HERE / f"{name}.json").read_bytes())
    return Recording(
        Experiment.model_validate(document["experiment"]),
        Result.model_validate(document["result"]),
        document["torch"],
    )
