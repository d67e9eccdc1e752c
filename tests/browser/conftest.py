"""The fixtures of browser tests: one app and one Chromium a session, a fresh context a test."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from cnnviz import tracking
from cnnviz.tracking import Database, Status
from tests.browser.chromium import DESKTOP, LOOKS, MISSING, PHONE_DARK, Look, Witness, find_chromium, launch
from tests.browser.server import ROOT, Server, serve
from tests.browser.waiting import TIMEOUT_MS, settle
from tests.browser.windows import Windows

expect.set_options(timeout=TIMEOUT_MS)
ARTIFACTS = ROOT / "test-artifacts"
OFTEN = (DESKTOP, PHONE_DARK)
FAILED = pytest.StashKey[str]()
Visit = Callable[..., Page]
"""`visit(path="", look=DESKTOP, ready=True) -> Page`: open a path of the app in a window of its own."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what lies here."""
    if Path(__file__).parent in item.path.parents:
        item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know, when they end, how the test failed."""
    report = yield
    if report.when == "setup":
        item.stash[FAILED] = ""
    if report.failed:
        item.stash[FAILED] += report.longreprtext
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A Chromium; where there is none the test is skipped, except in CI, which must have one."""
    executable = find_chromium()
    if executable is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    with sync_playwright() as playwright:
        browser = launch(playwright, executable)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The running app; started only when there is a browser to look at it."""
    with serve(tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture
def runs(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The run database of the app that is looked at; what still goes at the end is stopped."""
    monkeypatch.setenv("CNNVIZ_HOME", str(server.home))
    with tracking.connect() as database:
        yield database
        for run in tracking.list_runs(database, statuses=[*tracking.ACTIVE, Status.QUEUED], metrics=[]):
            tracking.request(database, run.id, tracking.Command.STOP)


# Each width and each scheme in `make test`, all four pairs of them in `make soak`.
EVERY_LOOK = [look if look in OFTEN else pytest.param(look, marks=pytest.mark.slow) for look in LOOKS]


@pytest.fixture(params=EVERY_LOOK, ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    """Run the test on a desktop and a phone, light and dark."""
    value: Look = request.param
    return value


@pytest.fixture
def witness() -> Witness:
    """What the pages of this test did that they may not; a test that provokes an error clears it."""
    return Witness()


@pytest.fixture(scope="session")
def windows(chromium: Browser) -> Windows:
    """The windows in which pages are looked at."""
    return Windows(chromium)


@pytest.fixture
def visit(
    request: pytest.FixtureRequest, windows: Windows, server: Server, witness: Witness
) -> Iterator[Visit]:
    """Open pages of the app; the test fails on any request that leaves the machine, error or trace."""
    pages: list[Page] = []
    looks: list[Look] = []
    logged = len(server.printed())

    def open_path(path: str = "", look: Look = DESKTOP, *, ready: bool = True) -> Page:
        pages.append(windows.open(f"{server.url}/{path}", witness, look))
        looks.append(look)
        if ready:
            settle(pages[-1])
        return pages[-1]

    yield open_path
    traces = [text for page in pages for text in page.get_by_test_id("stException").all_inner_texts()]
    output = server.traced(since=logged)
    failed = request.node.stash.get(FAILED, "")
    if failed or traces or witness.external or witness.errors or output:
        description = [failed, *witness.external, *witness.errors, server.printed()[logged:]]
        _keep(request.node.name, pages, "\n".join(description))
    for page, look in zip(pages, looks, strict=True):
        windows.leave(page, witness, look, keep=not failed)
    assert not witness.external, "requests left this machine"
    assert not witness.errors, "the browser's console has errors"
    assert not traces, "a page shows an exception"
    assert not output, output


def _keep(name: str, pages: list[Page], told: str) -> None:
    """Keep, in test-artifacts/, what a failed test saw, why it failed, and what the app printed meanwhile."""
    ARTIFACTS.mkdir(exist_ok=True)
    stem = "".join(character if character.isalnum() or character in "-_" else "-" for character in name)
    for number, page in enumerate(pages):
        page.screenshot(path=ARTIFACTS / f"{stem}-{number}.png", full_page=True)
    (ARTIFACTS / f"{stem}.log").write_text(told, encoding="utf-8")
