"""A whole network on one screen: pointed at, opened, stepped through and left again, with mouse and keys."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import DESKTOP, PHONE_DARK
from tests.browser.conftest import Visit
from tests.browser.server import Server
from tests.browser.waiting import TIMEOUT_MS, rerun, settle

NETWORK = "features?view=network&weights=checkpoint:lenet5-mnist&picture=sample:digit-3"
STATE = "const state = host.state, stage = state.stages.find(({ name }) => name === given[0]);"
PLACE = (
    f"(host, given) => {{ {STATE}"
    """ const { box, grid } = stage, place = stage.kind === "input" ? 0 : stage.places.get(given[1]);
  const corner = state.overview.over.getBoundingClientRect();
  const column = place % grid.across, row = Math.floor(place / grid.across);
  return [corner.left + box.left + column * (grid.wide + grid.gap) + grid.wide / 2,
    corner.top + box.top + row * (grid.tall + grid.gap) + grid.tall / 2]; }"""
)
STORED = (
    f"(host, given) => {{ {STATE}"
    " const [, height, width] = stage.shape, [, channel, y, x] = given;"
    " return state.outputs[stage.out].values[(channel * height + y) * width + x]; }"
)


@pytest.fixture
def open_network(visit: Visit, server: Server) -> Callable[..., Page]:
    """Open a whole network, and wait until it is drawn."""

    def opened(path: str = NETWORK, **how: Any) -> Page:
        page = visit(path, **how, ready=False)
        expect(page.locator(".host[data-ready]")).to_be_visible(timeout=4 * TIMEOUT_MS)  # torch is imported
        settle(page)
        return page

    return opened


def host(page: Page) -> Locator:
    return page.locator(".host[data-ready]")


def place_of(page: Page, stage: str, channel: int) -> tuple[float, float]:
    """Where a map stands in the window."""
    x, y = host(page).evaluate(PLACE, [stage, channel])
    return x, y


def shown_and_stored(page: Page, stage: str, channel: int) -> tuple[float, float]:
    """The value that the opened layer works out, and that of the forward pass."""
    layer = page.locator("section.layer")
    y, x = (int(part) for part in str(layer.get_attribute("data-cell")).split(","))
    return float(str(layer.get_attribute("data-value"))), host(page).evaluate(STORED, [stage, channel, y, x])


def test_point_open_step_and_go_back(open_network: Callable[..., Page]) -> None:
    page = open_network()
    inspector, layer = page.locator(".inspector"), page.locator("section.layer")
    page.mouse.move(*place_of(page, "conv2", 5))
    expect(inspector).to_contain_text("conv2 + ReLU, map 6 of 16")
    expect(inspector).to_contain_text("A 5×5 kernel over each of 6 maps of pool1")
    page.mouse.move(*place_of(page, "pool1", 2))
    expect(inspector).to_contain_text("pool1, map 3 of 6")

    page.mouse.click(*place_of(page, "conv2", 5))
    expect(layer).to_be_visible()
    expect(page).to_have_url(re.compile("open=conv2&channel=5"))
    seen: set[str] = set()
    for _ in range(4):
        shown, stored = shown_and_stored(page, "conv2", 5)
        assert shown == pytest.approx(stored, rel=1e-4, abs=1e-4)
        seen.add(str(layer.get_attribute("data-cell")))
        page.get_by_role("button", name="One step on").click()
    assert len(seen) == 4
    output = page.locator("figure.out canvas")
    before = str(layer.get_attribute("data-cell"))
    output.hover(position={"x": 30, "y": 40})
    expect(layer).not_to_have_attribute("data-cell", before)
    assert shown_and_stored(page, "conv2", 5)[0] == pytest.approx(
        shown_and_stored(page, "conv2", 5)[1], rel=1e-4, abs=1e-4
    )
    page.get_by_role("button", name="Every term of the sum").click()
    expect(page.locator(".written canvas")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".written canvas")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(layer).to_be_hidden()
    expect(page).not_to_have_url(re.compile("open="))
    expect(inspector).to_contain_text("conv2 + ReLU, map 6 of 16")

    page.mouse.click(*place_of(page, "pool1", 1))
    shown, stored = shown_and_stored(page, "pool1", 1)
    assert shown == pytest.approx(stored)
    expect(page.locator(".sum")).to_contain_text("Largest of 4 values")
    page.keyboard.press("Escape")
    page.mouse.click(*place_of(page, "fc3", 3))
    shown, stored = shown_and_stored(page, "fc3", 3)
    assert shown == pytest.approx(stored, rel=1e-4)
    page.keyboard.press("Escape")
    page.mouse.click(*place_of(page, "softmax", 3))
    expect(page.locator(".sum")).to_contain_text("the sum over all 10 classes")
    expect(page.locator(".sum")).not_to_contain_text(re.compile("= ?[<>]"))


def test_by_keyboard_alone_with_words_for_who_listens(open_network: Callable[..., Page]) -> None:
    page = open_network()
    canvas, spoken = page.locator("canvas.over"), page.locator(".spoken")
    page.get_by_role("button", name=re.compile("Image:")).focus()
    page.keyboard.press("Tab")
    expect(canvas).to_be_focused()
    expect(spoken).to_contain_text("conv1 + ReLU, map 1 of 6. 28×28, values from")
    page.keyboard.press("ArrowDown")
    expect(spoken).to_contain_text("conv1 + ReLU, map 2 of 6")
    page.keyboard.press("ArrowRight")
    expect(spoken).to_contain_text("pool1, map 2 of 6. 14×14")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    layer = page.locator("section.layer")
    expect(layer).to_be_visible()
    expect(spoken).to_contain_text("Escape goes back")
    first = layer.get_attribute("data-cell")
    page.keyboard.press("ArrowLeft")
    expect(layer).not_to_have_attribute("data-cell", str(first))
    expect(spoken).to_contain_text("Sum of 25 products")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play, or pause")).to_contain_text("Pause")
    page.keyboard.press("Space")
    page.keyboard.press("PageDown")
    expect(page).to_have_url(re.compile("channel=2"))
    page.keyboard.press("Escape")
    expect(canvas).to_be_focused()


@pytest.mark.slow
def test_an_opened_layer_is_in_the_address_and_stays_with_another_image(
    open_network: Callable[..., Page],
) -> None:
    page = open_network(f"{NETWORK}&open=conv2&channel=4")
    layer = page.locator("section.layer")
    expect(layer.get_by_role("heading")).to_have_text("conv2 + ReLU, map 5 of 16")
    before = layer.get_attribute("data-value")
    page.get_by_role("button", name=re.compile("Image:")).click()
    with rerun(page):
        page.get_by_role("option", name=re.compile("A drawn 7")).click()
    expect(page.get_by_role("button", name="Image: digit-7")).to_be_visible()
    expect(layer).not_to_have_attribute("data-value", str(before))
    expect(layer.get_by_role("heading")).to_have_text("conv2 + ReLU, map 5 of 16")


@pytest.mark.slow
def test_googlenet_on_a_phone_scrolls_in_its_own_frame(open_network: Callable[..., Page]) -> None:
    """Worked out in a worker; the page itself does not scroll sideways."""
    page = open_network("features?view=network&weights=checkpoint:small-googlenet-cifar10", look=PHONE_DARK)
    scroll = page.locator(".scroll")
    assert scroll.evaluate("(part) => part.scrollWidth > part.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    name, channel = (
        "inception_3a.branch3.conv",
        host(page).evaluate(
            "(host) => host.state.stages.find(({ name }) => name === 'inception_3a.branch3.conv').shown[0]"
        ),
    )
    scroll.evaluate("(part) => { part.scrollLeft = 60; }")
    page.mouse.click(*place_of(page, name, channel))
    page.mouse.click(*place_of(page, name, channel))
    expect(page.locator("section.layer")).to_be_visible()
    shown, stored = shown_and_stored(page, name, channel)
    assert shown == pytest.approx(stored, rel=1e-4, abs=1e-4)


def test_a_network_that_is_worked_out_here_fetches_the_kernels_that_are_wanted(
    open_network: Callable[..., Page],
) -> None:
    page = open_network(
        "features?view=network&weights=fresh:small-alexnet&model=small-alexnet&open=conv2&channel=3",
        look=DESKTOP,
    )
    expect(page.locator(".sum")).to_contain_text("Sum of 1,600 products", timeout=2 * TIMEOUT_MS)
    shown, stored = shown_and_stored(page, "conv2", 3)
    assert shown == pytest.approx(stored, rel=0.03, abs=0.01), "eight bits a value"
