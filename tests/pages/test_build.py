"""Build without a browser: what the page shows of a design, and what it says when something is wrong."""

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import models
from cnnviz.models import layer_list_edit, library, url_codec
from cnnviz.models.layers import KINDS, LayerList
from tests.pages.runner import assert_sound, html, open_page


def listed(name: str = "lenet5") -> LayerList:
    layer_list = models.layer_list(name)
    assert layer_list is not None
    return layer_list


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption])


@pytest.mark.parametrize("name", [name for name, spec in models.specs().items() if spec.layers is not None])
def test_every_sequential_model_opens_unchanged(name: str) -> None:
    app = open_page("build", model=name)
    assert not app.warning
    assert "Nothing is changed yet" in texts(app)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_can_be_looked_at_and_changed(kind: str) -> None:
    document = layer_list_edit.add(listed(), 1, layer_list_edit.new_layer(kind))
    name = document.names()[1]
    app = open_page("build", model="lenet5", list=url_codec.encode(document), layer=name)
    assert app.selectbox(key="field-kind").value == kind
    for number in app.number_input:
        if number.key and number.key.startswith("field-") and number.value is not None:
            number.increment()
    assert_sound(app.run())


@pytest.mark.parametrize("name", ["lenet5-1998", "googlenet-aux", "torchvision/resnet18"])
def test_a_model_that_is_no_list_is_said_in_one_sentence(name: str) -> None:
    app = open_page("build", model=name)
    assert len(app.warning) == 1
    assert "the nearest that can" in app.warning[0].value


def test_input_classes_and_batch_are_part_of_the_design() -> None:
    app = open_page("build", model="lenet5")
    app.text_input(key="what-size").set_value("32").run()
    app.text_input(key="what-classes").set_value("7").run()
    app.text_input(key="what-batch").set_value("64").run()
    assert_sound(app)
    document = url_codec.decode(app.query_params["list"])
    assert (document.input, document.classes, app.query_params["batch"]) == ((1, 32, 32), 7, "64")
    assert app.text_input(key="what-size").value == "1×32×32"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("what-size", "large", "write 3x32x32"),
        ("what-size", "0", "input cannot be"),
        ("what-classes", "many", "it is a whole number"),
        ("what-classes", "0", "classes cannot be 0"),
    ],
)
def test_what_an_input_cannot_be_is_said_and_nothing_changes(field: str, value: str, said: str) -> None:
    app = open_page("build", model="lenet5")
    app.text_input(key=field).set_value(value).run()
    assert_sound(app)
    assert said in app.warning[0].value.replace("\\", "")
    assert "list" not in app.query_params
    assert not app.run().warning


def test_a_misfit_leaves_the_page_usable() -> None:
    broken = layer_list_edit.set_field(listed("alexnet-cifar10"), 9, "kernel", 30)
    app = open_page("build", list=url_codec.encode(broken), layer="conv5")
    assert "does not fit maps of 14×14" in app.error[0].value.replace("\\", "")
    assert "the part that fits, up to relu4" in texts(app)
    assert app.button(key="builder-save").disabled
    app.button(key="fix-0").click().run()
    assert_sound(app)
    assert not app.error


def test_a_list_that_fits_nowhere_shows_the_page_all_the_same() -> None:
    broken = layer_list_edit.set_field(listed(), 0, "kernel", 99)
    app = open_page("build", model="lenet5", list=url_codec.encode(broken))
    assert app.error
    assert_sound(app)


def test_undo_and_redo_walk_through_the_steps() -> None:
    app = open_page("build", model="lenet5", layer="conv1")
    for value in (7, 8):
        app.number_input(key="field-out").set_value(value).run()
    app.button(key="tool-Undo").click().run()
    assert app.number_input(key="field-out").value == 7
    app.button(key="tool-Undo").click().run()
    assert "list" not in app.query_params
    assert app.button(key="tool-Undo").disabled
    app.button(key="tool-Redo").click().run()
    assert app.number_input(key="field-out").value == 7


def test_windows_need_not_be_square() -> None:
    app = open_page("build", model="lenet5", layer="conv1")
    app.toggle(key="field-apart").set_value(True).run()
    app.number_input(key="field-kernelwidth").set_value(7).run()
    assert_sound(app)
    assert url_codec.decode(app.query_params["list"]).layers[0].kernel == (5, 7)  # type: ignore[union-attr]
    app.number_input(key="field-kernelheight").set_value(7).run()
    assert url_codec.decode(app.query_params["list"]).layers[0].kernel == 7  # type: ignore[union-attr]


def test_saving_under_a_name_that_cannot_be_is_said() -> None:
    app = open_page("build", model="lenet5")
    app.text_input(key="builder-name-lenet5").set_value("../x").run()
    app.button(key="builder-save").click().run()
    assert "cannot be a name" in app.warning[0].value
    assert library.saved_specs() == {}


def test_a_deleted_model_that_is_shown_stays_as_a_design() -> None:
    name = library.save(
        layer_list_edit.describe(layer_list_edit.set_field(listed(), 0, "out", 12), name="Mine")
    )
    app = open_page("build", model=name)
    app.button(key=f"delete-{name}").click().run()
    assert_sound(app)
    assert library.saved_specs() == {}
    assert url_codec.decode(app.query_params["list"]).layers[0].out == 12  # type: ignore[union-attr]
    app.button(key="builder-restore").click().run()
    assert list(library.saved_specs()) == [name]


def test_a_list_carried_with_a_layer_inside_a_block_selects_the_block() -> None:
    app = open_page("build", model="googlenet-32", layer=f"{listed('googlenet-32').names()[6]}.one.conv")
    assert app.selectbox(key="field-kind").value == "inception"
    assert not app.warning


def test_an_activation_on_the_outputs_is_said_while_the_list_is_edited() -> None:
    sound = listed()
    squashed = layer_list_edit.add(sound, len(sound.layers), layer_list_edit.new_layer("softmax"))
    app = open_page("build", model="lenet5", list=url_codec.encode(squashed))
    text = app.error[0].value.replace("\\", "")
    assert "Activation on the outputs" in text
    assert "1.461" in text
    above = "described below the layer&#x27;s settings"
    assert f"1 error is {above}" in html(app), "the boxes may lie below the window"
    sound_app = open_page("build", model="lenet5")
    assert not sound_app.error
    assert above not in html(sound_app)


def test_a_warning_names_the_layers_between_which_an_activation_is_missing() -> None:
    document = listed()
    last = [n for n, layer in enumerate(document.layers) if layer.kind == "activation"][-1]
    before, behind = document.names()[last - 1], document.names()[last + 1]
    app = open_page("build", model="lenet5", list=url_codec.encode(layer_list_edit.remove(document, last)))
    text = app.warning[-1].value.replace("\\", "")
    assert f"Between '{before}' and '{behind}' there is no activation" in text


def test_a_list_that_does_not_fit_is_not_told_twice() -> None:
    broken = layer_list_edit.set_field(listed("alexnet-cifar10"), 9, "kernel", 30)
    app = open_page("build", list=url_codec.encode(broken), layer="conv5")
    assert len([one for one in app.error if "does not fit" in one.value.replace("\\", "")]) == 1
