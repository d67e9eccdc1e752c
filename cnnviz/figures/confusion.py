"""Confusion matrices as Plotly figures: rows are the true classes, columns the predicted ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import BORDER, COMPARED, TEXT, Color, build_figure, diverging, ramp
from cnnviz.sentences import short_names

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Counts = NDArray[np.int64]
WRITTEN = 12
"""Maximum number of classes for which each cell shows its count."""
LABELED = 30
"""Maximum number of classes whose names stand at the axes; of more, a cell tells its own."""
SPACED = 60
"""Maximum number of classes with a gap between cells: those of more are hardly wider than the gap."""
MAX_SIDE = 125
"""Maximum number of cells of a side: of more classes each cell takes several, in their order, so that a
screen's pixels show all of them.
"""
MAX_LABEL = 14
"""Characters of a class name at an axis."""
MIN_DIFFERENCE = 0.0005
"""Differences of row shares smaller than this are left blank."""


def confusion(
    matrix: Sequence[Sequence[int]] | Counts, classes: Sequence[str], colour: Color = COMPARED[0]
) -> Figure:
    """Draw a confusion matrix: row-normalized shares as colors, counts in the cells and on hover.

    Args:
        matrix: `(K, K)` counts; `matrix[true][predicted]`.
        classes: K names.
        colour: Color of a share of 1.

    A cell of more than `MAX_SIDE` classes is the sum over `block_size` of them each way.

    Raises:
        ValueError: `matrix` is not K×K.
    """
    counts, shown = _in_blocks(_checked(matrix, classes), classes)
    trace = {
        **_cells(_shares(counts), shown),
        "customdata": _compact(counts),
        "colorscale": ramp(colour),
        "zmin": 0,
        "zmax": 1,
        **_written([[count or "" for count in row] for row in counts.tolist()] if _fits(classes) else ()),
        "hovertemplate": "true %{y}, predicted %{x}: %{customdata:,} (%{z:.1%})<extra></extra>",
    }
    return build_figure([trace], _layout(classes))


def difference(
    first: Sequence[Sequence[int]] | Counts,
    second: Sequence[Sequence[int]] | Counts,
    classes: Sequence[str],
    colours: tuple[Color, Color] = (COMPARED[0], COMPARED[1]),
) -> Figure:
    """Draw the difference of two confusion matrices: row shares of `second` minus those of `first`.

    A cell has the color of the matrix with the larger share.

    Raises:
        ValueError: A matrix is not K×K.
    """
    first_counts, shown = _in_blocks(_checked(first, classes), classes)
    second_counts, _ = _in_blocks(_checked(second, classes), classes)
    share_change = _shares(second_counts) - _shares(first_counts)
    widest = float(np.nanmax(np.abs(share_change), initial=0.0)) or 1.0
    trace = {
        **_cells(share_change, shown),
        "customdata": _compact(np.stack([first_counts, second_counts], axis=-1)),
        "colorscale": diverging(*colours),
        "zmin": -widest,
        "zmax": widest,
        **_written(
            [
                [f"{100 * v:+.1f}" if abs(v) >= MIN_DIFFERENCE else "" for v in row]
                for row in share_change.tolist()
            ]
            if _fits(classes)
            else ()
        ),
        "hovertemplate": "true %{y}, predicted %{x}: %{customdata[0]} → %{customdata[1]}<extra></extra>",
    }
    return build_figure([trace], _layout(classes))


def block_size(classes: int) -> int:
    """Return how many classes a row or column of the figure takes: 1 up to `MAX_SIDE` classes."""
    return -(-classes // MAX_SIDE)


def per_class(matrix: Sequence[Sequence[int]] | Counts) -> list[float | None]:
    """Compute the recall of each class, in [0, 1]; None for a class without images."""
    counts = np.asarray(matrix, np.int64)
    totals = counts.sum(1)
    return [
        float(right / total) if total else None
        for right, total in zip(counts.diagonal(), totals, strict=True)
    ]


def confusion_alt(matrix: Sequence[Sequence[int]] | Counts, classes: Sequence[str]) -> str:
    """Describe a confusion matrix in words: the accuracy and the most frequent confusion."""
    counts = _checked(matrix, classes)
    wrong = counts - np.diag(counts.diagonal())
    true, predicted = divmod(int(wrong.argmax()), len(classes))
    right = counts.trace() / max(1, counts.sum())
    most = (
        f" Most often {classes[true]} is predicted as {classes[predicted]}: {wrong[true, predicted]} times."
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
    """Normalize each row by its sum; rows without images become NaN."""
    totals = counts.sum(1, keepdims=True).astype(np.float64)
    return np.asarray(counts / np.where(totals == 0, np.nan, totals), np.float64)


def _in_blocks(counts: Counts, classes: Sequence[str]) -> tuple[Counts, list[str]]:
    """Sum counts `(K, K)` over blocks of classes; return them, and the name of each block."""
    each = block_size(len(classes))
    if each == 1:
        return counts, list(classes)
    starts = range(0, len(classes), each)
    ends = [min(start + each, len(classes)) - 1 for start in starts]  # the last block may hold one class
    names = [
        classes[start] if start == end else f"{classes[start]} … {classes[end]}"
        for start, end in zip(starts, ends, strict=True)
    ]
    return np.add.reduceat(np.add.reduceat(counts, starts, 0), starts, 1), names


def _fits(classes: Sequence[str]) -> bool:
    return len(classes) <= WRITTEN


def _written(text: Sequence[Sequence[str]]) -> dict[str, Any]:
    return {"text": text, "texttemplate": "%{text}"} if text else {}


def _compact(counts: Counts) -> NDArray[np.unsignedinteger[Any]]:
    """Return the counts in the smallest unsigned type that holds them: a page sends all K² of them."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def _cells(values: NDArray[np.float64], classes: Sequence[str]) -> dict[str, Any]:
    names, gap = list(classes), int(len(classes) <= SPACED)
    return {
        "type": "heatmap", "name": "share of the true class", "z": values.astype(np.float32), "x": names,
        "y": names, "xgap": gap, "ygap": gap, "showscale": False,
        "textfont": {"size": 11, "color": TEXT},
    }  # fmt: skip


