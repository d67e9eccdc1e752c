"""The Start page without a browser: rows, doors and questions, each with its link."""

import ast
import base64
import io
import subprocess
import sys
from urllib.parse import parse_qs

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.figures.timeline import LINEAGE
from cnnviz.inference.weights import bundled
from cnnviz.ui.pages.start.inside import SAMPLE, WEIGHTS, recorded
from cnnviz.ui.pages.start.inside.record import taken
from cnnviz.ui.pages.start.views import QUESTIONS
from cnnviz.ui.shared.page_registry import find_pages
from tests.pages.runner import PAGES, open_page


def links(app: AppTest) -> list[tuple[str, str, dict[str, list[str]]]]:
    found = app.get("page_link")
    return [(link.proto.label, link.proto.page, parse_qs(link.proto.query_string)) for link in found]


def test_every_ancestor_opens_its_architecture() -> None:
    opened = [
        query["model"][0]
        for _, page, query in links(open_page("start"))
        if "model" in query and page == "architecture"
    ]
    assert opened[: len(LINEAGE)] == list(LINEAGE)


def test_the_selection_of_another_model_is_not_taken_to_an_ancestor() -> None:
    app = open_page("start", model="lenet5", layer="conv1")
    for _, page, query in links(app):
        if page == "architecture" and query.get("model") == ["alexnet"]:
            assert "layer" not in query


def test_every_other_page_has_a_door_and_a_line() -> None:
    app = open_page("start")
    said = [text.value for text in app.markdown]
    for name, page in list(find_pages(PAGES).items())[1:]:
        assert page.blurb in said
        assert any(label == page.title and target == name for label, target, _ in links(app))


def test_the_inside_of_a_picture_is_what_the_network_gives_now() -> None:
    now, shown = taken(), recorded()
    assert [name for name, _ in now["answers"]] == [name for name, _ in shown["answers"]]
    assert [share for _, share in now["answers"]] == pytest.approx([s for _, s in shown["answers"]], abs=0.01)
    for ours, theirs in zip([now, *now["layers"]], [shown, *shown["layers"]], strict=True):
        key = "input" if "input" in ours else "png"
        assert np.abs(pixels(ours[key]) - pixels(theirs[key])).mean() < 2


def test_the_picture_leads_to_its_feature_maps() -> None:
    targets = [query for _, page, query in links(open_page("start", model="lenet5")) if page == "features"]
    whole = [query for query in targets if "picture" in query]
    assert whole == [
        {"weights": [f"checkpoint:{WEIGHTS}"], "picture": [f"sample:{SAMPLE}"], "layer": ["inception_3a"]}
    ]
    assert WEIGHTS in bundled.names()


def pixels(png: str) -> NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), dtype=np.float64)


def test_questions_lead_to_layers_that_there_are() -> None:
    for _, model, layer in QUESTIONS:
        assert model in models.names()
        assert analyze(model).row(layer).name == layer


def test_it_is_drawn_without_torch_and_pandas() -> None:
    code = (
        "import sys\n"
        "import cnnviz.ui.pages.start.views, cnnviz.ui.pages.start.inside\n"
        "from cnnviz.ui.pages.start.views import ancestors\n"
        "from cnnviz.figures.params_macs import landscape\n"
        "from cnnviz.analysis import overview\n"
        "ancestors(), landscape(overview())\n"
        "print(sorted({'torch', 'torchvision', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout.strip().splitlines()[-1]) == []
