"""The chosen network, loaded once for all visitors: immutable, without hooks, its facts beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.analysis.types import Analysis
from cnnviz.ui import url_state
from cnnviz.ui.inside import handed, references
from cnnviz.ui.result_cache import RESULTS
from cnnviz.ui.runs import store
from cnnviz.ui.url_state import Selection

if TYPE_CHECKING:
    from cnnviz.inference.loaded import Loaded
    from cnnviz.inference.sources import Choice
    from cnnviz.tracking import Database

KEPT = 4
"""Networks held in memory."""


@dataclass(frozen=True, eq=False)
class Network:
    """A network that can be asked, and what is known of it."""

    reference: str
    stamp: str
    """Differs whenever the weights do: the key under which what was computed with them may be kept."""
    loaded: Loaded
    analysis: Analysis
    problems: tuple[str, ...] = ()
    """What was wrong with what was asked for, and what is shown instead, in sentences."""


def choices() -> list[Choice]:
    """What ships and the runs that have a checkpoint here; runs are left out where there is no database."""
    database = _database()
    return list(_choices(database, _state(database)))


def shipped(model: str) -> bool:
    """Whether weights of the model ship with the product."""
    return any(choice.model == model and choice.status == "shipped" for choice in choices())


def network(preferred: Sequence[str] = ()) -> Network:
    """The network that the URL asks for, or what ships instead, and why.

    Where it asks for none, one of the `preferred` models.
    """
    known = choices()
    asked = references.reference(
        st.query_params.to_dict(), known, preferred, own_form=url_state.current().own_form
    )
    said: list[str] = []
    ships = next((choice.reference for choice in known if choice.status == "shipped"), references.FALLBACK)
    for candidate in (asked, ships, references.FALLBACK):
        with _said(said):
            stamp, loaded = _load(candidate)
            title = "" if candidate == asked else f"{loaded.name} is shown instead."
            problems = (f"{said[0]} {title}",) if title else ()
            return Network(candidate, stamp, loaded, _analysis(stamp, loaded), problems)
    raise RuntimeError(f"No network can be shown: {' '.join(said)}")


def other(reference: str) -> Network | None:
    """Another network, for comparing; None where it cannot be had."""
    with _said([]):
        stamp, loaded = _load(reference)
        return Network(reference, stamp, loaded, _analysis(stamp, loaded))
    return None


def _load(reference: str) -> tuple[str, Loaded]:
    if reference.startswith(references.HANDED):
        return reference, handed.loaded(reference)
    form = url_state.current()
    if "model" in st.query_params and reference == f"fresh:{form.spec.name}" and not form.own_form:
        stamp = f"{reference} {form.parameters() | {'layer': ''}}"
        return stamp, _fresh(stamp, form)
    from cnnviz.inference import sources

    database = _database()
    stamp = sources.stamp(reference, database)
    return stamp, _loaded(stamp, reference, database)


@contextlib.contextmanager
def _said(said: list[str]) -> Iterator[None]:
    """What goes wrong becomes a sentence."""
    try:
        yield
    except OSError as error:
        said.append(f"{error.filename or 'The weights'} cannot be read: {error.strerror or error}.")
    except ValueError as error:
        said.append(str(error))


def _database() -> Database | None:
    try:
        return store.database()
    except (ValueError, OSError):
        return None  # the page of runs says what is wrong with it


def _state(database: Database | None) -> str:
    from cnnviz import tracking
    from cnnviz.inference import shipped

    runs = None if database is None else (database.where, tracking.stamp(database))
    return f"{shipped.names()} {runs}"


@st.cache_resource(max_entries=4, show_spinner=False)
def _choices(_database: Database | None, state: str) -> tuple[Choice, ...]:
    from cnnviz.inference import sources

    return tuple(sources.choices(_database))


@RESULTS.cached(keep=2)
def _loaded(stamp: str, reference: str, _database: Database | None) -> Loaded:
    from cnnviz.inference import sources

    return sources.load(reference, _database)


@RESULTS.cached(keep=2)
def _fresh(stamp: str, _form: Selection) -> Loaded:
    from cnnviz.inference.files import fresh

    return fresh(_form.spec.name, _form.classes, _form.size, _form.options)


@st.cache_resource(max_entries=4 * KEPT, show_spinner=False)
def _analysis(stamp: str, _loaded: Loaded) -> Analysis:
    from cnnviz.analysis import analyze

    options = None if _loaded.options is None else _loaded.options.changed()
    return analyze(_loaded.spec, _loaded.side, len(_loaded.classes), options)
