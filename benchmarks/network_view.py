"""How long the view of a whole network takes for a new image, and whether it follows the pointer.

In Chromium: from the image to every layer's values, and to the painted screen. Pointing: from one animation
frame to the next while the pointer goes over the maps, and the work that each move is.

    python -m benchmarks.network_view [--images N] [--moves N]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks.machine import describe
from benchmarks.stroke import quantiles
from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.server import serve

NETWORKS = {
    "LeNet-5 (0.4 MMAC), in the page": "weights=checkpoint:lenet5-mnist",
    "GoogLeNet (106 MMAC), in a worker": "weights=checkpoint:small-googlenet-cifar10",
    "SmallAlexNet (416 MMAC), sent in 8 bits": "weights=fresh:small-alexnet&model=small-alexnet",
}
NEW_IMAGES = """async (host, rounds) => {
  const { state } = host, found = [];
  for (let i = 0; i <= rounds; i++) {
    const { values } = state.view.arrays.input;
    for (let k = 0; k < values.length; k++) values[k] += 0.01 * Math.sin(i + k);
    const done = new Promise((resolve) => host.addEventListener("cnnviz-forward", resolve, { once: true }));
    const begun = performance.now();
    state.recompute();
    await done;
    const drawn = performance.now() - begun;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    if (i) found.push([state.computedIn, drawn]); // the first is for the compiler
  }
  return found;
}"""
POINT = """async (host, moves) => {
  const { over } = host.state.overview, box = over.getBoundingClientRect(), found = [];
  const { stages } = host.state;
  let before = await new Promise((resolve) => requestAnimationFrame(resolve));
  for (let i = 0; i < moves; i++) {
    const stage = stages[1 + (i * 7) % (stages.length - 1)];
    const x = stage.box.left + 4 + (i % 3);
    const y = stage.box.top + ((i * 31) % Math.max(1, Math.floor(stage.box.height - 2)));
    over.dispatchEvent(new PointerEvent("pointermove",
      { clientX: box.left + x, clientY: box.top + y, bubbles: true, pointerType: "mouse" }));
    const now = await new Promise((resolve) => requestAnimationFrame(resolve));
    found.push([host.state.pointedIn ?? 0, now - before]);
    before = now;
  }
  return found;
}"""


def measured(browser: Browser, address: str, images: int, moves: int) -> tuple[Any, Any]:
    """Milliseconds of each new image (values there, screen painted) and of each move (work, frame)."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(240_000)
    page.goto(address)
    host = page.locator(".host[data-ready]")
    host.wait_for()
    found = host.evaluate(NEW_IMAGES, images), host.evaluate(POINT, moves)
    page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=20)
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
        found = {
            name: measured(browser, f"{server.url}/features?view=network&{path}", given.images, given.moves)
            for name, path in NETWORKS.items()
        }
        chromium = browser.version
        browser.close()
    print(describe("streamlit"), f"\nChromium {chromium}, {given.images} images, {given.moves} moves\n")
    print(f"{'milliseconds':60} {'median':>7} {'95 %':>7} {'most':>7}")
    for name, (new, pointed) in found.items():
        print(name)
        print(f"{'  new image → every layer’s values':60} {quantiles([values for values, _ in new])}")
        print(f"{'  new image → all maps painted':60} {quantiles([drawn for _, drawn in new])}")
        print(f"{'  pointer moved: work':60} {quantiles([work for work, _ in pointed])}")
        print(f"{'  pointer moved: from frame to frame':60} {quantiles([frame for _, frame in pointed])}")


if __name__ == "__main__":
    main()
