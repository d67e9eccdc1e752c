"""Imported histories in a browser: on every page, with what they hold, and no action that cannot work."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from cnnviz.tracking import Database
from cnnviz.tracking.import_history import import_history
from tests.browser.conftest import Visit
from tests.browser.navigating import go
from tests.browser.waiting import rerun
from tests.pages.test_imported import FORMS, write

IMPOSSIBLE = re.compile("^(Pause|Resume|Stop|Clone run|See its feature maps|Apply and run|Probe)")


def nothing_impossible(page: Page) -> None:
    """Expect no action that an imported history has nothing for."""
    expect(page.get_by_role("button", name=IMPOSSIBLE)).to_have_count(0)
    expect(page.get_by_role("link", name=IMPOSSIBLE)).to_have_count(0)


@pytest.mark.parametrize("form", FORMS)
def test_a_history_is_walked_through_the_pages(
    visit: Visit, runs: Database, tmp_path: Path, form: str
) -> None:
    number = import_history(runs, write(tmp_path, form), name=f"from {form}", classes=10).run_id
    page = visit("runs")
    with rerun(page):
        page.get_by_role("link", name=f"from {form}", exact=True).or_(
            page.get_by_role("button", name=f"from {form}", exact=True)
        ).first.click()
    expect(page.get_by_text("nothing is known of its settings")).to_be_visible()
    nothing_impossible(page)
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_role("button", name="Metrics (CSV)")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Weights|ONNX|PyTorch"))).to_have_count(0)
    page.keyboard.press("Escape")
    with rerun(page):
        page.get_by_role("link", name="Train", exact=True).last.click()
    expect(page.get_by_text("a history, imported from a file")).to_be_visible()
    expect(page.get_by_text("An imported history has curves alone")).to_be_visible()
    expect(page.locator(".st-key-train-curves .room")).to_be_visible()
    nothing_impossible(page)
    with rerun(page):
        page.get_by_role("link", name="Diagnose", exact=True).last.click()
    expect(page.get_by_text("Its curves")).to_be_visible()
    nothing_impossible(page)
    go(page, "features")
    expect(
        page.get_by_text(f"Run {number} is an imported history: it has curves and no weights.")
    ).to_be_visible()
    go(page, "compare")
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare")
