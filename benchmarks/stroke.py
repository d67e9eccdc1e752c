"""How long the Start page takes from a pointer's move to the painted maps and answer, in Chromium.

Each move goes through preprocessing, all layers of LeNet-5 and the drawing of every map, within one frame.

    python -m benchmarks.stroke [--moves N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.machine import describe
from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.server import serve

MEASURE = """async (canvas, moves) => {
  const box = canvas.getBoundingClientRect(), found = [];
  const send = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type,
    { bubbles: true, pointerId: 1, clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
  canvas.setPointerCapture = () => {};
  send("pointerdown", 0.3, 0.3);
  for (let i = 0; i < moves; i++) {
    const begun = performance.now(), angle = i / 9;
    const computed = new Promise((done) => document.addEventListener(
      "cnnviz-forward", () => done(performance.now()), { once: true }));
    send("pointermove", 0.5 + 0.25 * Math.cos(angle), 0.5 + 0.35 * Math.sin(angle));
    const ready = await computed;
    await new Promise((done) => requestAnimationFrame(done));
    found.push([ready - begun, performance.now() - begun]);
  }
  send("pointerup", 0.5, 0.5);
  return found;
}"""
WORK = """(canvas, rounds) => {
  const state = canvas.getRootNode().querySelector(".host").state, found = [];
  for (let i = 0; i < rounds; i++) {
    const begun = performance.now();
    state.pad.hooks.update();
    found.push(performance.now() - begun);
  }
  return found;
}"""


def quantiles(values: list[float]) -> str:
    """Median, 95 % and the most, in milliseconds."""
    ordered = sorted(values)
    return (
        f"{statistics.median(ordered):7.1f} {ordered[int(0.95 * (len(ordered) - 1))]:7.1f} {ordered[-1]:7.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--moves", type=int, default=200)
    given = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        raise SystemExit(MISSING)
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright, executable)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(server.url)
        page.locator(".answer .best").wait_for()
        pad = page.locator(".paper canvas")
        pad.evaluate(MEASURE, 20)
        moves = pad.evaluate(MEASURE, given.moves)
        work = pad.evaluate(WORK, given.moves)
        chromium = browser.version
        browser.close()
    print(describe("streamlit"), f"\nChromium {chromium}, n = {given.moves}\n")
    print(f"{'milliseconds':44} {'median':>7} {'95 %':>7} {'most':>7}")
    print(f"{'preprocessing, forward and drawing alone':44} {quantiles(work)}")
    print(f"{'pointer moved → maps and answer drawn':44} {quantiles([computed for computed, _ in moves])}")
    print(f"{'pointer moved → the frame after them':44} {quantiles([painted for _, painted in moves])}")


if __name__ == "__main__":
    main()
