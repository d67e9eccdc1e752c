"""Runs: every run in a table, some of them side by side, and one in detail."""

from cnnviz.ui.pages import Page
from cnnviz.ui.runs.page import runs_page

PAGE = Page(
    title="Runs",
    icon=":material/table_rows:",
    order=6,
    blurb="Everything that was trained: find it, compare it, keep it or throw it away.",
)

runs_page()
