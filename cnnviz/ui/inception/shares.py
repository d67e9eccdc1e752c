"""Bars in the branches' colours, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cnnviz.figures import numbers
from cnnviz.figures.palette import Colour


@dataclass(frozen=True)
class Bar:
    """One value among others of its kind: its part of the longest bar, and how it is told."""

    title: str
    part: float
    text: str
    hue: Colour


def bars(rows: Sequence[Bar], alt: str) -> str:
    """Bars below one another, title before and value behind."""
    told = "".join(
        f"<div><span>{escape(row.title)}</span><i>{_filled(row)}</i><em>{escape(row.text)}</em></div>"
        for row in rows
    )
    return f'<div class="inception-bars" role="img" aria-label="{escape(alt)}">{told}</div>'


def _filled(row: Bar) -> str:
    if not row.part:
        return ""
    return f'<b style="width:{100 * row.part:.2f}%;background:{row.hue.css}"></b>'


def split(title: str, total: str, parts: Sequence[Bar]) -> str:
    """One bar of all, cut into parts that sum to 1."""
    words = ", ".join(f"{part.title} {numbers.percent(part.part)}" for part in parts)
    cut = "".join(
        f'<b style="flex-grow:{part.part:.4f};background:{part.hue.css}" '
        f'title="{escape(f"{part.title}: {part.text}, {numbers.percent(part.part)}")}"></b>'
        for part in parts
    )
    return (
        f'<div><span>{escape(title)}</span><i role="img" aria-label="{escape(f"{title}: {words}")}">{cut}</i>'
        f"<em>{escape(total)}</em></div>"
    )


def splits(rows: Sequence[str]) -> str:
    """Several of them, one scale."""
    return f'<div class="inception-bars wide">{"".join(rows)}</div>'
