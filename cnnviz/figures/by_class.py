"""Accuracy class by class of several runs: a class a column, a run a mark."""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.figures import numbers
from cnnviz.figures.confusion import Counts, per_class
from cnnviz.figures.curves import Figure
from cnnviz.figures.palette import Colour

MOST = 25
"""Classes shown; of more, those in which the runs differ most, or that are worst where there is one run."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up")
"""The runs are told apart without colour too."""
Runs = Sequence[tuple[str, Counts, Colour]]
"""A name, a confusion matrix `(K, K)` and a hue, run by run."""


def by_class(runs: Runs, classes: Sequence[str]) -> Figure:
    """The picture; a line joins the marks of a class, long where the runs disagree."""
    found = {name: per_class(matrix) for name, matrix, _ in runs}
    shown = told(list(found.values()))
    names = [classes[place] for place in shown]
    spans = []
    for place in shown:
        values = [v for accuracies in found.values() if (v := accuracies[place]) is not None]
        spans.append((min(values), max(values)) if values else (None, None))
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [part for name in names for part in (name, name, None)],
            "y": [part for low, high in spans for part in (low, high, None)],
            "line": {"color": "var(--st-border-color)", "width": 3},
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
                "y": [found[name][place] for place in shown],
                "marker": {"color": hue.css, "size": 10, "symbol": symbol},
                "hovertemplate": "%{x}: %{y:.2%}",
            }
        )
    return {
        "data": data,
        "layout": {
            "xaxis": {"type": "category", "showgrid": False},
            "yaxis": {"tickformat": ".0%", "title": {"text": "accuracy"}},
            "hovermode": "x unified",
            "uirevision": "|".join(names),
        },
    }


def told(accuracies: Sequence[Sequence[float | None]]) -> list[int]:
    """The classes that are shown, in their own order: all, or the `MOST` that say most."""
    count = len(accuracies[0])
    if count <= MOST:
        return list(range(count))

    def interest(place: int) -> float:
        values = [v for accuracy in accuracies if (v := accuracy[place]) is not None]
        if not values:
            return -1.0
        return max(values) - min(values) if len(accuracies) > 1 else 1 - values[0]

    return sorted(sorted(range(count), key=interest, reverse=True)[:MOST])


def by_class_alt(runs: Runs, classes: Sequence[str]) -> str:
    """The picture in words: each run's worst class."""
    said = []
    for name, matrix, _ in runs:
        known = [(value, i) for i, value in enumerate(per_class(matrix)) if value is not None]
        if known:
            value, place = min(known)
            said.append(f"{name} is worst at {classes[place]} ({numbers.percent(value, 1)})")
    return f"Accuracy of {len(classes)} classes: {'; '.join(said) or 'nothing measured'}."
