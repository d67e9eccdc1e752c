"""Train: from a click to live curves."""

from cnnviz.ui.pages import Page
from cnnviz.ui.train.page import train_page

PAGE = Page(
    title="Train",
    icon=":material/model_training:",
    order=5,
    blurb="Choose a network, data and a recipe, press Start, and watch it learn.",
)

train_page()
