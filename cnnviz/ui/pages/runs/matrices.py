"""Confusion matrices of the compared runs, per-class accuracies, and the difference of two matrices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from cnnviz.figures import numbers
from cnnviz.figures.confusion import block_size, by_class, by_class_alt, confusion, confusion_alt, difference
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.ui.components.images import Cell as Picture
from cnnviz.ui.components.images import Line, pictures, sprite
from cnnviz.ui.components.plot import Pick, plot
from cnnviz.ui.pages.runs import state
from cnnviz.ui.pages.runs.comparison import labels, short_name
from cnnviz.ui.pages.runs.state import Cell, PageState
from cnnviz.ui.shared import notice
from cnnviz.ui.shared.glossary import term_heading
from cnnviz.ui.shared.notice import Progress, error_text
from cnnviz.ui.shared.runs import run_data
from cnnviz.ui.shared.runs.run_data import SPEED, Matrix, new_click
from cnnviz.ui.shared.url_state import show_value

if TYPE_CHECKING:
    from cnnviz.inference.evaluate import Predictions
    from cnnviz.tracking import RunSummary

# The images of one cell of a confusion matrix.

MAX_CELL_IMAGES = 60
"""Maximum number of images shown of a cell."""
SIZE = 56
"""Size of an image in pixels."""
PATIENCE_SECONDS = 5.0
"""Estimated seconds, at training speed, up to which predictions are computed without asking."""


def cell_images(runs: Sequence[RunSummary], cell: Cell) -> None:
    """Draw the images of the cell, or the way to compute which they are."""
    run = next((run for run in runs if run.id == cell.run), None)
    matrix = run_data.matrix(run) if run is not None else None
    if run is None or matrix is None or max(cell.true, cell.answer) >= len(matrix.classes):
        notice.show([f"There is no cell {cell.true}, {cell.answer} in a matrix of run {cell.run} here."])
        return
    true, predicted = matrix.classes[cell.true], matrix.classes[cell.answer]
    count, of = int(matrix.counts[cell.true, cell.answer]), int(matrix.counts[cell.true].sum())
    with st.container(key="cell-images"):
        how_many = f"{count:,} image{'' if count == 1 else 's'} ({numbers.percent(count / max(1, of))})"
        st.header(f"Run {run.id}: true {true}, predicted {predicted}: {how_many}", anchor=False)
        _choose(cell, matrix)
        predictions = _known(run)
        if predictions is None and _takes_long(run, int(matrix.counts.sum())):
            _offer(run)
        elif predictions is None:
            _predict(run)
        else:
            _show(run, cell, matrix, predictions)


def _choose(cell: Cell, matrix: Matrix) -> None:
    """Draw a choice of the cell by its classes, as an alternative to clicking."""
    with st.container(horizontal=True, gap="small"):
        for side, label in enumerate(("True class", "Predicted class")):
            key = f"cell-{side}"
            show_value(key, (cell.true, cell.answer)[side])
            st.selectbox(
                label, range(len(matrix.classes)), key=key, width=220,
                format_func=lambda index: matrix.classes[index], on_change=partial(_chosen, cell.run),
            )  # fmt: skip


def _chosen(run_id: int) -> None:
    state.change(cell=f"{run_id},{st.session_state['cell-0']},{st.session_state['cell-1']}")


def _takes_long(run: RunSummary, images: int) -> bool:
    """Return whether predicting takes so long, or is impossible, that the user should decide."""
    from cnnviz import datasets, tracking

    speed = run.metrics.get(SPEED)
    if speed is None or not speed.last or images / speed.last > PATIENCE_SECONDS:
        return True
    try:
        prepared = datasets.prepared(run.dataset) is not None
    except (OSError, ValueError):
        prepared = False
    return not prepared or "last" not in tracking.checkpoints(run_data.database(), run.id)


def _known(run: RunSummary) -> Predictions | None:
    from cnnviz.inference.evaluate import cached_predictions

    return cached_predictions(run_data.database(), run.id)


def _offer(run: RunSummary) -> None:
    """Offer to predict with the checkpoint, since a run records counts and not single predictions."""
    from cnnviz import tracking

    if "last" not in tracking.checkpoints(run_data.database(), run.id):
        st.info(
            "A run records how many images fall into a cell, not which: that takes its last checkpoint, and "
            "this run has none any more. Train it again to see them.",
            icon=":material/image_not_supported:",
        )
        return
    st.caption("A run records how many images fall into a cell, not which. Its last checkpoint can tell.")
    if st.button("Ask the checkpoint about every test image", key="cell-work-out", type="primary"):
        _predict(run)


def _predict(run: RunSummary) -> None:
    from cnnviz.inference.evaluate import predict_test_images

    progress = Progress()
    try:
        predict_test_images(run_data.database(), run.id, progress=progress)
    except (OSError, ValueError) as error:
        progress.clear()
        st.error(error_text(error), icon=":material/error:")
        return
    st.rerun()


def _show(run: RunSummary, cell: Cell, matrix: Matrix, predictions: Predictions) -> None:
    rows = predictions.rows(cell.true, cell.answer)
    total = int((predictions.true == cell.true).sum())
    caption = f"{len(rows):,} of {total:,} test images of {matrix.classes[cell.true]}"
    if len(rows) == 0:
        st.caption(f"None of the {total:,} test images of {matrix.classes[cell.true]}.")
        return
    shown = rows[:MAX_CELL_IMAGES]
    limited = f", the {MAX_CELL_IMAGES} surest" if len(rows) > MAX_CELL_IMAGES else ""
    st.caption(
        f"{caption}{limited}; the surest answer first, with its probability."
        f"{_differs(matrix, cell, len(rows))}"
    )
    pixels = _pixels(run.dataset, predictions, shown)
    if pixels is None:
        st.caption("The data are not prepared on this machine any more, so the images cannot be shown.")
        return
    titles = [Picture(numbers.percent(float(share), 0)) for share in predictions.probability[shown]]
    pictures(
        sprite(pixels), [Line("", titles)], key="cell-pictures", cell=SIZE, captions=True,
        alt=f"{caption}, predicted as {matrix.classes[cell.answer]} by {short_name(run)}.",
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


def _pixels(dataset: str, predictions: Predictions, rows: Any) -> Any:
    from cnnviz import datasets

    try:
        data = datasets.prepared(dataset)
    except ValueError:
        return None
    if data is None or len(data.test) != len(predictions.true):
        return None
    return np.ascontiguousarray(data.test.pixels(rows))


HEIGHTS = {1: 440, 2: 480, 3: 400, 4: 340}
"""Height of a matrix in pixels, by the number side by side."""

Entries = list[tuple["RunSummary", int, Matrix]]
"""The compared runs that have a matrix: run, index among the compared, matrix."""


def matrices(runs: Sequence[RunSummary], page_state: PageState) -> None:
    """Draw the matrices, the images of the selected cell, and the comparisons."""
    entries = [
        (run, index, matrix) for index, run in enumerate(runs) if (matrix := run_data.matrix(run)) is not None
    ]
    term_heading("Confusion matrix")
    if not entries:
        st.caption(
            "These runs have no confusion matrix yet: one is recorded at the end of each epoch."
            if any(run.timed for run in runs)
            else "Imported histories have no confusion matrix."
        )
        return
    st.caption(how_to_read(max(len(matrix.classes) for _, _, matrix in entries)))
    cell = page_state.cell
    alone = len(entries) == 1  # then the images are drawn beside it
    columns = st.columns([0.5, 0.5] if alone else len(entries), gap="medium")
    for column, (run, index, matrix) in zip(columns, entries, strict=False):
        with column:
            cell = _matrix(run, index, matrix, len(entries)) or cell
    if cell is not None:
        with columns[1] if alone else st.container():
            cell_images(runs, cell)
    alike = [entry for entry in entries if entry[2].classes == entries[0][2].classes]
    if len(alike) < len(entries):
        st.caption("Classes differ between these runs: only those like the first's are compared further.")
    _class_by_class(alike)
    if len(alike) > 1:
        _difference(alike, page_state)


def how_to_read(classes: int) -> str:
    """Return how to read a matrix of so many classes, whose cells may hold several."""
    each, axes = block_size(classes), "Rows: true class; columns: predicted"
    if each == 1:
        return f"{axes}. On the diagonal it is right. Click a cell to see its images."
    return (
        f"{axes}, with {each} classes in a row or column where they are many. On the diagonal it is right, "
        "or another class of the same few. Click a cell to see the images of its most frequent pair."
    )


def run_matrix(run: RunSummary, page_state: PageState) -> None:
    """Draw the matrix of one run, its per-class accuracies, and the images of the selected cell."""
    matrix = run_data.matrix(run)
    if matrix is None:
        return
    term_heading("Confusion matrix")
    st.caption(how_to_read(len(matrix.classes)))
    left, right = st.columns([0.58, 0.42], gap="medium")
    with left:
        cell = _matrix(run, 0, matrix, 1) or page_state.cell
    with right:
        if cell is not None and cell.run == run.id:
            cell_images([run], cell)
    _class_by_class([(run, 0, matrix)])


def _matrix(run: RunSummary, index: int, matrix: Matrix, count: int) -> Cell | None:
    """Draw one run's matrix in its color; return the cell that was just clicked."""
    hue = COMPARED[index]
    right = matrix.counts.trace() / max(1, matrix.counts.sum())
    st.html(
        f'<p class="run-head"><i style="background:{hue.css}"></i>{_escaped(short_name(run))}'
        f"<span>{100 * right:.2f} % right</span></p>"
    )
    figure = confusion(matrix.counts, matrix.classes, hue)
    pick = plot(
        figure, key=f"matrix-{run.id}", height=HEIGHTS[count], name=f"run-{run.id}-confusion",
        alt=f"{short_name(run)}: {confusion_alt(matrix.counts, matrix.classes)}",
    )  # fmt: skip
    return _clicked(run, matrix, pick)


