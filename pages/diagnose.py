"""Diagnose page: why a run does not learn, with evidence and suggested fixes."""

from cnnviz.ui.pages.diagnose.page import diagnose_page
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Diagnose",
    icon=":material/stethoscope:",
    order=8,
    group="Train",
    blurb="Why a run does not learn: what speaks for it, what was ruled out, and what would fix it.",
)

diagnose_page()
