"""The first page, and the bar that all pages share."""

import re

from playwright.sync_api import expect

from cnnviz.ui.pages import find_pages
from tests.browser.chromium import DESKTOP, Look
from tests.browser.conftest import Visit
from tests.browser.waiting import rerun
from tests.pages.runner import PAGES

FOUND = find_pages(PAGES)


def test_start_is_there_and_fits_the_window(visit: Visit, look: Look) -> None:
    page = visit("", look)
    expect(page).to_have_title(f"{FOUND['start'].title} · cnnviz")
    expect(page.get_by_role("heading", level=1)).to_have_text(FOUND["start"].title)
    expect(page.get_by_text(FOUND["start"].blurb)).to_be_visible()
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0
    dark = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert (dark != "rgb(255, 255, 255)") == (look.scheme == "dark")


def test_bar_leads_to_every_page_with_the_selection(visit: Visit) -> None:
    page = visit("?model=lenet5&option.activation=tanh&stranger=1", DESKTOP)
    for name in [*list(FOUND)[1:], "start"]:
        with rerun(page):
            page.get_by_role("link", name=FOUND[name].title, exact=True).first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text(FOUND[name].title)
        path = "" if name == "start" else name
        expect(page).to_have_url(re.compile(rf"/{path}\?model=lenet5&option\.activation=tanh"))
