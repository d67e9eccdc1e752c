"""The page Predict, run without a browser."""

import csv
import io
import json
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import datasets
from cnnviz.cli import main
from cnnviz.inference import evaluate, predict
from cnnviz.inference.predict import STRETCHES, Predictor
from cnnviz.ui.pages.predict import page
from cnnviz.ui.pages.predict.page import KEY
from cnnviz.ui.pages.predict.state import KEY as FILES_KEY
from cnnviz.ui.pages.predict.state import Job, collect_files
from cnnviz.ui.pages.predict.views import JobResults
from tests.datasets.making import encoded
from tests.pages.runner import assert_sound, html, links, open_page, said

pytestmark = pytest.mark.usefixtures("nothing_ships", "trained")
PATIENCE = 60.0
PICTURES = 30
FIRST = STRETCHES[0]


@pytest.fixture(scope="module")
def zipped(trained_home: Path) -> bytes:
    """Test images in class folders, one file that is no picture, and a class that no network has."""
    data = datasets.load("digits")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for row in range(PICTURES):
            image = np.asarray(data.test.pixels(np.array([row])))[0]
            colour = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
            label = data.classes[int(data.test.labels[row])]
            archive.writestr(f"{label}/{row}.png", encoded(np.ascontiguousarray(colour)))
        archive.writestr("3/broken.png", b"\x89PNG\r\n\x1a\nnothing")
        archive.writestr("owl/1.png", encoded(np.zeros((20, 20, 3), np.uint8)))
    return buffer.getvalue()


def opened(**query: str) -> AppTest:
    """The page once every answer is there."""
    return over(open_page("predict", **query))


def over(app: AppTest) -> AppTest:
    app.session_state[KEY].wait(PATIENCE)
    app.run()
    assert_sound(app)
    return app


def test_it_opens_on_bundled_pictures_and_says_so() -> None:
    app = opened()
    assert "These are the bundled images" in said(app)
    assert html(app).count('class="shown"') == app.session_state[KEY].total
    assert "throughput" in html(app)
    assert 'data-label="throughput"' in html(app), "on a phone each figure stands beside its name"
    assert {"What every layer makes of it", "Why it says so"} <= links(app).keys()
    assert "Ask it about many images" not in links(app)
    assert ">right<" not in html(app), "nobody knows the true classes of these"
    results = JobResults(app.session_state[KEY])
    confidence = [results.results(0)[row].top[0].probability for row in results.ordered("unsure")]  # type: ignore[union-attr]
    assert confidence == sorted(confidence)
    assert app.selectbox(key="predict-order").value == "unsure"


def test_two_networks_are_compared_and_their_agreement_is_marked() -> None:
    app = opened(against="fresh:lenet5-1998", order="disagreement")
    assert html(app).count("<tr>") == 3
    assert "they differ" in html(app)
    assert "They agree on" in said(app)
    assert "nothing was learned" in said(app)


def test_a_zip_of_class_folders_is_judged(zipped: bytes) -> None:
    app = open_page("predict", weights="run:1")
    app.session_state[FILES_KEY] = collect_files([("digits.zip", zipped)], folder=False)[0]
    app.query_params["order"] = "mistakes"
    app.run()
    over(app)
    assert ">right<" in html(app)
    assert f"of {PICTURES:,}</small>" in html(app)
    assert "One file was refused" in said(app)
    assert "no class called owl" in said(app)
    plots = [element for element in app.get("bidi_component") if "plot" in element.proto.component_name]
    assert len(plots) == 1
    judged = JobResults(app.session_state[KEY])
    order = judged.ordered("mistakes")
    wrong = [row for row in order if judged.right[0][row] is False]
    assert order[: len(wrong)] == wrong
    surest = [judged.results(0)[row].top[0].probability for row in wrong]  # type: ignore[union-attr]
    assert surest == sorted(surest, reverse=True)