def _clicked(run: RunSummary, matrix: Matrix, pick: Pick | None) -> Cell | None:
    """Return the cell that was just clicked, and write it to the URL; of a block its fullest cell."""
    fresh = new_click(f"matrix-{run.id}", pick)
    where = fresh["point"] if fresh is not None else None
    if not isinstance(where, list) or len(where) != 2:
        return None
    each = block_size(len(matrix.classes))
    top, left = int(where[0]) * each, int(where[1]) * each
    block = np.asarray(matrix.counts)[top : top + each, left : left + each]
    down, across = np.unravel_index(int(block.argmax()), block.shape) if block.size else (0, 0)
    cell = Cell(run.id, top + int(down), left + int(across))
    state.change(cell=f"{cell.run},{cell.true},{cell.answer}")
    return cell


def _class_by_class(entries: Entries) -> None:
    st.header("Accuracy class by class", anchor=False)
    names = labels([run for run, _, _ in entries])
    shown = [
        (name, matrix.counts, COMPARED[index])
        for name, (_, index, matrix) in zip(names, entries, strict=True)
    ]
    classes = entries[0][2].classes
    figure = by_class(shown, classes)
    plot(
        figure, key="by-class", height=330, alt=by_class_alt(shown, classes), picks=False,
        name="accuracy-by-class",
    )  # fmt: skip


