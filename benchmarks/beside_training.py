"""How long a person waits for pages while a run trains on the same cores, against the same with none.

One app, its own supervisor and worker: choosing another model is timed as `benchmarks.pages` does, first with
nothing running, then while SmallAlexNet trains on generated shapes. The same app then starts a LeNet on the
Train page: from the click on Start to the first point in the run database, after a rest in which the next
worker has become ready, and once right after another run, when it has not.

    python -m benchmarks.beside_training [--rounds N] [--starts N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.machine import describe
from benchmarks.pages import PATIENCE_MS, SMALL, choose, line
from cnnviz import tracking
from cnnviz.tracking import Command, Database, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.server import Server, serve
from tests.browser.waiting import COUNT_RUNS, settle

LONG = Recipe(name="long", model="small-alexnet", dataset="shapes", epochs=1_000, batch_size=128)
QUICK = "train?model=lenet5&dataset=digits"
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.005
REST_SECONDS = 20.0
"""What a person takes at least to look at one run before starting the next."""


def opened(page: Page, server: Server) -> Page:
    """The Architecture page, every model once seen."""
    page.add_init_script(COUNT_RUNS)
    page.goto(f"{server.url}/architecture?model=lenet5-1998")
    settle(page)
    for name in SMALL:
        choose(page, name)
    return page


def rounds(page: Page, count: int) -> list[float]:
    """Seconds of every choice."""
    return [choose(page, name) for _ in range(count) for name in SMALL]


def beside(database: Database, page: Page, count: int) -> list[float]:
    """Seconds of every choice while a run trains, which is checked before and after."""
    run = enqueue(database, LONG)
    waited(lambda: tracking.get_run(database, run.id).step > 0, "the long run's first step")
    before = tracking.get_run(database, run.id).step
    seconds = rounds(page, count)
    waited(lambda: tracking.get_run(database, run.id).step > before, "another step of the long run")
    tracking.request(database, run.id, Command.STOP)
    waited(lambda: tracking.get_run(database, run.id).status is Status.STOPPED, "the long run's end")
    return seconds


def first_point(database: Database, page: Page, server: Server) -> float:
    """Seconds from the click on Start to the first value of the run's loss."""
    page.goto(f"{server.url}/{QUICK}")
    settle(page)
    known = {run.id for run in tracking.list_runs(database, metrics=[])}
    button = page.get_by_role("button", name="Start", exact=True)
    expect(button).to_be_enabled(timeout=PATIENCE_MS)
    start = time.perf_counter()
    button.click()

    def told() -> bool:
        new = [run for run in tracking.list_runs(database, limit=1) if run.id not in known]
        return bool(new and "train/loss" in new[0].metrics)

    waited(told, "the first point")
    seconds = time.perf_counter() - start
    newest = tracking.list_runs(database, limit=1, metrics=[])[0]
    tracking.request(database, newest.id, Command.STOP)
    waited(lambda: tracking.get_run(database, newest.id).ended is not None, "the run's end")
    return seconds


def waited(done: Callable[[], bool], what: str) -> None:
    """Ask until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come within {PATIENCE_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def worst(seconds: Sequence[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--starts", type=int, default=5)
    given = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        raise SystemExit(MISSING)
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server, sync_playwright() as player:
        browser = launch(player, executable)
        page = opened(browser.new_page(viewport={"width": 1440, "height": 900}), server)
        with tracking.connect(f"sqlite:///{server.home}/runs.sqlite") as database:
            idle = rounds(page, given.rounds)
            busy = beside(database, page, given.rounds)
            points = []
            for _ in range(given.starts):
                time.sleep(REST_SECONDS)
                points.append(first_point(database, page, server))
            at_once = [first_point(database, page, server)]
        chromium = browser.version
        browser.close()
    print(describe("streamlit", "torch"), f"\nChromium {chromium}\n")
    print(f"{'seconds':48} {'median':>7} {'least':>7} {'most':>7} {'n':>4}")
    print(line("another model, nothing trains", idle), f" 95 %: {worst(idle):.2f}")
    print(line("another model, a run trains", busy), f" 95 %: {worst(busy):.2f}")
    print(line("click on Start → first point, a worker ready", points))
    print(line("click on Start → first point, at once after a run", at_once))
    print(f"\nBeside a run a choice takes {statistics.median(busy) / statistics.median(idle):.1f}× as long.")


if __name__ == "__main__":
    main()
