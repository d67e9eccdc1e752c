"""The bar on top: which runs are listed, what is measured, and the page's address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from cnnviz.figures import measures
from cnnviz.ui.model_bar import share
from cnnviz.ui.runs import state
from cnnviz.ui.runs.state import DEFAULT_METRIC, Asked
from cnnviz.ui.runs.store import Listing
from cnnviz.ui.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

CSS = Path(__file__).with_name("runs.css")


def bar(asked: Asked, listing: Listing) -> None:
    """Draw the bar."""
    filters = asked.filters
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="runs-bar"):
        if listing.runs or filters.any:
            _find(filters.find)
        chosen: dict[str, tuple[str, ...]] = {
            "status": tuple(status.value for status in filters.statuses),
            "of": filters.models,
            "on": filters.data,
            "tag": filters.tags,
        }
        for name, label, values, tell in _parts(listing.runs):
            _several(name, label, values, chosen[name], tell)
        if listing.runs:
            _metric(asked.metric, listing.metrics)
        with st.container(
            horizontal=True, gap="small", width="content", vertical_alignment="center", key="runs-actions"
        ):
            show_value("runs-deleted", asked.deleted)
            st.toggle(
                "Deleted", key="runs-deleted", on_change=_deleted, help="Show the deleted runs instead."
            )
            share()


def _find(text: str) -> None:
    show_value("runs-find", text)
    st.text_input(
        "Find", key="runs-find", placeholder="Find in names, notes, tags …", width=230,
        label_visibility="collapsed", icon=":material/search:",
        on_change=lambda: state.change(find=str(st.session_state["runs-find"]).strip() or None),
    )  # fmt: skip


def _parts(
    runs: Iterable[RunSummary],
) -> list[tuple[str, str, list[str], Callable[[str], str]]]:
    """Each filter with what there is to choose, the most frequent first."""
    found: dict[str, Counter[str]] = {name: Counter() for name in ("status", "of", "on", "tag")}
    for run in runs:
        found["status"][run.status.value] += 1
        found["of"][run.model] += 1
        found["on"][run.data] += 1
        found["tag"].update(run.tags)
    labels = {"status": "state", "of": "model", "on": "data", "tag": "tag"}
    shown: Callable[[str], str] = str
    return [
        (name, labels[name], [value for value, _ in counts.most_common()],
         shown)
        for name, counts in found.items()
    ]  # fmt: skip


def _several(
    name: str, label: str, values: list[str], chosen: tuple[str, ...], tell: Callable[[str], str]
) -> None:
    key = f"runs-{name}"
    known = [*values, *(value for value in chosen if value not in values)]
    if not known:
        return
    show_value(key, list(chosen))
    st.multiselect(
        label.capitalize(), known, key=key, format_func=tell, placeholder=f"Any {label}", width=150,
        label_visibility="collapsed", on_change=partial(_write, name, key),
    )  # fmt: skip


def _write(name: str, key: str) -> None:
    changes: dict[str, Any] = {name: state.listed(st.session_state[key])}
    state.change(**changes)


def _metric(metric: str, known: tuple[str, ...]) -> None:
    options = list(known) if metric in known else [metric, *known]
    show_value("runs-metric", metric)
    st.selectbox(
        "Measure", options, key="runs-metric", format_func=measures.metric_title, width=210,
        label_visibility="collapsed", help="What the table, the curves and the figures measure.",
        on_change=_measured,
    )  # fmt: skip


def _measured() -> None:
    chosen = str(st.session_state["runs-metric"])
    state.change(metric=None if chosen == DEFAULT_METRIC else chosen)


def _deleted() -> None:
    state.change(deleted="yes" if st.session_state["runs-deleted"] else None, runs=None, cell=None)
