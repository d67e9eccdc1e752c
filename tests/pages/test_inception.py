"""The page Inception, run without a browser."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import tracking
from cnnviz.training import Recipe
from cnnviz.ui.pages.inception.state import VIEWS
from tests.pages.runner import assert_sound, components, html, open_page, said
from tests.pages.trained import train_in

pytestmark = pytest.mark.usefixtures("nothing_ships")
RECIPE = Recipe(
    model="small-googlenet-32-aux", dataset="digits", limit=30, epochs=1, batch_size=15, device="cpu"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a run of a network that has blocks."""
    folder = tmp_path_factory.mktemp("blocks")
    train_in(folder, RECIPE)
    return folder


def test_without_anything_trained_it_opens_on_fresh_weights_of_a_network_with_blocks() -> None:
    app = open_page("inception")
    assert app.selectbox(key="weights-name").value == "fresh:small-googlenet-32"
    assert "nothing was learned" in said(app)
    assert not app.warning
    assert components(app).count("cnnviz.mosaic") == 4
    assert "32 … 95" in html(app), "the channels of the 3×3 branch"
    assert "32,480" in html(app), "its parameters"


def test_blocks_are_chosen_and_stepped_through() -> None:
    app = open_page("inception", layer="inception_4c.branch3.conv")
    assert app.selectbox(key="inception-block").value == "inception_4c"
    app.button(key="inception-block-after").click().run()
    assert_sound(app)
    assert app.query_params["layer"] == "inception_4d"
    app.selectbox(key="inception-block").set_value("inception_5b").run()
    assert_sound(app)
    assert app.button(key="inception-block-after").disabled


def test_a_branch_is_left_out_and_put_back() -> None:
    app = open_page("inception")
    assert "leaving out …" in said(app)
    app.toggle(key="inception-drop-1").set_value(True).run()
    assert_sound(app)
    assert app.query_params["drop"] == "3x3"
    assert "without 3×3" in said(app)
    app.toggle(key="inception-drop-3").set_value(True).run()
    assert app.query_params["drop"] == "3x3,pool"
    assert "without 3×3 and pool" in said(app)
    app.button(key="inception-restore").click().run()
    assert_sound(app)
    assert "drop" not in app.query_params


def test_a_network_without_blocks_is_told_with_a_way_to_one_that_has_some() -> None:
    app = open_page("inception", model="lenet5", view="branches")
    assert "LeNet-5 has no inception blocks" in said(app)
    links = [element.proto for element in app.get("page_link")]
    assert any("model=small-googlenet-32" in link.query_string for link in links)
    assert "112,896,000" in html(app)


def test_naive_against_reduced_opens_on_the_articles_figures() -> None:
    app = open_page("inception", view="reduction")
    words = said(app)
    assert "112.9 M and 5.3 M and calls them parameters; they are multiply-adds" in words
    assert "576,048 and 26,944" in words
    assert "416" in words
    assert "4,944" in words
    assert "51.4 M weights" in html(app)
    assert "cnnviz.plot" in components(app)


def test_sliders_and_presets_are_in_the_address() -> None:
    app = open_page("inception", view="reduction")
    app.slider(key="inception-reduce-maps").set_value(96).run()
    assert_sound(app)
    assert app.query_params["reduce"] == "480-16-96-5-14"
    app.button(key="inception-reduce-preset-2").click().run()
    assert_sound(app)
    assert app.query_params["reduce"] == "96-8-16-5-16", "block 3a's 5×5"
    app.button(key="inception-reduce-preset-0").click().run()
    assert "reduce" not in app.query_params
    app = open_page("inception", view="reduction", reduce="8-64-8-3-10")
    assert "saves nothing here" in said(app)


def test_without_auxiliary_classifiers_there_is_a_way_to_them() -> None:
    app = open_page("inception", view="auxiliary")
    assert "no auxiliary classifiers" in said(app)


def test_auxiliary_classifiers_of_weights_that_are_of_no_run() -> None:
    app = open_page("inception", view="auxiliary", model="small-googlenet-32-aux")
    words = said(app)
    assert "Auxiliary 1, after block 4a" in words
    assert "Auxiliary 2, after block 4d" in words
    assert "these weights are of no run" in words
    assert html(app).count('class="inception-bars"') == 3


@pytest.mark.slow
def test_how_the_auxiliary_classifiers_of_a_run_learned(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", str(home))
    app = open_page("inception", view="auxiliary")
    (alt,) = (result["alt"] for result in data(app) if "Curves over epoch" in result.get("alt", ""))
    with tracking.connect() as database:
        metrics = tracking.get_run(database, 1).metrics
    assert f"auxiliary 1 {metrics['train/aux1_loss'].last:.4g}, auxiliary 2 " in alt
    assert f"the loss that is trained {metrics['train/loss'].last:.4g}" in alt


def data(app: AppTest) -> list[dict[str, Any]]:
    """What the drawn components are given, where that is JSON."""
    return [json.loads(one.proto.json)[0] for one in app.get("bidi_component") if one.proto.json]


def test_without_data_it_says_how_to_get_them() -> None:
    app = open_page("inception", view="classes")
    assert "trained on none: choose a run" in said(app)


@pytest.mark.parametrize("view", list(VIEWS))
def test_every_view_of_a_run(view: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", str(home))
    app = open_page("inception", view=view, picture="test:5")
    assert app.selectbox(key="weights-name").value == "run:1"
    assert not app.warning, said(app)


def test_which_branch_carries_which_class_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", str(home))
    app = open_page("inception", view="classes")
    (ask,) = [button for button in app.button if button.label.startswith("Go through")]
    ask.click().run()
    assert_sound(app)
    assert "pool is loudest for" in said(app)
    app = open_page("inception", view="classes", layer="inception_5b")
    assert "block 5b" in said(app)
    assert "cnnviz.plot" in components(app)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"drop": "7x7"}, "There is no branch “7x7”"),
        ({"layer": "conv99"}, "no layer “conv99”"),
        ({"view": "pie"}, "“view” cannot be “pie”"),
        ({"reduce": "1-2"}, "“reduce” cannot be “1-2”"),
        ({"reduce": "480-16-48-5-9999"}, "the article's are used"),
        ({"weights": "run:99"}, "is shown instead"),
    ],
)
def test_what_is_wrong_is_said_and_the_page_is_there(query: dict[str, str], words: str) -> None:
    app = open_page("inception", **query)
    assert words in said(app)
    assert html(app)
