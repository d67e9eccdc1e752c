"""Start: what this is and what can be done here."""

import streamlit as st

from cnnviz.ui.pages import Page

PAGE = Page(
    title="Start",
    icon=":material/home:",
    order=0,
    blurb="Understand a convolutional network by seeing it.",
)

st.markdown(
    "Pick an architecture and read its anatomy: what each layer computes, what it costs, and how far it "
    "sees. Everything here runs on this machine."
)
