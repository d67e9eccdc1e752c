"""A confusion matrix and the accuracies of its classes as HTML tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from cnnviz.figures.confusion import Counts, confusion_alt, per_class

WHOLE = 30
"""Up to so many classes the whole matrix is written; of more, the mistakes made most often."""
MISTAKES = 25


def matrix_html(counts: Counts, classes: Sequence[str]) -> str:
    """The matrix with each cell as dark as its share of the row, or its largest mistakes."""
    words = f"<p>{escape(confusion_alt(counts, classes))}</p>"
    if len(classes) > WHOLE:
        return words + _mistakes(counts, classes)
    heads = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in classes)
    rows = "".join(_row(row, place, classes) for place, row in enumerate(counts.tolist()))
    return (
        f'{words}<div class="wide"><table class="matrix"><thead><tr><td>true ↓ said →</td>{heads}'
        f'<th scope="col"><span>right</span></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(row: Sequence[int], place: int, classes: Sequence[str]) -> str:
    total = sum(row)
    cells = "".join(_cell(count, count / total if total else 0.0) for count in row)
    right = f"{100 * row[place] / total:.1f} %" if total else "—"
    return f'<tr><th scope="row">{escape(classes[place])}</th>{cells}<td class="sum">{right}</td></tr>'


def _cell(count: int, share: float) -> str:
    # Small shares are to be seen: the root lifts them.
    shade = round(90 * math.sqrt(share))
    kind = ' class="full"' if shade > 55 else ""
    return f'<td{kind} style="--share:{shade}%">{count or ""}</td>'


def _mistakes(counts: Counts, classes: Sequence[str]) -> str:
    wrong = counts - np.diag(counts.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
    places = [divmod(int(place), len(classes)) for place in order]
    often = [
        (classes[true], classes[said], f"{int(wrong[true, said])}")
        for true, said in places
        if wrong[true, said]
    ]
    known = sorted((value, i) for i, value in enumerate(per_class(counts)) if value is not None)
    worst = [(classes[i], f"{100 * value:.1f} %") for value, i in known[:MISTAKES]]
    return (
        f'<div class="two">{_listed("Taken for another most often", ("true", "said", "times"), often)}'
        f"{_listed('Classes least often right', ('class', 'right'), worst)}</div>"
    )


def _listed(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{lines}</tbody></table>"
    )
