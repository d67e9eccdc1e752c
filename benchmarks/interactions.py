"""How long what people do most takes, from click to painted page, in Chromium, each against its aim.

The clock is the page's: it begins with the first pressed button or key, since Playwright looks for some 0.1 s
where to press, and ends with the second frame after what was waited for.

Navigation: a click in the bar until the page stands, every page in turn, warm. A field: the learning rate on
Train. Start: until the run's line is there; its worker does not count. Runs: the second run ticked, until
both curves are drawn. Build: a layer selected, until the inspector names it.

    python -m benchmarks.interactions [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.machine import describe
from benchmarks.pages import PAINTED, PATIENCE_MS
from cnnviz import tracking
from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.navigating import FOUND, go
from tests.browser.server import Server, serve
from tests.browser.waiting import COUNT_RUNS, POLL_MS, rerun, settle
from tests.ui.pages.runs.making import trained

RATES = ("0.01", "0.02", "0.03", "0.04")
LAYERS = ("relu1", "conv2", "relu2", "conv1")
BOTH_DRAWN = """() => {
  const figure = document.querySelector(".st-key-overlay .cnnviz-plot");
  return figure.dataset.drawn > 1 && figure.querySelector(".room").data.length === 2;
}"""
RUN_SHOWN = "document.querySelector('.run-state[role=status]') !== null"
ENDED = re.compile("^(stopped|finished)$")
LISTEN = """() => {
  window.__pressed = undefined;
  for (const kind of ["pointerdown", "keydown"])
    addEventListener(kind, () => { window.__pressed ??= performance.now(); }, { capture: true, once: true });
}"""


@dataclass(frozen=True)
class Aim:
    """What an interaction is to reach on an idle machine with two cores."""

    what: str
    seconds: float
    part: float
    """The quantile that is compared: 0.5, the median, or 0.95."""


NAVIGATION = Aim("navigation", 1.0, 0.95)
FIELD = Aim("a field changed (Train, learning rate)", 0.3, 0.5)
START = Aim("Start → run view", 0.5, 0.5)
TICK = Aim("second run ticked (Runs)", 0.5, 0.5)
LAYER = Aim("select a layer (Build)", 0.3, 0.5)


@contextmanager
def running() -> Iterator[Server]:
    """The app, with three finished runs in its database."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "cnnviz-home"
        with mock.patch.dict(os.environ, {"CNNVIZ_HOME": str(home)}), tracking.connect() as database:
            for accuracy in (0.7, 0.8, 0.9):
                trained(database, accuracy, lr=accuracy / 10)
        with serve(Path(folder)) as server:
            yield server


def opened(browser: Browser, address: str) -> Page:
    """A window at an address, once the page stands."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script(COUNT_RUNS)
    page.goto(address)
    settle(page)
    return page


@contextmanager
def clock(page: Page, found: list[float]) -> Iterator[None]:
    """Time what is done, from the first press until the page that it leads to is painted."""
    page.evaluate(LISTEN)
    yield
    page.evaluate(PAINTED)
    milliseconds = page.evaluate("performance.now() - window.__pressed")
    assert milliseconds > 0, "nothing was pressed"
    found.append(milliseconds / 1000)


def navigation(browser: Browser, url: str, rounds: int) -> list[float]:
    """Seconds from the click in the bar to each page, after one walk that is not counted."""
    page, found, names = opened(browser, url), list[float](), [*list(FOUND)[1:], "start"]
    for name in names * (rounds + 1):
        with clock(page, found):
            go(page, name)
    page.close()
    return found[len(names) :]


def field(browser: Browser, url: str, rounds: int) -> list[float]:
    """Seconds from Enter in a field to the plan with its value."""
    page, found = opened(browser, f"{url}/train?recipe=plain&model=lenet5"), list[float]()
    box = page.get_by_role("textbox", name="Learning rate")
    for rate in RATES * (rounds + 1):
        box.fill(rate)
        with clock(page, found), rerun(page):
            box.press("Enter")
    page.close()
    return found[len(RATES) :]


def start(browser: Browser, url: str, rounds: int) -> list[float]:
    """Seconds from the click on Start to the line of the run; the run is stopped after each."""
    found = list[float]()
    for number in range(rounds + 1):
        page = opened(browser, f"{url}/train?recipe=plain&model=lenet5&set.epochs={number + 1}")
        with clock(page, found):
            page.get_by_role("button", name="Start", exact=True).click()
            page.wait_for_function(
                RUN_SHOWN, polling=POLL_MS, timeout=PATIENCE_MS
            )  # `expect` looks once a second
        stop = page.get_by_role("button", name="Stop", exact=True)
        stop.click()
        expect(page.get_by_role("status")).to_have_text(ENDED, timeout=PATIENCE_MS)
        page.close()
    return found[1:]


def tick(browser: Browser, url: str, rounds: int) -> list[float]:
    """Seconds from ticking a second run to both runs' curves."""
    found = list[float]()
    for _ in range(rounds + 1):
        page = opened(browser, f"{url}/runs?runs=1")
        box = page.get_by_role("checkbox", name="Choose run 2")
        with clock(page, found):
            box.check()
            page.wait_for_function(BOTH_DRAWN, polling=POLL_MS, timeout=PATIENCE_MS)
        page.close()
    return found[1:]


def layer(browser: Browser, url: str, rounds: int) -> list[float]:
    """Seconds from a click on a layer of the list to its inspector."""
    page, found = opened(browser, f"{url}/build?model=alexnet-cifar10&layer=conv1"), list[float]()
    for name in LAYERS * (rounds + 1):
        with clock(page, found):
            page.locator(".lines .line").filter(has=page.get_by_text(name, exact=True)).first.click()
            expect(page.locator(".st-key-inspector h2")).to_have_text(name, timeout=PATIENCE_MS)
        settle(page)
    page.close()
    return found[len(LAYERS) :]


def quantile(values: Sequence[float], part: float) -> float:
    """The value below which `part` of all lie; of 0.5, the median."""
    if part == 0.5:
        return statistics.median(values)
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]


def line(aim: Aim, seconds: Sequence[float]) -> str:
    """A row of the table: what was measured beside its aim, and whether that is reached."""
    reached = quantile(seconds, aim.part)
    name = "median" if aim.part == 0.5 else f"p{100 * aim.part:.0f}"
    verdict = "reached" if reached <= aim.seconds else "missed"
    figures = (statistics.median(seconds), quantile(seconds, 0.95), max(seconds))
    columns = " ".join(f"{value:7.2f}" for value in figures)
    return f"{aim.what:42} {columns} {len(seconds):4d}   {name} ≤ {aim.seconds:g} s: {verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        raise SystemExit(MISSING)
    with running() as server, sync_playwright() as playwright:
        browser = launch(playwright, executable)
        print(describe("streamlit"), f"\nChromium {browser.version}, {given.rounds} rounds, warm\n")
        print(f"{'seconds':42} {'median':>7} {'95 %':>7} {'most':>7} {'n':>4}")
        for aim, measure in (
            (FIELD, field), (LAYER, layer), (TICK, tick), (START, start), (NAVIGATION, navigation),
        ):  # fmt: skip
            print(line(aim, measure(browser, server.url, given.rounds)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
