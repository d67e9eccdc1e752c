"""Confusion matrices as Plotly figures: rows are the true classes, columns what was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.figures.curves import Figure
from cnnviz.figures.palette import COMPARED, Colour, diverging, ramp

Counts = NDArray[np.int64]
WRITTEN = 12
"""Up to so many classes, each cell has its number in it."""
LEAST = 0.0005
"""A difference of shares smaller than this is written as nothing."""


def confusion(matrix: Sequence[Sequence[int]] | Counts, classes: Sequence[str]) -> Figure:
    """Each row's shares as colours, counts in the cells and on hover.

    Args:
        matrix: `(K, K)` counts; `matrix[true][said]`.
        classes: K names.

    Raises `ValueError` where the sizes differ.
    """
    counts = _checked(matrix, classes)
    trace = {
        **_cells(_shares(counts), classes),
        "customdata": counts,
        "colorscale": ramp(COMPARED[0]),
        "zmin": 0,
        "zmax": 1,
        "text": [[count or "" for count in row] for row in counts.tolist()],
        "texttemplate": "%{text}" if len(classes) <= WRITTEN else "",
        "hovertemplate": "%{customdata} of %{y} (%{z:.1%}) were taken for %{x}<extra></extra>",
    }
    return {"data": [trace], "layout": _layout()}


def difference(
    first: Sequence[Sequence[int]] | Counts,
    second: Sequence[Sequence[int]] | Counts,
    classes: Sequence[str],
    colours: tuple[Colour, Colour] = (COMPARED[0], COMPARED[1]),
) -> Figure:
    """Where two matrices over the same classes differ: shares of the second less shares of the first.

    A cell has the colour of the one with more in it. Raises `ValueError` where the sizes differ.
    """
    one, other = _checked(first, classes), _checked(second, classes)
    more = _shares(other) - _shares(one)
    widest = float(np.nanmax(np.abs(more), initial=0.0)) or 1.0
    trace = {
        **_cells(more, classes),
        "customdata": np.stack([one, other], axis=-1),
        "colorscale": diverging(*colours),
        "zmin": -widest,
        "zmax": widest,
        "text": [[f"{100 * v:+.1f}" if abs(v) >= LEAST else "" for v in row] for row in more.tolist()],
        "texttemplate": "%{text}" if len(classes) <= WRITTEN else "",
        "hovertemplate": "%{y} taken for %{x}: %{customdata[0]} → %{customdata[1]}<extra></extra>",
    }
    return {"data": [trace], "layout": _layout()}


def per_class(matrix: Sequence[Sequence[int]] | Counts) -> list[float | None]:
    """The accuracy within each true class, in [0, 1]; None for a class without images."""
    counts = np.asarray(matrix, np.int64)
    totals = counts.sum(1)
    return [
        float(right / total) if total else None
        for right, total in zip(counts.diagonal(), totals, strict=True)
    ]


def confusion_alt(matrix: Sequence[Sequence[int]] | Counts, classes: Sequence[str]) -> str:
    """The matrix in words: how much is right, and the mistake made most often."""
    counts = _checked(matrix, classes)
    wrong = counts - np.diag(counts.diagonal())
    true, said = divmod(int(wrong.argmax()), len(classes))
    right = counts.trace() / max(1, counts.sum())
    most = (
        f" Most often {classes[true]} is taken for {classes[said]}: {wrong[true, said]} times."
        if wrong.any()
        else ""
    )
    return f"Confusion matrix of {len(classes)} classes, {100 * right:.2f} % right.{most}"


def _checked(matrix: Sequence[Sequence[int]] | Counts, classes: Sequence[str]) -> Counts:
    counts = np.asarray(matrix, np.int64)
    if counts.shape != (len(classes), len(classes)):
        raise ValueError(
            f"A matrix of {len(classes)} classes has as many rows and columns, not {counts.shape}."
        )
    return counts


def _shares(counts: Counts) -> NDArray[np.float64]:
    """Counts by the sum of their row; rows without images are gaps."""
    totals = counts.sum(1, keepdims=True).astype(np.float64)
    return np.asarray(counts / np.where(totals == 0, np.nan, totals), np.float64)


def _cells(values: NDArray[np.float64], classes: Sequence[str]) -> dict[str, Any]:
    names = list(classes)
    return {
        "type": "heatmap", "name": "share of the true class", "z": values.astype(np.float32), "x": names,
        "y": names, "xgap": 1, "ygap": 1, "showscale": False,
        "textfont": {"size": 11, "color": "var(--st-text-color)"},
    }  # fmt: skip


def _layout() -> dict[str, Any]:
    axis = {"showgrid": False, "type": "category", "constrain": "domain"}
    return {
        "xaxis": axis | {"title": {"text": "said"}, "side": "bottom"},
        "yaxis": axis | {"title": {"text": "true"}, "autorange": "reversed", "scaleanchor": "x"},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
    }
