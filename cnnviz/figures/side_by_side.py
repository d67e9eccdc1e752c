"""Architectures side by side: totals by layer kind, their distribution over depth, the table of totals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from cnnviz.analysis.types import KIND_TITLES, KINDS, Analysis, Group, Kind, Row, depth, grouped
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import COMPARED
from cnnviz.formats import csv_text
from cnnviz.models import ModelSpec
from cnnviz.sentences import percent

MAX_COLUMNS = 150
"""Maximum number of columns; more layers are drawn as groups of neighbors."""
FEW = 3
"""Layer kinds named in the alternative text."""


@dataclass(frozen=True)
class Part:
    """One layer kind's part of a total: its fraction of the largest total, and the exact figure as text."""

    kind: Kind
    share: float
    text: str


@dataclass(frozen=True)
class Column:
    """One layer, or a group of neighbors.

    `at` and `width` are fractions of the depth, `height` of the tallest.
    """

    kind: Kind
    at: float
    width: float
    height: float
    label: str
    text: str


@dataclass(frozen=True)
class Band:
    """One model in one measure: its total, split by layer kind and by depth."""

    name: str
    total: str
    parts: tuple[Part, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Panel:
    """One measure of all models."""

    title: str
    unit: str
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class SideBySide:
    """The whole figure: panels, the models' colors and the alternative text."""

    panels: tuple[Panel, ...]
    hues: tuple[str, ...]
    alt: str

    def data(self) -> dict[str, Any]:
        """Return the figure as JSON-serializable data."""
        return asdict(self)


@dataclass(frozen=True)
class Measure:
    """A cost measured per layer, with the formats of its totals and exact values."""

    title: str
    unit: str
    count: Callable[[Row], int]
    format_total: Callable[[float], str]
    format_exact: Callable[[float], str]


def measures(batch: int) -> tuple[Measure, ...]:
    """Return the measures: parameters, multiply-adds, and activation bytes at a batch size."""
    images = "1 image" if batch == 1 else f"{batch:,} images"
    return (
        Measure("Parameters", "what is learned", lambda row: row.params, numbers.short, numbers.exact),
        Measure("Compute", "multiply-adds (MACs)", lambda row: row.macs, numbers.macs, numbers.exact),
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
    """Build the comparison of models, colored in the order of `COMPARED`.

    Layers that take part in training only are left out.

    Args:
        named: `(name, analysis)` of each model.
        batch: Batch size for the activation memory.
        own_scale: Scale each model's columns to its own maximum; by default all models share a scale. Totals
            always do.
    """
    panels = tuple(_panel(measure, named, own_scale) for measure in measures(batch))
    hues = tuple(hue.css for hue in COMPARED[: len(named)])
    return SideBySide(panels, hues, _in_words(panels))


def _panel(measure: Measure, named: Sequence[tuple[str, Analysis]], own_scale: bool) -> Panel:
    rows = {name: [row for row in analysis.predicting if _drawn(row)] for name, analysis in named}
    groups = [grouped(rows[name], MAX_COLUMNS) for name, _ in named]
    largest = max((sum(map(measure.count, model_rows)) for model_rows in rows.values()), default=0) or 1
    tops = [
        max((_count(group, measure) for group in model_groups), default=0) or 1 for model_groups in groups
    ]
    bands = tuple(
        Band(
            name,
            measure.format_total(sum(map(measure.count, rows[name]))),
            _parts(measure, rows[name], largest),
            _columns(measure, model_groups, top if own_scale else max(tops)),
        )
        for (name, _), model_groups, top in zip(named, groups, tops, strict=True)
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
            text = f"{KIND_TITLES[kind]}: {measure.format_exact(amount)}, {share}"
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
            f"{measure.format_exact(amount)}, at {numbers.percent((i + 0.5) / count)} of the depth",
        )
        for i, group in enumerate(groups)
        if (amount := _count(group, measure))
    )


def _in_words(panels: Sequence[Panel]) -> str:
    """Describe the figure in words: each model's totals, and the layer kinds that dominate them."""
    parts = []
    for panel in panels:
        bands = []
        for band in panel.bands:
            largest = sorted(band.parts, key=lambda part: -part.share)[:FEW]
            mostly = f" ({'; '.join(part.text for part in largest)})" if largest else ""
            bands.append(f"{band.name} {band.total}{mostly}")
        parts.append(f"{panel.title}: {', '.join(bands)}.")
    return " ".join(parts)


# Table of totals.

Line = tuple[str, tuple[str, ...]]


def totals(shown: Sequence[tuple[ModelSpec, Analysis]], batch: int) -> list[Line]:
    """Return each measure with the exact value of every model, without those that no model has."""
    images = "1 image" if batch == 1 else f"{batch:,} images"
    counted: tuple[tuple[str, Callable[[Analysis], str]], ...] = (
        ("Input", lambda a: numbers.shape(a.input_shape)),
        ("Classes", lambda a: numbers.exact(a.classes)),
        ("Parameters", lambda a: numbers.exact(a.total_params)),
        ("… in convolutions", lambda a: _with_share(a.conv_params, a.total_params)),
        ("… fully connected", lambda a: _with_share(a.fc_params, a.total_params)),
        ("… in normalization", lambda a: _with_share(a.norm_params, a.total_params)),
        ("… other", lambda a: _with_share(a.other_params, a.total_params)),
        ("Multiply-adds", lambda a: numbers.exact(a.macs)),
        ("Memory of parameters", lambda a: numbers.mib(a.parameter_bytes)),
        (f"Forward/backward, {images}", lambda a: numbers.mib(a.training_bytes(batch))),
        ("Depth (layers with weights, longest path)", lambda a: numbers.exact(depth(a))),
        ("Rows of the table of layers", lambda a: numbers.exact(len(a.rows))),
    )
    rows = [
        (title, tuple(format_value(analysis) for _, analysis in shown)) for title, format_value in counted
    ]
    rows.append(("Published accuracy", tuple(_accuracy(spec) for spec, _ in shown)))
    return [(title, values) for title, values in rows if set(values) != {"—"}]


def _with_share(part: int, whole: int) -> str:
    return f"{numbers.exact(part)} ({numbers.percent(part / whole, 1)})" if part else "—"


def _accuracy(spec: ModelSpec) -> str:
    """Return the published accuracy of the registered model, with the data set it was measured on."""
    claim = next((p for p in spec.published if p.what == "accuracy"), None)
    if claim is None:
        return "—"
    return f"{percent(claim.value, 2)} on {claim.on}" if claim.on else percent(claim.value, 2)


def totals_html(lines: Sequence[Line], names: Sequence[str]) -> str:
    """Return the table as HTML, each model in its color."""
    heads = "".join(
        f'<th scope="col"><i style="background:{hue.css}"></i>{escape(name)}</th>'
        for name, hue in zip(names, COMPARED, strict=False)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th>{"".join(f"<td>{escape(v)}</td>" for v in values)}</tr>'
        for title, values in lines
    )
    return (
        f'<div class="totals" tabindex="0" role="region" aria-label="Totals"><table>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def to_csv(rows: Sequence[Line], names: Sequence[str]) -> str:
    """Return the table as CSV."""
    return csv_text(["", *names], ([title, *values] for title, values in rows))


def to_markdown(rows: Sequence[Line], names: Sequence[str]) -> str:
    """Return the table as Markdown, with right-aligned numbers."""
    table = [["", *names], ["---", *["---:"] * len(names)], *([title, *values] for title, values in rows)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in table)
