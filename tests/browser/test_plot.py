"""Figures: the zoom outlives new points, a click is told, the theme is followed, downloads hold the data."""

import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import DESKTOP, PHONE, Look, Witness
from tests.browser.conftest import Visit
from tests.browser.navigating import choose_in_menu
from tests.browser.server import Server, serve
from tests.browser.waiting import TIMEOUT_MS

PLOTS = "tests/browser/plots/app.py"
SENT = """(() => {
  const sent = performance.getEntriesByType("resource");
  const [script] = sent.filter((entry) => entry.name.includes("/plotly-"));
  return { path: new URL(script.name).pathname, bytes: script.transferSize };
})()"""
"""How the one request for Plotly's script went; 0 bytes when the browser had it."""
COUNT = re.compile(r"^points \d+,")
RANGE = "document.querySelector('.st-key-curve .room')._fullLayout.xaxis.range.map(Math.round)"


@pytest.fixture(scope="module")
def plots(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("plots"), PLOTS) as running:
        yield running


@pytest.fixture
def figures(chromium: Browser, plots: Server, witness: Witness) -> Iterator[Callable[..., Page]]:
    """Open the page of figures; no error may be said."""
    contexts = []

    def open_figures(look: Look = DESKTOP) -> Page:
        context = chromium.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme=look.scheme,
            accept_downloads=True,
        )
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        witness.watch(context)
        page = context.new_page()
        page.goto(plots.url)
        expect(page.locator(".st-key-curve [data-drawn]")).to_be_visible()
        return page

    yield open_figures
    for context in contexts:
        context.close()
    assert not witness.external
    assert not witness.errors


def drawings(page: Page) -> int:
    return int(page.locator(".st-key-curve .cnnviz-plot").get_attribute("data-drawn") or 0)


def zoom(page: Page) -> None:
    """Draw a box over the middle third of the curve."""
    box = page.locator(".st-key-curve .nsewdrag").bounding_box()
    assert box is not None
    across, down = box["x"] + box["width"] / 3, box["y"] + box["height"] / 2
    page.mouse.move(across, down)
    page.mouse.down()
    page.mouse.move(across + box["width"] / 3, down, steps=4)
    page.mouse.up()


def points(page: Page) -> int:
    """How many points the page says that its curve has."""
    return int(page.get_by_text(COUNT).inner_text().split(",")[0].removeprefix("points "))


def grow(page: Page) -> None:
    """Press the button and wait until the curve with more points is drawn."""
    drawn, before = drawings(page), points(page)
    page.get_by_role("button", name="more points").click()
    # More, not a number: a press may count twice where the fragment's own clock runs it once more.
    expect(page.get_by_text(f"points {before},")).to_be_hidden()
    assert points(page) > before
    page.wait_for_function(
        "before => document.querySelector('.st-key-curve .cnnviz-plot').dataset.drawn > before", arg=drawn
    )


def test_zoom_stays_when_points_arrive_and_a_double_click_shows_all(figures: Callable[..., Page]) -> None:
    page = figures()
    show_all = page.locator(".st-key-curve").get_by_role("button", name="Show all")
    expect(show_all).to_be_hidden()
    zoom(page)
    expect(show_all).to_be_visible()
    zoomed = page.evaluate(RANGE)
    assert 4 <= zoomed[0] <= 9 <= zoomed[1] <= 15
    grow(page)
    grow(page)
    assert page.evaluate(RANGE) == zoomed
    page.locator(".st-key-curve .nsewdrag").dblclick()
    expect(show_all).to_be_hidden()
    assert page.evaluate(RANGE)[1] >= 59
    grow(page)
    assert page.evaluate(RANGE)[1] >= 79


@pytest.mark.slow
def test_the_button_shows_all_too(figures: Callable[..., Page]) -> None:
    page = figures()
    zoom(page)
    page.locator(".st-key-curve").get_by_role("button", name="Show all").press("Enter")
    page.wait_for_function(f"({RANGE})[1] >= 19")


