"""Goes from page to page by the bar, as a person does, and through the menu of a figure."""

from playwright.sync_api import Locator, Page

from cnnviz.ui.shared.layout import find_pages
from tests.browser.waiting import rerun
from tests.pages.runner import PAGES

FOUND = find_pages(PAGES)


def go(page: Page, name: str) -> None:
    """Open the page of that name through the bar, and wait until it is drawn."""
    nav, wanted = page.get_by_role("navigation", name="Pages"), FOUND[name]
    toggle = nav.get_by_role("button", name="Menu of pages")
    with rerun(page):
        if toggle.is_visible():
            toggle.click()
        elif wanted.group:
            nav.get_by_role("button", name=wanted.group).click()
        nav.get_by_role("link", name=wanted.title, exact=True).last.click()


def choose_in_menu(figure: Locator, what: str) -> None:
    """Open the menu of a figure, as it is pointed at, and choose what says `what`."""
    figure.get_by_role("button", name="Menu of the figure").click()
    figure.get_by_role("button", name=what).click()
