"""How long a person waits on the page of feature maps, in Chromium, warm.

From choosing another layer to its mosaic painted, and to the end of the page's script, which is later; from
choosing another picture to every panel painted. For LeNet-5 and the GoogLeNet for 32×32 pixels, whose layers
have up to 1,024 channels.

    python -m benchmarks.interpret [--rounds N]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.machine import describe
from benchmarks.pages import PATIENCE_MS, line
from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.server import serve
from tests.browser.waiting import settle

NETWORKS = {
    "lenet5": ("conv2", "relu1", "pool2", "conv1"),
    "googlenet-32": ("inception_3a", "inception_4e", "inception_5b", "conv1"),
}
"""Models with fresh weights, and layers of theirs that the strip shows."""

# From a click on a cell until the mosaic of another stamp is painted, and until the script has run too.
CLICK = """([strip, value]) => new Promise((done) => {
  const inside = (key, part) => {
    for (const box of document.querySelectorAll(`${key} *`)) {
      const found = box.shadowRoot?.querySelector(part);
      if (found) return found;
    }
    return null;
  };
  const cells = [...inside(strip, '.sheet').querySelectorAll('.cell')];
  const cell = cells.find((one) => value.endsWith(one.ariaLabel.replace('…', '')));
  const host = inside('.st-key-features-mosaic', '.host');
  const before = host.dataset.drawn, began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  let painted = null;
  const look = () => {
    if (host.dataset.drawn !== before) painted ??= since();
    const ran = document.querySelector('.stApp').dataset.testScriptState === 'notRunning';
    if (painted === null || !ran) return requestAnimationFrame(look);
    return requestAnimationFrame(() => done([painted, since()]));
  };
  cell.click();
  look();
})"""


Wait = tuple[float, float]
"""Seconds to the mosaic, and to the end of all."""


def waits(browser: Browser, url: str, model: str, rounds: int) -> tuple[list[Wait], list[Wait]]:
    """For layers and for pictures, each chosen once before."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{url}/features?weights=fresh:{model}")
    page.locator(".st-key-features-mosaic [data-drawn]").wait_for()
    names = _samples(page)
    layers = [
        _click(page, ".st-key-features-strip", name) for _ in range(rounds + 1) for name in NETWORKS[model]
    ]
    pictures = [_click(page, ".st-key-picture-samples", name) for _ in range(rounds + 1) for name in names]
    page.close()
    return layers[len(NETWORKS[model]) :], pictures[len(names) :]


def _samples(page: Page) -> list[str]:
    """What some bundled pictures are called on the page."""
    shown = page.locator(".st-key-picture-samples [role=option]")
    return [str(shown.nth(place).get_attribute("aria-label")) for place in (5, 8, 14, 1)]


def _click(page: Page, strip: str, value: str) -> Wait:
    painted, ended = page.evaluate(CLICK, [strip, value])
    settle(page)
    return float(painted), float(ended)


def report(rows: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Print the table."""
    print(f"{'seconds':48} {'median':>7} {'least':>7} {'most':>7} {'n':>4}")
    for what, seconds in rows:
        print(line(what, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        raise SystemExit(MISSING)
    rows: list[tuple[str, Sequence[float]]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright, executable)
        for model in NETWORKS:
            layers, pictures = waits(browser, server.url, model, given.rounds)
            rows += [
                (f"{model}: another layer → mosaic", [painted for painted, _ in layers]),
                (f"{model}: another layer → end of the page", [ended for _, ended in layers]),
                (f"{model}: another picture → every panel", [ended for _, ended in pictures]),
            ]
        chromium = browser.version
        browser.close()
    print(describe("streamlit", "torch"), f"\nChromium {chromium}\n")
    report(rows)


if __name__ == "__main__":
    main()
