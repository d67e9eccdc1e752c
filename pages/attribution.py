"""Attribution page: which pixels speak for a class, and a deletion check."""

from cnnviz.ui.pages.attribution import attribution_page
from cnnviz.ui.shared.layout import Page

PAGE = Page(
    title="Attribution",
    icon=":material/center_focus_strong:",
    order=12,
    group="Look inside",
    blurb="Which part of an image speaks for a class, and what is answered when that part is covered.",
)

attribution_page()