@pytest.mark.slow
def test_a_tick_without_news_draws_nothing(figures: Callable[..., Page]) -> None:
    page = figures()
    before = drawings(page)
    ticks = page.get_by_text("ticks")
    seen = ticks.inner_text()
    for _ in range(3):
        expect(ticks).not_to_have_text(seen)
        seen = ticks.inner_text()
    assert drawings(page) == before


def test_one_that_cannot_be_drawn_does_not_keep_the_next_from_it(
    figures: Callable[..., Page], witness: Witness
) -> None:
    page = figures()
    page.evaluate("""() => {
      const { react } = Plotly;
      Plotly.react = async () => { Plotly.react = react; throw new Error("not this one"); };
    }""")
    with page.expect_console_message(lambda said: "not this one" in said.text):
        page.get_by_role("button", name="more points").click()
    witness.errors.clear()
    grow(page)
    assert page.evaluate(RANGE)[1] >= 59


def test_a_click_on_a_point_is_told(figures: Callable[..., Page]) -> None:
    page = figures()
    page.locator(".st-key-curve .points path").nth(3).hover(force=True)
    page.mouse.down()
    page.mouse.up()
    expect(page.get_by_text("picked (0, 3, 3, [3, 6])")).to_be_visible()


def test_a_new_theme_is_drawn_at_once_and_keeps_the_zoom(figures: Callable[..., Page]) -> None:
    page = figures()
    zoom(page)
    zoomed, before = page.evaluate(RANGE), drawings(page)
    stroke = "getComputedStyle(document.querySelector('.st-key-curve .js-line')).stroke"
    assert page.evaluate(stroke) == "rgb(0, 114, 178)"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{stroke} === 'rgb(47, 143, 214)'")
    assert page.evaluate(RANGE) == zoomed
    assert drawings(page) > before


def test_downloads_hold_data_and_picture(figures: Callable[..., Page], tmp_path: Path) -> None:
    page = figures()

    def download(figure: str, kind: str) -> bytes:
        with page.expect_download() as waiting:
            choose_in_menu(page.locator(f".st-key-{figure}"), kind)
        assert waiting.value.suggested_filename.endswith(f"{figure}.{kind.lower()}")
        return Path(waiting.value.path()).read_bytes()

    lines = download("curve", "CSV").decode().splitlines()
    assert lines[:3] == ["name,x,y", '"loss, test",0,1', '"loss, test",1,0.5']
    assert lines[4] == '"loss, test",3,0.25'
    assert lines[10] == '"loss, test",9,0.1', "of 32 bits, in as few digits as say it"
    assert len(lines) == 21
    assert download("matrix", "CSV").decode().splitlines()[3:] == ["heatmap,cat,dog,", "heatmap,dog,dog,0.1"]
    assert download("curve", "PNG").startswith(b"\x89PNG")
    svg = download("curve", "SVG").decode()
    assert svg.startswith("<svg")
    assert "rgb(0, 114, 178)" in svg


@pytest.mark.slow
def test_it_fills_the_width_it_has(figures: Callable[..., Page]) -> None:
    page = figures(PHONE)
    drawn = "document.querySelector('.st-key-curve .main-svg').getBoundingClientRect().width"
    assert page.evaluate(drawn) <= 390
    page.set_viewport_size({"width": 900, "height": 800})
    page.wait_for_function(f"{drawn} > 600")
    expect(page.get_by_role("img", name="A curve that falls")).to_be_visible()


@pytest.mark.slow
def test_the_script_is_fetched_once_and_not_by_pages_without_figures(
    figures: Callable[..., Page], plots: Server, visit: Visit
) -> None:
    page = figures()
    with urllib.request.urlopen(f"{plots.url}{page.evaluate(SENT)['path']}", timeout=30) as answer:
        assert "immutable" in answer.headers["Cache-Control"]
    assert 1e6 < page.evaluate(SENT)["bytes"] < 2e6
    page.reload()
    expect(page.locator(".st-key-curve [data-drawn]")).to_be_visible()
    assert page.evaluate(SENT)["bytes"] == 0, "it came anew"
    for path in ("", "architecture?model=lenet5"):
        assert visit(path).evaluate("window.Plotly === undefined && window.cnnvizPlotly === undefined")
