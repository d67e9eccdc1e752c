"""Test images of the data that a network was trained on: by class, or the ones that it gets wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures.sprite import Sprite, sprite
from cnnviz.ui import notice
from cnnviz.ui.components.pictures import Cell, Line, pictures
from cnnviz.ui.dataset import waiting
from cnnviz.ui.inside.weights import Network
from cnnviz.ui.pictures import data, state
from cnnviz.ui.pictures.data import Rows
from cnnviz.ui.pictures.state import Asked
from cnnviz.ui.result_cache import RESULTS

if TYPE_CHECKING:
    from cnnviz.datasets import Dataset

ALL, WRONG = "all classes", "the ones it gets wrong"
CLASS, PAGE = "picture-class", "picture-page"
AT_ONCE = 22
CELL = 52


def images_of_data(network: Network, asked: Asked) -> None:
    """Draw them, or what it takes to have them."""
    name = network.loaded.dataset
    if not name:
        st.caption(
            "Nobody knows what this network was trained on, so there are no test images to choose from."
        )
        return
    found = data.data_of(network)
    if found is None:
        _offer(name)
        return
    chosen = st.session_state.get(CLASS, ALL)
    answers = data.known_answers(network, found) if chosen == WRONG else None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.selectbox(
            "Which", [ALL, WRONG, *found.classes], key=CLASS, label_visibility="collapsed", width=220,
            on_change=lambda: st.session_state.update({PAGE: 0}),
        )  # fmt: skip
        rows = _rows(found, chosen, answers)
        page = _paging(len(rows))
    if chosen == WRONG and answers is None:
        _ask(network, found)
        return
    _sheet(found, rows[page * AT_ONCE : (page + 1) * AT_ONCE], answers, asked)


def _rows(found: Dataset, chosen: str, answers: Rows | None) -> Rows:
    if chosen == WRONG:
        return np.empty(0, np.int64) if answers is None else np.flatnonzero(answers != found.test.labels)
    return data.of_class(found, None if chosen == ALL else found.classes.index(chosen))


def _paging(count: int) -> int:
    pages = max(1, math.ceil(count / AT_ONCE))
    page = int(np.clip(st.session_state.get(PAGE, 0), 0, pages - 1))
    for label, icon, to in (("before", "left", page - 1), ("after", "right", page + 1)):
        st.button(
            f":material/chevron_{icon}:", key=f"{PAGE}-{label}", type="tertiary", help=f"Pictures {label}",
            disabled=not 0 <= to < pages, on_click=st.session_state.update, args=({PAGE: to},),
        )  # fmt: skip
    st.caption(f"{count:,} images, page {page + 1:,} of {pages:,}", width="content")
    return page


def _sheet(found: Dataset, rows: Rows, answers: Rows | None, asked: Asked) -> None:
    if not len(rows):
        st.caption("None.")
        return
    classes, labels = found.classes, found.test.labels
    said = ["" if answers is None else f", taken for {classes[answers[row]]}" for row in rows]
    cells = [
        Cell(f"{classes[labels[row]]}, number {row:,}{words}", f"test:{row}")
        for row, words in zip(rows.tolist(), said, strict=True)
    ]
    pictures(
        _sprite(found.fingerprint, rows.tobytes(), found), [Line("", cells)], key="picture-tests", name="",
        alt="Test images", cell=CELL, chosen=asked.text, on_choose=state.choose,
    )  # fmt: skip


@RESULTS.cached()
def _sprite(fingerprint: str, rows: bytes, _data: Dataset) -> Sprite:
    return sprite(np.asarray(_data.test.pixels(np.frombuffer(rows, np.int64))))


def _offer(name: str) -> None:
    from cnnviz import datasets
    from cnnviz.tracking import data_name

    spec = datasets.specs().get(name)
    if spec is None:
        st.caption(notice.plain(f"Its data ({data_name(name)}) are not on this machine."))
        return
    title = notice.plain(spec.title)
    st.caption(f"{title}, which it was trained on, is not prepared on this machine yet.")
    label = "Prepare it" if spec.offline else f"Download {waiting.download_text(spec)}"
    if st.button(label, key="picture-prepare") and waiting.prepare(spec) is not None:
        st.rerun()


def _ask(network: Network, found: Dataset) -> None:
    st.caption(f"Which they are takes asking it about all {len(found.test):,} test images once.")
    if st.button("Ask it", key="picture-ask", type="primary"):
        data.ask_all(network, found)
        st.rerun()
