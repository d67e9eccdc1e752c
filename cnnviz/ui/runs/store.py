"""The run database as the page reads it: opened once, its list of runs read again only when it is another."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from cnnviz.tracking import Database, RunSummary

KEPT = 6
LOOK_SECONDS = 2.0
"""How often a page looks whether the processes that train still live, where nobody supervises."""
SPEED, ACCURACY = "images_per_second", "test/accuracy"
"""Shown whatever metric is chosen."""


@dataclass(frozen=True)
class Listing:
    """Every run that is not deleted, or every deleted one, newest first. Shared by all visitors."""

    runs: tuple[RunSummary, ...]
    disk: dict[int, int]
    """Bytes of the checkpoints, by run."""
    metrics: tuple[str, ...]
    """Names of all metrics that any run has logged."""


def database() -> Database:
    """The run database; raises `TrackingError` or `OSError` where it cannot be opened or read.

    Where no supervisor does it, runs whose process is gone are marked now and then.
    """
    from cnnviz.tracking.database import address

    found = _opened(address().render_as_string(hide_password=False))
    now, looks = time.monotonic(), _looks()
    if now - looks.get(found.where, -LOOK_SECONDS) >= LOOK_SECONDS:
        looks[found.where] = now
        _look_after(found)
    found.verify()
    return found


def _look_after(found: Database) -> None:
    from cnnviz.training.supervisor import reconcile, supervised

    with suppress(ValueError, OSError):  # what cannot be read or written is said by the page that needs it
        if not supervised(found):
            reconcile(found, wait=False)


def listing(metric: str, deleted: bool = False) -> Listing:
    """The runs with the values of `metric`; raises `TrackingError` where the database cannot be read."""
    from cnnviz import tracking

    opened = database()
    state = tracking.stamp(opened), _edits().get(opened.where, 0)
    return _listing(opened, opened.where, metric, deleted, state)


def edited() -> None:
    """Note that names, notes, tags or checkpoints were changed, which the database's stamp does not tell."""
    where = database().where
    _edits()[where] = _edits().get(where, 0) + 1


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _opened(url: str) -> Database:
    from cnnviz import tracking

    return tracking.connect(url)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _listing(_opened: Database, where: str, metric: str, deleted: bool, state: Any) -> Listing:
    from cnnviz import tracking

    return Listing(
        tuple(tracking.list_runs(_opened, deleted=deleted, metrics=(metric, SPEED, ACCURACY))),
        tracking.checkpoint_bytes(_opened),
        tuple(tracking.metric_names(_opened)),
    )


@st.cache_resource(show_spinner=False)
def _looks() -> dict[str, float]:
    return {}


@st.cache_resource(show_spinner=False)
def _edits() -> dict[str, int]:
    return {}
