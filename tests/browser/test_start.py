"""The first page: a digit is drawn and read in the browser; and the networks in their fold."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from cnnviz.analysis import overview
from cnnviz.figures.timeline import TIMELINE_MODELS
from cnnviz.ui.components.digits import FIRST
from tests.browser.chromium import DESKTOP_DARK, PHONE, PROJECTOR, Look
from tests.browser.conftest import Visit
from tests.browser.navigating import FOUND
from tests.browser.waiting import rerun

PIXELS = """canvases => canvases.map(canvas => canvas.toDataURL())"""


def pad(page: Page) -> Locator:
    return page.get_by_role("application", name=re.compile("pad to draw"))


def best(page: Page) -> Locator:
    return page.locator(".answer .best")


def draw(page: Page, points: list[tuple[float, float]]) -> None:
    """Draw a stroke with the mouse; points are parts of the pad's side."""
    box = pad(page).bounding_box()
    assert box
    where = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*where[0])
    page.mouse.down()
    for x, y in where[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()


def networks(page: Page) -> Page:
    """Open the fold of all networks."""
    with rerun(page):
        page.get_by_text("All networks: five drawn to one scale").click()
    return page


@pytest.mark.slow
def test_start_is_there_and_fits_the_window(visit: Visit, look: Look) -> None:
    page = visit("", look)
    expect(page).to_have_title(f"{FOUND['start'].title} · cnnviz")
    expect(page.get_by_role("heading", level=1)).to_have_text(FOUND["start"].heading)
    expect(best(page)).to_have_text(f"It reads {FIRST}")
    expect(page.locator(".stage")).to_have_count(7)
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0
    dark = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert (dark != "rgb(255, 255, 255)") == (look.scheme == "dark")


def test_every_example_digit_is_read(visit: Visit) -> None:
    page = visit("")
    for digit in range(10):
        button = page.get_by_role("button", name=f"Example digit {digit}")
        button.click()
        expect(best(page)).to_have_text(f"It reads {digit}")
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".answer li.most")).to_contain_text(str(digit))
    expect(page.locator(".answer .spoken")).to_have_text(re.compile("^It reads 9, "))
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("button", name="Example digit 4").click()  # drawn as by a hand, and read at the end
    expect(best(page)).to_have_text("It reads 4")
    page.emulate_media(reduced_motion="reduce")  # as windows are handed from test to test


def test_on_a_projector_every_layer_stands_in_one_row(visit: Visit) -> None:
    page = visit("", PROJECTOR)
    expect(page.locator(".stage")).to_have_count(7)
    sides = page.locator(".stage").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(({ top, bottom }) => [top, bottom])"
    )
    assert max(top for top, _ in sides) < min(bottom for _, bottom in sides)


def test_what_is_drawn_goes_along_to_the_network_view(visit: Visit) -> None:
    page = visit("")
    page.get_by_role("button", name="Example digit 5").click()
    page.get_by_role("link", name="The whole network on one screen").click()
    expect(page).to_have_url(re.compile("picture=sample%3Adigit-5"))
    page = visit("")
    pad(page).hover()
    page.get_by_role("button", name="Clear").click()
    draw(page, [(0.3, 0.3), (0.7, 0.3), (0.5, 0.8)])
    expect(best(page)).to_have_text("It reads 7")
    page.get_by_role("link", name="The whole network on one screen").click()
    expect(page).to_have_url(re.compile("/features.*picture=drawn"))
    expect(page.get_by_role("button", name="Image: drawing")).to_be_visible()


def test_a_map_is_enlarged_and_named_by_pointer_and_keys(visit: Visit) -> None:
    page = visit("")
    lens, maps = page.locator(".lens"), page.locator(".stage canvas")
    maps.nth(3).hover(position={"x": 4, "y": 4})
    expect(lens).to_be_visible()
    expect(lens).to_contain_text("conv2 + ReLU, map 1 of 16")
    expect(lens).to_contain_text("10×10, largest value")
    expect(lens).to_contain_text("Each value sums a window of 5×5 over 6 maps.")
    pad(page).hover()
    expect(lens).to_be_hidden()
    pad(page).focus()
    for _ in range(30):  # over the buttons to the stages
        page.keyboard.press("Tab")
        if page.locator(".stage canvas:focus").count():
            break
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(lens).to_contain_text("conv1 + ReLU, map 3 of 6")
    page.keyboard.press("Escape")
    expect(lens).to_be_hidden()


@pytest.mark.slow
def test_the_networks_are_drawn_in_every_look(visit: Visit, look: Look) -> None:
    page = networks(visit("", look))
    drawings = page.locator(".strip")
    expect(drawings).to_have_count(len(TIMELINE_MODELS))
    expect(drawings.nth(2)).to_have_attribute("aria-label", re.compile("^VGG-16, 2014: 16 weight layers"))
    for drawing in drawings.all():
        expect(drawing).to_be_visible()
    face = drawings.nth(1).locator(".k-conv .face").first
    blue = "rgb(0, 114, 178)" if look.scheme == "light" else "rgb(47, 143, 214)"
    expect(face).to_have_css("fill", blue)


