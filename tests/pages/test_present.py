"""Presenting: navigation and settings go, the address says so, and it goes along to other pages."""

import pytest

from tests.pages.runner import components, html, links, open_page, said

pytestmark = pytest.mark.usefixtures("nothing_ships")


@pytest.mark.parametrize("page", ["start", "features", "architecture"])
def test_the_address_says_that_a_page_is_presented_and_links_take_it_along(page: str) -> None:
    assert "--text: 1.25" not in html(open_page(page))
    app = open_page(page, present="1")
    assert not app.warning, said(app)
    assert "--text: 1.25" in html(app)
    assert all(behind.get("present") == "1" for behind in links(app).values())
    assert "cnnviz.navigation" in components(app)


def test_another_value_is_said_and_presents_nothing() -> None:
    app = open_page("features", present="yes")
    assert "“present” cannot be “yes”, only 1" in said(app)
    assert "--text: 1.25" not in html(app)
