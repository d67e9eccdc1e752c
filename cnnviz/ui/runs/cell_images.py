"""The images behind one cell of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.sprite import sprite
from cnnviz.ui import notice
from cnnviz.ui.components.pictures import Cell as Picture
from cnnviz.ui.components.pictures import Line, pictures
from cnnviz.ui.dataset.waiting import Progress, sentence
from cnnviz.ui.runs import reading, state, store
from cnnviz.ui.runs.reading import Matrix
from cnnviz.ui.runs.state import Cell
from cnnviz.ui.runs.tables import short_name
from cnnviz.ui.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.inference.answers import Answers
    from cnnviz.tracking import RunSummary

MOST = 60
"""Images shown of a cell."""
SIZE = 56
"""Pixels of the page that an image takes."""


def cell_images(runs: Sequence[RunSummary], cell: Cell) -> None:
    """Draw the images of the cell, or what it takes to know which they are."""
    run = next((run for run in runs if run.id == cell.run), None)
    matrix = reading.matrix(run) if run is not None else None
    if run is None or matrix is None or max(cell.true, cell.answer) >= len(matrix.classes):
        notice.say([f"There is no cell {cell.true}, {cell.answer} in a matrix of run {cell.run} here."])
        return
    true, said = matrix.classes[cell.true], matrix.classes[cell.answer]
    with st.container(key="cell-images"):
        words = f"{true} taken for {said}" if true != said else f"{true}, told right"
        st.subheader(f"Run {run.id}: {words}", anchor=False)
        _choose(cell, matrix)
        answers = _known(run)
        if answers is None:
            _offer(run)
        else:
            _show(run, cell, matrix, answers)


def _choose(cell: Cell, matrix: Matrix) -> None:
    """The cell by its classes, for who has no pointer."""
    with st.container(horizontal=True, gap="small"):
        for side, label in enumerate(("True class", "What was said")):
            key = f"cell-{side}"
            show_value(key, (cell.true, cell.answer)[side])
            st.selectbox(
                label, range(len(matrix.classes)), key=key, width=220,
                format_func=lambda place: matrix.classes[place], on_change=partial(_chosen, cell.run),
            )  # fmt: skip


def _chosen(run_id: int) -> None:
    state.change(cell=f"{run_id},{st.session_state['cell-0']},{st.session_state['cell-1']}")


def _known(run: RunSummary) -> Answers | None:
    from cnnviz.inference.answers import known_answers

    return known_answers(store.database(), run.id)


def _offer(run: RunSummary) -> None:
    """A run records counts, not each answer: those are worked out from its checkpoint, when asked for."""
    from cnnviz import tracking

    if "last" not in tracking.checkpoints(store.database(), run.id):
        st.info(
            "A run records how many images fall into a cell, not which: that takes its last checkpoint, and "
            "this run has none any more. Train it again to see them.",
            icon=":material/image_not_supported:",
        )
        return
    st.caption("A run records how many images fall into a cell, not which. Its last checkpoint can tell.")
    if st.button("Ask the checkpoint about every test image", key="cell-work-out", type="primary"):
        _work_out(run)


def _work_out(run: RunSummary) -> None:
    from cnnviz.inference.answers import work_out

    progress = Progress()
    try:
        work_out(store.database(), run.id, progress=progress)
    except (OSError, ValueError) as error:
        progress.clear()
        st.error(sentence(error), icon=":material/error:")
        return
    st.rerun()


def _show(run: RunSummary, cell: Cell, matrix: Matrix, answers: Answers) -> None:
    rows = answers.rows(cell.true, cell.answer)
    total = int((answers.true == cell.true).sum())
    said = f"{len(rows):,} of {total:,} test images of {matrix.classes[cell.true]}"
    if len(rows) == 0:
        st.caption(f"None of the {total:,} test images of {matrix.classes[cell.true]}.")
        return
    shown = rows[:MOST]
    st.caption(
        f"{said}{f', the {MOST} surest' if len(rows) > MOST else ''}; the surest answer first, with its "
        f"probability.{_differs(matrix, cell, len(rows))}"
    )
    pixels = _pixels(run.dataset, answers, shown)
    if pixels is None:
        st.caption("The data are not prepared on this machine any more, so the images cannot be shown.")
        return
    titles = [Picture(numbers.percent(float(share), 0)) for share in answers.share[shown]]
    pictures(
        sprite(pixels), [Line("", titles)], key="cell-pictures", cell=SIZE, captions=True,
        alt=f"{said}, taken for {matrix.classes[cell.answer]} by {short_name(run)}.",
        name=f"run-{run.id}-{matrix.classes[cell.true]}-as-{matrix.classes[cell.answer]}",
    )  # fmt: skip


def _differs(matrix: Matrix, cell: Cell, count: int) -> str:
    recorded = int(matrix.counts[cell.true, cell.answer])
    if recorded == count:
        return ""
    return (
        f" The matrix above counts {recorded:,}: it was recorded at step {matrix.step:,}, on the device that "
        "trained; the checkpoint answers on this CPU."
    )


def _pixels(dataset: str, answers: Answers, rows: Any) -> Any:
    from cnnviz import datasets

    try:
        data = datasets.prepared(dataset)
    except ValueError:
        return None
    if data is None or len(data.test) != len(answers.true):
        return None
    return np.ascontiguousarray(data.test.pixels(rows))
