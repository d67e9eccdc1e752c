"""The pictures that README and guide show; `make pictures` writes them anew.

Each is the real app in a real window, pixel by pixel.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops
from playwright.sync_api import Page, sync_playwright

from cnnviz import models
from cnnviz.inference.samples import STROKES
from cnnviz.models import layer_list_edit, url_codec
from cnnviz.models.layers import LayerList
from cnnviz.ui.pages.start.page import FOLD, MODELS_HEADING
from tests.browser.chromium import DESKTOP, DESKTOP_DARK, MISSING, PHONE, Look, find_chromium, launch
from tests.browser.server import ROOT, serve
from tests.browser.waiting import COUNT_RUNS, TIMEOUT_MS, rerun, settle

FOLDER = ROOT / "docs" / "pictures"
FARTHEST = 16
"""Of 255 shades, that a palette may move a pixel."""
BAR = 64
"""Pixels at the top that the bar of links covers."""
SCROLLS = 5
SCROLL = """(there, bar) => new Promise(done => {
  const main = document.querySelector("[data-testid=stMain]"), before = main.scrollTop;
  main.scrollBy(0, there.getBoundingClientRect().top - bar);
  requestAnimationFrame(() => requestAnimationFrame(() => done(Math.abs(main.scrollTop - before) > 1)));
})"""


@dataclass(frozen=True)
class Picture:
    """One picture: the page's path, the window, and what has to be drawn before it is taken."""

    name: str
    path: str
    drawn: str
    """A selector; also where nothing else is waited for, a component's drawing comes after Streamlit's."""
    unfold: str = ""
    """The key of an expander that is opened first."""
    look: Look = DESKTOP
    scroll_to: str = ""
    """A selector; the page is scrolled so that what it finds stands right below the bar of links."""
    height: int = 0
    """The window's height in pixels where it is not the look's own."""


def design(name: str, change: Callable[[LayerList], LayerList]) -> str:
    """The path of the page Build with a changed list of the model of that name."""
    document = models.layer_list(name)
    assert document is not None
    return f"build?model={name}&list={url_codec.encode(change(document))}"


def strided(document: LayerList) -> LayerList:
    """The list with stride 2 in conv2."""
    return layer_list_edit.set_field(document, document.names().index("conv2"), "stride", 2)


def tiny(document: LayerList) -> LayerList:
    """The list for pictures of 32×32."""
    return layer_list_edit.describe(document, input=(3, 32, 32))


RUNS = (("lenet5",), ("lenet5", "--set", 'options={"activation": "tanh"}'))
"""What is trained first, for the pictures that show runs."""
BARS, TABLE = "[role=listbox] .chosen", "[data-testid=stDataFrame] canvas"
PICTURES = (
    Picture("start", "", ".answer .best"),
    Picture("landscape", "", "text=ViT-H/14", FOLD, scroll_to=f"h2:has-text('{MODELS_HEADING}')"),
    Picture("architecture", "architecture?model=alexnet-cifar10&layer=fc1", BARS),
    Picture(
        "googlenet",
        "architecture?model=googlenet&layer=inception_3a.branch3.conv",
        "text=branch_pool",
        height=1275,
    ),
    Picture(
        "table", "architecture?model=small-alexnet&view=table&layer=conv2", TABLE, scroll_to=".st-key-view"
    ),
    Picture(
        "connections", "architecture?model=lenet5-1998&view=connections&layer=c3", ".connections", height=960
    ),
    Picture("build", f"{design('small-alexnet', strided)}&layer=conv2", ".chosen"),
    Picture("misfit", f"{design('googlenet', tiny)}&layer=pool5", ".chosen", height=960),
    Picture("compare", "compare", "text=1.56 GMAC"),
    Picture(
        "difference",
        "compare?models=alexnet-cifar10,small-alexnet",
        TABLE,
        scroll_to="h2:has-text('Layer by layer')",
    ),
    Picture("data", "data", ".st-key-augmentation-drawn .shown", height=1280),
    Picture("train", "train?run=1", "text=Layer statistics", height=1280),
    Picture("runs", "runs?runs=1,2", ".js-plotly-plot", height=1280),
    Picture("diagnose", "diagnose", ".js-plotly-plot", height=1280),
    Picture("experiments", "experiments?experiment=normalising", ".js-plotly-plot", height=790),
    Picture("features", "features?layer=conv2", "canvas", height=1100),
    Picture(
        "network", "features?view=network&weights=checkpoint:small-googlenet-cifar10", ".host[data-ready]"
    ),
    Picture(
        "network-layer",
        "features?view=network&weights=checkpoint:lenet5-mnist&open=conv2&channel=5",
        ".layer .sum",
        height=720,
    ),
    Picture("dark", "architecture?model=torchvision/resnet50&layer=layer4.0.conv2", BARS, look=DESKTOP_DARK),
    Picture("phone", "architecture?model=small-alexnet&layer=conv3", BARS, look=PHONE),
)