def _layout(classes: Sequence[str]) -> dict[str, Any]:
    axis: dict[str, Any] = {"showgrid": False, "type": "category", "constrain": "domain"}
    if len(classes) <= LABELED:
        names = short_names(classes)
        labels = [name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1]}…" for name in names]
        # By name: plotly.js takes a number for the class of that name before it takes it for a position.
        axis |= {"tickmode": "array", "tickvals": list(classes), "ticktext": labels}
        of = ""
    else:
        axis |= {"showticklabels": False, "ticks": ""}
        each = block_size(len(classes))
        of = f" ({len(classes):,} classes{f', {each} in a cell' if each > 1 else ''})"
    return {
        "xaxis": axis | {"title": {"text": f"predicted{of}"}, "side": "bottom"},
        "yaxis": axis
        | {
            "title": {"text": f"true{of}"},
            "autorange": "reversed",
            "scaleanchor": "x",
            "constraintoward": "top",
        },
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
    }


# Per-class accuracy of several runs: one column per class, one marker per run.

MAX_CLASSES = 25
"""Maximum number of classes shown: of more, those in which the runs differ most, or the worst of a single
run."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up")
"""Marker symbols, so that runs are distinguishable without color."""
Runs = Sequence[tuple[str, Counts, Color]]
"""`(name, confusion matrix (K, K), color)` of each run."""


def by_class(runs: Runs, classes: Sequence[str]) -> Figure:
    """Plot per-class accuracies; a vertical line spans the runs' markers of each class."""
    accuracies_by_run = {name: per_class(matrix) for name, matrix, _ in runs}
    shown = most_confused_classes(list(accuracies_by_run.values()))
    names = [classes[index] for index in shown]
    spans = []
    for index in shown:
        values = [v for accuracies in accuracies_by_run.values() if (v := accuracies[index]) is not None]
        spans.append((min(values), max(values)) if values else (None, None))
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [part for name in names for part in (name, name, None)],
            "y": [part for low, high in spans for part in (low, high, None)],
            "line": {"color": BORDER, "width": 3},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for (name, _, hue), symbol in zip(runs, SYMBOLS, strict=False):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": names,
                "y": [accuracies_by_run[name][index] for index in shown],
                "marker": {"color": hue, "size": 10, "symbol": symbol},
                "hovertemplate": "%{x}: %{y:.2%}",
            }
        )
    layout = {
        "xaxis": {"type": "category", "showgrid": False},
        "yaxis": {"tickformat": "~%", "title": {"text": "accuracy"}},
        "hovermode": "x unified",
        "uirevision": "|".join(names),
    }
    return build_figure(data, layout)


def most_confused_classes(accuracies: Sequence[Sequence[float | None]]) -> list[int]:
    """Return the indices of the classes shown, ascending: all, or `MAX_CLASSES` in which runs differ most.

    With a single run those with the lowest accuracy are returned instead.

    Args:
        accuracies: Per-class accuracies of each run; None for a class without images.
    """
    count = len(accuracies[0])
    if count <= MAX_CLASSES:
        return list(range(count))

    def interest(index: int) -> float:
        values = [v for accuracy in accuracies if (v := accuracy[index]) is not None]
        if not values:
            return -1.0
        return max(values) - min(values) if len(accuracies) > 1 else 1 - values[0]

    return sorted(sorted(range(count), key=interest, reverse=True)[:MAX_CLASSES])


def by_class_alt(runs: Runs, classes: Sequence[str]) -> str:
    """Describe `by_class` in words: each run's worst class."""
    parts = []
    for name, matrix, _ in runs:
        known = [(value, i) for i, value in enumerate(per_class(matrix)) if value is not None]
        if known:
            value, index = min(known)
            parts.append(f"{name} is worst at {classes[index]} ({numbers.percent(value, 1)})")
    return f"Accuracy of {len(classes)} classes: {'; '.join(parts) or 'nothing measured'}."
