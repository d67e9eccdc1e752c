"""What can be done here: every page with the sentence it says of itself, and questions to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path

import streamlit as st

from cnnviz.analysis import analyze
from cnnviz.analysis.types import Kind
from cnnviz.figures import numbers
from cnnviz.figures.palette import kind_variables
from cnnviz.figures.params_macs import landscape, landscape_words
from cnnviz.figures.thumbnail import strip_svg
from cnnviz.figures.timeline import LINEAGE, Ancestor, ancestor, columns, lineage_sheet, square_svg
from cnnviz.ui.components.svg_figures import landscape_chart, miniature
from cnnviz.ui.shared.layout import link
from cnnviz.ui.shared.model_data import overview
from cnnviz.ui.shared.page_registry import Page

QUESTIONS = (
    ("What does each of an inception block’s four branches do?", "googlenet", "inception_3a.branch5.conv"),
    ("Where do AlexNet’s 58 million parameters for CIFAR-10 sit?", "alexnet-cifar10", "fc1"),
    ("How much of SmallAlexNet is convolution?", "small-alexnet", "conv3"),
    ("Which maps did LeNet’s C3 see in 1998?", "lenet5-1998", "c3.convs.see3"),
)
"""A question, the model that answers it and the layer to look at."""


def doors(pages: Mapping[str, Page]) -> None:
    """One line for each page but the first, which is this one."""
    with st.container(key="doors", gap="xsmall"):
        for name, page in list(pages.items())[1:]:
            with st.container(key=f"door-{name}", horizontal=True, vertical_alignment="center"):
                link(name, page.title, icon=page.icon)
                st.markdown(page.blurb, width="content")


def questions() -> None:
    """Questions that the Architecture page answers at a glance."""
    with st.container(key="questions", gap="xsmall"):
        for question, model, layer in QUESTIONS:
            link("architecture", question, icon=":material/arrow_forward:", model=model, layer=layer)


# Every model in one picture, each point a link to its anatomy.


def all_models() -> None:
    """Draw the models; a click opens the Architecture page with the one that was clicked."""
    known = overview().values()
    picked = landscape_chart(landscape(known), alt=landscape_words(known), key="landscape")
    if picked is not None:
        st.switch_page("architecture.py", query_params={"model": picked})


# The lineage: one row an architecture, all of it a link to its anatomy.

HERE = Path(__file__).parent
ACCURACY_OF = {"alexnet": "torchvision/alexnet"}
"""Where an architecture has no published figure of its own: a close relative that has one."""
LEGEND: tuple[tuple[Kind, str], ...] = (
    ("conv", "convolution"),
    ("pool", "pooling"),
    ("fc", "fully connected"),
)


def lineage() -> None:
    """Draw the rows, what the drawings mean, and the download."""
    st.html(f"<style>:root {{ {kind_variables()} }}\n{_css()}</style>")
    drawn = ancestors()
    largest = max(sum(one.params.values()) for one in drawn), max(sum(one.macs.values()) for one in drawn)
    room = columns(drawn)
    with st.container(key="lineage", gap=None):
        for position, one in enumerate(drawn):
            _row(position, one, room, largest)
    with st.container(horizontal=True, key="lineage-foot", vertical_alignment="center"):
        st.html(_legend())
        theme = "dark" if st.context.theme.type == "dark" else "light"
        st.download_button(
            "Picture (SVG)",
            lambda: lineage_sheet(ancestors(), "dark" if theme == "dark" else "light"),
            file_name="lineage.svg",
            mime="image/svg+xml",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )


@cache
def ancestors() -> tuple[Ancestor, ...]:
    """The lineage from the shipped facts."""
    return tuple(_ancestor(name) for name in LINEAGE)


def _ancestor(name: str) -> Ancestor:
    facts = overview()[name]
    published = facts if facts.accuracy is not None else overview()[ACCURACY_OF.get(name, name)]
    variant = "" if published is facts else ", torchvision’s variant"
    return ancestor(
        analyze(name),
        year=facts.year,
        depth=facts.depth,
        accuracy=published.accuracy,
        accuracy_on=published.accuracy_on + variant,
    )


def _row(position: int, one: Ancestor, room: int, largest: tuple[int, int]) -> None:
    with st.container(key=f"row-{position}", horizontal=True, gap="small", vertical_alignment="center"):
        with st.container(key=f"who-{position}", gap=None):
            st.html(f'<p class="year">{one.year}</p>')
            link("architecture", one.title, icon="", model=one.name, layer=None)
            st.html(f'<p class="news">{escape(one.news)}</p>')
        drawing = strip_svg(one.volumes, room, escape(one.facts))
        miniature(f'<div class="anatomy">{drawing}{_facts(one, largest)}</div>', key=f"anatomy-{position}")


def _facts(one: Ancestor, largest: tuple[int, int]) -> str:
    total, arithmetic = sum(one.params.values()), sum(one.macs.values())
    cells = [
        ("", str(one.depth), "depth (weight layers)"),
        (square_svg(one.params, largest[0], "parameters"), numbers.short(total), "parameters"),
        (square_svg(one.macs, largest[1], "multiply-adds"), numbers.short(arithmetic), "multiply-adds"),
    ]
    if one.accuracy is not None:
        cells.append(("", numbers.percent(one.accuracy, 1), f"on {one.accuracy_on}"))
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
