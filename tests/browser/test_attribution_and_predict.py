"""Why and Predict in a browser: another class, a layer of the strip, uploads, class folders, a phone."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.browser.chromium import DESKTOP, PHONE, Look
from tests.browser.inside.opening import window
from tests.browser.server import Server, serve
from tests.browser.waiting import TIMEOUT_MS, rerun, settle
from tests.browser.windows import Windows
from tests.pages.trained import train_in


@pytest.fixture(scope="module")
def app(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app in a home with a trained run."""
    folder = tmp_path_factory.mktemp("why")
    train_in(folder / "cnnviz-home")
    with serve(folder) as running:
        yield running


@pytest.fixture
def opened(windows: Windows, app: Server) -> Iterator[Callable[..., Page]]:
    """Open a page; errors of its scripts fail the test."""
    opened: list[Any] = []

    def open_page(path: str, look: Look = DESKTOP) -> Page:
        opened.append(window(windows, f"{app.url}/{path}", look))
        page: Page = opened[-1].__enter__()
        settle(page)
        return page

    yield open_page
    for one in opened:
        one.__exit__(None, None, None)


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((28, 28, 3), number, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def hand_in(page: Page, files: list[FilePayload]) -> None:
    page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(files)


@pytest.mark.slow
def test_another_class_and_a_layer_of_the_strip(opened: Callable[..., Page]) -> None:
    page = opened("attribution?weights=run:1")
    expect(page.locator(".why img")).to_have_count(5, timeout=TIMEOUT_MS)
    page.get_by_role("combobox", name="Attribution for class").click()
    with rerun(page):
        page.get_by_role("option", name="7", exact=True).click()
    expect(page).to_have_url(re.compile("class=7"))
    expect(page.get_by_alt_text(re.compile("^Grad-CAM for 7 over the image"))).to_be_visible()
    with rerun(page):
        page.locator(".st-key-why-strip-0").get_by_role("option", name="conv1").click()
    expect(page).to_have_url(re.compile("layer=conv1"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
        page.get_by_role("button", name="Values (NPZ)").click()
    with np.load(Path(download.value.path())) as result:
        assert result["attribution"].shape == result["input"].shape[1:]


def test_good_and_broken_pictures_and_where_the_network_looks(opened: Callable[..., Page]) -> None:
    page = opened("predict?weights=run:1")
    broken: FilePayload = {"name": "broken.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\nno"}
    good: FilePayload = {"name": "good.png", "mimeType": "image/png", "buffer": png(200)}
    hand_in(page, [broken, good])
    expect(page.locator(".shown")).to_have_count(2, timeout=TIMEOUT_MS)
    expect(page.get_by_test_id("stAlert")).to_contain_text("One file was refused")
    expect(page.locator(".shown").first).to_contain_text(re.compile("'broken.png' is .*damaged"))
    page.get_by_role("button", name="Details of good.png").click()
    expect(page.get_by_role("dialog").locator(".why img")).to_have_count(3, timeout=TIMEOUT_MS)
    page.get_by_role("button", name="Ask further why").click()
    expect(page).to_have_url(re.compile("attribution.*picture=handed"), timeout=TIMEOUT_MS)


@pytest.mark.slow
def test_a_zip_of_class_folders_is_judged(opened: Callable[..., Page]) -> None:
    page = opened("predict?weights=run:1&against=fresh:lenet5")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(12):
            archive.writestr(f"{number % 3}/{number}.png", png(20 * number))
    hand_in(page, [{"name": "all.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()}])
    expect(page.locator(".costs")).to_contain_text("of 12", timeout=TIMEOUT_MS)
    expect(page.locator(".cnnviz-plot[data-drawn]")).to_have_count(2, timeout=TIMEOUT_MS)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").first.click()
    assert Path(download.value.path()).read_text().startswith("file,true class,model,rank,class,probability")


@pytest.mark.parametrize("path", ["attribution?weights=run:1", "predict?weights=run:1"])
@pytest.mark.slow
def test_a_phone_reads_it_without_scrolling_sideways(opened: Callable[..., Page], path: str) -> None:
    page = opened(path, PHONE)
    expect(page.locator(".why img, .shown img").first).to_be_visible(timeout=TIMEOUT_MS)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
