"""Start: where these networks come from, what they cost, and what can be done here."""

from pathlib import Path

import streamlit as st

from cnnviz.ui.pages.start.inside import inside
from cnnviz.ui.pages.start.views import all_models, doors, lineage, questions
from cnnviz.ui.shared.page_registry import Page, find_pages

PAGE = Page(
    title="Start",
    icon=":material/home:",
    order=0,
    blurb="Understand a convolutional network by seeing it.",
)

st.markdown(
    "A picture goes in, and nine inception blocks later a word comes out: edges first, then parts, at last a "
    "few bright cells that mean ship."
)
inside()
st.markdown(
    "Five networks, seventeen years, drawn to one scale. Open one to read its anatomy, layer by layer."
)
lineage()
left, right = st.columns(2, gap="large")
with left:
    st.subheader("What can be done here", anchor=False)
    doors(find_pages(Path(__file__).parent))
with right:
    st.subheader("Questions to begin with", anchor=False)
    questions()
st.subheader("All models: parameters against arithmetic", anchor=False)
st.markdown(
    "Each point is a model; open it. Along a dotted line, every weight works equally often for one picture."
)
all_models()
