"""Data in a browser: classes and pictures chosen by pointer and keyboard, settings tried, files handed in."""

import io
import re
import zipfile

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import DESKTOP, PHONE, Look
from tests.browser.conftest import Visit
from tests.browser.navigating import choose_in_menu
from tests.browser.waiting import rerun
from tests.datasets.making import Files, classes


def packed(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def gallery(page: Page) -> list[str]:
    """What the pictures of the gallery are called."""
    cells = page.locator(".st-key-gallery").get_by_role("option")
    return [cells.nth(i).get_attribute("aria-label") or "" for i in range(cells.count())]


def strip(page: Page) -> str:
    return str(drawn(page).evaluate("part => getComputedStyle(part).backgroundImage"))


def drawn(page: Page) -> Locator:
    return page.locator(".st-key-augmentation-drawn .shown").first


def changed(page: Page, before: str) -> None:
    """Wait until the strip is another."""
    expect(drawn(page)).not_to_have_css("background-image", before)


@pytest.mark.slow
def test_page_opens_on_pictures_and_fits_the_window(visit: Visit, look: Look) -> None:
    page = visit("data", look)
    images = page.get_by_role("listbox", name="Training images of each class")
    # A phone shows half as many of each class.
    expect(images.get_by_role("option")).to_have_count(80 if look.width < 640 else 160)
    expect(
        page.get_by_role("img", name=re.compile("^Share of each pixel value from 0 to 255"))
    ).to_be_visible()
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0
    shown = images.get_by_role("option").first.bounding_box()
    assert shown is not None
    assert shown["width"] >= 30


@pytest.mark.slow
def test_a_class_is_chosen_by_pointer_and_by_keys(visit: Visit) -> None:
    page = visit("data")
    bars = page.get_by_role("listbox", name=re.compile("^Images of each class"))
    with rerun(page):
        bars.get_by_role("option").nth(3).click()
    expect(page).to_have_url(re.compile("class=3"))
    assert {name.split(",")[0] for name in gallery(page)} == {"3"}
    with rerun(page):
        bars.press("ArrowDown")
    expect(page).to_have_url(re.compile("class=4"))
    with rerun(page):
        page.get_by_role("listbox", name=re.compile("^The mean image")).get_by_text("7", exact=True).click()
    expect(page).to_have_url(re.compile("class=7"))
    with rerun(page):
        bars.press("Escape")
    expect(page).not_to_have_url(re.compile("class="))


@pytest.mark.slow
def test_a_picture_is_chosen_by_keys_and_goes_on_to_training(visit: Visit) -> None:
    page = visit("data?class=5")
    before = strip(page)
    images = page.get_by_role("listbox", name="Training images of 5")
    images.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        images.press(key)
    with rerun(page):
        images.press("Enter")
    expect(page).to_have_url(re.compile(r"image=\d+"))
    changed(page, before)
    with rerun(page):
        page.get_by_role("link", name="Train with it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Train")
    expect(page).to_have_url(re.compile("dataset=digits"))


@pytest.mark.slow
def test_settings_change_the_draws_and_the_address(visit: Visit) -> None:
    page = visit("data")
    before = strip(page)
    cutout = page.locator(".st-key-augmentation-cutout").get_by_role("slider")
    with rerun(page):
        cutout.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"set\.cutout=8"))
    changed(page, before)
    expect(page.get_by_text("A square of side 8 set to zero, anywhere.")).to_be_visible()
    before = strip(page)
    with rerun(page):
        page.get_by_role("button", name="Draw again").click()
    changed(page, before)


def hand_in(page: Page, name: str, content: bytes) -> None:
    page.get_by_role("button", name="Your own").click()
    with rerun(page):
        page.locator("input[type=file]").set_input_files(
            {"name": name, "mimeType": "application/zip", "buffer": content}
        )
    with rerun(page):
        page.get_by_role("button", name="Prepare it").click()


def test_a_zip_is_handed_in_shown_and_removed(visit: Visit) -> None:
    page = visit("data")
    hand_in(page, "Two Pets.zip", packed(classes(12)))
    expect(page).to_have_url(re.compile("dataset=mine%2Ftwo-pets"))
    expect(page.get_by_text("Your own, from “two-pets.zip”.")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove", exact=True).click()
    with rerun(page):
        page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("is taken out of the list")).to_be_visible()


@pytest.mark.slow
def test_a_broken_zip_is_refused_by_the_name_of_its_file(visit: Visit) -> None:
    page = visit("data", PHONE)
    hand_in(page, "pets.zip", packed({**classes(5), "dog/x.png": b"hello"}))
    expect(page.get_by_test_id("stAlert").first).to_contain_text(
        "'pets.zip/dog/x.png' is not an image that can be read"
    )
    assert "mine" not in page.url


@pytest.mark.slow
def test_what_is_not_here_is_offered(visit: Visit) -> None:
    page = visit("data?dataset=cifar10", DESKTOP)
    expect(page.get_by_role("button", name="Download 170 MB")).to_be_visible()
    expect(page.get_by_text("CIFAR-10 is not on this machine yet.")).to_be_visible()


@pytest.mark.slow
def test_statistics_and_pictures_can_be_taken_away(visit: Visit) -> None:
    page = visit("data")
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as table:
        page.get_by_role("button", name="Classes (CSV)").click()
    assert table.value.path().read_text(encoding="utf-8").startswith("class,train,test\n0,142,36\n")
    page.keyboard.press("Escape")
    with page.expect_download() as picture:
        choose_in_menu(page.locator(".st-key-gallery"), "PNG")
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")
