"""Build page: edit a network layer by layer, with its cost."""

import streamlit as st

from cnnviz.ui.pages.build.editor import bars, comparison, editor, structure, summary
from cnnviz.ui.pages.build.header import builder_bar, outcome_notice
from cnnviz.ui.pages.build.inspector import inspector
from cnnviz.ui.pages.build.state import costed, read
from cnnviz.ui.shared.layout import Page
from cnnviz.ui.shared.model_data import problem_boxes

PAGE = Page(
    title="Build",
    icon=":material/construction:",
    order=3,
    group="Explore",
    blurb="Change a network layer by layer and see at once what it costs.",
)

design = read()
builder_bar(design)
outcome_notice(design)
cost = costed(design)
problems = structure(cost)
summary(cost, problems)
layers, detail = st.columns([0.7, 0.3], gap="medium")
with layers:
    editor(cost)
with detail:
    inspector(cost)
    # Drawn last: boxes that appear above the list would shift it and take its focus.
    problem_boxes(problems)
bars(cost)
comparison(cost)
