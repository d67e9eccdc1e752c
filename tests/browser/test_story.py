"""The AlexNet/STL-10 paper review's story in a browser: its picture follows the reader's choice."""

import re

import pytest
from playwright.sync_api import Page, expect

from cnnviz.ui.pages.diagnose.story import compute_signal
from tests.browser.conftest import Visit
from tests.browser.waiting import rerun

SIGNAL = ".st-key-story-signal .room"
RECKONED = f"""() => {{
  const drawn = (document.querySelector("{SIGNAL}") || {{}}).data || [];
  const line = drawn.find((trace) => trace.name === "reckoned, as chosen");
  return line ? line.y[line.y.length - 1] : null;
}}"""


def reached(page: Page) -> float:
    """What is left of the signal at the last layer, as the dashed line shows it."""
    value: float = page.wait_for_function(RECKONED).json_value()
    return value


@pytest.mark.slow
def test_the_picture_follows_the_choice_and_the_other_run_tells_the_same_story(visit: Visit) -> None:
    page = visit("diagnose?recorded=alexnet-stl10-failed")
    with rerun(page):
        page.get_by_role("link", name="The whole story, from the article to the proof").click()
    expect(page).to_have_url(re.compile("view=story"))
    story = page.locator(".st-key-story")
    expect(story.get_by_role("heading", name="The AlexNet/STL-10 paper review, solved")).to_be_in_viewport()
    before = reached(page)
    assert before == compute_signal("article", "unit")[-1].signal
    with rerun(page):
        story.get_by_role("radio", name="He", exact=True).click()
    page.wait_for_function(f"before => ({RECKONED})() > 100 * before", arg=before)
    assert "start=he" in page.url
    box = page.get_by_role("combobox", name="Run")
    box.click()
    box.fill("STL-10, fixed")
    with rerun(page):
        page.get_by_role("option").filter(has_text="STL-10, fixed").first.click()
    expect(page).to_have_url(re.compile("recorded=alexnet-stl10-fixed"))
    assert reached(page) > 100 * before
    with rerun(page):
        page.get_by_role("link", name="Back to its diagnosis").click()
    expect(story).to_have_count(0)
    expect(page.locator(".verdict:not(.cause-found)")).to_be_visible()
