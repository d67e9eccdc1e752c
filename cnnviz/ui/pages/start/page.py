"""Start page: a network reads a drawn digit in the browser; paths to other pages, the lesson, all models."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from typing import Any

import streamlit as st

from cnnviz.analysis import analyze
from cnnviz.analysis.types import Kind
from cnnviz.figures import numbers
from cnnviz.figures.pareto import landscape, landscape_words
from cnnviz.figures.plotly_theme import kind_variables
from cnnviz.figures.timeline import (
    TIMELINE_MODELS,
    TimelineEntry,
    columns,
    square_svg,
    thumbnail_svg,
    timeline_entry,
    timeline_svg,
)
from cnnviz.inference import InferenceError
from cnnviz.inference.weights import bundled
from cnnviz.models import get
from cnnviz.paths import LESSON
from cnnviz.ui.components.digits import FIRST, DigitNetwork, digit_network, put_drawing
from cnnviz.ui.components.images import landscape_chart, miniature
from cnnviz.ui.shared import lesson
from cnnviz.ui.shared.inspection import image_input
from cnnviz.ui.shared.inspection.image_chooser import PAD_KEY
from cnnviz.ui.shared.layout import link
from cnnviz.ui.shared.model_data import overview
from cnnviz.ui.shared.url_state import carried

HERE = pathlib.Path(__file__).parent

# Hero: a shipped network on the visitor's drawing.

WEIGHTS = "lenet5-mnist"


def hero() -> None:
    """Draw the pad and a link to the network view; a sentence if the network's weights do not ship."""
    try:
        network = shipped()
    except InferenceError as error:
        st.info(f"{error} Feature maps shows the inside of your own runs.", icon=":material/info:")
        return
    opened = digit_network(network, link=".st-key-hero-foot a", key="hero")
    if opened is not None:
        destination = {**carried(), **_network_view(_picture(opened))}
        st.switch_page("features.py", query_params={k: v for k, v in destination.items() if v is not None})
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="hero-foot"):
        st.markdown(caption(network), width="content")
        link(
            "features",
            "The whole network on one screen",
            icon=":material/arrow_forward:",
            **_network_view(f"sample:digit-{FIRST}"),
        )


def _network_view(picture: str) -> dict[str, str | None]:
    """Return the URL parameters of the network view with an image."""
    weights = f"checkpoint:{WEIGHTS}"
    return {"view": "network", "weights": weights, "picture": picture, "model": None, "layer": None}


def _picture(opened: Mapping[str, Any]) -> str:
    """Return how the URL names what was on the pad, after storing a drawing as the visitor's."""
    example = opened.get("example")
    if isinstance(example, int) and 0 <= example <= 9:
        return f"sample:digit-{example}"
    png = put_drawing(opened, key=PAD_KEY)
    if png is None:
        return f"sample:digit-{FIRST}"
    image_input.store_drawing(png)
    return "drawn"


def shipped() -> DigitNetwork:
    """Return the shipped network.

    Raises:
        InferenceError: Its weights are missing.
    """
    return _shipped(bundled.weights_path(WEIGHTS))


@st.cache_resource(max_entries=2, show_spinner=False)
def _shipped(_path: pathlib.Path) -> DigitNetwork:
    card = bundled.card(WEIGHTS)
    return DigitNetwork(
        bundled.program(WEIGHTS), card.preprocessing, card.classes, get(card.recipe.model).title
    )


def caption(network: DigitNetwork) -> str:
    """Describe the network with its measured accuracy."""
    card = bundled.card(WEIGHTS)
    return (
        f"{network.name} with {card.params:,} parameters runs here in your browser; it reads "
        f"{100 * card.accuracy:.1f} % of {card.test_images:,} test digits of MNIST. "
        "Point at a map to enlarge it."
    )


# Paths: three groups of links to prepared pages, and the lesson.


