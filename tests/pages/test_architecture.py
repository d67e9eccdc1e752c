"""The page Architecture, run without a browser."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.runner import assert_sound, open_page


def html(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def warnings(app: AppTest) -> str:
    return " ".join(element.value.replace("\\", "") for element in app.warning)


def test_opens_with_a_model_and_its_costliest_layer() -> None:
    app = open_page("architecture")
    assert "58.3 M" in html(app)
    assert "<h2>conv2</h2>" in html(app)
    assert not app.warning


def test_shows_what_the_url_asks_for() -> None:
    app = open_page("architecture", model="small-alexnet", layer="fc1", batch="64")
    assert "12.4 M" in html(app)
    assert "<h2>fc1</h2>" in html(app)
    assert app.text_input(key="what-batch").value == "64"
    assert "15 % of the parameters are convolutional" in html(app)
    assert "13.2 %" in html(app)


@pytest.mark.parametrize("view", ["graph", "treemap", "table", "torchinfo"])
@pytest.mark.parametrize(
    "model", ["lenet5-1998", "googlenet-aux", "torchvision/vit_b_16", "torchvision/regnet_x_32gf"]
)
def test_every_view_of_very_different_models(model: str, view: str) -> None:
    app = open_page("architecture", model=model, view=view)
    assert not app.warning


def test_typing_a_size_changes_url_and_figures() -> None:
    app = open_page("architecture", model="torchvision/resnet18", layer="conv1")
    app.text_input(key="what-size").set_value("112").run()
    assert_sound(app)
    assert app.query_params["size"] == "112"
    assert "3×112×112" in html(app)


def test_choosing_a_model_leaves_what_would_not_fit() -> None:
    app = open_page("architecture", model="alexnet", classes="7", size="240", batch="8", layer="conv2")
    app.selectbox(key="what-name").set_value("lenet5").run()
    assert_sound(app)
    assert app.query_params == {"model": "lenet5", "batch": "8"}


def test_an_option_changes_the_network() -> None:
    app = open_page("architecture", model="alexnet", classes="10")
    before = html(app)
    app.query_params["option.towers"] = "2"
    app.run()
    assert_sound(app)
    assert "58.3 M" in before
    assert "58.3 M" not in html(app)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"model": "alexnett"}, "There is no model “alexnett”"),
        ({"layer": "conv99"}, "has no layer “conv99”"),
        ({"size": "3"}, "Shown instead: 10 classes on an input of 32"),
        ({"view": "pie"}, "“view” cannot be “pie”"),
        ({"columns": "few"}, "“columns” cannot be “few”"),
        ({"option.activation": "gelu"}, "Option 'activation' cannot be 'gelu'"),
        ({"stranger": "1"}, "There is no parameter “stranger”"),
    ],
)
def test_what_is_wrong_is_said_and_the_page_is_there(query: dict[str, str], words: str) -> None:
    app = open_page("architecture", **query)
    assert words in warnings(app)
    assert "58.3 M" in html(app)


def test_a_huge_model_says_that_neighbours_share_a_column() -> None:
    app = open_page("architecture", model="torchvision/efficientnet_v2_l", view="treemap")
    assert any("groups of neighbors" in caption.value for caption in app.caption)
    app.button(key="columns").click().run()
    assert_sound(app)
    assert app.query_params["columns"] == "all"
    assert any("one column each" in caption.value for caption in app.caption)


def test_steps_go_through_the_layers() -> None:
    app = open_page("architecture", model="lenet5", layer="conv1")
    app.button(key="step-Layer after").click().run()
    assert_sound(app)
    assert app.query_params["layer"] != "conv1"
    app.button(key="step-Layer before").click().run()
    assert app.query_params["layer"] == "conv1"
    assert app.button(key="step-Layer before").disabled
