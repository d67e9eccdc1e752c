"""Train in a browser: from the click on Start to curves that move, and what becomes of a run after that."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from cnnviz import tracking
from cnnviz.tracking import Database, Lease, MetricWriter, RunFacts, Status
from tests.browser.chromium import PHONE, Look
from tests.browser.conftest import Visit
from tests.browser.waiting import rerun, settle
from tests.tracking.making import RECIPE

ROOM = "document.querySelector('.st-key-train-curves .room')"
POINTS = (
    f"(({ROOM} || {{}})._fullData || []).reduce((most, trace) => Math.max(most, (trace.x || []).length), 0)"
)
RANGE = f"{ROOM}._fullLayout.xaxis.range.map(Math.round)"
PATIENCE_MS = 120_000
"""A worker imports torch first, on a machine that may be busy with other tests."""


@pytest.fixture
def lease(runs: Database) -> Iterator[Lease]:
    """A run of the test's own, on a device that no supervisor here has: the test is its worker."""
    run = tracking.create_run(runs, RECIPE, model="lenet5", dataset="digits", seed=0, device="cuda:9")
    taken = tracking.claim(runs, "cuda:9", only=run.id)
    assert taken is not None
    tracking.begin(runs, taken, facts=RunFacts(total_steps=1000, total_epochs=10))
    yield taken
    if tracking.get_run(runs, run.id).active:
        tracking.end(runs, taken, Status.STOPPED)


def log(runs: Database, lease: Lease, first: int, last: int) -> None:
    with MetricWriter(runs, lease) as writer:
        for step in range(first, last):
            writer.log_all({"train/loss": 1 / (1 + step), "train/accuracy": 0.5}, step, step / 100)


def has_points(page: Page, least: int) -> None:
    page.wait_for_function(f"({POINTS}) >= {least}", timeout=PATIENCE_MS)


def state(page: Page, status: str) -> None:
    expect(page.get_by_role("status")).to_have_text(status, timeout=PATIENCE_MS)


def press(page: Page, label: str) -> None:
    settle(page)  # a button is drawn anew when a run's state changes: a click between the two would be lost
    button = page.get_by_role("button", name=label, exact=True)
    expect(button).to_have_count(1)  # for a moment the old one may stand beside the new one
    button.click()


def test_from_the_click_to_curves_and_through_pause_reload_stop_and_fork(
    visit: Visit, runs: Database
) -> None:
    page = visit("train?set.epochs=400&set.device=cpu&set.batch_size=64")
    expect(
        page.get_by_text("How it will look: a recorded run").or_(page.get_by_text("Last run:"))
    ).to_be_visible()
    press(page, "Start")
    state(page, "running")
    has_points(page, 3)
    page.reload()
    has_points(page, 4)
    press(page, "Pause")
    state(page, "paused")
    run = int(re.findall(r"run=(\d+)", page.url)[0])
    step = tracking.get_run(runs, run).step
    press(page, "Resume")
    state(page, "running")
    page.wait_for_function(f"Math.max(...{ROOM}._fullData[0].x) > {step}", timeout=PATIENCE_MS)
    press(page, "Stop")
    state(page, "stopped")
    press(page, "Clone run")
    epochs = page.get_by_role("textbox", name="Epochs")
    expect(epochs).to_have_value("400")
    with rerun(page):
        epochs.fill("1")
        epochs.press("Enter")
    expect(page.get_by_text("recipe: 400")).to_be_visible()
    press(page, "Start")
    state(page, "finished")
    child = tracking.list_runs(runs)[0]
    assert (child.parent_id, child.total_epochs) == (run, 1)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


LABELS = "[...document.querySelectorAll('.cnnviz-plot [role=img]')].map((room) => room.ariaLabel)"
WATCH_LABELS = """
window.__labels = [];
new MutationObserver((changes) => {
  const rooms = changes.map(({ target }) => target).filter((one) => one.matches(".cnnviz-plot [role=img]"));
  window.__labels.push(...rooms.map((room) => room.ariaLabel));
}).observe(document, { subtree: true, attributeFilter: ["aria-label"] });
"""


