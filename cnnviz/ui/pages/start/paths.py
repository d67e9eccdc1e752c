"""Paths of the Start page: three groups of links to prepared pages, and the lesson."""

from __future__ import annotations

import pathlib
import re
from dataclasses import dataclass, field

import streamlit as st

from cnnviz import resources
from cnnviz.ui.shared import lesson
from cnnviz.ui.shared.layout import link

CSS = pathlib.Path(__file__).with_name("paths.css")


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
    st.html(CSS)
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
    st.markdown(plan_text(resources.LESSON.read_text(encoding="utf-8")))


def plan_text(document: str) -> str:
    """Prepare docs/lesson.md for the dialog: without its title, and with links that lead somewhere here."""
    _, _, body = document.partition("\n")
    body = re.sub(r"\[([^]]+)\]\([\w./-]+\.md[^)]*\)", r"\1", body)  # other documents are not in the app
    return re.sub(r"`(/(\w+)\?[^`]+)`", r"[\2](\1)", body)
