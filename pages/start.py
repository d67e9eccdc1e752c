"""Start page: a network classifies a drawn digit; links to the other pages, and the lesson."""

from cnnviz.ui.pages.start.page import hero, lesson_steps, networks, paths
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
