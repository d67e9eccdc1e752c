"""One run: how it stands, its curves and matrix, where it comes from, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from cnnviz.figures import measures, numbers
from cnnviz.figures.measures import MISSING
from cnnviz.ui import chrome, notice
from cnnviz.ui.model_bar import share
from cnnviz.ui.runs import actions, edit, origin, rows, state, store
from cnnviz.ui.runs.exports import exports
from cnnviz.ui.runs.keeping import keeping
from cnnviz.ui.runs.matrices import one_matrix
from cnnviz.ui.runs.own_curves import own_curves
from cnnviz.ui.runs.state import Asked

if TYPE_CHECKING:
    from cnnviz.tracking import Run


ENDED = frozenset(("finished", "failed", "stopped", "interrupted"))


def details(run: Run, asked: Asked, known_tags: Sequence[str]) -> None:
    """Draw all of it."""
    from cnnviz import tracking

    kept = tracking.checkpoints(store.database(), run.id)
    _bar(run, list(kept))
    notice.say([*asked.problems, *notice.kept()])
    if run.deleted_at is not None:
        _deleted(run)
    if run.error:
        st.error(notice.plain(run.error), icon=":material/error:")
    st.html(_headline(run))
    left, right = st.columns([3, 2], gap="large")
    with left:
        own_curves(run, asked)
        one_matrix(run, asked)
    with right:
        edit.words(run, known_tags)
        origin.recipe(run)
        keeping(run, kept)
        origin.origin(run)
        origin.happened(run)


def _bar(run: Run, kinds: Sequence[str]) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="run-bar"):
        st.button(
            "All runs", key="run-back", icon=":material/arrow_back:", type="tertiary",
            on_click=lambda: state.change(run=None, cell=None),
        )  # fmt: skip
        st.markdown(f"**Run {run.id}** · {notice.plain(run.name)} · {rows.state_words(run)}", width="stretch")
        with st.container(
            horizontal=True, gap="xsmall", width="content", vertical_alignment="center", key="run-actions"
        ):
            number, model = str(run.id), run.model
            live = "Train" if run.status.value in ENDED else "Watch live"
            chrome.link("train", live, icon=":material/monitoring:", run=number, model=model)
            chrome.link(
                "train", "Change and run again", icon=":material/call_split:", run=None, parent=number,
                model=model,
            )  # fmt: skip
            asked = "Why did it fail?" if run.status.value == "failed" else "Diagnose"
            chrome.link("diagnose", asked, icon=":material/stethoscope:", run=number, model=model)
            exports(run, kinds)
            if run.deleted_at is None and not run.active:
                st.button(
                    "Delete", key="run-delete", icon=":material/delete:", type="tertiary",
                    on_click=actions.delete, args=((run.id,),), help="Can be undone.",
                )  # fmt: skip
            share()


def _deleted(run: Run) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="run-deleted"):
        st.markdown(f"Deleted on {measures.moment(run.deleted_at)}. It is kept until it is removed for good.")
        st.button(
            "Bring back",
            key="run-restore",
            icon=":material/undo:",
            on_click=actions.restore,
            args=((run.id,),),
        )


def _headline(run: Run) -> str:
    """The figures that say most, as the other pages' headlines are drawn."""
    of = f" of {run.total_epochs:g}" if run.total_epochs else ""
    told = [
        (_measured(run, "test/accuracy", best=False), "test accuracy, last"),
        (_measured(run, "test/accuracy", best=True), "best"),
        (f"{run.epoch:.3g}{of}", "epochs"),
        (measures.duration(run.seconds), "in training"),
        (_measured(run, store.SPEED, best=False), "images a second"),
        (MISSING if run.params is None else numbers.short(run.params), "parameters"),
    ]
    figures = "".join(f"<div><b>{escape(v)}</b><span>{escape(what)}</span></div>" for v, what in told)
    return f'<div class="run-headline">{figures}</div>'


def _measured(run: Run, name: str, *, best: bool) -> str:
    metric = run.metrics.get(name)
    if metric is None:
        return MISSING
    value = metric.best if best else metric.last
    return measures.metric_text(name, float("nan") if value is None else value)
