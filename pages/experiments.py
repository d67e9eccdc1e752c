"""Experiments page: paired runs that answer a question with confidence intervals."""

from cnnviz.ui.pages.experiments.page import experiments_page
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Experiments",
    icon=":material/science:",
    order=9,
    group="Train",
    blurb="Does it really help? Runs that differ in one thing, with the same seeds, and what they can tell.",
)

experiments_page()
