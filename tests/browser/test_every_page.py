"""On every page: no axe violation, targets a finger hits, text a projector shows, no layout shift."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.chromium import DESKTOP, PHONE_DARK
from tests.browser.conftest import Visit
from tests.browser.navigating import FOUND
from tests.browser.waiting import settle

pytestmark = pytest.mark.slow  # until every page has passed once on a machine that is not loaded
PROJECTOR = {"width": 1280, "height": 720}
SMALLEST_TEXT, SMALLEST_TARGET, MOST_SHIFT = 14.0, 44.0, 0.1
ADDRESSES: Mapping[str, str] = {
    "diagnose": "diagnose?recorded=alexnet-stl10-failed",
    "architecture": "architecture?model=googlenet&layer=inception3a",
}
"""Where a page is looked at that without parameters shows little."""

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
      const whole = element.closest("label") ?? (element.matches("input") ? element.parentElement : null);
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


@pytest.mark.parametrize("name", FOUND)
def test_a_page_on_a_desktop_and_a_projector(name: str, visit: Visit) -> None:
    page = visit(ADDRESSES.get(name, "" if name == "start" else name), DESKTOP)
    shift = page.evaluate(SHIFT)
    found = violations(page)
    page.set_viewport_size(PROJECTOR)  # type: ignore[arg-type]
    settle(page)
    small = page.evaluate(SMALL_TEXT, SMALLEST_TEXT)
    assert (found, small) == ([], [])
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= PROJECTOR["width"]
    assert shift <= MOST_SHIFT


@pytest.mark.parametrize("name", FOUND)
def test_a_page_on_a_phone(name: str, visit: Visit) -> None:
    page = visit(ADDRESSES.get(name, "" if name == "start" else name), PHONE_DARK)
    shift = page.evaluate(SHIFT)
    found = violations(page)
    low = page.evaluate(SMALL_TARGETS, SMALLEST_TARGET)
    assert (found, low) == ([], [])
    assert shift <= MOST_SHIFT
