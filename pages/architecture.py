"""Architecture page: layers, parameters, multiply-adds and receptive fields of one model."""

import streamlit as st

from cnnviz.ui.pages.architecture import bars, claims, inspector, views
from cnnviz.ui.shared.layout import Page
from cnnviz.ui.shared.model_data import headline
from cnnviz.ui.shared.model_picker import model_bar

PAGE = Page(
    title="Architecture",
    icon=":material/schema:",
    order=1,
    group="Explore",
    blurb="What each layer of a network computes, what it costs, and how far it sees.",
)

shown = model_bar()
headline(shown)
picture, detail = st.columns([0.7, 0.3], gap="medium")
with picture:
    bars(shown)
    views(shown)
with detail:
    inspector(shown)
claims(shown)
