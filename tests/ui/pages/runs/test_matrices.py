"""The images of a confusion matrix's cell: which cell a click means."""

from typing import Any

import numpy as np
import pytest

from cnnviz.ui.pages.runs import matrices, state
from cnnviz.ui.shared.runs.run_data import Matrix
from tests.ui.pages.runs.making import summary


@pytest.mark.parametrize(
    ("classes", "point", "cell"),
    [
        (10, [3, 7], (3, 7)),
        (1_000, [0, 1], (5, 9)),  # the fullest cell of the block of 8 by 8 classes
        (1_000, [124, 124], (992, 992)),  # of an empty one the first
    ],
)
def test_a_click_chooses_a_cell_and_of_a_block_its_fullest(
    classes: int, point: list[int], cell: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, Any] = {}
    monkeypatch.setattr(matrices, "new_click", lambda key, pick: {"point": point})
    monkeypatch.setattr(state, "change", lambda **values: written.update(values))
    counts = np.zeros((classes, classes), np.int64)
    counts[3, 7], counts[5 % classes, 9 % classes], counts[0, 0] = 1, 4, 9
    matrix = Matrix(counts, tuple(str(i) for i in range(classes)), 9, 3.0)
    chosen = matrices._clicked(summary(7), matrix, None)
    assert chosen is not None
    assert (chosen.run, chosen.true, chosen.answer) == (7, *cell)
    assert written == {"cell": f"7,{cell[0]},{cell[1]}"}


def test_of_blocks_nobody_reads_that_their_diagonal_is_right() -> None:
    assert "On the diagonal it is right. Click a cell to see its images." in matrices.how_to_read(125)
    of_blocks = matrices.how_to_read(1_000)
    assert "8 classes in a row or column" in of_blocks
    assert "right, or another class of the same few" in of_blocks
    assert "most frequent pair" in of_blocks
