"""Inception in a browser: a branch is left out, the sliders move, a phone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import PHONE, Look
from tests.browser.conftest import Visit
from tests.browser.waiting import TIMEOUT_MS, rerun

FRESH = "inception?weights=fresh:small-googlenet-32"


def mosaic(page: Page, place: int) -> Any:
    return page.locator(f".st-key-inception-maps-{place} canvas.mosaic")


def test_four_branches_and_the_answer_without_one(visit: Visit) -> None:
    page = visit(FRESH)
    expect(mosaic(page, 1)).to_have_attribute(
        "aria-label", re.compile("^inception_3a.branch3: 64 times 16×16"), timeout=TIMEOUT_MS
    )
    mosaic(page, 3).hover(position={"x": 20, "y": 20})
    expect(page.locator(".st-key-inception-maps-3 .readout")).to_contain_text("map 0 · y")
    with rerun(page):
        page.locator(".st-key-inception-drop-1").get_by_text("Ablate branch").click()
    expect(page).to_have_url(re.compile("drop=3x3"))
    expect(page.locator(".inception-bars.pairs")).to_be_visible()
    with rerun(page):
        page.get_by_role("button", name="Put all back").click()
    expect(page.locator(".inception-bars.pairs")).to_have_count(0)
    with rerun(page):
        page.locator(".st-key-inception-block-after button").first.click()
    expect(mosaic(page, 0)).to_have_attribute("aria-label", re.compile("^inception_3b"), timeout=TIMEOUT_MS)
    assert "model=" not in page.url, "the weights say which model"


@pytest.mark.slow
def test_sliders_change_the_sums(visit: Visit) -> None:
    page = visit(f"{FRESH}&view=reduction")
    expect(page.locator(".inception-sum").first).to_contain_text("= 112,896,000")
    slider = page.locator(".st-key-inception-reduce-reduction").get_by_role("slider")
    slider.focus()
    with rerun(page):
        slider.press("ArrowRight")
    expect(page).to_have_url(re.compile("reduce=480-17-48-5-14"))
    expect(page.locator(".inception-sum").first).to_contain_text("480 · 17 · 14·14")
    with rerun(page):
        page.get_by_role("button", name="The article's").click()
    expect(page.locator(".inception-sum").first).to_contain_text("= 5,268,480")


def test_on_a_tablet_branches_stand_two_beside_each_other(visit: Visit) -> None:
    page = visit(FRESH, Look(760, 1000))
    expect(page.locator(".inception-facts")).to_have_count(4, timeout=TIMEOUT_MS)
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0


@pytest.mark.slow
def test_a_phone_reads_it_without_scrolling_sideways(visit: Visit) -> None:
    page = visit(f"{FRESH}&drop=pool", PHONE)
    expect(mosaic(page, 3)).to_be_visible(timeout=TIMEOUT_MS)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    expect(page.locator(".st-key-inception-maps-3 .mark.chosen")).to_be_hidden()
