"""What can be done here: every page with the sentence it says of itself, and questions to begin with."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from cnnviz.ui.chrome import link
from cnnviz.ui.pages import Page

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