def test_answers_are_there_while_others_are_to_come(zipped: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    real, go_on = Predictor.predict, threading.Event()

    def held_up(self: Predictor, pictures: Any, **settings: Any) -> Any:
        assert len(pictures) <= FIRST or go_on.wait(PATIENCE)
        return real(self, pictures, **settings)

    monkeypatch.setattr(Predictor, "predict", held_up)
    monkeypatch.setattr(page, "PATIENCE", 0.0)
    app = open_page("predict", weights="run:1")
    app.session_state[FILES_KEY] = collect_files([("digits.zip", zipped)], folder=False)[0]
    app.run()
    job = app.session_state[KEY]
    deadline = time.monotonic() + PATIENCE
    while job.done < FIRST and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    app.run()
    assert_sound(app)
    assert html(app).count('class="shown"') == FIRST
    assert f"{FIRST} images" in said(app)
    assert ">right<" not in html(app), "that is told when all is answered"
    assert not app.button(key="predict-stop").disabled
    go_on.set()
    over(app)
    assert f"of {PICTURES:,}</small>" in html(app)


def test_progress_moves_with_every_batch_of_a_slow_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It moved with every 64 pictures, which take a VGG a minute of a core."""
    real, go_on, calls = predict.probabilities, threading.Event(), iter(range(1_000))

    def held_up(*arguments: Any) -> Any:
        assert next(calls) < 2 or go_on.wait(PATIENCE)
        return real(*arguments)

    monkeypatch.setattr(predict, "probabilities", held_up)
    monkeypatch.setattr(predict, "batch_size", lambda loaded: 3)
    monkeypatch.setattr(page, "PATIENCE", 0.0)
    app = open_page("predict", weights="run:1")
    job = app.session_state[KEY]
    deadline = time.monotonic() + PATIENCE
    while job.progress < 6 and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert (job.progress, job.done) == (6, 0)
    go_on.set()
    over(app)
    assert job.progress == job.done == job.total


def test_why_is_answered_on_a_click() -> None:
    app = opened()
    app.button(key="predict-why-0").click().run()
    assert_sound(app)
    assert html(app).count("<figure>") == 3


def test_pages_and_orders_go_to_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnviz.ui.pages.predict.views.AT_ONCE", 10)
    app = opened()
    assert html(app).count('class="shown"') == 10
    app.button(key="predict-after").click().run()
    assert_sound(app)
    assert app.query_params["page"] == "2"
    app.selectbox(key="predict-order").set_value("file").run()
    assert app.query_params["order"] == "file"
    assert "page" not in app.query_params


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"against": "run:77"}, "no weights “run:77”"),
        ({"page": "0"}, "“page” cannot be “0”"),
        ({"order": "size"}, "“order” cannot be “size”"),
        ({"weights": "run:99"}, "is shown instead"),
    ],
)
def test_what_is_wrong_is_said_and_the_answers_are_there(query: dict[str, str], words: str) -> None:
    app = opened(**query)
    assert words in said(app)
    assert 'class="shown"' in html(app)


def test_a_job_that_is_stopped_keeps_what_it_has(zipped: bytes) -> None:
    from cnnviz.ui.shared.inspection import model_input

    network = model_input.model_to_compare("run:1")
    assert network is not None
    some = collect_files([("digits.zip", zipped)], folder=False)[0]
    job = Job(some * 40, [network])
    job.cancel()
    job.wait(PATIENCE)
    assert job.cancelled
    assert not job.failed
    assert job.done < job.total
    assert JobResults(job).count == len(job.seen) == job.done


def test_numbers_and_files_are_those_of_the_cli(
    zipped: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cnnviz.ui.shared.inspection import model_input

    path = tmp_path / "digits.zip"
    path.write_bytes(zipped)
    assert main(["predict", str(path), "--run", "1", "--json"]) == 1, "one of the files was refused"
    theirs = json.loads(capsys.readouterr().out)
    network = model_input.model_to_compare("run:1")
    assert network is not None
    job = Job(collect_files([("digits.zip", zipped)], folder=False)[0], [network])
    job.wait(PATIENCE)
    results = JobResults(job).results(0)
    ours = json.loads(evaluate.as_json(results))
    assert [entry["file"] for entry in ours] == [
        entry["file"].removeprefix(f"{tmp_path}/") for entry in theirs
    ]
    for one, other in zip(ours, theirs, strict=True):
        assert one.get("predictions") == other.get("predictions")
        assert ("error" in one) == ("error" in other)
    lines = list(csv.DictReader(io.StringIO(evaluate.as_csv({"run:1": results}))))
    assert len(lines) == 5 * (PICTURES + 1) + 1
    assert float(lines[0]["probability"]) == ours[0]["predictions"][0]["probability"]
    both = json.loads(evaluate.many_as_json({"a": results, "b": results}))
    assert both == {"a": ours, "b": ours}


def test_a_folder_as_the_browser_hands_it_in() -> None:
    picture = encoded(np.zeros((8, 8, 3), np.uint8))
    given = [("mine/cat/1.png", picture), ("mine/dog/1.png", picture), ("mine/readme.txt", b"words")]
    result, count = collect_files(given, folder=True)
    assert count == 2
    assert {(one.name, one.truth) for one in result} == {("mine/cat/1.png", "cat"), ("mine/dog/1.png", "dog")}
    loose, _ = collect_files([("mine/1.png", picture)], folder=True)
    assert [(one.name, one.truth) for one in loose] == [("mine/1.png", None)]
