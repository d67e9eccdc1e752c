"""Predict page: many images, up to four networks, their predictions side by side."""

from cnnviz.ui.pages.predict.page import predict
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Predict",
    icon=":material/checklist:",
    order=13,
    group="Look inside",
    blurb="Many images at once, one to four networks: what they say, where they differ, what it costs.",
)

predict()
