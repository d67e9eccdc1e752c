"""Experiments in a browser: a link, Start, progress, and the answer with its picture."""

import re

import pytest
from playwright.sync_api import expect

from cnnviz.experiments import from_change
from cnnviz.training import Recipe
from cnnviz.ui.shared.runs.recipe_plan import test_parameters as parameters
from tests.browser.chromium import Look
from tests.browser.conftest import Visit
from tests.browser.waiting import settle

PATIENCE_MS = 120_000
"""A worker imports torch first, on a machine that may be busy with other tests."""
TINY = Recipe(dataset="digits", limit=60, validation=0, epochs=1, batch_size=30, device="cpu")
DRAWN = "((document.querySelector('[class*=st-key-experiment-] .room') || {}).data || []).length"


@pytest.mark.usefixtures("runs")
def test_a_change_is_tested_from_its_link_to_its_answer(visit: Visit) -> None:
    experiment = from_change(TINY, {"lr": 0.01}, "Does a lower rate help?", seeds=1)
    page = visit(f"experiments?test={parameters(experiment)['test']}")
    expect(page.get_by_text("Does a lower rate help?").first).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"experiment=\d+"), timeout=PATIENCE_MS)
    answer = page.locator(".experiment-verdict")
    expect(answer).to_contain_text("n = 1; one pair of runs gives no interval", timeout=PATIENCE_MS)
    page.wait_for_function(f"{DRAWN} > 3", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="2 more seeds")).to_be_visible()
    settle(page)
    page.get_by_role("link", name="Its runs side by side").click()
    expect(page.get_by_role("heading", name="Configuration diff")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.slow
def test_it_fits_every_window(visit: Visit, look: Look) -> None:
    page = visit("experiments?experiment=alexnet-stl10", look)  # of all that ship, the one with most arms
    page.wait_for_function(f"{DRAWN} > 3")
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0
