"""Runs in a browser: found, compared, looked into, deleted and brought back, taken along."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from cnnviz import tracking
from cnnviz.tracking import Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.workers.worker import work
from tests.browser.chromium import DESKTOP_DARK, PHONE, Look, Witness
from tests.browser.conftest import Visit
from tests.browser.server import Server, serve
from tests.browser.waiting import rerun, settle
from tests.ui.pages.runs.making import trained

PATIENCE_MS = 60_000
"""For what works for seconds on a busy machine."""
DRAWN = '[class*="st-key-{}"] [data-drawn]'


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app of its own, with one run that was really trained and some that were not."""
    folder = tmp_path_factory.mktemp("runs-app")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_HOME", str(folder / "cnnviz-home"))
        with tracking.connect() as database:
            run = enqueue(
                database, Recipe(dataset="digits", limit=400, epochs=2, batch_size=50, device="cpu")
            )
            lease = tracking.claim(database, "cpu", only=run.id)
            assert lease is not None
            assert work(database, lease, lambda _: None, lambda: False) is Status.FINISHED
            trained(database, 0.8, name="slower", lr=0.01)
            trained(database, 0.9, name="wider", batch_size=256)
            trained(database, 0.4, name="oddity", model="lenet5-1998", status=Status.FAILED)
            for seed in range(2):
                tracking.update_run(
                    database, trained(database, 0.5, name=f"seed {seed}", seed=seed), tags=["experiment 7"]
                )
        with serve(folder) as running:
            yield running


@pytest.mark.slow
def test_the_page_fits_the_window(visit: Visit, look: Look) -> None:
    page = visit("runs?runs=3,2", look)
    expect(page.get_by_role("table", name=re.compile("Runs: 6 runs"))).to_be_visible()
    expect(page.locator(DRAWN.format("overlay"))).to_be_visible()
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0


def test_columns_stay_chosen_after_other_runs_of_the_page(visit: Visit) -> None:
    """What a popover holds is made when it is opened: from the newest run, which must bring its value."""
    page = visit("runs?runs=3,2")
    with rerun(page):
        page.get_by_role("button", name="Choose none").click()
    page.get_by_role("button", name="Columns").click()
    disk = page.get_by_role("button", name="Disk", exact=True).and_(page.locator("[aria-pressed]"))
    expect(disk).to_have_attribute("aria-pressed", "true")
    with rerun(page):
        disk.click()
    chosen = parse_qs(urlsplit(page.url).query)["columns"][0].split(",")
    assert "disk" not in chosen
    assert "status" in chosen


def test_runs_are_found_ticked_and_laid_over_one_another(visit: Visit) -> None:
    page = visit("runs")
    field = page.get_by_role("textbox", name="Find")
    field.fill("er")
    with rerun(page):
        field.press("Enter")
    expect(page).to_have_url(re.compile("find=er"))
    expect(page.get_by_text("4 runs of 6")).to_be_visible()
    with rerun(page):
        page.get_by_role("checkbox", name="Choose run 3, wider").check()
    with rerun(page):
        page.get_by_role("checkbox", name="Choose run 2, slower").check()
    expect(page).to_have_url(re.compile("runs=3%2C2"))
    expect(
        page.get_by_role("img", name=re.compile("Curves over step.*3 · wider 90.00 %.*2 · slower 80.00 %"))
    ).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("lr 0.05 0.01"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("batch size 256 128"))).to_be_visible()


@pytest.mark.slow
def test_a_heading_sorts_and_the_arrows_walk(visit: Visit) -> None:
    page = visit("runs")
    seed = page.get_by_role("button", name="seed 1", exact=True)
    expect(seed).to_be_hidden()
    page.get_by_role("button", name=re.compile("experiment 7.*2 runs: 2 finished")).click()
    expect(seed).to_be_visible()
    with rerun(page):
        page.get_by_role("button", name=re.compile("Test accuracy")).click()
    expect(page).to_have_url(re.compile("sort=-last"))
    values = page.locator(".st-key-run-table tbody td:nth-child(7)").all_inner_texts()
    numbers = [float(value.removesuffix(" %")) for value in values]
    assert numbers == sorted(numbers, reverse=True)
    page.get_by_role("checkbox").first.focus()
    page.keyboard.press("ArrowDown")
    with rerun(page):
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"run=\d"))
    expect(page.get_by_role("button", name="All runs")).to_be_visible()


