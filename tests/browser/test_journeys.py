"""Ways that people go: a newcomer's first minute, the lesson, a phone, the keyboard alone, a projector."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from cnnviz import tracking
from cnnviz.tracking import Database
from cnnviz.ui.shared import lesson
from tests.browser.chromium import DESKTOP, PHONE, PHONE_DARK
from tests.browser.conftest import Visit
from tests.browser.navigating import FOUND, go
from tests.browser.test_start import PIXELS, best, draw, pad
from tests.browser.waiting import rerun, settle

PATIENCE_MS = 120_000
"""A worker imports torch first, on a machine that may be busy with other tests."""


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(FOUND[name].heading or FOUND[name].title)


def test_the_first_minute_of_a_newcomer(visit: Visit) -> None:
    page = visit("")
    expect(best(page)).to_have_text("It reads 3")
    maps = page.locator(".stage canvas")
    before = maps.evaluate_all(PIXELS)
    draw(page, [(0.5, 0.2), (0.5, 0.8)])  # takes the example's place
    expect(best(page)).to_have_text("It reads 1")
    expect(page.locator(".answer .spoken")).to_have_text(re.compile("^It reads 1, "))
    assert not set(before) & set(maps.evaluate_all(PIXELS))
    draw(page, [(0.3, 0.2), (0.3, 0.5), (0.7, 0.5)])
    expect(best(page).locator("strong")).not_to_have_text("1")
    page.get_by_role("button", name="Undo").click()
    expect(best(page)).to_have_text("It reads 1")
    with rerun(page):
        page.get_by_role("link", name="Where do AlexNet’s 58 million parameters sit?").click()
    heading(page, "architecture")
    go(page, "start")
    expect(best(page)).to_have_text("It reads 1")  # what was drawn is still there
    page.get_by_role("button", name="Clear").click()
    expect(best(page)).to_have_text("Draw a digit")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_the_lesson_from_first_to_last_step(visit: Visit) -> None:
    page = visit("?model=alexnet&layer=conv2")
    with rerun(page):
        page.get_by_role("link", name=f"1. {lesson.STEPS[0].title}").click()
    for number, step in enumerate(lesson.STEPS, start=1):
        heading(page, step.page)
        expect(page).to_have_url(re.compile(rf"/{step.page}\?(.*&)?lesson={number}\b"))
        bar = page.locator(".st-key-lesson")
        expect(bar).to_contain_text(f"step {number} of {len(lesson.STEPS)}")
        expect(bar).to_contain_text(step.question)
        answer = bar.get_by_text(step.answer[:40])
        expect(answer).to_be_hidden()
        bar.get_by_text("Where to look, and the answer").click()
        expect(answer).to_be_visible()
        if number < len(lesson.STEPS):
            with rerun(page):
                bar.get_by_role("link", name="Next").click()
    page.reload()
    settle(page)
    expect(page.locator(".st-key-lesson")).to_contain_text("step 6 of 6")
    with rerun(page):
        page.locator(".st-key-lesson").get_by_role("link", name="End the lesson").click()
    heading(page, "start")
    expect(page).not_to_have_url(re.compile("lesson="))


def test_back_leads_to_what_was_there_before(visit: Visit) -> None:
    page = visit("?model=lenet5")
    before = page.url
    with rerun(page):
        page.get_by_role("link", name="The whole network on one screen").first.click()
    heading(page, "features")
    # Once: a link makes one entry. (Their number says nothing: the window is older, and Chromium keeps 50.)
    with rerun(page):
        page.go_back()
    heading(page, "start")
    assert page.url == before
    with rerun(page):
        page.go_forward()
    heading(page, "features")
    expect(page).to_have_url(re.compile("view=network"))


def test_a_phone_opens_the_menu_and_reaches_a_page(visit: Visit) -> None:
    page = visit("?model=lenet5", PHONE)
    nav = page.get_by_role("navigation", name="Pages")
    toggle = nav.get_by_role("button", name="Menu of pages")
    wanted = nav.get_by_role("link", name="Predict", exact=True)
    expect(wanted).to_be_hidden()
    toggle.click()
    expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(nav.get_by_role("link", name="Start", exact=True).last).to_have_attribute("aria-current", "page")
    expect(wanted).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(wanted).to_be_hidden()
    expect(toggle).to_be_focused()
    go(page, "predict")
    heading(page, "predict")
    expect(page).to_have_url(re.compile(r"/predict\?model=lenet5$"))
    expect(nav.locator(".here")).to_have_text("Predict")
    expect(wanted).to_be_hidden()


def test_a_finger_draws_on_a_phone(visit: Visit) -> None:
    page = visit("", PHONE_DARK)
    box = pad(page).bounding_box()
    assert box
    assert box["x"] + box["width"] <= PHONE_DARK.width
    draw(page, [(0.5, 0.2), (0.5, 0.8)])
    expect(best(page)).to_have_text("It reads 1")
    expect(best(page)).to_be_in_viewport()


@pytest.mark.slow
def test_the_bar_leads_to_every_page_with_the_selection(visit: Visit) -> None:
    page = visit("?model=lenet5&option.activation=tanh&stranger=1", DESKTOP)
    for name in [*list(FOUND)[1:], "start"]:
        go(page, name)
        heading(page, name)
        path = "" if name == "start" else name
        expect(page).to_have_url(re.compile(rf"/{path}\?model=lenet5&option\.activation=tanh"))
        current = page.get_by_role("navigation", name="Pages").locator(
            "a.page[aria-current], a.home[aria-current]"
        )
        expect(current).to_have_count(1)


@pytest.mark.slow
def test_an_old_address_leads_on(visit: Visit) -> None:
    page = visit("side-by-side?models=lenet5,alexnet")
    heading(page, "compare")
    expect(page).to_have_url(re.compile(r"/compare\?models=lenet5%2Calexnet"))
    page = visit("why?weights=checkpoint:lenet5-mnist&picture=sample:digit-7")
    heading(page, "attribution")
    expect(page).to_have_url(re.compile(r"/attribution\?weights=.*&picture=sample%3Adigit-7"))


@pytest.mark.slow
def test_the_keyboard_alone_draws_reads_and_opens_a_page(visit: Visit) -> None:
    page = visit("")
    pad(page).focus()
    for key in ("ArrowUp",) * 8 + (" ",) + ("ArrowDown",) * 16 + (" ",):
        page.keyboard.press(key)
    expect(best(page)).to_have_text("It reads 1")
    example = page.get_by_role("button", name="Example digit 7")
    example.focus()
    page.keyboard.press("Enter")
    expect(best(page)).to_have_text("It reads 7")
    group = page.get_by_role("navigation", name="Pages").get_by_role("button", name="Look inside")
    group.focus()
    page.keyboard.press("ArrowDown")
    expect(group).to_have_attribute("aria-expanded", "true")
    expect(page.locator("a.page:focus")).to_have_attribute("aria-label", "Feature maps")
    page.keyboard.press("Escape")
    expect(group).to_be_focused()
    expect(group).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    expect(page.locator("a.page:focus")).to_have_attribute("aria-label", "Inception")
    with rerun(page):
        page.keyboard.press("Enter")
    heading(page, "inception")


def test_a_projector_shows_the_network_and_not_the_tools(visit: Visit) -> None:
    page = visit("features?weights=checkpoint:lenet5-mnist")
    page.set_viewport_size({"width": 1280, "height": 720})
    pickers, mosaic = page.locator(".st-key-what"), page.locator(".st-key-features-mosaic canvas.mosaic")
    size = "getComputedStyle(document.querySelector('[data-testid=stMarkdownContainer] p')).fontSize"
    expect(mosaic).to_be_visible()
    before = float(page.evaluate(size).removesuffix("px"))
    with rerun(page):
        page.get_by_role("button", name="Present").click()
    expect(page).to_have_url(re.compile("present=1"))
    expect(pickers).to_be_hidden()
    expect(mosaic).to_be_visible()
    assert float(page.evaluate(size).removesuffix("px")) == pytest.approx(1.25 * before)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 1280
    with rerun(page):
        page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("present="))
    expect(pickers).to_be_visible()


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the keyboard is there, as a person without a pointer does."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element.getRootNode().activeElement === element"):
            return
    raise AssertionError("No Tab leads there.")


def test_the_keyboard_alone_goes_from_start_to_a_trained_run(visit: Visit, runs: Database) -> None:
    page = visit("?recipe=plain&model=lenet5&dataset=digits&set.epochs=1&set.limit=200&set.device=cpu")
    group = page.get_by_role("navigation", name="Pages").get_by_role("button", name="Train")
    tab_to(page, group)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("a.page:focus")).to_have_attribute("aria-label", "Train")
    with rerun(page):
        page.keyboard.press("Enter")
    heading(page, "train")
    tab_to(page, page.get_by_role("button", name="Start", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("finished", timeout=PATIENCE_MS)
    run = tracking.get_run(runs, int(re.findall(r"run=(\d+)", page.url)[0]))
    assert run.metrics["test/accuracy"].last is not None
