"""A walk through the page Architecture: one selection in every picture, all of it in the URL."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cnnviz.analysis import analyze
from tests.browser.chromium import Look
from tests.browser.conftest import Visit
from tests.browser.navigating import choose_in_menu
from tests.browser.waiting import rerun

PATH = "architecture"
ROW_HEIGHT = 35


def headline(page: Page) -> Locator:
    return page.locator(".headline .figure b").first


def inspected(page: Page) -> Locator:
    return page.locator(".layer h2")


def column(page: Page, layer: str) -> Locator:
    return page.locator(f'.column[data-layer="{layer}"]')


def notice(page: Page) -> Locator:
    return page.get_by_test_id("stAlert")


def pick(page: Page, typed: str) -> None:
    box = page.get_by_role("combobox", name="Model")
    box.click()
    box.fill(typed)
    expect(page.get_by_role("option").first).to_be_visible()
    with rerun(page):
        box.press("Enter")


def type_into(page: Page, field: str, text: str) -> None:
    box = page.get_by_label(field, exact=True)
    with rerun(page):  # Streamlit may send it off before Enter is pressed
        box.fill(text)
        box.press("Enter")


@pytest.mark.slow
def test_it_opens_with_a_picture_and_a_selected_layer(visit: Visit, look: Look) -> None:
    page = visit(PATH, look)
    expect(headline(page)).to_have_text("58.3 M")
    expect(column(page, "conv2")).to_have_class(re.compile("chosen"))
    expect(inspected(page)).to_have_text("conv2")
    expect(page.get_by_text("516,710,400", exact=True)).to_be_visible()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth") <= 0
    assert notice(page).count() == 0


@pytest.mark.slow
def test_parameters_sit_at_the_end_and_arithmetic_at_the_start(visit: Visit) -> None:
    page = visit(PATH)
    tall = {
        layer: [box["height"] if box else 0 for box in map(Locator.bounding_box, bars(page, layer))]
        for layer in ("conv2", "fc1")
    }
    assert tall["fc1"][0] > 20 * tall["conv2"][0]
    assert tall["conv2"][1] > 10 * tall["fc1"][1]


def bars(page: Page, layer: str) -> list[Locator]:
    return column(page, layer).locator("rect:not(.catch)").all()


@pytest.mark.slow
def test_typing_finds_a_model(visit: Visit) -> None:
    page = visit(PATH)
    pick(page, "smallalex")
    expect(headline(page)).to_have_text("12.4 M")
    expect(page).to_have_url(re.compile(r"model=small-alexnet"))
    expect(page.get_by_text("which is 13.2 %")).to_be_visible()


def test_a_click_on_a_bar_selects_everywhere_and_the_way_back_works(visit: Visit) -> None:
    page = visit(f"{PATH}?view=treemap")
    with rerun(page):
        column(page, "fc1").click()
    expect(inspected(page)).to_have_text("fc1")
    expect(page).to_have_url(re.compile(r"layer=fc1"))
    expect(page.locator(".leaf.chosen")).to_have_attribute("data-layer", "fc1")
    with rerun(page):
        page.locator('.leaf[data-layer="conv4"]').click()
    expect(inspected(page)).to_have_text("conv4")
    expect(page).to_have_url(re.compile(r"layer=conv4"))
    expect(column(page, "conv4")).to_have_class(re.compile("chosen"))
    with rerun(page):
        page.go_back()
    expect(inspected(page)).to_have_text("fc1")
    expect(page.locator(".leaf.chosen")).to_have_attribute("data-layer", "fc1")
    with rerun(page):
        page.go_forward()
    expect(inspected(page)).to_have_text("conv4")


@pytest.mark.slow
def test_the_same_layer_can_be_selected_again_after_another(visit: Visit) -> None:
    page = visit(f"{PATH}?view=treemap")
    for picture in (column(page, "fc1"), page.locator('.leaf[data-layer="fc2"]'), column(page, "fc1")):
        with rerun(page):
            picture.click()
        expect(inspected(page)).to_have_text(picture.get_attribute("data-layer") or "")


@pytest.mark.slow
def test_a_row_of_the_table_selects(visit: Visit) -> None:
    page = visit(f"{PATH}?view=table")
    table = page.get_by_test_id("stDataFrame")
    expect(table).to_be_visible()
    place = [row.name for row in analyze("alexnet-cifar10").rows].index("conv3")
    with rerun(page):
        table.click(position={"x": 300, "y": ROW_HEIGHT * (place + 1.5)})
    expect(inspected(page)).to_have_text("conv3")
    expect(column(page, "conv3")).to_have_class(re.compile("chosen"))
    expect(page).to_have_url(re.compile(r"layer=conv3"))
    with rerun(page):
        page.get_by_role("button", name="chevron_right").click()
    expect(inspected(page)).to_have_text("relu3")


@pytest.mark.slow
def test_a_node_of_the_graph_selects(visit: Visit) -> None:
    page = visit(f"{PATH}?view=graph")
    with rerun(page):
        page.locator(".st-key-graph").get_by_text("conv4", exact=True).click()
    expect(inspected(page)).to_have_text("conv4")
    expect(column(page, "conv4")).to_have_class(re.compile("chosen"))


@pytest.mark.slow
def test_the_view_is_kept_in_the_url(visit: Visit) -> None:
    page = visit(PATH)
    with rerun(page):
        page.get_by_role("radio", name="Treemap").click()
    expect(page).to_have_url(re.compile(r"view=treemap"))
    assert page.locator(".leaf").count() > 0


@pytest.mark.parametrize("picture", [".st-key-layer-bars", ".st-key-treemap"])
def test_arrow_keys_walk_through_the_layers(visit: Visit, picture: str) -> None:
    page = visit(f"{PATH}?view=treemap&layer=fc1")
    before = inspected(page).inner_text()
    listed = page.locator(picture).get_by_role("listbox")
    listed.focus()
    with rerun(page):
        listed.press("ArrowRight")
    expect(inspected(page)).not_to_have_text(before)
    after = inspected(page).inner_text()
    expect(page).to_have_url(re.compile(f"layer={after}"))
    expect(listed).to_be_focused()
    chosen = listed.get_by_role("option", selected=True)
    expect(chosen).to_have_count(1)
    assert after in (chosen.get_attribute("aria-label") or "")


@pytest.mark.slow
def test_what_is_wrong_in_the_url_is_said(visit: Visit) -> None:
    page = visit(
        f"{PATH}?model=alexnett&classes=many&size=![x](https://example.org/x.png)&layer=nowhere"
        "&option.activation=gelu"
    )
    for words in (
        "There is no model “alexnett”",
        "“classes” cannot be “many”",
        "“size” cannot be “![x](https:",  # then a character that keeps it from being a link
        "has no layer “nowhere”",
        "Option 'activation' cannot be 'gelu'",
    ):
        expect(notice(page)).to_contain_text(words)
    expect(headline(page)).to_have_text("58.3 M")
    with rerun(page):
        column(page, "fc1").click()
    expect(notice(page)).to_have_count(0)


@pytest.mark.slow
def test_a_size_that_cannot_work_is_said_and_the_page_stays_usable(visit: Visit) -> None:
    page = visit(PATH)
    type_into(page, "input", "5")
    expect(notice(page)).to_contain_text("Shown instead: 10 classes on an input of 32.")
    with rerun(page):
        column(page, "fc1").click()
    expect(inspected(page)).to_have_text("fc1")
    type_into(page, "input", "64")
    expect(notice(page)).to_have_count(0)
    expect(page).to_have_url(re.compile(r"size=64"))
    total = analyze("alexnet-cifar10", input_size=64).total_params
    expect(page.locator(f'.figure[title^="{total:,} parameters"]')).to_have_count(1)


@pytest.mark.slow
def test_options_change_the_network(visit: Visit) -> None:
    page = visit(f"{PATH}?model=alexnet&classes=10")
    page.get_by_role("button", name="Options").click()
    with rerun(page):
        page.get_by_role("radio", name="2", exact=True).click()
    expect(page).to_have_url(re.compile(r"option\.towers=2"))
    expect(page.get_by_role("button", name="Options (1 changed)")).to_be_visible()
    total = analyze("alexnet", num_classes=10, options={"towers": 2}).total_params
    expect(page.locator(f'.figure[title^="{total:,} parameters"]')).to_have_count(1)


@pytest.mark.slow
def test_a_shared_address_opens_the_same(visit: Visit) -> None:
    page = visit(f"{PATH}?model=small-alexnet&layer=conv4&batch=32&view=treemap")
    page.get_by_role("button", name="Share").click()
    shared = page.get_by_test_id("stCode").first.inner_text().strip()
    other = visit(shared.split("/", 3)[3])
    expect(inspected(other)).to_have_text("conv4")
    expect(headline(other)).to_have_text("12.4 M")
    expect(other.locator(".leaf.chosen")).to_have_attribute("data-layer", "conv4")


def test_the_table_and_the_pictures_can_be_downloaded(visit: Visit, tmp_path: Path) -> None:
    page = visit(f"{PATH}?model=lenet5&view=treemap")
    page.get_by_role("button", name="Download", exact=False).first.click()
    with page.expect_download() as started:
        page.get_by_role("button", name="JSON").click()
    started.value.save_as(tmp_path / "lenet5.json")
    assert json.loads((tmp_path / "lenet5.json").read_text())["total_params"] == 61_706
    page.keyboard.press("Escape")
    for picture in (".st-key-layer-bars", ".st-key-treemap", ".st-key-receptive"):
        with page.expect_download() as started:
            choose_in_menu(page.locator(picture), "SVG")
        started.value.save_as(tmp_path / "picture.svg")
        assert (tmp_path / "picture.svg").read_text().startswith("<svg")


@pytest.mark.slow
def test_a_huge_model_is_grouped_until_all_is_asked_for(visit: Visit) -> None:
    page = visit(f"{PATH}?model=torchvision/efficientnet_v2_l&view=treemap")
    grouped = page.locator(".column").count()
    with rerun(page):
        page.get_by_role("button", name="Show every layer").click()
    layers = analyze("torchvision/efficientnet_v2_l").rows
    expect(page.locator(".column")).to_have_count(
        sum(1 for row in layers if row.params or row.macs or row.outputs)
    )
    assert grouped < 200


@pytest.mark.slow
def test_lenets_connection_table_is_a_picture(visit: Visit) -> None:
    page = visit(f"{PATH}?model=lenet5-1998&view=connections")
    picture = page.locator(".st-key-connections").get_by_role("img")
    expect(picture).to_have_attribute("aria-label", re.compile("6 see 3, 9 see 4, 1 see 6"))
    expect(page.locator(".connections .seen")).to_have_count(60)


@pytest.mark.slow
def test_ways_on_take_the_selection_along(visit: Visit) -> None:
    page = visit(f"{PATH}?layer=conv3")
    with rerun(page):
        page.get_by_role("link", name="Change it in Build").click()
    expect(page).to_have_url(re.compile(r"/build\?.*layer=conv3"))