def _difference(entries: Entries, page_state: PageState) -> None:
    st.header("Two matrices' difference", anchor=False)
    indices = [index for _, index, _ in entries]
    pair = page_state.pair if set(page_state.pair) <= set(indices) else (indices[0], indices[1])
    _choose_pair(entries, pair)
    (run_a, _, first), (run_b, _, second) = (
        next(entry for entry in entries if entry[1] == index) for index in pair
    )
    moved = int(np.abs(second.counts - first.counts).sum() // 2)
    st.caption(
        f"A cell in the hue of run {run_b.id} is what that run said more often, in points of a per cent of "
        f"the true class. At least {moved:,} images are answered otherwise."
    )
    hues = COMPARED[pair[0]], COMPARED[pair[1]]
    plot(
        difference(first.counts, second.counts, first.classes, hues), key="matrix-difference", height=480,
        alt=f"Confusion matrix of {short_name(run_b)} less that of {short_name(run_a)}.", picks=False,
        name=f"confusion-{run_a.id}-to-{run_b.id}",
    )  # fmt: skip


def _choose_pair(entries: Entries, pair: tuple[int, int]) -> None:
    names = {index: short_name(run) for run, index, _ in entries}
    with st.container(horizontal=True, gap="small"):
        for side, label in enumerate(("From", "to")):
            key = f"runs-pair-{side}"
            show_value(key, pair[side])
            st.selectbox(
                label, list(names), key=key, width=300, format_func=lambda index: names[index],
                on_change=_paired, args=(pair, side, key),
            )  # fmt: skip


def _paired(pair: tuple[int, int], side: int, key: str) -> None:
    """Change one run of the pair; choosing the other one swaps them."""
    chosen: int = st.session_state[key]
    counterpart = pair[1 - side] if pair[1 - side] != chosen else pair[side]
    places = (chosen, counterpart) if side == 0 else (counterpart, chosen)
    state.change(pair=None if places == (0, 1) else f"{places[0] + 1},{places[1] + 1}")


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)
