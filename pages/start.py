"""Start page: a network classifies a drawn digit; links to the other pages, and the lesson."""

from cnnviz.ui.pages.start.hero import hero
from cnnviz.ui.pages.start.networks import networks
from cnnviz.ui.pages.start.paths import lesson_steps, paths
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Start",
    heading="Draw a digit, and see a network read it",
    icon=":material/home:",
    order=0,
    blurb="Understand a convolutional network by seeing it.",
)

hero()
paths()
lesson_steps()
networks()
