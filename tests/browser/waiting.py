"""Waits for the app on conditions: Streamlit's script has run and the page stands still."""

import contextlib
from collections.abc import Iterator

from playwright.sync_api import Page

TIMEOUT_MS = 60_000
RUNS = "window.__cnnvizRuns || 0"
TOLD = "window.__cnnvizTold || 0"
RUN_SINCE = f"""([runs, told]) => ({RUNS}) > runs
  || ({TOLD}) > told && performance.now() - window.__cnnvizLast > 2000"""
"""Whether a run has ended since; or the server has said something and then nothing more for two seconds.

A busy browser can draw the beginning and the end of a short run at once, so that no run is to be seen.
"""

COUNT_RUNS = """
new MutationObserver(changes => {
  for (const { target, oldValue } of changes) {
    if (target.dataset.testScriptState === "notRunning" && oldValue !== "notRunning")
      window.__cnnvizRuns = (window.__cnnvizRuns || 0) + 1;
  }
}).observe(document, {
  subtree: true, attributes: true, attributeFilter: ["data-test-script-state"], attributeOldValue: true,
});
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", () => {
      window.__cnnvizTold = (window.__cnnvizTold || 0) + 1;
      window.__cnnvizLast = performance.now();
    });
  }
};
"""
"""Runs before a page's own scripts: counts the ends of runs as they are shown, and the server's messages."""

SETTLED = """() => {
  const app = document.querySelector(
    '.stApp[data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]');
  const unfinished = '[data-stale="true"], [data-testid="stSkeleton"], [data-testid="stAppSkeleton"]';
  const plots = [...document.querySelectorAll(".cnnviz-plot:not([data-drawn])")];
  if (plots.some((plot) => plot.offsetParent !== null)) return false; // one in a closed fold is not drawn
  const drawn = 'h1, [data-testid="stException"]'; // what is wrong is for the test to say, and at once
  return app !== null && app.querySelector(drawn) !== null && app.querySelector(unfinished) === null
    && document.fonts.status === "loaded";
}"""


def settle(page: Page) -> None:
    """Wait until the script has run, what it sent is drawn, and nothing is a placeholder any more."""
    page.wait_for_function(SETTLED, timeout=TIMEOUT_MS)


@contextlib.contextmanager
def rerun(page: Page) -> Iterator[None]:
    """Do something that makes the script run again (a click, a choice) and wait until that run is drawn.

    Without it a wait right after the click would be over before the run has begun. What an earlier step has
    set off is waited for first, lest its end be taken for this one's.
    """
    settle(page)
    before = page.evaluate(f"[{RUNS}, {TOLD}]")
    yield
    page.wait_for_function(RUN_SINCE, arg=before, timeout=TIMEOUT_MS)
    settle(page)
