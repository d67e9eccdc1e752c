"""The experiment that the page shows, from wherever it is: the run database, what ships, or the link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnnviz.experiments import Experiment, Result, Stored
from cnnviz.experiments.answer import of
from cnnviz.experiments.catalogue import FORMS, Form, Ready, catalogue
from cnnviz.experiments.recorded import names, recording
from cnnviz.tracking import Database
from cnnviz.ui.experiments.state import Asked


@dataclass(frozen=True)
class Chosen:
    """One experiment with all that is known of it."""

    key: str
    """A ready-made one's name, a number, or `test`."""
    experiment: Experiment
    ready: Ready | None = None
    form: Form = "small"
    stored: Stored | None = None
    result: Result | None = None
    """Of its runs, or as it ships; None where there is neither."""
    torch: str = ""
    """The version that a shipped result was measured with; empty for others."""

    @property
    def title(self) -> str:
        """What it is called in the list."""
        if self.ready is not None:
            return self.ready.title
        return f"{self.stored.id} · {self.experiment.name}" if self.stored else "From a link"


def chosen(asked: Asked, own: Sequence[Stored], database: Database | None, said: list[str]) -> Chosen:
    """What is asked for; where it cannot be had, why (into `said`), and another."""
    if asked.test is not None:
        return Chosen("test", _seeded(asked.test, asked.seeds))
    if asked.number is not None:
        found = next((stored for stored in own if stored.id == asked.number), None)
        if found is not None and database is not None:
            return of_stored(database, found)
        said.append(
            f"There is no experiment {asked.number} here; another is shown instead. Each app numbers its "
            "own: under Share, whoever started it finds a link for other apps."
        )
    if asked.name is None and own and database is not None:
        return of_stored(database, own[0])
    return of_ready(catalogue()[asked.name or next(iter(catalogue()))], asked)


def of_stored(database: Database, stored: Stored) -> Chosen:
    """A started experiment with what its runs tell."""
    return Chosen(str(stored.id), stored.experiment, stored=stored, result=of(database, stored))


def of_ready(ready: Ready, asked: Asked) -> Chosen:
    """A ready-made experiment, with its recorded result where the small form is asked for and one ships."""
    experiment = _seeded(ready.form(asked.form), asked.seeds)
    if asked.form != FORMS[0] or ready.name not in names():
        return Chosen(ready.name, experiment, ready, asked.form)
    found = recording(ready.name)
    return Chosen(ready.name, experiment, ready, asked.form, result=found.result, torch=found.torch)


def _seeded(experiment: Experiment, seeds: int | None) -> Experiment:
    return experiment if seeds is None else experiment.with_seeds(seeds)