@pytest.mark.slow
def test_deeper_networks_are_drawn_longer_to_one_scale(visit: Visit) -> None:
    page = networks(visit(""))
    expect(page.locator(".strip")).to_have_count(len(TIMELINE_MODELS))
    ends = page.locator(".strip").evaluate_all(
        """strips => strips.map(strip => {
          const faces = [...strip.querySelectorAll('.k-conv .face, .k-fc .face')];
          const left = Math.min(...faces.map(face => face.getBoundingClientRect().left));
          return Math.max(...faces.map(face => face.getBoundingClientRect().left)) - left;
        })"""
    )
    depths = [{entry.name: entry.depth for entry in overview()}[name] for name in TIMELINE_MODELS]
    pitch = ends[-1] / (depths[-1] - 1)
    assert ends == pytest.approx([pitch * (depth - 1) for depth in depths], abs=1)


@pytest.mark.slow
def test_a_row_of_the_lineage_opens_the_architecture(visit: Visit) -> None:
    page = networks(visit("?layer=conv1"))
    with rerun(page):
        page.locator(".strip").nth(3).click(position={"x": 5, "y": 5}, force=True)
    expect(page).to_have_url(re.compile(r"/architecture\?model=torchvision%2Fgooglenet$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Architecture")


@pytest.mark.slow
def test_the_lineage_opens_by_keyboard(visit: Visit) -> None:
    page = networks(visit(""))
    page.get_by_role("link", name="ResNet-50", exact=True).focus()
    with rerun(page):
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("model=torchvision%2Fresnet50"))


@pytest.mark.slow
def test_the_lineage_can_be_saved(visit: Visit) -> None:
    page = networks(visit("", DESKTOP_DARK))
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert "ResNet-50" in text
    assert "#2f8fd6" in text


@pytest.mark.slow
def test_every_model_is_a_point_that_opens(visit: Visit) -> None:
    page = networks(visit(""))
    points = page.locator(".point")
    expect(points).to_have_count(len(overview()))
    point = page.locator('.point[data-name="torchvision/vit_h_14"]')
    expect(point).to_have_attribute("aria-label", re.compile("^ViT-H/14: 633,470,440 parameters"))
    point.scroll_into_view_if_needed()
    point.hover(force=True)
    expect(page.locator(".tip")).to_contain_text("633,470,440 parameters")
    with rerun(page):
        point.click(force=True)
    expect(page).to_have_url(re.compile("model=torchvision%2Fvit_h_14"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Architecture")


@pytest.mark.slow
def test_points_are_walked_with_the_arrow_keys(visit: Visit) -> None:
    page = networks(visit(""))
    start = page.locator('.point[tabindex="0"]')
    expect(start).to_have_count(1)
    start.focus()
    first = start.get_attribute("data-name")
    page.keyboard.press("ArrowRight")
    now = page.locator(".point:focus")
    expect(now).not_to_have_attribute("data-name", str(first))
    expect(page.locator(".tip")).to_be_visible()
    name = str(now.get_attribute("data-name"))
    now.hover()
    page.mouse.move(0, 0)  # as a scroll does, which moves the figure away under a still mouse
    expect(page.locator(".tip")).to_be_visible()
    with rerun(page):
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(re.escape(quote(name, safe=""))))


@pytest.mark.slow
def test_another_width_leaves_the_keyboard_where_it_was(visit: Visit) -> None:
    page = networks(visit(""))
    start = page.locator('.point[tabindex="0"]')
    expect(start).to_have_count(1)
    start.focus()
    page.keyboard.press("ArrowRight")
    now = page.locator(".point:focus")
    name = str(now.get_attribute("data-name"))
    chart = page.locator("svg:has(.point)")
    width = str(chart.get_attribute("width"))
    page.set_viewport_size({"width": 1000, "height": 800})
    expect(chart).not_to_have_attribute("width", width)
    expect(now).to_have_attribute("data-name", name)
    expect(page.locator(".tip")).to_be_visible()


@pytest.mark.slow
def test_a_kind_of_models_can_be_singled_out(visit: Visit) -> None:
    page = networks(visit("", PHONE))
    button = page.get_by_role("button", name="attention")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator('.point[data-name="torchvision/vgg16"]')).to_have_css("opacity", "0.14")
    expect(page.locator('.point[data-name="torchvision/swin_t"]')).to_have_css("opacity", "1")
    button.click()
    expect(page.locator('.point[data-name="torchvision/vgg16"]')).to_have_css("opacity", "1")
