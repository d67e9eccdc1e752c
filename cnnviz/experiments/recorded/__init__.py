"""Results that ship: ready-made experiments in their small form, as they were measured.

`python -m cnnviz.experiments.recorded.record ID` makes one from a finished experiment of the run database.
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
    """A result, the experiment that it is of, and the version of torch that it was measured with."""

    experiment: Experiment
    result: Result
    torch: str


@functools.cache
def names() -> tuple[str, ...]:
    """Names of the ready-made experiments with a recorded result."""
    return tuple(sorted(path.stem for path in HERE.glob("*.json")))


@functools.lru_cache(maxsize=32)
def recording(name: str) -> Recording:
    """The recorded result of that name; raises `KeyError` where none ships."""
    if name not in names():
        raise KeyError(name)
    document = orjson.loads((HERE / f"{name}.json").read_bytes())
    return Recording(
        Experiment.model_validate(document["experiment"]),
        Result.model_validate(document["result"]),
        document["torch"],
    )
