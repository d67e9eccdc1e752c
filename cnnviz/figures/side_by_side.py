"""Architectures side by side: totals by kind on one scale a measure, and where in the depth they sit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cnnviz.analysis.types import KIND_TITLES, KINDS, Analysis, Group, Kind, Row, grouped
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import COMPARED

MOST_COLUMNS = 150
"""More layers than this are drawn as groups of neighbours."""
FEW = 3
"""Kinds that the description in words names."""


@dataclass(frozen=True)
class Part:
    """One kind's part of a total: its share of the largest total, and the exact figure in words."""

    kind: Kind
    share: float
    text: str


@dataclass(frozen=True)
class Column:
    """One layer, or neighbours. Height, place and width are parts of 1: of the tallest, of the depth."""

    kind: Kind
    at: float
    width: float
    height: float
    label: str
    text: str


@dataclass(frozen=True)
class Band:
    """One model in one measure."""

    name: str
    total: str
    parts: tuple[Part, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Panel:
    """One measure."""

    title: str
    unit: str
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class SideBySide:
    """The whole figure."""

    panels: tuple[Panel, ...]
    hues: tuple[str, ...]
    alt: str

    def data(self) -> dict[str, Any]:
        """The figure as JSON-like data."""
        return asdict(self)


@dataclass(frozen=True)
class Measure:
    """What is counted of a row, and how a total is told."""

    title: str
    unit: str
    count: Callable[[Row], int]
    told: Callable[[float], str]
    exact: Callable[[float], str]


def measures(batch: int) -> tuple[Measure, ...]:
    """Parameters, multiply-adds, and bytes of activations at a batch."""
    images = "1 image" if batch == 1 else f"{batch:,} images"
    return (
        Measure("Parameters", "what is learnt", lambda row: row.params, numbers.short, numbers.exact),
        Measure("Arithmetic", "multiply-adds", lambda row: row.macs, numbers.macs, numbers.exact),
        Measure(
            "Memory",
            f"activations, {images}",
            lambda row: row.activation_bytes(batch),
            numbers.mib,
            numbers.mib,
        ),
    )


def side_by_side(
    named: Sequence[tuple[str, Analysis]], batch: int = 1, own_scale: bool = False
) -> SideBySide:
    """The figure of models in the order of `COMPARED`.

    Totals always share a scale. So do the columns of a measure, unless `own_scale` asks to stretch each
    model's to its own tallest. What takes part in training only is left out.
    """
    panels = tuple(_panel(measure, named, own_scale) for measure in measures(batch))
    hues = tuple(hue.css for hue in COMPARED[: len(named)])
    return SideBySide(panels, hues, _in_words(panels))


def _panel(measure: Measure, named: Sequence[tuple[str, Analysis]], own_scale: bool) -> Panel:
    rows = {name: [row for row in analysis.predicting if _drawn(row)] for name, analysis in named}
    groups = [grouped(rows[name], MOST_COLUMNS) for name, _ in named]
    largest = max((sum(map(measure.count, kept)) for kept in rows.values()), default=0) or 1
    tops = [max((_count(group, measure) for group in of), default=0) or 1 for of in groups]
    bands = tuple(
        Band(
            name,
            measure.told(sum(map(measure.count, rows[name]))),
            _parts(measure, rows[name], largest),
            _columns(measure, of, top if own_scale else max(tops)),
        )
        for (name, _), of, top in zip(named, groups, tops, strict=True)
    )
    return Panel(measure.title, measure.unit, bands)


def _drawn(row: Row) -> bool:
    return bool(row.params or row.macs or row.outputs)


def _count(group: Group, measure: Measure) -> int:
    return sum(map(measure.count, group.rows))


def _parts(measure: Measure, rows: Sequence[Row], largest: int) -> tuple[Part, ...]:
    total = sum(map(measure.count, rows)) or 1
    parts = []
    for kind in KINDS:
        amount = sum(measure.count(row) for row in rows if row.kind == kind)
        if amount:
            share = numbers.percent(amount / total, 1)
            text = f"{KIND_TITLES[kind]}: {measure.exact(amount)}, {share}"
            parts.append(Part(kind, amount / largest, text))
    return tuple(parts)


def _columns(measure: Measure, groups: Sequence[Group], top: int) -> tuple[Column, ...]:
    count = len(groups)
    return tuple(
        Column(
            group.kind,
            i / count,
            1 / count,
            amount / top,
            group.name or "(model)",
            f"{measure.exact(amount)}, at {numbers.percent((i + 0.5) / count)} of the depth",
        )
        for i, group in enumerate(groups)
        if (amount := _count(group, measure))
    )


def _in_words(panels: Sequence[Panel]) -> str:
    """What the eye sees, for who cannot: each model's totals, and what they mostly are."""
    parts = []
    for panel in panels:
        bands = []
        for band in panel.bands:
            largest = sorted(band.parts, key=lambda part: -part.share)[:FEW]
            mostly = f" ({'; '.join(part.text for part in largest)})" if largest else ""
            bands.append(f"{band.name} {band.total}{mostly}")
        parts.append(f"{panel.title}: {', '.join(bands)}.")
    return " ".join(parts)
