"""The arithmetic that follows the pointer: the browser works out what Python does, and the activation."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from cnnviz.interpret.arithmetic import Inspection, inspect
from tests.browser.chromium import PHONE
from tests.browser.inside.networks import network
from tests.browser.inside.opening import window
from tests.browser.navigating import choose_in_menu
from tests.browser.server import Server, serve
from tests.browser.waiting import TIMEOUT_MS
from tests.browser.windows import Windows

WORKED = "() => JSON.parse(document.querySelector('.st-key-arithmetic [data-testid=stBidiComponentIsolated]')\
.shadowRoot.querySelector('.host').dataset.worked)"
FEW = ("conv", "bn", "gelu", "norm", "max", "mean", "up", "cells", "flatten", "fc")
LAYERS = [
    *(("few", layer) for layer in FEW),
    *(("lenet5", layer) for layer in ("conv1", "pool1", "fc1", "softmax")),
    *(("lenet5-1998", layer) for layer in ("s2", "c3", "tanh3", "output")),
]


@pytest.fixture(scope="module")
def app(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("arithmetic"), "tests/browser/inside/arithmetic.py") as running:
        yield running


@pytest.fixture(scope="module")
def page(windows: Windows, app: Server) -> Iterator[Page]:
    with window(windows, app.url) as opened:
        yield opened


def show(page: Page, app: Server, model: str, layer: str, **more: int) -> Inspection:
    query = "".join(f"&{name}={value}" for name, value in more.items())
    page.goto(f"{app.url}/?model={model}&layer={layer}{query}")
    expect(page.locator(".host[data-worked]")).to_be_visible(timeout=TIMEOUT_MS)
    return inspect(*network(model), layer)


def worked(page: Page) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(page.locator(".host").get_attribute("data-worked") or "")
    return document


def assert_same(found: dict[str, Any], inspection: Inspection) -> None:
    """The browser's result is Python's, and the network's own within what the issue allows."""
    expected = inspection.at(*found["place"])
    largest = float(abs(inspection.output).max())
    assert found["result"] == pytest.approx(expected.result, rel=1e-9, abs=1e-9 * largest)
    assert found["actual"] == pytest.approx(expected.actual, rel=1e-6)
    assert abs(found["result"] - found["actual"]) <= 1e-5 * largest


@pytest.mark.parametrize(("model", "layer"), LAYERS)
def test_the_browser_works_out_what_the_layer_gave(page: Page, app: Server, model: str, layer: str) -> None:
    inspection = show(page, app, model, layer)
    assert_same(worked(page), inspection)
    map_ = page.locator(".map canvas")
    box = map_.bounding_box()
    assert box is not None
    for across, down in ((0.02, 0.02), (0.5, 0.4), (0.97, 0.03), (0.03, 0.97), (0.7, 0.8)):
        map_.hover(position={"x": box["width"] * across, "y": box["height"] * down}, force=True)
        assert_same(worked(page), inspection)
    page.keyboard.press("Tab")
    map_.focus()
    page.keyboard.press("PageDown")
    assert_same(worked(page), inspection)


@pytest.mark.parametrize("layer", ["conv", "bn", "norm", "max", "fc"])
def test_a_layer_sent_by_the_channel(page: Page, app: Server, layer: str) -> None:
    whole = {"conv": 2600, "bn": 700, "norm": 1700, "max": 700, "fc": 500}[layer]
    inspection = show(page, app, "few", layer, channel=2, limit=whole)
    assert inspection.payload(2, whole).scope == "channel"
    assert worked(page)["place"][0] == 2
    assert_same(worked(page), inspection)
    page.get_by_role("button", name="Map after").click()
    page.wait_for_function(f"() => ({WORKED})().place[0] === 3")
    assert_same(worked(page), inspection)


def test_a_layer_too_large_is_asked_cell_by_cell(page: Page, app: Server) -> None:
    inspection = show(page, app, "lenet5", "conv2", limit=10, channel=1)
    expect(page.locator(".note")).to_contain_text("has to be asked for")
    page.locator(".map canvas").click(position={"x": 200, "y": 100})
    page.wait_for_function(f"() => ({WORKED})().place[1] === 3")
    assert_same(worked(page), inspection)


def test_the_pointer_is_followed_without_the_server(page: Page, app: Server) -> None:
    show(page, app, "lenet5", "conv2")
    page.context.set_offline(True)
    seen = set()
    for step in range(8):
        page.locator(".map canvas").hover(position={"x": 5 + 35 * step, "y": 150})
        seen.add(worked(page)["result"])
    page.context.set_offline(False)
    assert len(seen) == 8


def test_arrow_keys_go_from_cell_to_cell_and_are_told(page: Page, app: Server) -> None:
    show(page, app, "lenet5", "conv2")
    page.locator(".map canvas").hover(position={"x": 5, "y": 5})
    page.locator(".map canvas").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert worked(page)["place"] == [0, 1, 1]
    expect(page.locator(".readout")).to_contain_text("y 1, x 1: ")
    alt = page.locator(".paper").get_attribute("aria-label") or ""
    assert alt.startswith("Σ input · weight + bias. sum of the products ")


def test_what_c3_of_1998_leaves_out_is_said(page: Page, app: Server) -> None:
    show(page, app, "lenet5-1998", "c3")
    assert worked(page)["inputs"] == 3 * 25
    page.get_by_role("button", name="Map after").click()
    assert worked(page)["place"][0] == 1
    alt = page.locator(".paper").get_attribute("aria-label") or ""
    assert "Left out by the table of connections: maps 0, 4, 5." in alt


def test_a_phone_shows_it_within_its_width(windows: Windows, app: Server) -> None:
    with window(windows, f"{app.url}/?model=lenet5&layer=conv1", PHONE) as page:
        expect(page.locator(".host[data-worked]")).to_be_visible(timeout=TIMEOUT_MS)
        box = page.locator(".paper").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
        with page.expect_download() as waiting:
            choose_in_menu(page.locator("body"), "Download as PNG")
        assert waiting.value.suggested_filename == "working.png"
