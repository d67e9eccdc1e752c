"""Runs page: all runs in a table, comparison of selected ones, details of one."""

from cnnviz.ui.pages.runs.page import runs_page
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Runs",
    icon=":material/table_rows:",
    order=7,
    group="Train",
    blurb="Everything that was trained: find it, compare it, keep it or throw it away.",
)

runs_page()
