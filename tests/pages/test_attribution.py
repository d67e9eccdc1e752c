"""The page Why, run without a browser."""

import io
from pathlib import Path

import numpy as np
import pytest

from cnnviz.cli import main
from cnnviz.inference.samples import get
from cnnviz.interpret.attribution import METHODS
from tests.pages.runner import assert_sound, html, open_page, said

pytestmark = pytest.mark.usefixtures("nothing_ships")


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_a_trained_network_is_shown_and_checked(method: str) -> None:
    app = open_page("attribution", picture="test:5", method=method)
    assert not app.warning
    assert not app.info
    assert html(app).count("<figure>") == 5
    assert "Covering the region that the map calls most helpful" in said(app)
    strips = [element for element in app.get("bidi_component") if "picture" in element.proto.component_name]
    assert len(strips) == (2 if method == "gradcam" else 1)


def test_without_anything_trained_it_opens_on_fresh_weights_and_says_so() -> None:
    app = open_page("attribution")
    assert "nothing was learned" in said(app)
    assert html(app).count("<figure>") == 5


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"method": "guess"}, "“method” cannot be “guess”"),
        ({"class": "10"}, "“class” cannot be “10”, only a whole number from 0 to 9"),
        ({"opacity": "full"}, "“opacity” cannot be “full”"),
        ({"layer": "fc1"}, "leaves no grid of cells"),
        ({"against": "run:77"}, "no weights “run:77”"),
        ({"weights": "run:99"}, "is shown instead"),
    ],
)
def test_what_is_wrong_is_said_and_the_page_is_there(query: dict[str, str], words: str) -> None:
    app = open_page("attribution", **query)
    assert words in said(app)
    assert html(app).count("<figure>") == 5


def test_choices_go_to_the_address() -> None:
    app = open_page("attribution", weights="fresh:lenet5")
    app.selectbox(key="why-class").set_value(4).run()
    assert_sound(app)
    assert app.query_params["class"] == "4"
    app.selectbox(key="why-layer").set_value("conv1").run()
    assert_sound(app)
    assert app.query_params["layer"] == "conv1"
    app.segmented_control(key="why-method").set_value("saliency").run()
    assert_sound(app)
    assert app.query_params["method"] == "saliency"
    app.selectbox(key="why-class").set_value(-1).run()
    assert "class" not in app.query_params


def test_two_networks_beside_each_other_on_one_picture() -> None:
    app = open_page("attribution", weights="fresh:lenet5", against="fresh:small-alexnet")
    assert_sound(app)
    assert html(app).count("<figure>") == 10
    app.selectbox(key="why-beside").set_value("").run()
    assert "against" not in app.query_params
    assert html(app).count("<figure>") == 5


@pytest.mark.usefixtures("trained")
def test_the_map_is_that_of_the_cli(tmp_path: Path) -> None:
    from cnnviz.ui.pages.attribution import values
    from cnnviz.ui.shared.inspection import model_input
    from cnnviz.ui.shared.inspection.attribution import AttributionState, attribution_result
    from cnnviz.ui.shared.inspection.image_input import sample_image
    from cnnviz.ui.shared.inspection.predictions import prepared

    file = tmp_path / "digit.png"
    file.write_bytes(get("digit-5").data())
    written = tmp_path / "map.npz"
    words = ["features", str(file), "--run", "1", "--attribution", "gradcam", "--class", "3"]
    assert main([*words, "--npz", str(written)]) == 0
    network = model_input.model_to_compare("run:1")
    assert network is not None
    ready = prepared(sample_image("digit-5"), network.loaded.preprocessing)
    attribution_state = AttributionState("gradcam", 3, "3", None, 50, None, ())
    page = np.load(io.BytesIO(values(attribution_result(network, ready, attribution_state))))
    with np.load(written) as theirs:
        assert np.array_equal(page["attribution"], theirs["attribution"])
        assert np.array_equal(page["input"], theirs["input"])
