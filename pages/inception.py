"""Inception page: the branches of a block, their output, cost and contribution."""

from cnnviz.ui.pages.inception.page import inception
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Inception",
    icon=":material/call_split:",
    order=11,
    group="Look inside",
    blurb="Four branches read the same maps: what each gives, what it costs, and what is lost without it.",
)

inception()
