"""An app that several people use: started as a person starts it, and a browser of everybody's own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.browser.conftest import ARTIFACTS
from tests.browser.server import ROOT, Server, _await_health, _free_port, _stop
from tests.browser.waiting import TIMEOUT_MS

LONG = "train?set.epochs=400&set.device=cpu"
"""The page Train, set to a run that does not end before somebody stops it."""


@contextlib.contextmanager
def command_line_app(folder: Path, port: int, *arguments: str) -> Iterator[Server]:
    """Run `cnnviz …`, which becomes the app at this port, from its first healthy answer on."""
    server = Server(f"http://localhost:{port}", folder / "home", folder / "server.log")
    command = [sys.executable, "-m", "cnnviz", *arguments]
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _await_health(server, process)
        yield server
    finally:
        _stop(process)


def free_port() -> int:
    """A port that nobody listens at."""
    return _free_port()


@contextlib.contextmanager
def person(chromium: Browser) -> Iterator[Page]:
    """A browser of somebody's own; what it shows is kept where the test fails."""
    context = chromium.new_context()
    context.set_default_timeout(3 * TIMEOUT_MS)  # several people at once, on an app that has loaded nothing
    page = context.new_page()
    try:
        yield page
    except BaseException:
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"person-{id(page)}.png")
        raise
    finally:
        context.close()


def begin(page: Page) -> int:
    """Press Start on Train; the number of the run, which the address then names."""
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"[?&]run=\d+"))
    found = re.search(r"[?&]run=(\d+)", page.url)
    assert found is not None
    return int(found[1])
