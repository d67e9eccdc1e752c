"""The page Feature maps, run without a browser."""

from collections.abc import Iterator

import pytest

from cnnviz.inference.images.preprocessing_trace import Hint
from cnnviz.interpret import dataset_figures
from cnnviz.ui.pages.features import network
from cnnviz.ui.pages.features.state import VIEWS
from cnnviz.ui.shared.inspection import predictions
from cnnviz.ui.shared.inspection.inspect_header import short
from tests.pages.runner import assert_sound, components, html, links, open_page, said

pytestmark = pytest.mark.usefixtures("nothing_ships")


def test_without_anything_trained_it_opens_on_fresh_weights_and_says_so() -> None:
    app = open_page("features")
    assert "nothing was learned" in said(app)
    assert "cnnviz.mosaic" in components(app)
    assert html(app).count("<em>") == 5
    assert not app.warning


@pytest.mark.usefixtures("trained")
def test_it_opens_on_a_run_that_is_there() -> None:
    app = open_page("features")
    assert "of its test images right" in said(app)
    assert app.selectbox(key="weights-name").value == "run:1"


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("view", list(VIEWS))
def test_every_view_of_a_trained_network(view: str) -> None:
    app = open_page("features", view=view, layer="conv2", picture="test:5")
    assert not app.warning, said(app)
    assert not app.info, said(app)
    wanted = {
        "maps": "mosaic",
        "arithmetic": "arithmetic",
        "filters": "plot",
        "excites": "pictures",
        "space": "plot",
        "network": "network",
    }
    assert f"cnnviz.{wanted.get(view, 'pictures')}" in components(app)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("installed", [False, True])
def test_umap_is_offered_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    monkeypatch.setattr(dataset_figures, "has_umap", lambda: installed)
    app = open_page("features", view="space", layer="conv2", picture="test:5")
    offered = app.segmented_control(key="features-method").options
    assert ("UMAP" in offered, dataset_figures.NO_UMAP in said(app)) == (installed, not installed)


def test_a_network_that_cannot_be_drawn_says_why_and_what_can(monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("features", model="torchvision/mobilenet_v3_small", view="network")
    assert "cannot be drawn on one screen. Layer '" in said(app)
    assert "Maps shows each layer" in said(app)
    assert "cnnviz.network" not in components(app)
    monkeypatch.setattr(network, "MAX_VALUES", 10_000)
    app = open_page("features", model="lenet5", view="network", **{"option.activation": "tanh"})
    assert "15,002 values for an image, and at most 10,000 can be sent" in said(app)


@pytest.mark.parametrize("model", ["lenet5-1998", "small-googlenet-32", "small-alexnet"])
def test_whole_networks_worked_out_in_the_browser_or_here(model: str) -> None:
    app = open_page("features", model=model, view="network", open="conv1", channel="2")
    assert not app.warning, said(app)
    assert {"cnnviz.network", "cnnviz.network_arrays"} <= set(components(app))


@pytest.mark.parametrize("model", ["lenet5-1998", "small-googlenet-32", "alexnet-cifar10"])
@pytest.mark.parametrize("view", ["maps", "arithmetic", "filters"])
def test_views_of_very_different_networks(model: str, view: str) -> None:
    app = open_page("features", model=model, view=view)
    assert not app.warning, said(app)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"weights": "run:99"}, "LeNet-5 is shown instead"),
        ({"weights": "nonsense"}, "names no model"),
        ({"weights": "file:ab"}, "known only to who did"),
        ({"layer": "conv99"}, "nothing called “conv99”"),
        ({"picture": "handed:4"}, "handed in by somebody else"),
        ({"picture": "moon"}, "“picture” cannot be “moon”"),
        ({"picture": "test:5"}, "A bundled image is shown instead"),
        ({"picture": "drawn"}, "Nothing has been drawn yet"),
        ({"prep": "fit:round"}, "cannot be at fit"),
        ({"order": "size"}, "“order” cannot be “size”"),
        ({"channel": "x"}, "“channel” cannot be “x”"),
        ({"view": "pie"}, "“view” cannot be “pie”"),
    ],
)
def test_what_is_wrong_is_said_and_the_page_is_there(query: dict[str, str], words: str) -> None:
    app = open_page("features", **query)
    assert words in said(app)
    assert "cnnviz.mosaic" in components(app)


def test_softmax_and_what_has_no_arithmetic() -> None:
    app = open_page("features", layer="softmax", view="arithmetic", weights="fresh:lenet5")
    assert "cnnviz.arithmetic" in components(app)
    app = open_page("features", model="torchvision/vit_b_16", view="arithmetic")
    assert "is not worked out here" in said(app) or "cnnviz.arithmetic" in components(app)


def test_a_layer_is_chosen_and_stepped_through() -> None:
    app = open_page("features", weights="fresh:lenet5")
    app.selectbox(key="features-layer").set_value("pool1").run()
    assert_sound(app)
    assert app.query_params["layer"] == "pool1"
    app.button(key="features-layer-after").click().run()
    assert_sound(app)
    assert app.query_params["layer"] == "conv2"


def test_a_layer_without_filters_leads_to_one_that_has_some() -> None:
    app = open_page("features", weights="fresh:lenet5", layer="pool2", view="filters")
    assert "no weights of its own" in said(app)
    app.button(key="features-filters-of").click().run()
    assert_sound(app)
    assert app.query_params["layer"] == "conv2"


