"""Build: a network changed layer by layer, with its cost beside it."""

import streamlit as st

from cnnviz.ui.builder.bar import builder_bar
from cnnviz.ui.builder.compare import comparison
from cnnviz.ui.builder.cost import costed
from cnnviz.ui.builder.editor import editor
from cnnviz.ui.builder.inspector import inspector
from cnnviz.ui.builder.shelf import aftermath
from cnnviz.ui.builder.state import read
from cnnviz.ui.builder.summary import bars, structure, summary
from cnnviz.ui.pages import Page
from cnnviz.ui.structure import problem_boxes

PAGE = Page(
    title="Build",
    icon=":material/construction:",
    order=2,
    blurb="Change a network layer by layer and see at once what it costs.",
)

design = read()
builder_bar(design)
aftermath(design)
cost = costed(design)
problems = structure(cost)
summary(cost, problems)
layers, detail = st.columns([0.7, 0.3], gap="medium")
with layers:
    editor(cost)
with detail:
    inspector(cost)
    # Below what is worked with: a box that comes and goes above the list would move it and take its focus.
    problem_boxes(problems)
bars(cost)
comparison(cost)
