"""What the page's URL asks for: a ready-made experiment, a demonstration, a started one, one in the link."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from cnnviz import tracking
from cnnviz.experiments import Experiment
from cnnviz.experiments.catalogue import FORMS, Form, catalogue
from cnnviz.experiments.demonstrating import every_demonstration
from cnnviz.experiments.experiment import MOST_SEEDS
from cnnviz.experiments.link import unpack
from cnnviz.training.target import require_registered
from cnnviz.ui import url_state
from cnnviz.ui.runs import store
from cnnviz.ui.url_state import quoted


@dataclass(frozen=True)
class Asked:
    """At most one of the first three is given; none means the newest started one, or what ships."""

    name: str | None = None
    """A ready-made experiment, or a demonstration."""
    number: int | None = None
    """Of the run database."""
    test: Experiment | None = None
    """One that the link holds, not yet started."""
    form: Form = "small"
    seeds: int | None = None
    """Seeds for each arm; None for as many as the experiment comes with."""
    problems: tuple[str, ...] = ()


def current() -> Asked:
    """What the page's URL asks for."""
    return read(st.query_params.to_dict(), list(url_state.current().problems))


def read(parameters: Mapping[str, str], said: list[str]) -> Asked:
    """Validate the parameters; every fault becomes a sentence in `problems`."""
    form, seeds = _form(parameters.get("form"), said), _seeds(parameters.get("seeds"), said)
    test = _test(parameters.get("test"), parameters.get("parent"), said)
    if test is not None:
        return Asked(test=test, seeds=seeds, problems=tuple(said))
    which = parameters.get("experiment")
    if which is None:
        return Asked(form=form, seeds=seeds, problems=tuple(said))
    if re.fullmatch(r"[0-9]{1,15}", which):
        return Asked(number=int(which), problems=tuple(said))
    if which in catalogue() or which in every_demonstration():
        return Asked(name=which, form=form, seeds=seeds, problems=tuple(said))
    said.append(f"There is no experiment {quoted(which)}; another is shown instead.")
    return Asked(problems=tuple(said))


def choose(which: str) -> None:
    """Go to another experiment, for use in callbacks."""
    url_state.change(experiment=which, test=None, form=None, seeds=None)


def _test(text: str | None, parent: str | None, said: list[str]) -> Experiment | None:
    """The experiment that a link holds, if all it names is registered, or the data of run `parent`."""
    if text is None:
        return None
    try:
        found = unpack(text)
        data = _data_of(parent)
        for name in found.names:
            require_registered(found.recipe(name), "The experiment in the link", data)
    except (ValueError, OSError) as error:
        said.append(str(error))
        return None
    return found


def _data_of(parent: str | None) -> str | None:
    """The data of the run that a link says its experiment was made from, as the run database has it."""
    if parent is None or re.fullmatch(r"[0-9]{1,15}", parent) is None:
        return None
    try:
        return str(tracking.get_run(store.database(), int(parent)).recipe.get("dataset"))
    except tracking.NoSuchRunError:
        return None


def _form(text: str | None, said: list[str]) -> Form:
    if text is None or text in FORMS:
        return text or FORMS[0]
    said.append(f"“form” cannot be {quoted(text)}; it can be {' or '.join(FORMS)}.")
    return FORMS[0]


def _seeds(text: str | None, said: list[str]) -> int | None:
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,3}", text) and 1 <= int(text) <= MOST_SEEDS:
        return int(text)
    said.append(f"“seeds” cannot be {quoted(text)}, only a whole number from 1 to {MOST_SEEDS}.")
    return None