@dataclass(frozen=True)
class Destination:
    """A link: its label, the page's name, and the parameters."""

    label: str
    page: str
    parameters: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Path:
    """A group of links with its introduction."""

    title: str
    icon: str
    text: str
    links: tuple[Destination, ...]


GOOGLENET = {"weights": "checkpoint:small-googlenet-cifar10", "picture": "sample:airplane", "model": None}
PATHS = (
    Path(
        "Understand",
        ":material/school:",
        "What a layer computes, what it costs, and what it makes of an image.",
        (
            Destination(
                "Where do AlexNet’s 58 million parameters sit?",
                "architecture",
                {"model": "alexnet-cifar10", "layer": "fc1"},
            ),
            Destination(
                "What does each branch of an inception block see?",
                "inception",
                {**GOOGLENET, "layer": "inception_3a"},
            ),
            Destination(
                "Which maps did LeNet’s C3 see in 1998?",
                "architecture",
                {"model": "lenet5-1998", "layer": "c3.convs.see3"},
            ),
        ),
    ),
    Path(
        "Train",
        ":material/play_arrow:",
        "A network learns on your machine while you watch its curves.",
        (
            Destination(
                "Train LeNet-5 on handwritten digits", "train", {"model": "lenet5", "dataset": "digits"}
            ),
            Destination("See what it will learn from", "data", {"dataset": "digits", "model": None}),
            Destination("Change a network before it trains", "build", {"model": "lenet5", "layer": None}),
        ),
    ),
    Path(
        "Find out why it fails",
        ":material/troubleshoot:",
        "The loss stays where it began: the cause, its evidence, and a fix.",
        (
            Destination(
                "A run that fails, and why", "diagnose", {"recorded": "alexnet-stl10-failed", "run": None}
            ),
            Destination("Does dropout help? Paired runs answer", "experiments", {"experiment": "dropout"}),
            Destination(
                "Where did the network look?", "attribution", {**GOOGLENET, "layer": None}
            ),
        ),
    ),
)  # fmt: skip


def paths() -> None:
    """Draw the three paths side by side, stacked on a phone."""
    st.html(HERE / "paths.css")
    with st.container(key="paths"):
        for column, path in zip(st.columns(len(PATHS), gap="large"), PATHS, strict=True):
            with column:
                st.header(f"{path.icon} {path.title}", anchor=False)
                st.markdown(path.text)
                for destination in path.links:
                    link(
                        destination.page,
                        destination.label,
                        icon=":material/arrow_forward:",
                        **destination.parameters,
                    )


PLAN = "For teachers: a plan of 90 minutes"


def lesson_steps() -> None:
    """Draw the six steps of the lesson as links, in order."""
    st.header("A lesson in six steps", anchor=False)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="lesson-about"):
        st.markdown("One page, one question and its answer at a time.", width="content")
        if st.button(PLAN, key="lesson-plan", icon=":material/co_present:", type="tertiary"):
            _lesson_plan()
    with st.container(key="lesson-steps", horizontal=True, gap="small"):
        for number, step in enumerate(lesson.STEPS, start=1):
            link(step.page, f"{number}. {step.title}", **lesson.parameters(number))


@st.dialog(PLAN, width="large")
def _lesson_plan() -> None:
    """Show the plan of the lesson, with its addresses as links."""
    st.markdown(plan_text(LESSON.read_text(encoding="utf-8")))


def plan_text(document: str) -> str:
    """Prepare docs/lesson.md for the dialog: without its title, and with links that lead somewhere here."""
    _, _, body = document.partition("\n")
    body = re.sub(r"\[([^]]+)\]\([\w./-]+\.md[^)]*\)", r"\1", body)  # other documents are not in the app
    return re.sub(r"`(/(\w+)\?[^`]+)`", r"[\2](\1)", body)


# Networks: a timeline of five architectures, and all models by parameters and MACs.

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
    return (HERE / "networks.css").read_text(encoding="utf-8")
