"""Waits for the app on conditions: Streamlit's script has run and the page stands still."""

import contextlib
from collections.abc import Iterator

from playwright.sync_api import Page, TimeoutError

TIMEOUT_MS = 60_000
POLL_MS = 50
"""Between two looks at a condition; at Playwright's default, every frame, the browser draws every frame."""
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

MISSING = """() => {
  const app = document.querySelector(".stApp"), shown = (element) => element.checkVisibility();
  if (app === null) return "the app";
  if (app.dataset.testConnectionState !== "CONNECTED") return "the server";
  if (app.dataset.testScriptState !== "notRunning") return "the script's end";
  const wanting = [
    ["h1, [data-testid=stException]", false, "a title"], // what is wrong is for the test to say, and at once
    ["[data-stale=true]", true, "something new in place of the stale"],
    ["[data-testid=stSkeleton], [data-testid=stAppSkeleton]", true, "something in place of a skeleton"],
  ];
  for (const [selector, bad, what] of wanting)
    if ((app.querySelector(selector) !== null) === bad) return what;
  // One that had no room at first is drawn when its fold is opened; until then it has a width all the same.
  if ([...document.querySelectorAll(".cnnviz-plot:not([data-drawn])")].some(shown)) return "a figure";
  return document.fonts.status === "loaded" ? "" : "a font";
}"""
"""What a page still waits for; empty where it stands still."""
STANDS = f"""() => {{
  const what = ({MISSING})(), seen = window.__cnnvizMissing ??= {{}};
  if (what) seen[what] = (seen[what] ?? 0) + 1;
  else delete window.__cnnvizMissing;
  return what === "";
}}"""
"""Whether a page stands still; what it waited for is counted until it does."""


def settle(page: Page) -> None:
    """Wait until the script has run, what it sent is drawn, and nothing is a placeholder any more."""
    try:
        page.wait_for_function(STANDS, polling=POLL_MS, timeout=TIMEOUT_MS)
    except TimeoutError as late:
        waited = page.evaluate("window.__cnnvizMissing") or {}
        text = ", ".join(f"{what} at {times} looks" for what, times in waited.items())
        raise AssertionError(f"The page did not stand still; it waited for {text}.") from late


@contextlib.contextmanager
def rerun(page: Page) -> Iterator[None]:
    """Do something that makes the script run again (a click, a choice) and wait until that run is drawn.

    Without it a wait right after the click would be over before the run has begun. What an earlier step has
    set off is waited for first, lest its end be taken for this one's.
    """
    settle(page)
    before = page.evaluate(f"[{RUNS}, {TOLD}]")
    yield
    page.wait_for_function(RUN_SINCE, arg=before, polling=POLL_MS, timeout=TIMEOUT_MS)
    settle(page)
