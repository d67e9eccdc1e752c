"""A difference as a sentence, as data and as text to take away."""

import csv
import io

from cnnviz.analysis import analyze
from cnnviz.analysis.diff import diff
from cnnviz.ui.pages.compare import settings
from cnnviz.ui.shared.diff_table import Sides, diff_frame, diff_sentence, to_csv, to_markdown

A, B = analyze("alexnet-cifar10"), analyze("small-alexnet")
FOUND = diff(A, B)
SIDES = Sides("large|one", "small", lambda _side, row: settings(row))


def test_the_sentence_counts_and_all_the_same_is_said() -> None:
    assert diff_sentence(FOUND, SIDES) == "12 the same, 8 changed, 0 only in large|one, 0 only in small."
    assert diff_sentence(diff(A, A), SIDES) == "All 20 layers are the same."


def test_the_table_has_a_line_a_change_with_the_figures_of_both() -> None:
    frame = diff_frame(FOUND, SIDES, only_differences=True)
    first = frame.iloc[0]
    assert (first["layer a"], first["parameters a"], first["parameters b"]) == ("conv1", 4704, 9472)
    assert first["changed"] == "kernel 4 → 7 · maps 96 → 64"
    assert (first["settings a"], first["settings b"]) == ("96 maps · 4×4", "64 maps · 7×7")
    assert len(diff_frame(FOUND, SIDES, only_differences=False)) == 20


def test_a_side_that_lacks_a_row_is_empty() -> None:
    short = diff(A, analyze("lenet5"))
    frame = diff_frame(short, SIDES, only_differences=True)
    removed = frame[frame["status"].str[0] == "removed"].iloc[0]
    assert removed[["layer b", "settings b", "output b", "parameters b"]].isna().all()


def test_text_to_take_away_has_every_line() -> None:
    frame = diff_frame(FOUND, SIDES, only_differences=False)
    lines = list(csv.DictReader(io.StringIO(to_csv(frame))))
    assert [line["layer a"] for line in lines] == [row.name for row in A.rows]
    assert sum(int(line["parameters b"]) for line in lines) == B.total_params
    markdown = to_markdown(frame, SIDES).splitlines()
    assert len(markdown) == 2 + 20
    assert "layer (large\\|one)" in markdown[0]


def test_an_empty_difference_is_an_empty_table() -> None:
    frame = diff_frame(diff(A, A), SIDES, only_differences=True)
    assert frame.empty
    assert to_markdown(frame, SIDES).count("\n") == 2