@pytest.mark.usefixtures("trained")
def test_filters_of_two_networks_stand_one_above_the_other() -> None:
    app = open_page("features", view="filters", layer="conv1")
    assert components(app).count("cnnviz.mosaic") == 1
    app.selectbox(key="features-against").set_value("fresh:lenet5").run()
    assert_sound(app)
    assert app.query_params["against"] == "fresh:lenet5"
    assert components(app).count("cnnviz.mosaic") == 2
    assert "LeNet-5: mean" in said(app), "its weights are in the histogram too"
    app = open_page("features", view="filters", layer="conv1", against="run:88")
    assert "no weights “run:88” of this model" in said(app)


@pytest.fixture
def no_hints_kept() -> Iterator[None]:
    """Hints are computed anew, before and after."""
    predictions._hints.clear()
    yield
    predictions._hints.clear()


@pytest.mark.usefixtures("trained", "no_hints_kept")
def test_what_a_hint_proposes_is_a_button_and_so_is_the_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    light = Hint("brightness", "This image is mostly light: try 'invert'.", "invert")
    monkeypatch.setattr(
        "cnnviz.inference.images.preprocessing_trace.hints",
        lambda picture, how, centered: () if how.invert else (light,),
    )
    app = open_page("features")
    assert "mostly light" in said(app)
    app.button(key="doubts-invert").click().run()
    assert_sound(app)
    assert app.query_params["prep"] == "invert:true"
    assert "mostly light" not in said(app)
    app.button(key="doubts-reset").click().run()
    assert "prep" not in app.query_params
    assert "mostly light" in said(app)


def test_changing_a_step_goes_to_the_address_and_changes_what_is_read() -> None:
    app = open_page("features", weights="fresh:lenet5", view="input")
    assert "inverted" not in html(app)
    app.toggle(key="prep-invert").set_value(True).run()
    assert_sound(app)
    assert app.query_params["prep"] == "invert:true"
    assert "inverted" in html(app)
    app.button(key="prep-reset").click().run()
    assert "prep" not in app.query_params


def test_another_network_leaves_what_would_not_fit() -> None:
    app = open_page("features", weights="fresh:lenet5", layer="conv2", channel="3", prep="invert:true")
    app.selectbox(key="weights-name").set_value("fresh:small-alexnet").run()
    assert_sound(app)
    assert app.query_params == {"weights": "fresh:small-alexnet", "model": "small-alexnet"}


@pytest.mark.usefixtures("trained")
def test_next_steps_take_network_picture_and_layer_along() -> None:
    app = open_page("features", layer="conv2", picture="test:5")
    asked = {"weights": "run:1", "picture": "test:5", "layer": "conv2"}
    assert links(app)["Why it says so"] == asked
    assert "Its inception blocks" not in links(app), "it has none"
    app = open_page("attribution", layer="conv1", picture="test:5")
    assert links(app)["What every layer makes of it"] == asked | {"layer": "conv1"}
    assert links(app)["How the image goes in"] == asked | {"layer": "conv1", "view": "input"}


@pytest.mark.usefixtures("trained")
def test_classes_size_and_options_carried_here_are_those_of_fresh_weights() -> None:
    form = {"model": "lenet5", "classes": "7", "size": "40", "option.activation": "tanh"}
    app = open_page("features", layer="conv1", **form)
    assert app.selectbox(key="weights-name").value == "fresh:lenet5", "and not the run, of another form"
    assert "Fresh weights (7 classes, input 40×40, activation tanh): nothing was learned" in said(app)
    assert "tanh1 · activation · 6×40×40" in app.selectbox(key="features-layer").options
    costs = links(app)["What this layer costs"]
    assert costs == form | {"layer": "conv1"}
    app.selectbox(key="weights-name").set_value("run:1").run()
    assert_sound(app)
    assert app.query_params == {"model": "lenet5", "weights": "run:1", "run": "1", "layer": "conv1"}


@pytest.mark.usefixtures("trained")
def test_the_images_it_gets_wrong() -> None:
    app = open_page("features", picture="test:0")
    app.selectbox(key="picture-class").set_value("the ones it gets wrong").run()
    assert_sound(app)
    app.button(key="picture-ask").click().run()
    assert_sound(app)
    assert "images, page 1 of" in said(app)


def test_uploads_are_read_and_what_is_broken_is_said() -> None:
    app = open_page("features", weights="fresh:lenet5")
    app.segmented_control(key="picture-from").set_value("handed").run()
    assert_sound(app)
    assert app.get("file_uploader"), "there is a field for files"


def test_an_empty_drawing_pad_has_no_answer() -> None:
    app = open_page("features", picture="sample:scanned-3")
    assert 'class="answers"' in html(app)
    app.session_state["picture-from"] = "drawn"
    app.run()
    assert_sound(app)
    assert 'class="answers"' not in html(app)
    assert "Nothing is drawn yet, so there is no answer. Below: “scanned-3”." in said(app)
    # A drawing that was wiped away leaves the empty pad, and neither its own answer nor another picture's.
    app.session_state["pictures-drawn"] = None
    app.query_params["picture"] = "drawn"
    app.run()
    assert_sound(app)
    assert 'class="answers"' not in html(app)
    assert "Nothing is drawn yet, so there is no answer." in said(app)
    assert "bundled image is shown instead" not in said(app)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("dropout1", "dropout1"),
        ("inception_3a", "…3a"),
        ("layer1.0.conv1", "…0.conv1"),
        ("features.12", "…12"),
        ("inception_4b.branch3.reduce", "…reduce"),
        ("convolution", "…olution"),
    ],
)
def test_the_strip_cuts_a_name_where_a_part_of_it_begins(name: str, shown: str) -> None:
    assert short(name) == shown
