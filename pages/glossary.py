"""Glossary page: every term with definition, formula and where the app shows it."""

from cnnviz.ui.pages.glossary import glossary
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Glossary",
    icon=":material/menu_book:",
    order=4,
    group="Explore",
    blurb="Every term on these pages: what it means, its formula, and where to see it.",
)

glossary()