def test_figures_beside_the_setup_are_not_mounted_again_before_those_of_the_run(visit: Visit) -> None:
    page = visit("train?set.epochs=400&set.device=cpu&set.batch_size=64")
    settle(page)
    before = page.evaluate(LABELS)
    page.evaluate(WATCH_LABELS)
    press(page, "Start")
    state(page, "running")
    has_points(page, 1)
    mounted = page.evaluate("window.__labels")
    press(page, "Stop")
    state(page, "stopped")
    assert before
    assert mounted
    assert not set(before) & set(mounted)


@pytest.mark.slow
def test_a_run_that_fails_says_why(visit: Visit) -> None:
    page = visit("train?set.lr=1000&set.device=cpu&set.momentum=0.99")
    press(page, "Start")
    state(page, "failed")
    expect(page.get_by_text("The loss was no longer a finite number").first).to_be_visible()
    expect(page.get_by_role("button", name="Clone run")).to_be_visible()


@pytest.mark.slow
def test_zoom_and_what_is_unfolded_stay_while_points_arrive(
    visit: Visit, runs: Database, lease: Lease
) -> None:
    log(runs, lease, 0, 100)
    page = visit(f"train?run={lease.run_id}")
    has_points(page, 100)
    box = page.locator(".st-key-train-curves .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    expect(page.locator(".st-key-train-curves").get_by_role("button", name="Show all")).to_be_visible()
    zoomed = page.evaluate(RANGE)
    page.get_by_text("Event log").click()
    expect(page.locator(".states")).to_be_visible()
    log(runs, lease, 100, 200)
    has_points(page, 200)
    log(runs, lease, 200, 300)
    has_points(page, 300)
    assert page.evaluate(RANGE) == zoomed
    expect(page.locator(".states")).to_be_visible()
    with rerun(page):
        page.get_by_role("radio", name="epoch").click()
    page.wait_for_function(f"({RANGE})[1] <= 4")
    expect(page).to_have_url(re.compile("x=epoch"))


@pytest.mark.slow
def test_it_fits_every_window(visit: Visit, runs: Database, lease: Lease, look: Look) -> None:
    log(runs, lease, 0, 30)
    page = visit(f"train?run={lease.run_id}", look)
    has_points(page, 30)
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0
    if look.width == PHONE.width:
        top = page.get_by_role("status").bounding_box()
        curves = page.locator(".st-key-train-curves").bounding_box()
        assert top is not None
        assert curves is not None
        assert top["y"] < curves["y"], "how it stands comes first"


@pytest.mark.slow
def test_a_plan_is_made_by_keyboard_and_shared_by_its_address(visit: Visit) -> None:
    page = visit("train?recipe=article-lenet5-mnist&model=lenet5")
    rate = page.get_by_role("textbox", name="Learning rate")
    with rerun(page):
        rate.fill("0.2")
        rate.press("Enter")
    expect(page.get_by_text("recipe: 0.1", exact=True)).to_be_visible()
    again = visit(page.url.split("/", 3)[3])
    expect(again.get_by_role("textbox", name="Learning rate")).to_have_value("0.2")
    expect(again.get_by_text("1 change", exact=True)).to_be_visible()


def test_on_a_tablet_one_column_stands_beside_the_settings(visit: Visit) -> None:
    """There is room for no more: in two, the confusion matrix was 50 pixels wide."""
    page = visit("train", Look(760, 1000))
    columns = page.locator("[data-testid=stColumn] [data-testid=stColumn]")
    expect(columns.nth(1)).to_be_attached()
    widths = columns.evaluate_all("all => all.map((each) => each.getBoundingClientRect().width)")
    assert min(widths) > 250
