"""Pictures of the running app: `python -m tests.browser.shots FOLDER PATH…` writes a PNG a path and look.

A path is what follows the address: "", "architecture?model=lenet5". Without one, every page is taken.
"""

import argparse
import re
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from cnnviz.ui.shared.layout import find_pages
from tests.browser.chromium import LOOKS, MISSING, PROJECTOR, find_chromium, launch
from tests.browser.server import ROOT, serve
from tests.browser.waiting import settle

HEIGHT = "document.querySelector('[data-testid=stMain]').scrollHeight"
EVERY_LOOK = (*LOOKS, PROJECTOR)


def shoot(folder: Path, paths: list[str], looks: list[str], url: str | None, *, full: bool) -> None:
    """Write the pictures of `paths` into `folder`, of an app already at `url` or of one of our own.

    Raises:
        SystemExit: there is no Chromium.
    """
    if url is None:
        with tempfile.TemporaryDirectory() as home, serve(Path(home)) as server:
            return shoot(folder, paths, looks, server.url, full=full)
    executable = find_chromium()
    if executable is None:
        raise SystemExit(MISSING)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright, executable)
        for look in (look for look in EVERY_LOOK if str(look) in looks):
            page = browser.new_page(
                viewport={"width": look.width, "height": look.height},
                color_scheme=look.scheme,
                has_touch=look.touch,
            )
            for path in paths:
                page.set_viewport_size({"width": look.width, "height": look.height})
                page.goto(f"{url}/{path}")
                settle(page)
                if full:  # Streamlit scrolls inside the window, so the window has to be as tall as the page
                    tall = look.height
                    while (height := int(page.evaluate(HEIGHT))) > tall:  # more may be drawn
                        tall = height
                        page.set_viewport_size({"width": look.width, "height": tall})
                        settle(page)
                name = re.sub(r"[^\w.-]+", "-", path).strip("-") or "start"
                target = folder / f"{name}-{look}.png"
                page.screenshot(path=target)
                print(target)
            page.close()
        browser.close()
    return None


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--look", action="append", choices=[str(look) for look in EVERY_LOOK])
    parser.add_argument("--url", help="an app that runs already; without it one is started")
    parser.add_argument("--full", action="store_true", help="the whole page, not the window")
    given = parser.parse_args()
    paths = given.paths or ["" if name == "start" else name for name in find_pages(ROOT / "pages")]
    shoot(given.folder, paths, given.look or [str(look) for look in EVERY_LOOK], given.url, full=given.full)


if __name__ == "__main__":
    main()
