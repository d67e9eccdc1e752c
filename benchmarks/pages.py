"""How long a person waits for a page, in Chromium, against the page one writes first (`naive_page.py`).

Start: from `streamlit run` to the frame (Streamlit's empty page stands), to the bar of pages, and to the
Start page with its content, each time in a new process. Choice: from choosing another model to the painted
page, warm, every model once before.

    python -m benchmarks.pages [--starts N] [--rounds N]
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from benchmarks.machine import describe
from cnnviz import models
from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.server import Server, serve
from tests.browser.waiting import COUNT_RUNS, rerun, settle

NAIVE = "benchmarks/naive_page.py"
SMALL = ("alexnet-cifar10", "small-alexnet", "lenet5", "googlenet-32", "resnet18-32", "torchvision/alexnet")
LARGE = ("torchvision/efficientnet_v2_l", "torchvision/densenet201", "torchvision/swin_v2_b",
         "torchvision/vit_h_14", "torchvision/regnet_y_128gf")  # fmt: skip
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
PATIENCE_MS = 120_000


@contextmanager
def running(script: str) -> Iterator[tuple[Server, float]]:
    """The app in a new process, and when it was started."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with serve(Path(folder), script) as server:
            yield server, started


def start(browser: Browser) -> tuple[float, float, float]:
    """Seconds from `streamlit run` to the frame, the bar of pages, and the content of the Start page."""
    with running("app.py") as (server, started):
        page = browser.new_page()
        page.goto(server.url, wait_until="commit")  # what a person sees is there before the last font
        page.locator(".stApp").wait_for()
        frame = time.perf_counter() - started
        page.get_by_role("navigation", name="Pages").wait_for()
        bar = time.perf_counter() - started
        page.locator(".answer .best").wait_for()
        settle(page)
        page.evaluate(PAINTED)
        content = time.perf_counter() - started
        page.close()
    return frame, bar, content


def naive_start(browser: Browser) -> float:
    """Seconds from `streamlit run` to the naive page's table."""
    with running(NAIVE) as (server, started):
        page = browser.new_page()
        page.goto(server.url, wait_until="commit")
        _naive_table(page).wait_for(timeout=PATIENCE_MS)
        page.evaluate(PAINTED)
        seconds = time.perf_counter() - started
        page.close()
    return seconds


def choices(browser: Browser, names: Sequence[str], rounds: int) -> list[float]:
    """Seconds from choosing each of `names` on the Architecture page to its painted figures."""
    with running("app.py") as (server, _):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(COUNT_RUNS)
        page.goto(f"{server.url}/architecture?model=lenet5-1998")
        settle(page)
        for name in names:
            choose(page, name)
        return [choose(page, name) for _ in range(rounds) for name in names]


def choose(page: Page, name: str) -> float:
    """Choose a model as a person does, by typing; the clock starts with the key that chooses."""
    title = models.get(name).title
    box = page.get_by_role("combobox", name="Model")
    box.click()
    box.fill(title)
    plain = re.escape(title).replace("/", r"\/")  # the expression is put between slashes
    option = page.get_by_role("option", name=re.compile(rf"(^|› ){plain} ·")).first
    option.wait_for()
    start = time.perf_counter()
    with rerun(page):
        option.click()
    page.wait_for_function("name => location.search.includes(encodeURIComponent(name))", arg=name)
    expect(page.locator(".st-key-graph svg").first).to_be_visible()
    page.evaluate(PAINTED)
    return time.perf_counter() - start


def naive_choices(browser: Browser, names: Sequence[str], rounds: int) -> list[float]:
    """The same on the naive page."""
    with running(NAIVE) as (server, _):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url)
        _naive_table(page).wait_for(timeout=PATIENCE_MS)
        plain = [name.removeprefix("torchvision/") for name in names if name.startswith("torchvision/")]
        for name in plain:
            _choose_naively(page, name)
        _choose_naively(page, "alexnet")
        return [_choose_naively(page, name) for _ in range(rounds) for name in plain if name != "alexnet"]


def _choose_naively(page: Page, name: str) -> float:
    box = page.get_by_role("combobox")
    box.click()
    box.fill(name)
    option = page.get_by_role("option", name=name, exact=True).first
    option.wait_for()
    start = time.perf_counter()
    option.click()
    page.get_by_role("heading", name=name, exact=True).wait_for(timeout=PATIENCE_MS)
    page.locator('.stApp[data-test-script-state="notRunning"]').wait_for(timeout=PATIENCE_MS)
    page.evaluate(PAINTED)
    return time.perf_counter() - start


def _naive_table(page: Page) -> Locator:
    return page.get_by_test_id("stCode")


def line(what: str, seconds: Sequence[float]) -> str:
    """Median, least and most of a sample."""
    low, high = min(seconds), max(seconds)
    return f"{what:48} {statistics.median(seconds):7.2f} {low:7.2f} {high:7.2f} {len(seconds):4d}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        raise SystemExit(MISSING)
    with sync_playwright() as playwright:
        browser = launch(playwright, executable)
        starts = [(start(browser), naive_start(browser)) for _ in range(given.starts)]
        small = choices(browser, SMALL, given.rounds)
        large = choices(browser, LARGE, given.rounds)
        naive = naive_choices(browser, LARGE, given.rounds)
        chromium = browser.version
        browser.close()
    frames, bars, contents = zip(*(ours for ours, _ in starts), strict=True)
    print(describe("streamlit", "torch", "torchvision", "torchinfo"), f"\nChromium {chromium}\n")
    print(f"{'seconds':48} {'median':>7} {'least':>7} {'most':>7} {'n':>4}")
    print(line("streamlit run → frame", frames))
    print(line("streamlit run → bar of pages", bars))
    print(line("streamlit run → Start with its content", contents))
    print(line("streamlit run → naive page", [theirs for _, theirs in starts]))
    print(line("another model, AlexNet-sized", small))
    print(line("another model, the largest", large))
    print(line("another model, the largest, naive page", naive))
    begin = statistics.median(theirs for _, theirs in starts) / statistics.median(contents)
    change = statistics.median(naive) / statistics.median(large)
    print(f"\nThe naive page takes {begin:.1f}× as long to start, {change:.1f}× as long for a large model.")


if __name__ == "__main__":
    main()
