"""The mosaic: the pointer reads values off, outlines what a cell sees, and a click chooses a map."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from cnnviz.interpret.colormaps import SEQUENTIAL
from tests.browser.chromium import PHONE
from tests.browser.inside.opening import window
from tests.browser.navigating import choose_in_menu
from tests.browser.server import Server, serve
from tests.browser.waiting import TIMEOUT_MS
from tests.browser.windows import Windows

GAP = 2


@pytest.fixture(scope="module")
def inside(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("inside"), "tests/browser/inside/page.py") as running:
        yield running


@pytest.fixture
def page(windows: Windows, inside: Server) -> Iterator[Page]:
    with window(windows, inside.url) as opened:
        expect(opened.locator("[data-drawn]")).to_be_visible(timeout=TIMEOUT_MS)
        yield opened


def layout(page: Page) -> dict[str, int]:
    """Zoom and columns, as the size of one tile says: 6×8 cells."""
    tile = page.locator(".mark.chosen").bounding_box()
    sheet = page.locator("canvas.mosaic").bounding_box()
    assert tile is not None
    assert sheet is not None
    zoom = round((tile["width"] - 6) / 8)
    return {"zoom": zoom, "columns": round((sheet["width"] + GAP) / (8 * zoom + GAP))}


def hover(page: Page, place: int, y: int, x: int) -> None:
    """Point at the middle of a cell of the map at a place of the mosaic."""
    result = layout(page)
    line, column = divmod(place, result["columns"])
    zoom = result["zoom"]
    page.locator("canvas.mosaic").hover(
        position={
            "x": column * (8 * zoom + GAP) + (x + 0.5) * zoom,
            "y": line * (6 * zoom + GAP) + (y + 0.5) * zoom,
        }
    )


@pytest.mark.parametrize(
    ("place", "y", "x", "words"),
    [
        (0, 0, 0, "map 7 · y 0, x 0 · 7"),
        (3, 5, 7, "map 2 · y 5, x 7 · 2.57"),
        (5, 0, 0, "map 4 · y 0, x 0 · not a number"),
        (9, 2, 1, "map 9 · y 2, x 1 · 9.21"),
    ],
)
def test_the_pointer_reads_values_off(page: Page, place: int, y: int, x: int, words: str) -> None:
    hover(page, place, y, x)
    expect(page.locator(".readout")).to_have_text(words)


def test_what_a_cell_sees_is_outlined_without_the_server(page: Page) -> None:
    expect(page.locator(".input .mark")).to_be_hidden()
    hover(page, 1, 2, 3)
    expect(page.locator(".input .mark")).to_be_visible()
    box, sheet = (page.locator(f".input {part}").bounding_box() for part in (".mark", "canvas"))
    assert box is not None
    assert sheet is not None
    zoom = sheet["width"] / 16
    seen = [round((box[side] + 2 - sheet[side]) / zoom, 1) for side in ("y", "x")]
    assert seen == [3, 5]  # start −1 + 2 × cell
    assert [round((box[side] - 4) / zoom, 1) for side in ("height", "width")] == [5, 5]
    hover(page, 1, 0, 0)
    corner = page.locator(".input .mark").bounding_box()
    assert corner is not None
    assert round((corner["width"] - 4) / zoom, 1) == 4, "what lies in the padding is cut off"


def test_a_click_chooses_and_python_hears_of_it(page: Page) -> None:
    hover(page, 8, 1, 1)
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_text("picked 8")).to_be_visible()
    expect(page.locator(".one figcaption")).to_have_text("Map 8")


def test_arrow_keys_go_from_map_to_map_and_from_cell_to_cell(page: Page) -> None:
    page.locator("canvas.mosaic").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".one figcaption")).to_have_text("Map 1")
    expect(page.get_by_text("picked 1")).to_be_visible()
    page.locator(".one .sheet").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".readout")).to_have_text("map 1 · y 3, x 4 · 1.34")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".readout")).to_have_text("map 1 · y 3, x 3 · 1.33")


def test_dead_and_broken_maps_are_marked(page: Page) -> None:
    expect(page.locator(".marks")).to_contain_text("1 of 10 dead: exactly 0 everywhere")
    expect(page.locator(".marks")).to_contain_text("not finite")


def test_the_download_holds_the_colours_of_the_values(page: Page) -> None:
    with page.expect_download() as waiting:
        choose_in_menu(page.locator("body"), "Download as PNG")
    assert waiting.value.suggested_filename == "net-conv1.png"
    pixels = np.asarray(Image.open(Path(waiting.value.path())).convert("RGB"))
    zoom = layout(page)["zoom"]
    low, high = 0.0, 9.57
    for y, x in ((0, 0), (2, 5), (5, 7)):
        wanted = SEQUENTIAL[int((7 + y / 10 + x / 100 - low) / (high - low) * 254 + 0.5)]
        cell = pixels[y * zoom : (y + 1) * zoom, x * zoom : (x + 1) * zoom]
        assert (np.abs(cell.astype(int) - wanted) <= 1).all(), "crisp: one color a cell"


def test_a_phone_shows_it_within_its_width(windows: Windows, inside: Server) -> None:
    with window(windows, inside.url, PHONE) as page:
        expect(page.locator("[data-drawn]")).to_be_visible(timeout=TIMEOUT_MS)
        sheet = page.locator("canvas.mosaic").bounding_box()
        assert sheet is not None
        assert sheet["x"] + sheet["width"] <= 390
        page.locator("canvas.mosaic").click(position={"x": 5, "y": 5})
        expect(page.locator(".readout")).to_contain_text("map 7 · y 0")


def test_a_drawing_reaches_python_stroke_by_stroke(page: Page) -> None:
    box = page.locator(".st-key-pad canvas").bounding_box()
    assert box is not None
    expect(page.get_by_text("nothing drawn")).to_be_visible()
    for height in (50, 200):
        page.mouse.move(box["x"] + 50, box["y"] + height)
        page.mouse.down()
        page.mouse.move(box["x"] + 200, box["y"] + height, steps=4)
        page.mouse.up()
    expect(page.get_by_text("ink from 39 to 208 of 280")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("ink from 39 to 58 of 280")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("nothing drawn")).to_be_visible()


def test_one_can_draw_with_the_keyboard_alone(page: Page) -> None:
    page.locator(".st-key-pad canvas").focus()
    page.keyboard.press(" ")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    expect(page.get_by_text("ink from 130 to 199 of 280")).to_be_visible()
