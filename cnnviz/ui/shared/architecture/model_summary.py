"""Model summary: headline figures, and the split of parameters and multiply-adds by layer kind."""

from __future__ import annotations

from html import escape
from pathlib import Path

import streamlit as st

from cnnviz.analysis.types import KIND_TITLES, Analysis, Kind, depth
from cnnviz.figures import numbers
from cnnviz.figures.plotly_theme import kind_variables
from cnnviz.ui.shared.architecture.model_data import ShownModel

CSS = Path(__file__).with_name("model_summary.css")
SPLIT: tuple[Kind, ...] = ("conv", "fc", "attention", "recurrent", "norm", "other")
LEAST = 0.05
"""Minimum share that gets a label in the split; smaller ones have a tooltip."""


def headline(current: ShownModel) -> None:
    """Draw the headline figures, and the split of parameters and multiply-adds by layer kind."""
    st.html(f"<style>:root {{ {kind_variables()} }}</style>")
    st.html(CSS)
    spec = current.selection.spec
    origin = " · ".join(escape(part) for part in (str(spec.year or ""), spec.paper) if part)
    st.html(f'<p class="about" title="{origin}">{escape(spec.summary)}</p>')
    figures = "".join(_figure(*figure) for figure in headline_figures(current.analysis, current.batch))
    st.html(f'<div class="headline"><div class="figures">{figures}</div>{_splits(current.analysis)}</div>')


def headline_figures(analysis: Analysis, batch: int) -> list[tuple[str, str, str]]:
    """Return the headline figures as (value, label, exact value in words)."""
    images = "1 image" if batch == 1 else f"{batch:,} images"
    weights = sum(1 for row in analysis.rows if row.params)
    return [
        (
            numbers.short(analysis.total_params),
            "parameters",
            f"{analysis.total_params:,} parameters, {analysis.trainable_params:,} of them trainable",
        ),
        (
            numbers.macs(analysis.macs),
            "for one image",
            f"{analysis.macs:,} multiply-adds: products of convolutions, linear layers and attention",
        ),
        (
            numbers.mib(analysis.parameter_bytes),
            "of parameters",
            f"{analysis.parameter_bytes:,} bytes at 4 a parameter",
        ),
        (
            numbers.mib(analysis.training_bytes(batch)),
            f"activation memory, {images}",
            "Every value written going forward, and a gradient for each going back, at 4 bytes",
        ),
        (
            numbers.exact(depth(analysis)),
            "depth (weight layers)",
            "Convolutions, fully connected layers and attention on the longest path; "
            f"{weights} of {len(analysis.rows)} rows in the table hold weights",
        ),
    ]


def _figure(value: str, label: str, exact: str) -> str:
    return f'<div class="figure" title="{escape(exact)}"><b>{value}</b><span>{escape(label)}</span></div>'


def shares(analysis: Analysis, of: str) -> list[tuple[Kind, float]]:
    """Return the split of `parameters` or `arithmetic` by layer kind, as fractions that sum to 1."""
    amounts: dict[Kind, int] = dict.fromkeys(SPLIT, 0)
    for row in analysis.rows if of == "parameters" else analysis.predicting:
        kind: Kind = row.kind if row.kind in amounts else "other"
        amounts[kind] += row.params if of == "parameters" else row.macs
    total = sum(amounts.values())
    return [(kind, amount / total) for kind, amount in amounts.items() if amount]


def _splits(analysis: Analysis) -> str:
    return f'<div class="splits">{_split(analysis, "parameters")}{_split(analysis, "compute")}</div>'


def _split(analysis: Analysis, of: str) -> str:
    split = shares(analysis, of)
    words = ", ".join(f"{KIND_TITLES[kind]} {numbers.percent(share, 1)}" for kind, share in split)
    parts = "".join(
        f'<span class="part {kind}" style="flex:{max(share, 0.002):.4f}; background:var(--kind-{kind})" '
        f'title="{KIND_TITLES[kind]}: {numbers.percent(share, 1)} of the {of}">'
        f"{_share_label(kind, share)}</span>"
        for kind, share in split
    )
    return (
        f'<div class="split"><span class="of">{of}</span>'
        f'<div class="bar" role="img" aria-label="{of}: {words or "none"}">{parts}</div></div>'
    )


def _share_label(kind: Kind, share: float) -> str:
    if share < LEAST:
        return ""
    name = f"<i>{KIND_TITLES[kind]}</i>" if share >= 0.3 else ""
    return f"<b>{numbers.percent(share)}</b>{name}"
