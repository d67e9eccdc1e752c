"""Recorded results that ship: preset experiments in their small form, as measured.

`python -m cnnviz.experiments.recordings ID…` records finished experiments of the run database.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from cnnviz import tracking
from cnnviz.experiments import get, result
from cnnviz.experiments.experiment import Experiment
from cnnviz.experiments.results import Result
from cnnviz.experiments.verdict import notes
from cnnviz.tracking import Database, Status

FOLDER = Path(__file__).with_name("recorded")


class Recording(NamedTuple):
    """A recorded result, its experiment, and the version of torch."""

    experiment: Experiment
    result: Result
    torch: str


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of the presets with a recorded result."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@functools.lru_cache(maxsize=32)
def recording(name: str) -> Recording:
    """Return a recorded result by name; raise `KeyError` if there is none."""
    if name not in names():
        raise KeyError(name)
    document = orjson.loads((FOLDER / f"{name}.json").read_bytes())
    return Recording(
        Experiment.model_validate(document["experiment"]),
        Result.model_validate(document["result"]),
        document["torch"],
    )


def document(database: Database, experiment_id: int) -> dict[str, Any]:
    """Return the JSON document that ships of an experiment; raise `ValueError` unless all runs have ended."""
    stored = get(database, experiment_id)
    for run in stored.runs.values():
        if run is None or run.status not in (Status.FINISHED, Status.FAILED):
            raise ValueError(f"Experiment {experiment_id} has not been run to its end.")
    content = result(database, experiment_id).model_dump(mode="json")
    content["id"] = None
    for condition in content["arms"]:
        for outcome in condition["outcomes"]:
            outcome["run"] = None
            # Depends on the load of the machine.
            outcome["seconds"] = None
    bare = Result.model_validate(content)
    outcomes = {condition.name: condition.outcomes for condition in bare.conditions}
    differences = [condition.difference for condition in bare.conditions[1:]]
    content["notes"] = notes(outcomes, differences, bare.conditions[0].mean, bare.test_images)
    runs = [run.id for run in stored.runs.values() if run is not None]
    versions = {(tracking.get_run(database, run).versions or {}).get("torch", "") for run in runs} - {""}
    return {
        "experiment": orjson.loads(stored.experiment.write()),
        "result": content,
        "torch": ", ".join(sorted(versions)),
    }


if __name__ == "__main__":
    with tracking.connect() as opened:
        for number in map(int, sys.argv[1:]):
            recorded = document(opened, number)
            path = FOLDER / f"{recorded['experiment']['name']}.json"
            path.write_bytes(orjson.dumps(recorded, option=orjson.OPT_INDENT_2) + b"\n")
