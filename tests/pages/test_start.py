"""The Start page without a browser: the hero, three paths, the lesson, the networks in their fold."""

import ast
import subprocess
import sys
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import models
from cnnviz.analysis import analyze
from cnnviz.diagnosis import recorded
from cnnviz.figures.timeline import TIMELINE_MODELS
from cnnviz.inference import samples
from cnnviz.inference.weights import bundled
from cnnviz.ui.pages.start.page import FOLD, PATHS, WEIGHTS
from cnnviz.ui.shared import lesson
from cnnviz.ui.shared.layout import find_pages
from tests.pages.runner import PAGES, components, open_page, said

Link = tuple[str, str, dict[str, list[str]]]


def links(app: AppTest) -> list[Link]:
    """Label, page and parameters of the page's own links."""
    result = app.get("page_link")[len(find_pages(PAGES)) :]
    return [(link.proto.label, link.proto.page, parse_qs(link.proto.query_string)) for link in result]


def with_networks() -> AppTest:
    app = open_page("start", model="lenet5", layer="conv1")
    app.session_state[FOLD] = True
    return app.run()


def test_it_opens_on_a_network_to_draw_for() -> None:
    app = open_page("start")
    assert "cnnviz.digit_network" in components(app)
    card = bundled.card(WEIGHTS)
    assert f"{card.params:,} parameters" in said(app)
    assert f"{100 * card.accuracy:.1f} % of {card.test_images:,} test digits" in said(app)


@pytest.mark.usefixtures("nothing_ships")
def test_without_its_weights_it_says_so_and_goes_on() -> None:
    app = open_page("start")
    assert "no shipped checkpoint" in app.info[0].value
    assert len(links(app)) >= len(lesson.STEPS)


def test_nothing_repeats_the_navigation() -> None:
    titles = {page.title for page in find_pages(PAGES).values()}
    assert not titles & {label for label, _, _ in links(open_page("start"))}


def test_three_paths_lead_to_what_there_is() -> None:
    app = open_page("start", model="alexnet", run="7")
    assert [path.title for path in PATHS] == ["Understand", "Train", "Find out why it fails"]
    shown = {label: (page, query) for label, page, query in links(app)}
    for way in (way for path in PATHS for way in path.links):
        page, query = shown[way.label]
        assert page == way.page
        for name, value in way.parameters.items():
            assert query.get(name) == (None if value is None else [value])
        model = query.get("model")
        if page == "architecture" and model:
            assert analyze(model[0]).row(query["layer"][0]).name == query["layer"][0]


def test_a_network_to_change_is_the_one_that_is_changed() -> None:
    state = next(one.parameters for path in PATHS for one in path.links if one.page == "build")
    app = open_page("build", **{name: value for name, value in state.items() if value is not None})
    assert app.selectbox(key="what-name").value == "lenet5"
    assert not app.warning


def test_the_lesson_begins_here_whatever_was_selected() -> None:
    shown = links(open_page("start", model="alexnet", layer="conv2", **{"option.towers": "2"}))
    for number, step in enumerate(lesson.STEPS, start=1):
        state = {name: [value] for name, value in step.state.items()} | {"lesson": [str(number)]}
        assert (f"{number}. {step.title}", step.page, state) in shown


def test_every_state_of_the_lesson_names_what_there_is() -> None:
    for step in lesson.STEPS:
        assert step.page in find_pages(PAGES)
        state = dict(step.state)
        assert state.get("model", "lenet5") in models.names()
        assert set(state.get("models", "lenet5").split(",")) <= set(models.names())
        assert state.get("recorded", recorded.names()[0]) in recorded.names()
        if "weights" in state:
            assert state["weights"].removeprefix("checkpoint:") in bundled.names()
            samples.get(state["picture"].removeprefix("sample:"))


def test_the_networks_wait_in_a_fold() -> None:
    assert not any(query.get("model") == ["torchvision/vgg16"] for _, _, query in links(open_page("start")))
    opened = [query for _, page, query in links(with_networks()) if page == "architecture"]
    assert [query["model"][0] for query in opened][-len(TIMELINE_MODELS) :] == list(TIMELINE_MODELS)
    assert all("layer" not in query for query in opened[-len(TIMELINE_MODELS) :])


def test_it_is_drawn_without_torch_and_pandas() -> None:
    code = (
        "import sys\n"
        "from cnnviz.ui.pages.start import page\n"
        "from cnnviz.ui.components.digits import digit_packet\n"
        "from cnnviz.figures.pareto import landscape\n"
        "from cnnviz.analysis import overview\n"
        "digit_packet(page.shipped()), page.ancestors(), landscape(overview())\n"
        "print(sorted({'torch', 'torchvision', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout.strip().splitlines()[-1]) == []
