"""From a value that a worker logs to its point painted on the Train page, in Chromium.

A writer, as a worker has one, logs to a run that the page watches; each value is timed until the figure of
the loss holds it, with uneven rests between so that it does not keep time with the page's clock.

    python -m benchmarks.live [--values N]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import describe
from benchmarks.pages import PATIENCE_MS, line
from cnnviz import tracking
from cnnviz.tracking import Database, MetricWriter, RunFacts, Status
from cnnviz.training import Recipe
from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.server import Server, serve

ELSEWHERE = "cuda:99"
"""A device that the app has not: its supervisor leaves the run alone."""
BEFORE = 50
"""Values that are there already."""
NEWEST = """(step) => {
  const figure = document.querySelector('.st-key-train-curves .room');
  const points = figure?.calcdata?.[0] ?? []; // as drawn: in `data` arrays are still encoded
  return points.some(({ x }) => x >= step);
}"""


def logged(database: Database, page: Page, server: Server, values: int) -> list[float]:
    """Seconds from each value's `log_all` until it is in the figure."""
    recipe = Recipe(model="lenet5", dataset="digits").model_dump(mode="json")
    run = tracking.create_run(database, recipe, model="lenet5", dataset="digits", seed=0, device=ELSEWHERE)
    lease = tracking.claim(database, ELSEWHERE, only=run.id)
    assert lease is not None
    tracking.begin(database, lease, facts=RunFacts(total_steps=1000, total_epochs=10.0))
    seconds = []
    with MetricWriter(database, lease) as writer:
        for step in range(BEFORE):
            told(writer, step)
        page.goto(f"{server.url}/train?run={run.id}")
        page.wait_for_function(NEWEST, arg=BEFORE - 1)
        for step in range(BEFORE, BEFORE + values):
            time.sleep(0.5 + 0.037 * (step % 10))
            start = time.perf_counter()
            told(writer, step)
            page.wait_for_function(NEWEST, arg=step, polling="raf")
            seconds.append(time.perf_counter() - start)
    tracking.end(database, lease, Status.STOPPED)
    return seconds


def told(writer: MetricWriter, step: int) -> None:
    """Log what the engine logs most often."""
    writer.log_all({"train/loss": 1 / (1 + step), "train/accuracy": 0.5}, step, step / 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--values", type=int, default=30)
    given = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        raise SystemExit(MISSING)
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server, sync_playwright() as player:
        browser = launch(player, executable)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        with tracking.connect(f"sqlite:///{server.home}/runs.sqlite") as database:
            seconds = logged(database, page, server, given.values)
        chromium = browser.version
        browser.close()
    print(describe("streamlit", "torch"), f"\nChromium {chromium}\n")
    print(f"{'seconds':48} {'median':>7} {'least':>7} {'most':>7} {'n':>4}")
    print(line("a value logged → its point painted", seconds))
    share = sum(wait <= 1 for wait in seconds) / len(seconds)
    print(f"95 %: {statistics.quantiles(seconds, n=20, method='inclusive')[-1]:.2f}; within 1 s: {share:.0%}")


if __name__ == "__main__":
    main()
