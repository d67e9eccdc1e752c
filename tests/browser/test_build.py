"""Build: a network changed by hand and by keyboard, mended, undone, shared, kept and thrown away."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cnnviz import models
from cnnviz.models import layer_list_edit, url_codec
from cnnviz.models.layers import LayerList
from tests.browser.chromium import PHONE, Look
from tests.browser.conftest import Visit
from tests.browser.navigating import go
from tests.browser.waiting import rerun


def document() -> LayerList:
    layer_list = models.layer_list("alexnet-cifar10")
    assert layer_list is not None
    return layer_list


def lines(page: Page) -> Locator:
    return page.locator(".lines .line")


def line(page: Page, name: str) -> Locator:
    return lines(page).filter(has=page.locator("b", has_text=re.compile(f"^{name}$")))


def begins(page: Page, *names: str) -> None:
    """Wait until the list begins with these layers."""
    for place, name in enumerate(names):
        expect(page.locator(".lines .line b").nth(place)).to_have_text(name)


def set_number(page: Page, label: str, value: str) -> None:
    field = page.get_by_label(label, exact=True)
    with rerun(page):  # Streamlit may send a number off before Enter is pressed
        field.fill(value)
        field.press("Enter")


def press(page: Page, label: str) -> None:
    with rerun(page):
        page.get_by_role("button", name=label, exact=True).click()


def unfold(page: Page, label: str) -> None:
    page.get_by_test_id("stPopoverButton").filter(has_text=label).click()


@pytest.mark.slow
def test_page_shows_every_layer_with_its_output_and_parameters(visit: Visit, look: Look) -> None:
    page = visit("build?model=alexnet-cifar10", look)
    expect(lines(page)).to_have_count(20)
    expect(line(page, "conv2").locator(".output")).to_have_text("256×29×29")
    expect(line(page, "conv2").locator(".number").first).to_have_text("614,656")
    expect(page.get_by_text("Nothing is changed yet")).to_be_visible()
    overflow = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert overflow <= 0


@pytest.mark.slow
def test_a_changed_setting_shows_in_list_cost_comparison_and_link(visit: Visit) -> None:
    page = visit("build?model=alexnet-cifar10")
    set_number(page, "Kernel", "7")
    expect(line(page, "conv1")).to_contain_text("96 maps · 7×7")
    expect(line(page, "conv1").locator(".output")).to_have_text("96×26×26")
    expect(line(page, "conv1").locator(".status")).to_have_text("changed")
    expect(
        page.get_by_text("18 the same, 2 changed, 0 only in the original, 0 only in the design.")
    ).to_be_visible()
    expect(page.get_by_text("Parameters 58.3 M → 46.8 M")).to_be_visible()
    again = visit(page.url.split("/", 3)[3])
    expect(line(again, "conv1")).to_contain_text("96 maps · 7×7")


@pytest.mark.slow
def test_a_misfit_is_shown_at_its_layer_and_what_would_fit_mends_it(visit: Visit) -> None:
    page = visit("build?model=alexnet-cifar10&layer=conv5")
    set_number(page, "Padding", "0")
    set_number(page, "Kernel", "17")
    trouble = page.locator(".trouble")
    expect(trouble).to_contain_text("A 17×17 window does not fit maps of 14×14")
    expect(line(page, "relu5").locator(".output")).to_have_text("—")
    expect(page.get_by_text("the part that fits, up to relu4")).to_be_visible()
    expect(line(page, "conv4").locator(".number").first).to_have_text("1,327,488")
    with rerun(page):
        trouble.get_by_role("button", name="Padding 2").click()
    expect(line(page, "conv5").locator(".output")).to_have_text("256×2×2")
    expect(trouble).to_contain_text("A 3×3 window does not fit maps of 2×2")
    with rerun(page):
        trouble.get_by_role("button", name="Kernel 2").click()
    expect(trouble).to_have_count(0)


def test_layers_are_added_duplicated_moved_removed_and_all_of_it_undone(visit: Visit) -> None:
    page = visit("build?model=alexnet-cifar10&layer=conv1")
    page.get_by_role("button", name="Add a layer").click()
    with rerun(page):
        page.get_by_text("Batch normalization", exact=True).click()
    begins(page, "conv1", "batch_norm1", "relu1")
    expect(line(page, "batch_norm1")).to_have_attribute("aria-current", "true")
    press(page, "Duplicate")
    press(page, "Up")
    press(page, "Up")
    begins(page, "batch_norm1", "conv1", "batch_norm2")
    press(page, "Remove")
    press(page, "Remove")
    begins(page, "batch_norm1", "relu1")
    for _ in range(5):  # that two equal layers changed places is no step
        press(page, "Undo")
    begins(page, "conv1", "relu1", "conv2")
    expect(lines(page)).to_have_count(20)
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_disabled()
    press(page, "Redo")
    begins(page, "conv1", "batch_norm1")


@pytest.mark.slow
def test_the_list_is_worked_by_keyboard_alone(visit: Visit) -> None:
    page = visit("build?model=alexnet-cifar10&layer=conv1")
    line(page, "conv1").focus()
    with rerun(page):
        page.keyboard.press("ArrowDown")
    expect(line(page, "relu1")).to_be_focused()
    expect(page.locator(".st-key-inspector h2")).to_have_text("relu1")
    with rerun(page):
        page.keyboard.press("Alt+ArrowUp")
    begins(page, "relu1", "conv1")
    expect(line(page, "relu1")).to_be_focused()
    with rerun(page):
        page.keyboard.press("Delete")
    begins(page, "conv1", "conv2")
    with rerun(page):
        page.keyboard.press("Control+z")
    begins(page, "relu1", "conv1")


def test_a_layer_is_dragged_by_its_grip(visit: Visit) -> None:
    page = visit("build?model=alexnet-cifar10")
    line(page, "relu1").locator(".grip").hover()
    page.mouse.down()
    target = line(page, "pool1").bounding_box()
    assert target is not None
    page.mouse.move(target["x"] + 8, target["y"] + target["height"] / 2 + 4, steps=5)
    expect(page.locator(".rule")).to_be_visible()
    with rerun(page):
        page.mouse.up()
    begins(page, "conv1", "conv2", "relu2", "pool1", "relu1")


def save_as(page: Page, name: str) -> None:
    unfold(page, "Save")
    field = page.get_by_role("textbox", name="Name").first
    if field.input_value() != name:
        with rerun(page):
            field.fill(name)
            field.press("Enter")
    with rerun(page):
        page.get_by_test_id("stPopoverBody").get_by_role("button", name="Save").click()
    page.keyboard.press("Escape")


def test_the_name_to_save_under_is_there_after_an_edit(visit: Visit) -> None:
    """The field is made when its popover is opened: from the newest run, which must bring its value."""
    page = visit("build?model=lenet5&layer=conv1")
    press(page, "Duplicate")
    unfold(page, "Save")
    expect(page.get_by_role("textbox", name="Name").first).not_to_have_value("")


@pytest.mark.slow
def test_a_saved_design_stands_where_models_are_chosen(visit: Visit) -> None:
    page = visit("build?model=lenet5&layer=conv1")
    set_number(page, "Output channels", "12")
    save_as(page, "Wide LeNet")
    expect(page.get_by_text("Saved as mine/wide-lenet")).to_be_visible()
    with rerun(page):
        page.get_by_role("link", name="See its architecture").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Architecture")
    expect(page).to_have_url(re.compile(r"model=mine(%2F|/)wide-lenet"))
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("Wide LeNet"))


@pytest.mark.slow
def test_a_name_that_is_taken_is_said_and_replaced_on_request(visit: Visit) -> None:
    page = visit("build?model=lenet5&layer=conv1")
    save_as(page, "Taken")
    set_number(page, "Output channels", "12")
    save_as(page, "Taken")
    expect(page.get_by_text("You have a model called 'taken' already")).to_be_visible()
    press(page, "Replace it")
    expect(page.get_by_text("Saved as mine/taken")).to_be_visible()
    again = visit("build?model=mine%2Ftaken")
    expect(line(again, "conv1")).to_contain_text("12 maps")


@pytest.mark.slow
def test_a_deleted_design_can_be_brought_back(visit: Visit) -> None:
    page = visit("build?model=lenet5")
    save_as(page, "Short lived")
    page = visit("build?model=mine%2Fshort-lived")
    unfold(page, "Open")
    with rerun(page):
        page.locator(".st-key-delete-mine-short-lived button").first.click()
    expect(page.get_by_text("Deleted mine/short-lived")).to_be_visible()
    expect(lines(page)).to_have_count(12)
    expect(visit("build?model=mine%2Fshort-lived").get_by_text("There is no model")).to_be_visible()
    page.keyboard.press("Escape")
    press(page, "Bring it back")
    expect(visit("build?model=mine%2Fshort-lived").get_by_text("There is no model")).to_have_count(0)


@pytest.mark.slow
def test_a_design_is_downloaded_and_opened_again(visit: Visit, tmp_path: Path) -> None:
    page = visit("build?model=alexnet-cifar10&layer=conv1")
    set_number(page, "Output channels", "48")
    unfold(page, "Save")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the layer list").click()
    file = tmp_path / "list.json"
    download.value.save_as(file)
    assert json.loads(file.read_text(encoding="utf-8"))["layers"][0]["out"] == 48
    other = visit("build?model=lenet5")
    upload(other, file)
    expect(line(other, "conv1")).to_contain_text("48 maps")
    press(other, "Undo")
    expect(line(other, "conv1")).to_contain_text("6 maps")


def upload(page: Page, file: Path) -> None:
    unfold(page, "Open")
    with rerun(page):
        page.locator('input[type="file"]').set_input_files(file)
    page.keyboard.press("Escape")


def test_a_bad_file_is_refused_in_a_sentence_and_nothing_is_lost(visit: Visit, tmp_path: Path) -> None:
    page = visit("build?model=lenet5&layer=conv1")
    set_number(page, "Output channels", "12")
    file = tmp_path / "bad.json"
    file.write_text('{"input": [1, 28, 28], "layers": [{"kind": "lstm"}]}', encoding="utf-8")
    upload(page, file)
    expect(page.get_by_text("there is no kind 'lstm'")).to_be_visible()
    expect(line(page, "conv1")).to_contain_text("12 maps")


@pytest.mark.slow
def test_an_empty_list_says_how_to_begin_and_how_to_end(visit: Visit) -> None:
    page = visit("build?model=lenet5")
    unfold(page, "Open")
    press(page, "Start from an empty list")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Add a convolution first")).to_be_visible()
    page.get_by_role("button", name="Add a layer").click()
    with rerun(page):
        page.get_by_text("Convolution", exact=True).click()
    expect(page.get_by_text("The list ends in 16×28×28")).to_be_visible()
    press(page, "Flatten, then one unit a class")
    begins(page, "conv1", "flatten1", "linear1")
    expect(line(page, "linear1").locator(".output")).to_have_text("10")


@pytest.mark.slow
def test_a_model_that_is_no_list_is_said_and_the_nearest_offered(visit: Visit) -> None:
    page = visit("build?model=googlenet-aux")
    expect(page.get_by_text("not a plain sequence").first).to_contain_text("the nearest that can")
    expect(lines(page).first).to_be_visible()


@pytest.mark.slow
def test_what_is_wrong_in_a_link_is_said(visit: Visit) -> None:
    page = visit("build?model=lenet5&list=abc&layer=nowhere&stranger=1")
    notice = page.get_by_test_id("stAlert").first
    expect(notice).to_contain_text("damaged, perhaps cut short")
    expect(notice).to_contain_text("no layer “nowhere”")
    expect(notice).to_contain_text("no parameter “stranger”")
    expect(line(page, "conv1")).to_contain_text("6 maps")


@pytest.mark.slow
def test_leaving_the_page_does_not_lose_the_design(visit: Visit) -> None:
    page = visit("build?model=lenet5&layer=conv1")
    set_number(page, "Output channels", "12")
    for title in ("Start", "Build"):
        go(page, title.lower())
    press(page, "Go on with it")
    expect(line(page, "conv1")).to_contain_text("12 maps")


@pytest.mark.slow
def test_a_long_shared_list_opens_on_a_phone(visit: Visit) -> None:
    changed = layer_list_edit.describe(document(), name="Shared")
    for _ in range(20):
        changed = layer_list_edit.duplicate(changed, 1)
    page = visit(f"build?list={url_codec.encode(changed)}", PHONE)
    expect(lines(page)).to_have_count(40)
