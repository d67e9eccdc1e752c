"""Side by side: the figure, the totals, the difference, and every fault of a link said."""

import re

import pytest
from playwright.sync_api import Page, expect

from cnnviz import models
from tests.browser.chromium import Look
from tests.browser.conftest import Visit
from tests.browser.navigating import choose_in_menu
from tests.browser.waiting import rerun


def choose(page: Page, label: str, option: str) -> None:
    """Choose in a list by typing, as a person does."""
    box = page.get_by_role("combobox", name=label, exact=True)
    box.click()
    box.fill(option)
    with rerun(page):
        page.get_by_role("option").filter(has_text=option).first.click()


@pytest.mark.slow
def test_page_opens_on_four_models_and_fits_the_window(visit: Visit, look: Look) -> None:
    page = visit("compare", look)
    figure = page.get_by_role("img", name=re.compile("Parameters: AlexNet for CIFAR-10 58.3 M"))
    expect(figure).to_be_visible()
    expect(page.get_by_role("cell", name="58,292,074", exact=True)).to_be_visible()
    expect(page.get_by_text("12 the same, 8 changed")).to_be_visible()
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0
    box = figure.bounding_box()
    assert box is not None
    assert box["width"] <= look.width


def test_a_model_is_chosen_added_and_taken_away(visit: Visit) -> None:
    page = visit("compare?models=lenet5,alexnet-cifar10")
    choose(page, "Model 1", models.get("vgg16-bn-32").title)
    expect(page).to_have_url(re.compile("models=vgg16-bn-32"))
    with rerun(page):
        page.get_by_role("button", name="Add a model").click()
    expect(page.locator(".totals thead th")).to_have_count(3)
    with rerun(page):
        page.locator(".st-key-remove-0 button").first.click()
    expect(page.locator(".totals thead th")).to_have_count(2)
    expect(page.locator(".totals thead th").first).to_contain_text("AlexNet for CIFAR-10")


@pytest.mark.slow
def test_the_scale_of_the_layers_is_chosen_and_kept_in_the_link(visit: Visit) -> None:
    page = visit("compare?models=lenet5,alexnet-cifar10")
    with rerun(page):
        page.get_by_text("Each its own", exact=True).click()
    expect(page).to_have_url(re.compile("scale=own"))
    expect(page.get_by_role("img", name=re.compile("^Parameters:"))).to_be_visible()


@pytest.mark.slow
def test_everything_can_be_shown_and_taken_away(visit: Visit) -> None:
    page = visit("compare?models=alexnet-cifar10,small-alexnet")
    with rerun(page):
        page.get_by_text("Only differences", exact=True).click()
    expect(page).to_have_url(re.compile("view=all"))
    with page.expect_download() as table:
        page.locator(".st-key-totals-csv button").first.click()
    assert "58,292,074" in table.value.path().read_text(encoding="utf-8")
    with page.expect_download() as difference:
        page.locator(".st-key-models-diff-md button").first.click()
    assert "kernel 4 → 7" in difference.value.path().read_text(encoding="utf-8")
    with page.expect_download() as picture:
        choose_in_menu(page.locator(".st-key-side-by-side"), "SVG")
    assert "GMAC" in picture.value.path().read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_card_leads_to_the_architecture_with_its_settings(visit: Visit) -> None:
    page = visit("compare?models=lenet5,alexnet~activation=tanh")
    with rerun(page):
        page.locator(".st-key-card-1").get_by_role("link", name="Architecture").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Architecture")
    expect(page).to_have_url(re.compile(r"model=alexnet&option\.activation=tanh"))


@pytest.mark.slow
def test_what_is_wrong_in_a_link_is_said(visit: Visit) -> None:
    page = visit("compare?models=lenet5,lenet5,nonsense&pair=4,5&stranger=1")
    notice = page.get_by_test_id("stAlert").first
    for fault in ("named twice", "no model “nonsense”", "is added", "“4,5”", "“stranger”"):
        expect(notice).to_contain_text(fault)
    expect(page.get_by_role("cell", name="61,706", exact=True)).to_be_visible()
