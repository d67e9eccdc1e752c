"""Model references: the origin of a model as text for a URL; listing them does not import torch.

`checkpoint:NAME` is bundled with the product, `run:12` and `run:12/best` are a run's checkpoints,
`fresh:MODEL` has untrained weights, `torchvision:NAME` has torchvision's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnnviz import models, tracking
from cnnviz.inference import InferenceError
from cnnviz.inference.weights import bundled

if TYPE_CHECKING:
    from cnnviz.inference.weights.loaded_model import Loaded
    from cnnviz.tracking import Database, RunSummary

KINDS = ("checkpoint", "run", "fresh", "torchvision")
MAX_RUNS = 200
"""Maximum number of runs in the list, newest first; others are accessible by number."""
LAST = "last.safetensors"
ACCURACY = "test/accuracy"


@dataclass(frozen=True)
class Choice:
    """Entry in the list of available models, before anything is loaded."""

    reference: str
    title: str
    model: str
    """Registered name of the model."""
    dataset: str
    accuracy: float | None
    """Accuracy on the test images of its data, in [0, 1]."""
    status: str
    """`shipped`, or the status of its run."""


def choices(database: Database | None = None) -> list[Choice]:
    """List the bundled checkpoints, then the runs with a checkpoint on this machine, newest first."""
    choices = [_of_card(name) for name in bundled.names()]
    if database is not None:
        runs = tracking.list_runs(database, metrics=[ACCURACY], limit=MAX_RUNS)
        stored = tracking.stored_runs(database)
        choices += [_of_run(run) for run in runs if run.id in stored or _last(run).exists()]
    return choices


def load(reference: str, database: Database | None = None) -> Loaded:
    """Load the model of a reference; `database` is needed for runs.

    Raises:
        InferenceError: For an unknown reference or unusable weights.
        ValueError: For a model that is no longer available.
    """
    kind, name = _parse(reference)
    if kind == "checkpoint":
        return bundled.load(name)
    if kind == "run":
        from cnnviz.inference.weights.loaders import from_run

        number, _, checkpoint = name.partition("/")
        return from_run(_needed(database), _number(number), checkpoint or "last")
    from cnnviz.inference.weights.loaders import fresh, from_torchvision

    return fresh(name) if kind == "fresh" else from_torchvision(f"torchvision/{name}")


def stamp(reference: str, database: Database | None = None) -> str:
    """Return text that changes with the result of `load`, as a cache key.

    Raises like `load`, but reads no weights.
    """
    kind, name = _parse(reference)
    if kind == "checkpoint":
        path = bundled.weights_path(name)
    elif kind == "run":
        from cnnviz.inference.weights.loaders import checkpoint_path

        number, _, checkpoint = name.partition("/")
        run = tracking.get_run(_needed(database), _number(number))
        path = checkpoint_path(_needed(database), run, checkpoint or "last")
    else:
        spec = models.specs().get(name)
        return f"{reference} {spec.edition}" if spec and spec.edition else reference
    state = path.stat()
    return f"{reference} {state.st_mtime_ns} {state.st_size}"


def _parse(reference: str) -> tuple[str, str]:
    kind, _, name = reference.partition(":")
    if kind not in KINDS or not name:
        forms = "checkpoint:NAME, run:NUMBER, run:NUMBER/best, fresh:MODEL or torchvision:NAME"
        raise InferenceError(f"'{reference[:80]}' names no model; what does is {forms}.")
    return kind, name


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InferenceError(f"A run has a number, not '{text[:40]}'.")
    return int(text)


def _needed(database: Database | None) -> Database:
    if database is None:
        raise InferenceError("Runs lie in the run database, and none was opened.")
    return database


def _of_card(name: str) -> Choice:
    card = bundled.card(name)
    recipe = card.recipe
    model = recipe.layers.name if recipe.layers else recipe.model
    return Choice(f"checkpoint:{name}", name, model, recipe.dataset, card.accuracy, "shipped")


def _of_run(run: RunSummary) -> Choice:
    metric = run.metrics.get(ACCURACY)
    accuracy = metric.last if metric else None
    return Choice(f"run:{run.id}", run.name, run.model, run.dataset, accuracy, run.status.value)


def _last(run: RunSummary) -> Path:
    return tracking.run_folder(run.id, run.key) / LAST
