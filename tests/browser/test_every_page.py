"""On every page: no axe violation, targets a finger hits, text a projector shows, no layout shift.

A page is loaded once, and its window then turned into a projector's and a dark phone's.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import CDPSession, Page, TimeoutError, ViewportSize

from tests.browser.chromium import DESKTOP, PHONE_DARK
from tests.browser.conftest import Visit
from tests.browser.navigating import FOUND
from tests.browser.waiting import settle

PROJECTOR: ViewportSize = {"width": 1280, "height": 720}
SMALLEST_TEXT, SMALLEST_TARGET, MAX_SHIFT = 14.0, 44.0, 0.1
FIT_MS = 10_000
ADDRESSES: Mapping[str, str] = {
    "diagnose": "diagnose?recorded=alexnet-stl10-failed",
    "architecture": "architecture?model=googlenet&layer=inception_3a",
}
"""Where a page is looked at that without parameters shows little."""

WHOLE: Mapping[str, str] = {"data": ".st-key-class-bars, .st-key-class-bars .rows", "predict": ".wide"}
"""What shows all that it holds on a phone, and does not scroll inside its own box."""
HIDDEN = """boxes => boxes.map(box =>
  Math.max(box.scrollHeight - box.clientHeight, box.scrollWidth - box.clientWidth))"""

SMALL_TEXT = """least => {
  const hidden = element => !element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const found = new Map();
  const visit = root => {
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      if (node.nodeType === Node.ELEMENT_NODE) { if (node.shadowRoot) visit(node.shadowRoot); continue; }
      const element = node.parentElement;
      const skipped = "svg, style, script, noscript, title, [aria-hidden=true]";
      if (!element || !node.data.trim() || element.closest(skipped)) continue;
      const size = parseFloat(getComputedStyle(element).fontSize);
      if (size >= least - .01 || hidden(element)) continue;
      const box = element.getBoundingClientRect();
      if (!box.width || !box.height) continue;
      const name = element.className || element.parentElement?.className;
      found.set(`${element.tagName.toLowerCase()}.${name}`, [size, node.data.trim().slice(0, 40)]);
    }
  };
  visit(document.querySelector(".stApp"));
  return [...found].map(([name, [size, text]]) => `${size} px: ${text} (${name})`);
}"""
"""Text of less than `least` pixels, without drawings, whose labels are a figure's own."""

SMALL_TARGETS = """least => {
  const wanted = "button, a[href], summary, select, [role=button], [role=tab], [role=radio], [role=switch],"
    + " [role=slider], [role=option], [role=link], [role=checkbox], input:not([type=hidden]),"
    + " label:has(input)";
  const found = [];
  const visit = root => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) visit(element.shadowRoot);
      if (!element.matches(wanted) || element.closest("[aria-hidden=true], svg, p, li, [inert]")) continue;
      if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      let box = element.getBoundingClientRect();
      const slider = element.matches("[type=range]") ? element.closest("[role=group]") : null;
      const field = element.matches("input") ? element.closest("label") ?? element.parentElement : null;
      const whole = slider ?? field;
      if (whole) {
        const around = whole.getBoundingClientRect();
        if (around.width * around.height > box.width * box.height) box = around;
      }
      // What only a reader of the screen meets: a pixel in size, or clipped away.
      if (box.width <= 1 || box.height <= 1 || getComputedStyle(element).clip !== "auto") continue;
      if (box.height >= least - .5) continue;
      const label = (element.getAttribute("aria-label") || element.textContent || "").trim().slice(0, 30);
      const kind = `${element.tagName.toLowerCase()}.${String(element.className).slice(0, 40)}`;
      found.push(`${Math.round(box.width)}×${Math.round(box.height)}: ${label} (${kind} `
        + `${element.dataset.testid ?? ""})`);
    }
  };
  visit(document.querySelector(".stApp"));
  return found;
}"""
"""Targets lower than `least` pixels; links within a line of text and what a figure draws are left out."""

SHIFT = """() => new Promise(resolve => {
  let worst = 0, session = 0, first = 0, last = 0;
  const observer = new PerformanceObserver(() => {});
  observer.observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => {
    for (const entry of observer.takeRecords()) {
      if (entry.hadRecentInput) continue;
      const joins = entry.startTime - last < 1000 && entry.startTime - first < 5000;
      session = joins ? session + entry.value : entry.value;
      if (!joins) first = entry.startTime;
      last = entry.startTime;
      worst = Math.max(worst, session);
    }
    resolve(worst);
  }));
})"""
"""Cumulative layout shift (web.dev/articles/cls): the worst session of at most five seconds."""


def violations(page: Page) -> list[str]:
    """What axe-core finds, a line an element."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {json.dumps(node['target'])} {node['html'][:160]}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.fixture
def phone() -> Iterator[Callable[[Page], None]]:
    """Turn a window into a dark phone's, on which a finger points."""
    turned: list[tuple[Page, CDPSession]] = []

    def turn(page: Page) -> None:
        session = page.context.new_cdp_session(page)
        turned.append((page, session))
        session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": PHONE_DARK.width, "height": PHONE_DARK.height})
        page.wait_for_function("matchMedia('(pointer: coarse)').matches")

    yield turn
    for page, session in turned:  # before `visit` hands the window to the next test
        session.detach()
        page.emulate_media(color_scheme="light")


def fitted_width(page: Page) -> int:
    """The page's width once it fits the window; what it is after some seconds if it does not.

    A window that has just become narrow is seen before everything in it has been laid out again.
    """
    width = "document.querySelector('[data-testid=stMain]').scrollWidth"
    with contextlib.suppress(TimeoutError):
        page.wait_for_function(f"{width} <= innerWidth", timeout=FIT_MS)
    return int(page.evaluate(width))


@pytest.mark.parametrize("name", FOUND)
def test_a_page_on_a_desktop_a_projector_and_a_phone(
    name: str, visit: Visit, phone: Callable[[Page], None]
) -> None:
    page = visit(ADDRESSES.get(name, "" if name == "start" else name), DESKTOP)
    shift = page.evaluate(SHIFT)
    found = {"desktop": violations(page)}
    page.set_viewport_size(PROJECTOR)
    settle(page)
    small = page.evaluate(SMALL_TEXT, SMALLEST_TEXT)
    wide = fitted_width(page)
    phone(page)
    settle(page)
    found["phone"] = violations(page)
    narrow = fitted_width(page)
    low = page.evaluate(SMALL_TARGETS, SMALLEST_TARGET)
    if name in WHOLE:
        page.locator(WHOLE[name]).first.wait_for()  # Predict may still be at work
        assert max(page.locator(WHOLE[name]).evaluate_all(HIDDEN)) <= 1
    assert (found, small, low) == ({"desktop": [], "phone": []}, [], [])
    assert (wide <= PROJECTOR["width"], narrow <= PHONE_DARK.width) == (True, True), (wide, narrow)
    assert shift <= MAX_SHIFT
