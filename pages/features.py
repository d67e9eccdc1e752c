"""Feature maps page: the feature maps of every layer for an image."""

from cnnviz.ui.pages.features.page import features
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Feature maps",
    icon=":material/visibility:",
    order=10,
    group="Look inside",
    blurb="An image goes in, and every layer shows what it makes of it, down to the single product.",
)

features()
