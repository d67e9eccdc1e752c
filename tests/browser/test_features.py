"""Feature maps in a browser: mosaics, the arithmetic under the pointer, drawing, uploads, a phone."""

import contextlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from cnnviz import models
from tests.browser.chromium import DESKTOP, PHONE, Look
from tests.browser.inside.opening import window
from tests.browser.server import Server, serve
from tests.browser.waiting import POLL_MS, TIMEOUT_MS, rerun, settle
from tests.browser.windows import Windows
from tests.pages.trained import train_in

DRAWN = ".st-key-features-mosaic canvas.mosaic, .host[data-worked]"
FRESH = "features?weights=fresh:lenet5"
BLACK = [0, 0, 0, 255]


@pytest.fixture(scope="module")
def app(windows: Windows, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app in a home with a trained run."""
    folder = tmp_path_factory.mktemp("features")
    train_in(folder / "cnnviz-home")
    with serve(folder) as running:
        with window(windows, f"{running.url}/{FRESH}") as page:  # imports torch, which takes its time
            expect(mosaic(page)).to_be_visible(timeout=4 * TIMEOUT_MS)
        yield running


@pytest.fixture
def look_inside(windows: Windows, app: Server) -> Iterator[Callable[..., Page]]:
    """Open the page; errors of its scripts fail the test."""
    opened: list[Any] = []

    def open_page(path: str = "features", look: Look = DESKTOP, drawn: str = DRAWN) -> Page:
        opened.append(window(windows, f"{app.url}/{path}", look))
        page: Page = opened[-1].__enter__()
        settle(page)
        expect(page.locator(drawn).first).to_be_visible(timeout=TIMEOUT_MS)
        return page

    yield open_page
    for one in opened:
        one.__exit__(None, None, None)


def mosaic(page: Page) -> Any:
    return page.locator(".st-key-features-mosaic canvas.mosaic")


def picture(colour: int, name: str, size: tuple[int, int] = (40, 30)) -> FilePayload:
    buffer = io.BytesIO()
    Image.fromarray(np.full((*size, 3), colour, np.uint8)).save(buffer, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": buffer.getvalue()}


def upload(page: Page, files: list[FilePayload]) -> None:
    with rerun(page):
        page.get_by_role("radio", name="Yours").click()
    with rerun(page):
        page.locator("[data-testid=stFileUploaderDropzoneInput]").first.set_input_files(files)


def corner(page: Page) -> list[int]:
    """The color in the upper left of what the network sees, which is black in every digit."""
    return pixel(page, "0, 0")


def middle(page: Page) -> list[int]:
    """The color in the middle of what the network sees."""
    return pixel(page, "c.width >> 1, c.height >> 1")


def pixel(page: Page, place: str) -> list[int]:
    """Red, green, blue and opacity of one pixel of what the network sees, 0 to 255 each."""
    pixel: list[int] = page.locator(".st-key-features-mosaic .input canvas").evaluate(
        f"c => [...c.getContext('2d').getImageData({place}, 1, 1).data]"
    )
    return pixel


def hand_in_weights(page: Page) -> None:
    """A state dict as PyTorch saves it: refused while nobody says of which model, then taken."""
    buffer = io.BytesIO()
    torch.save(models.build("lenet5").state_dict(), buffer)
    page.get_by_role("button", name="File", exact=True).click()
    with rerun(page):
        page.locator(".st-key-weights-upload-0 input[type=file]").set_input_files(
            {"name": "mine.pt", "mimeType": "application/octet-stream", "buffer": buffer.getvalue()}
        )
    with rerun(page):
        page.get_by_role("button", name="Load it").click()
    element = page.get_by_test_id("stAlert")
    expect(element).to_contain_text("'mine.pt' does not say which model", timeout=TIMEOUT_MS)
    page.get_by_role("combobox", name="Which model its weights are for").fill("LeNet-5")
    with rerun(page):
        page.get_by_role("option", name="LeNet-5", exact=True).click()
    with rerun(page):
        page.get_by_role("button", name="Load it").click()
    expect(page).to_have_url(re.compile("weights=file"), timeout=TIMEOUT_MS)
    expect(page.get_by_role("combobox", name="Network")).to_have_value("mine.pt · handed in")


def test_choosing_a_layer_paints_its_mosaic(look_inside: Callable[..., Page]) -> None:
    page = look_inside()
    expect(mosaic(page)).to_have_attribute("aria-label", re.compile("^conv1: 6 times 28×28"))
    with rerun(page):
        page.locator(".st-key-features-strip").get_by_role("option", name="conv2").click()
    expect(mosaic(page)).to_have_attribute("aria-label", re.compile("^conv2: 16 times 10×10"))
    expect(page).to_have_url(re.compile("layer=conv2"))
    mosaic(page).hover(position={"x": 20, "y": 20})
    expect(page.locator(".st-key-features-mosaic .readout")).to_contain_text("map 0 · y")
    expect(page.locator(".input .mark")).to_be_visible()


@pytest.mark.slow
def test_a_chosen_map_is_in_the_address_and_a_reload_shows_it(look_inside: Callable[..., Page]) -> None:
    page = look_inside("features?layer=conv2&order=activity")
    with rerun(page):
        mosaic(page).click(position={"x": 20, "y": 20})
    expect(page).to_have_url(re.compile("channel="))
    assert "model=" not in page.url, "the weights say which model"
    shown = page.locator(".one figcaption").inner_text()
    with rerun(page):
        mosaic(page).click(position={"x": 300, "y": 20})
    enlarged = page.locator(".one figcaption")
    expect(enlarged).not_to_have_text(shown)
    shown = enlarged.inner_text()
    page.reload()
    settle(page)
    expect(enlarged).to_have_text(shown, timeout=TIMEOUT_MS)


def test_the_pointer_moves_over_the_arithmetic(look_inside: Callable[..., Page]) -> None:
    page = look_inside("features?layer=conv2&view=arithmetic")
    seen = set()
    for x in (15, 100, 200):
        page.locator(".st-key-features-arithmetic .map canvas").hover(position={"x": x, "y": 60})
        seen.add(page.locator(".paper").get_attribute("aria-label"))
    assert len(seen) == 3


def test_a_drawing_is_answered_while_one_draws(look_inside: Callable[..., Page]) -> None:
    page = look_inside()
    with rerun(page):
        page.get_by_role("radio", name="Draw").click()
    expect(page.locator(".answers")).to_have_count(0)  # An empty pad has no answer.
    box = page.locator(".st-key-picture-pad canvas").bounding_box()
    assert box is not None
    with rerun(page):
        page.mouse.move(box["x"] + 140, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + 140, box["y"] + 230, steps=6)
        page.mouse.up()
    expect(page).to_have_url(re.compile("picture=drawn"))
    expect(page.locator(".answers")).to_have_attribute("aria-label", re.compile(r"\d"))


def test_good_and_broken_files_together(look_inside: Callable[..., Page]) -> None:
    page = look_inside()
    broken: FilePayload = {
        "name": "broken.png",
        "mimeType": "image/png",
        "buffer": b"\x89PNG\r\n\x1a\nnothing",
    }
    text: FilePayload = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"just words"}
    upload(page, [broken, picture(200, "light.png"), text])
    warning = page.get_by_test_id("stAlert")
    expect(warning).to_contain_text("'broken.png' is a damaged PNG")
    expect(warning).to_contain_text("'note.txt' is")
    expect(page).to_have_url(re.compile("picture=handed"))
    expect(page.locator(".st-key-picture-own").get_by_role("option")).to_have_count(1)


@pytest.mark.slow
def test_many_at_once_in_a_zip_and_one_too_large(look_inside: Callable[..., Page]) -> None:
    page = look_inside()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(12):
            archive.writestr(f"{number}.png", picture(20 * number, "")["buffer"])
        bomb = io.BytesIO()
        Image.new("1", (9000, 9000)).save(bomb, "PNG")
        archive.writestr("bomb.png", bomb.getvalue())
    upload(page, [{"name": "all.zip", "mimeType": "application/zip", "buffer": buffer.getvalue()}])
    expect(page.locator(".st-key-picture-own").get_by_role("option")).to_have_count(12, timeout=TIMEOUT_MS)
    expect(page.get_by_test_id("stAlert")).to_contain_text("is too large; an image has at most 40 million")


def test_an_uploaded_picture_is_what_pillow_reads(look_inside: Callable[..., Page], tmp_path: Path) -> None:
    page = look_inside(FRESH)
    upload(page, [picture(255, "white.png", (28, 28))])
    assert middle(page) == [255, 255, 255, 255]


@pytest.mark.slow
def test_a_phone_reads_it_without_scrolling_sideways(look_inside: Callable[..., Page]) -> None:
    page = look_inside("features?layer=relu2", PHONE)
    wide = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert wide <= 390
    mosaic(page).scroll_into_view_if_needed()
    mosaic(page).click(position={"x": 10, "y": 10})
    expect(page.locator(".st-key-features-mosaic .readout")).to_contain_text("map ")


@pytest.mark.slow
def test_two_visitors_of_one_network_see_their_own_pictures_and_weights(
    look_inside: Callable[..., Page],
) -> None:
    first, second = look_inside("features?layer=conv2"), look_inside("features?layer=pool1")
    upload(first, [picture(255, "white.png", (28, 28))])
    upload(second, [picture(0, "black.png", (28, 28))])
    for page, shown, layer in ((first, 255, "conv2"), (second, 0, "pool1")):
        expect(page).to_have_url(re.compile("picture=handed(:|%3A)1"), timeout=TIMEOUT_MS)
        own = page.locator(".st-key-picture-own").get_by_role("option")
        expect(own).to_have_count(1, timeout=TIMEOUT_MS)
        settle(page)
        expect(mosaic(page)).to_have_attribute("aria-label", re.compile(f"^{layer}"))
        assert middle(page) == [shown, shown, shown, 255]
    hand_in_weights(first)
    stranger = look_inside(f"features?{urlsplit(first.url).query}")
    element = stranger.get_by_test_id("stAlert")
    expect(element).to_contain_text("known only to who did", timeout=TIMEOUT_MS)
    expect(element).to_contain_text("handed in by somebody else")


def test_a_picture_from_the_camera(look_inside: Callable[..., Page]) -> None:
    page = look_inside(FRESH)
    assert corner(page) == BLACK
    with rerun(page):
        page.get_by_role("radio", name="Camera").click()
    # A camera's first frames may be black, in Chromium's own too: the field is green once it has warmed up.
    page.wait_for_function(
        """() => {
            const video = document.querySelector("video"), canvas = document.createElement("canvas");
            const context = canvas.getContext("2d");
            canvas.width = canvas.height = 1;
            if (!video?.videoWidth) return false;
            context.drawImage(video, 0, 0, 1, 1);
            return context.getImageData(0, 0, 1, 1).data[1] > 0;
        }""",
        timeout=TIMEOUT_MS,
    )
    # A camera between two frames has none to give, and Streamlit then does nothing: a person clicks again.
    take, taken = page.get_by_role("button", name="Take Photo"), re.compile("picture=camera")
    for _ in range(20):
        if take.is_visible():
            take.click()
        with contextlib.suppress(AssertionError):
            expect(page).to_have_url(taken, timeout=TIMEOUT_MS / 20)
            break
    expect(page).to_have_url(taken)
    settle(page)
    # Its answers would not do: fresh weights say the same of almost any picture, to a tenth of a percent.
    # The canvas lies in a component's own tree and may be replaced meanwhile: it is looked up anew each time.
    page.wait_for_function(
        """() => {
            const hosts = [...document.querySelectorAll(".st-key-features-mosaic *")];
            const canvas = hosts.map((host) => host.shadowRoot?.querySelector(".input canvas")).find(Boolean);
            return canvas?.getContext("2d").getImageData(0, 0, 1, 1).data[1] > 0;
        }""",
        polling=POLL_MS,
        timeout=TIMEOUT_MS,
    )


@pytest.mark.slow
def test_a_point_of_the_map_shows_its_image_and_opens_it(look_inside: Callable[..., Page]) -> None:
    page = look_inside("features?weights=run:1&layer=fc2&view=space", drawn=".cnnviz-plot[data-drawn]")
    point = page.locator(".st-key-features-space-pca .point").first
    point.hover(force=True)
    expect(page.locator(".cnnviz-plot .hovered")).to_be_visible()
    with rerun(page):
        point.click(force=True)
    expect(page).to_have_url(re.compile("picture=test"), timeout=TIMEOUT_MS)
    expect(page.get_by_text("True class: 0")).to_be_visible(timeout=TIMEOUT_MS)
