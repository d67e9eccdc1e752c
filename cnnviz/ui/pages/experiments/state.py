"""URL state of the Experiments page: a preset, a demonstration, a started experiment, or one in the link."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from cnnviz import tracking
from cnnviz.experiments import Experiment, Result, SavedExperiment
from cnnviz.experiments.demos import list_demos
from cnnviz.experiments.experiment import MAX_SEEDS, unpack
from cnnviz.experiments.presets import FORMS, Form, Preset, current_name, list_presets
from cnnviz.experiments.recordings import names, recording
from cnnviz.experiments.results import result_of
from cnnviz.tracking import Database
from cnnviz.training.recipe import require_registered
from cnnviz.ui.shared import url_state
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.url_state import quoted


@dataclass(frozen=True)
class PageState:
    """URL state of the page.

    At most one of the first three is set; none means the newest started experiment, or the first preset.
    """

    name: str | None = None
    """Name of a preset or a demonstration."""
    number: int | None = None
    """Number in the run database."""
    test: Experiment | None = None
    """An experiment contained in the link, not started yet."""
    form: Form = "small"
    seeds: int | None = None
    """Seeds per condition; None for the experiment's own number."""
    problems: tuple[str, ...] = ()


def current() -> PageState:
    """Read the state from the page's URL."""
    return read(st.query_params.to_dict(), list(url_state.current().problems))


def read(parameters: Mapping[str, str], problems: list[str]) -> PageState:
    """Validate the parameters; every error becomes a sentence in `problems`."""
    form, seeds = _form(parameters.get("form"), problems), _seeds(parameters.get("seeds"), problems)
    test = _test(parameters.get("test"), parameters.get("parent"), problems)
    if test is not None:
        return PageState(test=test, seeds=seeds, problems=tuple(problems))
    which = parameters.get("experiment")
    if which is None:
        return PageState(form=form, seeds=seeds, problems=tuple(problems))
    if re.fullmatch(r"[0-9]{1,15}", which):
        return PageState(number=int(which), problems=tuple(problems))
    which = current_name(which)
    if which in list_presets() or which in list_demos():
        return PageState(name=which, form=form, seeds=seeds, problems=tuple(problems))
    problems.append(f"There is no experiment {quoted(which)}; another is shown instead.")
    return PageState(problems=tuple(problems))


def choose(which: str) -> None:
    """Select another experiment, for use in callbacks."""
    url_state.change(experiment=which, test=None, form=None, seeds=None)


def _test(text: str | None, parent: str | None, problems: list[str]) -> Experiment | None:
    """Return the experiment in a link, if everything it names is registered, or the data of run `parent`."""
    if text is None:
        return None
    try:
        experiment = unpack(text)
        data = _data_of(parent)
        for name in experiment.names:
            require_registered(experiment.recipe(name), "The experiment in the link", data)
    except (ValueError, OSError) as error:
        problems.append(str(error))
        return None
    return experiment


def _data_of(parent: str | None) -> str | None:
    """Return the data of the run that a link's experiment was made from, according to the run database."""
    if parent is None or re.fullmatch(r"[0-9]{1,15}", parent) is None:
        return None
    try:
        return str(tracking.get_run(run_data.database(), int(parent)).recipe.get("dataset"))
    except tracking.NoSuchRunError:
        return None


def _form(text: str | None, problems: list[str]) -> Form:
    if text is None or text in FORMS:
        return text or FORMS[0]
    problems.append(f"“form” cannot be {quoted(text)}; it can be {' or '.join(FORMS)}.")
    return FORMS[0]


def _seeds(text: str | None, problems: list[str]) -> int | None:
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,3}", text) and 1 <= int(text) <= MAX_SEEDS:
        return int(text)
    problems.append(f"“seeds” cannot be {quoted(text)}, only a whole number from 1 to {MAX_SEEDS}.")
    return None


# The selected experiment, from the run database, the presets, or the link.


@dataclass(frozen=True)
class LoadedExperiment:
    """An experiment with its result."""

    key: str
    """A preset's name, a number, or `test`."""
    experiment: Experiment
    preset: Preset | None = None
    form: Form = "small"
    stored: SavedExperiment | None = None
    result: Result | None = None
    """Result of its runs, or the recorded one; None if there is neither."""
    torch: str = ""
    """torch version of a recorded result; empty for others."""

    @property
    def title(self) -> str:
        """Title in the list."""
        if self.preset is not None:
            return self.preset.title
        return f"{self.stored.id} · {self.experiment.name}" if self.stored else "From a link"


def chosen(
    page_state: PageState, own: Sequence[SavedExperiment], database: Database | None, problems: list[str]
) -> LoadedExperiment:
    """Return the selected experiment; if it does not exist another one, with the reason in `problems`."""
    if page_state.test is not None:
        return LoadedExperiment("test", _seeded(page_state.test, page_state.seeds))
    if page_state.number is not None:
        result = next((stored for stored in own if stored.id == page_state.number), None)
        if result is not None and database is not None:
            return of_stored(database, result)
        problems.append(
            f"There is no experiment {page_state.number} here; another is shown instead. Each app numbers "
            "its own: under Share, whoever started it finds a link for other apps."
        )
    if page_state.name is None and own and database is not None:
        return of_stored(database, own[0])
    return of_preset(list_presets()[page_state.name or next(iter(list_presets()))], page_state)


def of_stored(database: Database, stored: SavedExperiment) -> LoadedExperiment:
    """Return a started experiment with the result of its runs."""
    return LoadedExperiment(
        str(stored.id), stored.experiment, stored=stored, result=result_of(database, stored)
    )


def of_preset(preset: Preset, page_state: PageState) -> LoadedExperiment:
    """Return a preset, with its recorded result if the small form is selected and one ships."""
    experiment = _seeded(preset.form(page_state.form), page_state.seeds)
    if page_state.form != FORMS[0] or preset.name not in names():
        return LoadedExperiment(preset.name, experiment, preset, page_state.form)
    recorded = recording(preset.name)
    return LoadedExperiment(
        preset.name, experiment, preset, page_state.form, result=recorded.result, torch=recorded.torch
    )


def _seeded(experiment: Experiment, seeds: int | None) -> Experiment:
    return experiment if seeds is None else experiment.with_seeds(seeds)
