"""Registry of probes, and the function that runs them. Importing this imports no torch.

    evidence = probe(database, run_id)                     # all of them
    evidence = probe(database, run_id, ["overfit-batch"])
    evidence.probes["overfit-batch"]                       # a plain JSON dict

A probe is a function in a module of this package, which registers itself: a short computation on a run's
checkpoint, or on fresh weights of the same recipe.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnviz.datasets import Progress, Step, load
from cnnviz.datasets.spec import silent
from cnnviz.diagnosis.evidence import Evidence
from cnnviz.diagnosis.evidence.from_database import gather

if TYPE_CHECKING:
    from cnnviz.diagnosis.probes.context import ProbeContext
    from cnnviz.tracking import Database


Result = dict[str, Any]
Run = Callable[["ProbeContext"], Result]
Describe = Callable[[Mapping[str, Any]], str]
MISSING = "missing"
"""Only key in the result of a probe that could not run; its value is a sentence with the reason."""


@dataclass(frozen=True)
class Probe:
    """One measurement and the function that makes it."""

    name: str
    """A stable identifier, words joined by hyphens."""
    title: str
    summary: str
    """One sentence: what it measures."""
    ask: Run
    describe: Describe
    """Formats the result as a sentence or two."""
    trained: bool
    """Whether it needs a checkpoint."""


_PROBES: dict[str, Probe] = {}


def register(
    name: str, *, title: str, summary: str, describe: Describe, trained: bool = False
) -> Callable[[Run], Run]:
    """Register the function that makes the probe `name`; it returns JSON-compatible values."""

    def wrap(ask: Run) -> Run:
        if name in _PROBES and _PROBES[name].ask.__qualname__ != ask.__qualname__:
            raise ValueError(f"Two probes are called '{name}'.")
        _PROBES[name] = Probe(name, title, summary, ask, describe, trained)
        return ask

    return wrap


@functools.cache
def probes() -> dict[str, Probe]:
    """Return all probes by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_PROBES.items()))


def probe(
    database: Database, run_id: int, names: Sequence[str] | None = None, progress: Progress = silent
) -> Evidence:
    """Run probes, and return the run's evidence with their results; all probes where no names are given.

    A probe that needs a checkpoint where there is none has the reason under `MISSING`.

    Raises:
        NoSuchRunError: For an unknown run.
        DataError: Where the images are not available.
        ValueError: For an unknown probe, or a model that no longer exists.
    """
    from cnnviz.diagnosis.probes.context import ProbeContext

    selected = _select(names)
    evidence = gather(database, run_id)
    if evidence.kind != "trained":
        raise ValueError(
            f"Run {run_id} was not trained here: its network and data cannot be built from a recipe, so that "
            "there is nothing to probe. Its diagnosis without --probe says what it lacks."
        )
    progress(Step("loading the images", 0, None, ""))
    dataset = load(evidence.recipe.dataset, progress=progress)
    context = ProbeContext.of(database, evidence, dataset)
    results = {}
    for index, item in enumerate(selected):
        progress(Step(item.title, index, len(selected), "probes"))
        missing = item.trained and context.trained is None
        results[item.name] = {MISSING: context.why_untrained} if missing else item.ask(context)
    progress(Step("probes", len(selected), len(selected), "probes"))
    return evidence.model_copy(update={"probes": evidence.probes | results})


def _select(names: Sequence[str] | None) -> list[Probe]:
    available = probes()
    unknown = next((name for name in names or () if name not in available), None)
    if unknown is not None:
        raise ValueError(f"There is no probe '{unknown}'; there are {', '.join(available)}.")
    return [available[name] for name in (available if names is None else dict.fromkeys(names))]