def test_a_cell_of_a_matrix_shows_its_images(visit: Visit) -> None:
    page = visit("runs?runs=1")
    matrix = page.locator(".st-key-matrix-1")
    expect(matrix.locator("[data-drawn]")).to_be_visible()
    cells = matrix.locator(".nsewdrag").first
    place = cells.bounding_box()
    assert place is not None
    with rerun(page):  # the cell of the first class told right
        cells.click(position={"x": place["width"] / 20, "y": place["height"] / 20})
    expect(page).to_have_url(re.compile("cell=1%2C0%2C0"))
    expect(page.get_by_text(re.compile(r"\d+ of \d+ test images of 0"))).to_be_visible()
    expect(page.locator(".st-key-cell-pictures")).to_be_visible()


@pytest.mark.slow
def test_deleting_is_undone(visit: Visit) -> None:
    page = visit("runs?runs=4")
    with rerun(page):
        page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("checkbox", name=re.compile("oddity"))).to_have_count(0)
    expect(page.get_by_text("Run 4 deleted")).to_be_visible()
    with rerun(page):
        page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("checkbox", name=re.compile("oddity"))).to_be_checked()


@pytest.mark.parametrize(
    ("label", "name", "opening"),
    [
        ("Report (HTML)", "run-1.html", b"<!doctype html>"),
        ("Metrics (CSV)", "run-1.csv", b"name,step,epoch,value"),
        ("Everything (JSON)", "run-1.json", b'{"id":1'),
    ],
)
def test_a_run_is_taken_along(visit: Visit, label: str, name: str, opening: bytes) -> None:
    page = visit("runs?run=1")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name=label).click()
    save = page.get_by_role("button", name=f"Save {name}")
    expect(save).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as download:
        save.click()
    assert download.value.suggested_filename == name
    assert Path(download.value.path()).read_bytes().startswith(opening)


def test_weights_are_written_and_then_saved(visit: Visit) -> None:
    page = visit("runs?run=1")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="Weights, last (safetensors)").click()
    save = page.get_by_role("button", name="Save run-1-lenet5.safetensors")
    expect(save).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as download:
        save.click()
    assert download.value.suggested_filename == "run-1-lenet5.safetensors"
    assert b"__metadata__" in Path(download.value.path()).read_bytes()[:4096]


def test_the_name_of_an_open_menu_is_readable_in_the_dark(visit: Visit) -> None:
    page = visit("runs?run=1", DESKTOP_DARK)
    menu = page.get_by_test_id("stPopoverButton").filter(has_text="Export")
    menu.click()
    page.mouse.move(1, 1)
    expect(menu).to_have_attribute("aria-expanded", "true")
    expect(menu).to_have_css("color", "rgb(108, 199, 211)")


def test_the_report_opens_without_a_network(visit: Visit, witness: Witness, tmp_path: Path) -> None:
    page = visit("runs?run=1")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="Report (HTML)").click()
    save = page.get_by_role("button", name="Save run-1.html")
    expect(save).to_be_visible(timeout=PATIENCE_MS)
    with page.expect_download() as download:
        save.click()
    report = tmp_path / "report.html"
    download.value.save_as(report)
    page.goto(report.as_uri())
    expect(page.get_by_role("img", name=re.compile("^Accuracy; last values"))).to_be_visible()
    expect(page.get_by_role("heading", name="Recipe")).to_be_visible()
    assert witness.external == [report.as_uri()]
    witness.external.clear()


def test_a_recipe_is_taken_along_and_can_be_read(visit: Visit) -> None:
    page = visit("runs?run=2")
    with page.expect_download() as download:
        page.get_by_role("button", name="Recipe (JSON)").click()
    document = Path(download.value.path()).read_bytes()
    assert Recipe.read(document).lr == 0.01
    assert json.loads(document)["format"] == "cnnviz-recipe/1"


@pytest.mark.slow
def test_on_a_phone_a_run_is_opened_and_noted(visit: Visit) -> None:
    page = visit("runs", PHONE)
    with rerun(page):
        page.get_by_role("button", name="slower").click()
    notes = page.get_by_role("textbox", name="Notes")
    notes.fill("Half the rate.")
    with rerun(page):
        notes.blur()
    page.reload()
    settle(page)
    expect(page.get_by_role("textbox", name="Notes")).to_have_value("Half the rate.")
    with rerun(page):
        page.get_by_role("button", name="All runs").click()
    expect(page.get_by_role("checkbox", name="Choose run 2, slower")).to_be_visible()
