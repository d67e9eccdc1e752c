"""Confusion matrices of the compared runs, their accuracies class by class, and two matrices' difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from cnnviz.figures.by_class import by_class, by_class_alt
from cnnviz.figures.confusion import confusion, confusion_alt, difference
from cnnviz.figures.palette import COMPARED, ramp
from cnnviz.ui.components.plot import Pick, plot
from cnnviz.ui.runs import reading, state
from cnnviz.ui.runs.cell_images import cell_images
from cnnviz.ui.runs.picks import once
from cnnviz.ui.runs.reading import Matrix
from cnnviz.ui.runs.state import Asked, Cell
from cnnviz.ui.runs.tables import short_name
from cnnviz.ui.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.tracking import RunSummary

HEIGHTS = {1: 520, 2: 480, 3: 400, 4: 340}
"""Pixels of a matrix, by how many stand side by side."""

Found = list[tuple["RunSummary", int, Matrix]]
"""Each compared run that has a matrix, with its place among the compared."""


def matrices(runs: Sequence[RunSummary], asked: Asked) -> None:
    """Draw all of it, and the images of the cell that is asked for."""
    found = [
        (run, place, matrix) for place, run in enumerate(runs) if (matrix := reading.matrix(run)) is not None
    ]
    st.subheader("Which class is taken for which", anchor=False)
    if not found:
        st.caption("These runs have no confusion matrix yet: one is recorded at the end of each epoch.")
        return
    st.caption(
        "A row is a true class, a column what the network said; on the diagonal it is right. "
        "Click a cell to see its images."
    )
    cell = asked.cell
    columns = st.columns(len(found))
    for column, (run, place, matrix) in zip(columns, found, strict=True):
        with column:
            cell = _matrix(run, place, matrix, len(found)) or cell
    if cell is not None:
        cell_images(runs, cell)
    alike = [one for one in found if one[2].classes == found[0][2].classes]
    if len(alike) < len(found):
        st.caption("Classes differ between these runs: only those like the first's are compared further.")
    _class_by_class(alike)
    if len(alike) > 1:
        _difference(alike, asked)


def one_matrix(run: RunSummary, asked: Asked) -> None:
    """Draw the matrix of one run, its classes, and the images of the cell that is asked for."""
    matrix = reading.matrix(run)
    if matrix is None:
        return
    st.subheader("Which class is taken for which", anchor=False)
    st.caption("A row is a true class, a column what the network said. Click a cell to see its images.")
    cell = _matrix(run, 0, matrix, 1) or asked.cell
    if cell is not None and cell.run == run.id:
        cell_images([run], cell)
    _class_by_class([(run, 0, matrix)])


def _matrix(run: RunSummary, place: int, matrix: Matrix, count: int) -> Cell | None:
    """One run's matrix in its hue; the cell that was just clicked."""
    hue = COMPARED[place]
    right = matrix.counts.trace() / max(1, matrix.counts.sum())
    st.html(
        f'<p class="run-head"><i style="background:{hue.css}"></i>{_escaped(short_name(run))}'
        f"<span>{100 * right:.2f} % right</span></p>"
    )
    figure = confusion(matrix.counts, matrix.classes)
    figure["data"][0]["colorscale"] = ramp(hue)
    pick = plot(
        figure, key=f"matrix-{run.id}", height=HEIGHTS[count], name=f"run-{run.id}-confusion",
        alt=f"{short_name(run)}: {confusion_alt(matrix.counts, matrix.classes)}",
    )  # fmt: skip
    return _clicked(run, pick)


def _clicked(run: RunSummary, pick: Pick | None) -> Cell | None:
    """The cell that was just clicked, which goes into the URL."""
    fresh = once(f"matrix-{run.id}", pick)
    where = fresh["point"] if fresh is not None else None
    if not isinstance(where, list) or len(where) != 2:
        return None
    cell = Cell(run.id, int(where[0]), int(where[1]))
    state.change(cell=f"{cell.run},{cell.true},{cell.answer}")
    return cell


def _class_by_class(found: Found) -> None:
    st.subheader("Accuracy class by class", anchor=False)
    shown = [(short_name(run), matrix.counts, COMPARED[place]) for run, place, matrix in found]
    classes = found[0][2].classes
    figure = by_class(shown, classes)
    plot(
        figure, key="by-class", height=330, alt=by_class_alt(shown, classes), picks=False,
        name="accuracy-by-class",
    )  # fmt: skip


def _difference(found: Found, asked: Asked) -> None:
    st.subheader("Two matrices' difference", anchor=False)
    places = [place for _, place, _ in found]
    pair = asked.pair if set(asked.pair) <= set(places) else (places[0], places[1])
    _choose_pair(found, pair)
    (one, _, first), (other, _, second) = (next(f for f in found if f[1] == place) for place in pair)
    moved = int(np.abs(second.counts - first.counts).sum() // 2)
    st.caption(
        f"A cell in the hue of run {other.id} is what that run said more often, in points of a per cent of "
        f"the true class. At least {moved:,} images are answered otherwise."
    )
    hues = COMPARED[pair[0]], COMPARED[pair[1]]
    plot(
        difference(first.counts, second.counts, first.classes, hues), key="matrix-difference", height=480,
        alt=f"Confusion matrix of {short_name(other)} less that of {short_name(one)}.", picks=False,
        name=f"confusion-{one.id}-to-{other.id}",
    )  # fmt: skip


def _choose_pair(found: Found, pair: tuple[int, int]) -> None:
    names = {place: short_name(run) for run, place, _ in found}
    with st.container(horizontal=True, gap="small"):
        for side, label in enumerate(("From", "to")):
            key = f"runs-pair-{side}"
            show_value(key, pair[side])
            st.selectbox(
                label, list(names), key=key, width=300, format_func=lambda place: names[place],
                on_change=_paired, args=(pair, side, key),
            )  # fmt: skip


def _paired(pair: tuple[int, int], side: int, key: str) -> None:
    """Change one of the two; choosing the other one swaps them."""
    chosen: int = st.session_state[key]
    other = pair[1 - side] if pair[1 - side] != chosen else pair[side]
    places = (chosen, other) if side == 0 else (other, chosen)
    state.change(pair=None if places == (0, 1) else f"{places[0] + 1},{places[1] + 1}")


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)
