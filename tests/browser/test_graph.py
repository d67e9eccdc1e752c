"""The module graph on the page Architecture: opened, walked, picked, moved, saved."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import PHONE, Look
from tests.browser.conftest import Visit
from tests.browser.waiting import rerun

PATH = "architecture?view=graph&model="


def graph(page: Page) -> Locator:
    return page.get_by_role("group", name=re.compile("^Module graph"))


def box(page: Page, name: str) -> Locator:
    """The node or block whose spoken name begins with `name`."""
    return graph(page).get_by_role("button", name=re.compile(f"^{re.escape(name)}[ ,]"))


def scrolled(page: Page) -> Page:
    """The page with the graph in the middle of the window."""
    graph(page).evaluate("svg => svg.scrollIntoView({ block: 'center' })")
    return page


def place(locator: Locator) -> tuple[float, float]:
    around = locator.bounding_box()
    assert around is not None
    return around["x"], around["y"]


def view(page: Page) -> str:
    return str(graph(page).locator(".view").get_attribute("transform"))


def enlarged(page: Page) -> float:
    match = re.search(r"scale\(([\d.]+)\)", view(page))
    assert match
    return float(match[1])


def focus(locator: Locator) -> None:
    locator.evaluate("item => item.focus()")


@pytest.mark.slow
def test_it_is_there_in_every_look(visit: Visit, look: Look) -> None:
    page = visit(PATH + "googlenet", look)
    expect(box(page, "input")).to_be_visible()
    legend = page.get_by_role("list", name="Colours")
    expect(legend.get_by_text("convolution")).to_be_visible()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth") <= 0


def test_a_block_opens_and_shows_its_four_branches_and_their_concatenation(visit: Visit) -> None:
    page = visit(PATH + "googlenet")
    block = box(page, "inception_4c")
    expect(block).to_have_attribute("aria-expanded", "false")
    before = graph(page).locator("[data-item]").count()
    block.click()
    expect(block).to_have_attribute("aria-expanded", "true")
    expect(graph(page).locator("[data-item]")).to_have_count(before + 5)
    expect(page).to_have_url(re.compile("model=googlenet"))
    block.click()
    expect(block).to_have_attribute("aria-expanded", "false")
    expect(graph(page).locator("[data-item]")).to_have_count(before)


def test_a_click_selects_the_layer_everywhere(visit: Visit) -> None:
    page = visit(PATH + "lenet5")
    with rerun(page):
        box(page, "fc1").click()
    expect(page).to_have_url(re.compile("layer=fc1"))
    expect(box(page, "fc1")).to_have_class(re.compile("selected"))
    expect(page.locator(".layer h2")).to_have_text("fc1")


def test_a_layer_in_the_url_is_shown_however_deep_it_lies(visit: Visit) -> None:
    page = scrolled(visit(PATH + "torchvision/resnet50&layer=layer3.4.conv2"))
    chosen = graph(page).locator(".selected")
    expect(chosen).to_have_attribute("aria-label", re.compile("layer3.4.conv2"))
    expect(chosen).to_be_in_viewport(ratio=0.9)
    expect(box(page, "layer3.3")).to_be_attached()


@pytest.mark.slow
def test_equal_blocks_unfold(visit: Visit) -> None:
    page = visit(PATH + "torchvision/resnet50&layer=conv1")
    folded = box(page, "layer3.1")
    expect(folded).to_have_attribute("aria-label", re.compile("5 times"))
    folded.locator("[data-unfold]").click()
    for number in range(1, 6):
        expect(box(page, f"layer3.{number}")).to_be_attached()
    expect(box(page, "layer3.1")).not_to_have_attribute("aria-label", re.compile("times"))


def test_what_is_open_and_where_one_looks_survive_a_selection_elsewhere(visit: Visit) -> None:
    page = visit(PATH + "googlenet&layer=conv1")
    box(page, "inception_4c").click()
    page.get_by_role("button", name="Zoom out").click()
    before = view(page)
    with rerun(page):
        box(page, "conv2").click()
    expect(box(page, "inception_4c")).to_have_attribute("aria-expanded", "true")
    assert view(page) == before


def test_the_arrow_keys_follow_the_edges_and_enter_selects(visit: Visit) -> None:
    page = visit(PATH + "googlenet&layer=pool2")
    focus(box(page, "pool2"))
    page.keyboard.press("ArrowDown")
    expect(box(page, "inception_3a")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(box(page, "branch1")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(box(page, "branch3")).to_be_focused()
    while page.evaluate("!/concat/.test(document.activeElement.shadowRoot.activeElement.ariaLabel)"):
        page.keyboard.press("ArrowDown")
    with rerun(page):
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("layer=inception_3a"))


def test_keys_open_zoom_and_fit(visit: Visit) -> None:
    page = visit(PATH + "googlenet&layer=conv1")
    focus(box(page, "inception_5b"))
    page.keyboard.press("Enter")
    expect(box(page, "inception_5b")).to_have_attribute("aria-expanded", "true")
    before = enlarged(page)
    page.keyboard.press("+")
    assert enlarged(page) > before
    page.keyboard.press("-")
    assert enlarged(page) == pytest.approx(before, abs=0.001)
    page.keyboard.press("0")
    fitted = enlarged(page)
    page.keyboard.press("+")
    assert enlarged(page) > fitted


def test_dragging_moves_and_selects_nothing(visit: Visit) -> None:
    page = scrolled(visit(PATH + "lenet5&layer=conv1"))
    x, y = place(box(page, "pool1"))
    address = page.url
    page.mouse.move(x + 10, y + 10)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=4)
    page.mouse.up()
    assert place(box(page, "pool1")) == pytest.approx((x + 50, y + 30), abs=2)
    assert page.url == address


@pytest.mark.slow
def test_the_wheel_scrolls_the_page_until_the_graph_is_entered(visit: Visit) -> None:
    page = scrolled(visit(PATH + "lenet5&layer=conv1"))
    before = enlarged(page)
    graph(page).hover(position={"x": 20, "y": 60})
    page.keyboard.down("Control")
    page.mouse.wheel(0, -60)
    page.keyboard.up("Control")
    expect(graph(page).locator(".view")).not_to_have_attribute("transform", re.compile(rf"scale\({before}"))
    entered = enlarged(page)
    focus(box(page, "conv1"))
    page.mouse.wheel(0, -60)
    expect(graph(page).locator(".view")).not_to_have_attribute("transform", re.compile(rf"scale\({entered}"))
    assert enlarged(page) > entered > before


@pytest.mark.slow
def test_the_picture_can_be_saved_whole(visit: Visit, tmp_path: Path) -> None:
    page = visit(PATH + "googlenet-aux")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as SVG").click()
    target = tmp_path / download.value.suggested_filename
    download.value.save_as(target)
    text = target.read_text(encoding="utf-8")
    assert "inception_5b" in text
    assert "aux1" in text
    assert "light-dark" not in text
    page.set_content(text)
    expect(page.locator(".item").first).to_be_visible()


def test_a_phone_shows_it_as_one_column_that_can_be_read(visit: Visit) -> None:
    page = scrolled(visit(PATH + "lenet5&layer=conv1", PHONE))
    assert enlarged(page) >= 0.72
    focus(box(page, "conv1"))
    for name in ("relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "fc1"):
        page.keyboard.press("ArrowDown")
        expect(box(page, name)).to_be_in_viewport(ratio=0.9)


def test_a_layer_is_found_by_its_name(visit: Visit) -> None:
    page = visit("architecture?model=googlenet&view=graph")
    field = page.get_by_role("searchbox", name="Find a layer")
    field.fill("no such layer")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("5b.branch3")
    with rerun(page):
        field.press("Enter")
    expect(page).to_have_url(re.compile(r"layer=inception_5b\.branch3"))
    expect(page.locator(".item.selected")).to_be_in_viewport()
