"""Side by side without a browser: the models of the URL, their totals, and what is wrong said."""

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import models
from cnnviz.models import library
from tests.pages.runner import assert_sound, open_page


def html(app: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def test_page_opens_on_something_worth_seeing() -> None:
    app = open_page("compare")
    assert not app.warning
    for figure in ("58,292,074", "12,417,098", "5,979,178", "85.03 % on CIFAR-10"):
        assert figure in html(app)
    assert app.markdown[-1].value.startswith("12 the same, 8 changed")


def test_a_wrong_link_is_said_and_the_rest_is_shown() -> None:
    app = open_page(
        "compare", models="lenet5,nonsense,alexnet~colour=red", pair="7,8", view="some", stranger="1"
    )
    text = "\n".join(warning.value for warning in app.warning).replace("\\", "")
    for fault in ("“nonsense”", "'colour'", "“7,8”", "“some”", "“stranger”"):
        assert fault in text
    assert "61,706" in html(app)


def test_an_input_that_cannot_work_is_said_and_the_page_stays() -> None:
    app = open_page("compare", models="alexnet~size=16,lenet5")
    assert "The smallest input that works is 67×67" in app.warning[0].value.replace("\\", "")
    assert "61,706" in html(app)


def test_models_are_changed_added_and_taken_away() -> None:
    app = open_page("compare", models="lenet5,alexnet")
    app.button(key="add-model").click().run()
    assert app.query_params["models"] == "lenet5,alexnet,alexnet-cifar10"
    app.selectbox(key="compared-0").select("vgg16-bn-32").run()
    app.button(key="remove-1").click().run()
    assert_sound(app)
    assert app.query_params["models"] == "vgg16-bn-32,alexnet-cifar10"


def test_each_model_has_options_of_its_own() -> None:
    app = open_page("compare", models="alexnet,lenet5")
    app.selectbox(key="compared-0-option-activation").select("tanh").run()
    app.text_input(key="compared-1-classes").set_value("7").run()
    assert_sound(app)
    assert app.query_params["models"] == "alexnet~activation=tanh,lenet5~classes=7"
    app.text_input(key="compared-1-classes").set_value("none").run()
    assert "“classes” cannot be “none”" in app.warning[0].value.replace("\\", "")
    assert app.query_params["models"] == "alexnet~activation=tanh,lenet5~classes=7"


def test_the_two_that_are_compared_are_chosen_and_swapped() -> None:
    app = open_page("compare")
    app.selectbox(key="pair-1").select_index(3).run()
    assert app.query_params["pair"] == "1,4"
    app.selectbox(key="pair-0").select_index(3).run()
    assert app.query_params["pair"] == "4,1"


@pytest.mark.parametrize("name", ["torchvision/swin_t", "torchvision/efficientnet_v2_l"])
def test_large_models_are_compared_as_well(name: str) -> None:
    app = open_page("compare", models=f"{name},torchvision/regnet_y_32gf")
    assert f"{models.get(name).title}" in html(app)


def test_a_saved_model_can_be_chosen() -> None:
    document = models.layer_list("lenet5")
    assert document is not None
    name = library.save(document)
    app = open_page("compare", models=f"{name},lenet5")
    assert app.markdown[-1].value.startswith("All 12 layers are the same")