def take(page: Page, url: str, picture: Picture) -> bytes:
    """The picture as a PNG."""
    page.set_viewport_size({"width": picture.look.width, "height": picture.height or picture.look.height})
    page.goto(f"{url}/{picture.path}")
    settle(page)
    if picture.unfold:
        with rerun(page):
            page.locator(f".st-key-{picture.unfold} summary").click()
    page.locator(picture.drawn).locator("visible=true").first.wait_for()
    if picture.scroll_to:
        for _ in range(SCROLLS):  # what comes into sight may grow and push the place further down
            moved = page.locator(picture.scroll_to).evaluate(SCROLL, BAR)
            settle(page)
            if not moved:
                break
    return smaller(page.screenshot(animations="disabled"))


MOVING = "digit"
DRAWN_DIGITS, FRAMES_A_STROKE, FRAME_MS, STILL_MS = (3, 5), 9, 90, 1400
MOVING_WIDTH = 840


def take_moving(page: Page, url: str) -> bytes:
    """Draw digits on Start, as a person does; what maps and answer do becomes an animated WebP."""
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(url)
    settle(page)
    pad, hero = page.locator(".paper canvas"), page.locator(".host:has(.answer)")
    hero.wait_for()
    frames: list[Image.Image] = []
    times: list[int] = []

    def frame(milliseconds: int) -> None:
        picture = Image.open(io.BytesIO(hero.screenshot())).convert("RGB")
        height = round(picture.height * MOVING_WIDTH / picture.width)
        frames.append(picture.resize((MOVING_WIDTH, height), Image.Resampling.LANCZOS))
        times.append(milliseconds)

    for digit in DRAWN_DIGITS:
        page.get_by_role("button", name="Clear").click()
        box = pad.bounding_box()
        assert box is not None
        for stroke in STROKES[digit]:
            points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
            page.mouse.move(*points[0])
            page.mouse.down()
            for number, point in enumerate(points):
                page.mouse.move(*point, steps=2)
                if number % max(1, len(points) // FRAMES_A_STROKE) == 0:
                    frame(FRAME_MS)
            page.mouse.up()
        frame(STILL_MS)
    written = io.BytesIO()
    frames[0].save(
        written, "WEBP", save_all=True, append_images=frames[1:], duration=times, loop=0, quality=60, method=4
    )
    return written.getvalue()


def smaller(png: bytes) -> bytes:
    """The same picture in fewer bytes: no transparency, and 256 colors where that changes no pixel visibly.

    A picture of many maps keeps all its colors: a palette would draw steps into their scale.
    """
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    indexed = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=20, dither=Image.Dither.NONE)
    moved = ImageChops.difference(picture, indexed.convert("RGB"))
    farthest = int(np.asarray(moved).max())
    written = io.BytesIO()
    (indexed if farthest <= FARTHEST else picture).save(written, "PNG", optimize=True)
    return written.getvalue()


def take_all(url: str, names: list[str]) -> None:
    """Write the pictures of these names, or all of them, of the app at `url`.

    Raises:
        SystemExit: there is no Chromium.
    """
    executable = find_chromium()
    if executable is None:
        raise SystemExit(MISSING)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright, executable)
        for picture in (picture for picture in PICTURES if not names or picture.name in names):
            page = browser.new_page(color_scheme=picture.look.scheme)
            page.set_default_timeout(TIMEOUT_MS)
            page.add_init_script(COUNT_RUNS)
            target = FOLDER / f"{picture.name}.png"
            target.write_bytes(take(page, url, picture))
            print(f"{target.relative_to(ROOT)}  {target.stat().st_size / 1000:.0f} kB")
            page.close()
        if not names or MOVING in names:
            page = browser.new_page()
            page.set_default_timeout(TIMEOUT_MS)
            target = FOLDER / f"{MOVING}.webp"
            target.write_bytes(take_moving(page, url))
            print(f"{target.relative_to(ROOT)}  {target.stat().st_size / 1000:.0f} kB")
        browser.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="which; without one, all")
    parser.add_argument("--url", help="an app that runs already; without it one is started")
    given = parser.parse_args()
    if given.url:
        return take_all(given.url, given.names)
    with tempfile.TemporaryDirectory() as home, serve(Path(home)) as server:
        train(server.home)
        return take_all(server.url, given.names)


def train(home: Path) -> None:
    """Make the runs of `RUNS` in the folder that an app shows."""
    for model, *changes in RUNS:
        command = [sys.executable, "-m", "cnnviz", "train", "--model", model, "--dataset", "digits", *changes]
        subprocess.run(
            [*command, "--epochs", "12"], cwd=ROOT, env=os.environ | {"CNNVIZ_HOME": str(home)}, check=True
        )


if __name__ == "__main__":
    main()
