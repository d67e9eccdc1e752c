"""The bar on top: which experiment, in which size, and what can be taken along."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import streamlit as st

from cnnviz import datasets
from cnnviz.experiments import Stored
from cnnviz.experiments.catalogue import FORMS, catalogue
from cnnviz.experiments.demonstrating import Demonstration, every_demonstration
from cnnviz.ui import url_state
from cnnviz.ui.experiments import state
from cnnviz.ui.experiments.address import test_parameters as parameters
from cnnviz.ui.experiments.chosen import Chosen
from cnnviz.ui.experiments.exports import exports
from cnnviz.ui.model_bar import share
from cnnviz.ui.url_state import show_value

WHICH, FORM = "experiments-which", "experiments-form"
FORM_NAMES = {"small": "For a laptop", "large": "For a GPU"}


def bar(now: Chosen | Demonstration, own: Sequence[Stored]) -> None:
    """Draw it."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="experiments-bar"):
        _which(now, own)
        if isinstance(now, Chosen) and now.ready is not None:
            _form(now)
        with st.container(horizontal=True, gap="xsmall", width="content", key="experiments-actions"):
            if isinstance(now, Chosen):
                exports(now)
            share(_elsewhere(now))


def _elsewhere(now: Chosen | Demonstration) -> str | None:
    """An address that holds a started experiment itself, for other apps.

    None for others, where it is too long for one, and where it names data that other apps have not.
    """
    if (
        not isinstance(now, Chosen)
        or now.stored is None
        or now.experiment.base.dataset not in datasets.names()
    ):
        return None
    try:
        return f"{st.context.url}?{urlencode(parameters(now.experiment))}"
    except ValueError:
        return None


def _which(now: Chosen | Demonstration, own: Sequence[Stored]) -> None:
    labels = {str(stored.id): f"{stored.id} · {stored.experiment.question}" for stored in own}
    labels |= {ready.name: ready.title for ready in catalogue().values()}
    labels |= {shown.name: shown.title for shown in every_demonstration().values()}
    key = now.key if isinstance(now, Chosen) else now.name
    labels.setdefault(key, now.title)
    show_value(WHICH, key)
    st.selectbox(
        "Experiment", list(labels), key=WHICH, format_func=lambda one: labels.get(one, one), width=400,
        label_visibility="collapsed", on_change=lambda: state.choose(str(st.session_state[WHICH])),
    )  # fmt: skip


def _form(now: Chosen) -> None:
    show_value(FORM, now.form)
    st.segmented_control(
        "Size", FORMS, key=FORM, format_func=lambda form: FORM_NAMES[form], required=True,
        label_visibility="collapsed", on_change=_formed,
        help="The small form takes minutes on two cores, offline; the large one has the articles' data.",
    )  # fmt: skip


def _formed() -> None:
    form = str(st.session_state[FORM])
    url_state.change(form=None if form == FORMS[0] else form)
