"""Train page: setup of a run, and its live curves."""

from cnnviz.ui.pages.train.page import train_page
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Train",
    icon=":material/model_training:",
    order=6,
    group="Train",
    blurb="Choose a network, data and a recipe, press Start, and watch it learn.",
)

train_page()
