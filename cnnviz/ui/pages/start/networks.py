"""Networks of the Start page: a timeline of five architectures, and all models by parameters and MACs."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path

import streamlit as st

from cnnviz.analysis import analyze
from cnnviz.analysis.types import Kind
from cnnviz.figures import numbers
from cnnviz.figures.architecture.timeline import (
    TIMELINE_MODELS,
    TimelineEntry,
    columns,
    square_svg,
    thumbnail_svg,
    timeline_entry,
    timeline_svg,
)
from cnnviz.figures.pareto import landscape, landscape_words
from cnnviz.figures.plotly_theme import kind_variables
from cnnviz.ui.components.svg_figures import landscape_chart, miniature
from cnnviz.ui.shared.architecture.model_data import overview
from cnnviz.ui.shared.layout import link

FOLD = "start-networks"
MODELS_HEADING = "All models: parameters against compute"


def networks() -> None:
    """Draw both in an expander, which is filled when it is opened."""
    fold = st.expander("All networks: five drawn to one scale, and every model", key=FOLD, on_change="rerun")
    if not fold.open:
        return
    with fold:
        st.markdown(
            "Five networks, seventeen years, drawn to one scale. Open one to read its anatomy, layer by "
            "layer."
        )
        lineage()
        st.header(MODELS_HEADING, anchor=False)
        st.markdown(
            "Each point is a model; open it. Along a dotted line, every weight works equally often for one "
            "image."
        )
        all_models()


# Scatter plot of all models.


def all_models() -> None:
    """Draw the models; a click opens the Architecture page with the clicked one."""
    known = overview().values()
    picked = landscape_chart(landscape(known), alt=landscape_words(known), key="landscape")
    if picked is not None:
        st.switch_page("architecture.py", query_params={"model": picked})


# Timeline: one row per architecture, with a link to the Architecture page.

HERE = Path(__file__).parent
ACCURACY_OF = {"alexnet": "torchvision/alexnet"}
"""Close relatives whose published accuracy stands in for a model without one."""
LEGEND: tuple[tuple[Kind, str], ...] = (
    ("conv", "convolution"),
    ("pool", "pooling"),
    ("fc", "fully connected"),
)


def lineage() -> None:
    """Draw the rows, the legend and the download."""
    st.html(f"<style>:root {{ {kind_variables()} }}\n{_css()}</style>")
    drawn = ancestors()
    largest = (
        max(sum(entry.params.values()) for entry in drawn),
        max(sum(entry.macs.values()) for entry in drawn),
    )
    depth = columns(drawn)
    with st.container(key="lineage", gap=None):
        for position, entry in enumerate(drawn):
            _row(position, entry, depth, largest)
    with st.container(horizontal=True, key="lineage-foot", vertical_alignment="center"):
        st.html(_legend())
        theme = "dark" if st.context.theme.type == "dark" else "light"
        st.download_button(
            "Image (SVG)",
            lambda: timeline_svg(ancestors(), "dark" if theme == "dark" else "light"),
            file_name="lineage.svg",
            mime="image/svg+xml",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )


@cache
def ancestors() -> tuple[TimelineEntry, ...]:
    """Return the timeline's architectures from the shipped facts."""
    return tuple(_ancestor(name) for name in TIMELINE_MODELS)


def _ancestor(name: str) -> TimelineEntry:
    facts = overview()[name]
    published = facts if facts.accuracy is not None else overview()[ACCURACY_OF.get(name, name)]
    variant = "" if published is facts else ", torchvision’s variant"
    return timeline_entry(
        analyze(name),
        year=facts.year,
        depth=facts.depth,
        accuracy=published.accuracy,
        accuracy_on=published.accuracy_on + variant,
    )


def _row(position: int, entry: TimelineEntry, depth: int, largest: tuple[int, int]) -> None:
    with st.container(key=f"row-{position}", horizontal=True, gap="small", vertical_alignment="center"):
        with st.container(key=f"who-{position}", gap=None):
            st.html(f'<p class="year">{entry.year}</p>')
            link("architecture", entry.title, icon="", model=entry.name, layer=None)
            st.html(f'<p class="news">{escape(entry.news)}</p>')
        drawing = thumbnail_svg(entry.volumes, depth, escape(entry.facts))
        miniature(f'<div class="anatomy">{drawing}{_facts(entry, largest)}</div>', key=f"anatomy-{position}")


def _facts(entry: TimelineEntry, largest: tuple[int, int]) -> str:
    total, arithmetic = sum(entry.params.values()), sum(entry.macs.values())
    cells = [
        ("", str(entry.depth), "weight layers"),
        (square_svg(entry.params, largest[0], "parameters"), numbers.short(total), "parameters"),
        (square_svg(entry.macs, largest[1], "multiply-adds"), numbers.short(arithmetic), "multiply-adds"),
    ]
    if entry.accuracy is not None:
        cells.append(("", numbers.percent(entry.accuracy, 1), f"on {entry.accuracy_on}"))
    inner = "".join(
        f'<div><div class="figure">{figure}</div>'
        f"<p><b>{escape(value)}</b> <span>{escape(noun)}</span></p></div>"
        for figure, value, noun in cells
    )
    return f'<div class="facts">{inner}</div>'


def _legend() -> str:
    kinds = "".join(f'<span><i class="{kind}"></i>{title}</span>' for kind, title in LEGEND)
    return (
        f'<p class="key">{kinds} One box a layer, in the order of depth. Taller: larger feature maps; '
        "thicker: more channels (both as square roots). A box cut into pieces: branches side by side. "
        "The areas of the squares are to scale.</p>"
    )


@cache
def _css() -> str:
    return (HERE / "start.css").read_text(encoding="utf-8")
