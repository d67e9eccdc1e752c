"""Fine-tuning on Train, without a browser: every state of the weights to begin with and of what is frozen."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from streamlit.testing.v1 import AppTest

from cnnviz import models, tracking
from cnnviz.tracking import Database, Status
from cnnviz.training import Recipe
from cnnviz.training.queue import enqueue
from cnnviz.training.rate_finder import RateTest
from cnnviz.training.workers.worker import work
from cnnviz.ui.pages.train.jobs import KEY
from cnnviz.ui.shared.runs import fine_tuning
from cnnviz.ui.shared.runs.fine_tuning import frozen_text
from tests.pages.runner import assert_sound, open_page, said
from tests.tracking.making import create

START, FREEZE, TRUNK = "train-set-start_from", "train-set-freeze_until", "train-set-trunk_lr"
RANDOM = "Random initialization"


@pytest.fixture
def home(trained_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own with a finished run of LeNet-5 on digits, number 1."""
    folder = tmp_path / "home"
    shutil.copytree(trained_home, folder)
    monkeypatch.setenv("CNNVIZ_HOME", str(folder))
    return folder


@pytest.fixture
def runs(home: Path) -> Iterator[Database]:
    """The run database that the page reads."""
    with tracking.connect() as database:
        yield database


def expander(app: AppTest) -> str:
    return next(one.label for one in app.expander if one.label.startswith("Fine-tuning")).replace("\\", "")


def keys(app: AppTest) -> set[str | None]:
    return {one.key for one in [*app.selectbox, *app.text_input]}


def test_without_runs_there_is_random_initialization_and_nothing_to_freeze() -> None:
    app = open_page("train")
    assert app.selectbox(key=START).options == [RANDOM]
    assert expander(app) == "Fine-tuning"
    assert not {FREEZE, TRUNK} & keys(app)


def test_the_runs_of_the_same_network_are_listed_newest_first(runs: Database) -> None:
    create(runs)  # queued: it has no weights yet
    app = open_page("train", dataset="shapes")
    first, run = app.selectbox(key=START).options
    assert first == RANDOM
    assert run.startswith("Run 1 · Digits · ")
    assert run.endswith(" %")
    assert open_page("train", model="alexnet").selectbox(key=START).options == [RANDOM]
    tanh = open_page("train", model="lenet5", **{"option.activation": "tanh"})
    assert tanh.selectbox(key=START).options == [RANDOM], "with other layers it is another network"
    assert open_page("train", model="lenet5", **{"option.init": "he"}).selectbox(key=START).options[1:]


def test_a_run_is_chosen_and_layers_are_frozen_and_it_starts(runs: Database) -> None:
    app = open_page("train", model="lenet5")
    app.selectbox(key=START).select_index(1).run()
    assert_sound(app)
    assert app.query_params["set.start_from"] == "run:1"
    assert expander(app) == "Fine-tuning: from run 1"
    assert "All 61,706 parameters are trained." in said(app)
    layers = app.selectbox(key=FREEZE).options
    assert layers == ["nothing: every layer is trained", "conv1 · Conv2d", "conv2 · Conv2d", "fc1 · Linear",
                      "fc2 · Linear"]  # fmt: skip
    app.selectbox(key=FREEZE).select_index(2).run()
    assert "2,572 of 61,706 parameters stay frozen." in said(app)
    assert app.text_input(key=TRUNK).value == ""
    assert "0.1 is usual" in app.text_input(key=TRUNK).placeholder
    app.text_input(key=TRUNK).set_value("0.1").run()
    assert "0.1 × 0.03 = 0.003 for all but the last layer." in said(app)
    assert expander(app) == "Fine-tuning: from run 1, frozen up to conv2"
    app.button(key="train-start").click().run()
    assert_sound(app)
    recipe = Recipe.model_validate(tracking.get_run(runs, 2).recipe)
    assert recipe.start_from.startswith("run:1@")
    assert (recipe.freeze_until, recipe.trunk_lr) == ("conv2", 0.1)
    assert "began with the weights of run 1, frozen up to conv2" in " ".join(
        element.proto.body for element in app.get("html")
    )


def test_back_to_random_weights_keeps_the_rest_and_says_what_that_means(home: Path) -> None:
    query = {"set.start_from": "run:1", "set.freeze_until": "conv2"}
    app = open_page("train", model="lenet5", recipe="plain", **query)
    app.selectbox(key=START).select_index(0).run()
    assert_sound(app)
    assert "set.start_from" not in app.query_params
    assert "2,572 of 61,706 parameters stay frozen, at random weights." in said(app)
    app.selectbox(key=FREEZE).select_index(0).run()
    assert not {FREEZE, TRUNK} & keys(app)


def test_a_deleted_run_is_one_sentence_and_stays_chosen(runs: Database) -> None:
    tracking.delete_run(runs, 1)
    app = open_page("train", model="lenet5", **{"set.start_from": "run:1", "set.freeze_until": "conv2"})
    assert said(app).count("Run 1 was deleted: restore it on Runs, or begin with other weights.") == 1
    assert app.selectbox(key=START).options == [RANDOM, "Run 1"]
    assert (app.selectbox(key=START).value, app.selectbox(key=FREEZE).value) == ("run:1", "conv2")
    app.button(key="train-start").click().run()
    assert_sound(app)
    assert not tracking.list_runs(runs)


def test_weights_of_another_network_are_one_sentence_and_stay_chosen(home: Path) -> None:
    query = {"set.start_from": "run:1", "set.freeze_until": "conv2"}
    app = open_page("train", model="resnet18-32", dataset="shapes", recipe="plain", **query)
    assert "The weights 'run:1' fit 0 of" in said(app)
    assert "or choose the model of run 1." in said(app)
    assert (app.selectbox(key=START).value, app.selectbox(key=FREEZE).value) == ("run:1", "conv2")
    assert app.selectbox(key=START).options[-1].startswith("Run 1 · LeNet-5 · Digits · ")
    app.selectbox(key=START).select_index(0).run()
    assert "There is no layer 'conv2' to freeze up to" in said(app)
    assert not [text for text in said(app).split(". ") if "stay frozen" in text]
    app.selectbox(key="train-model").set_value("lenet5").run()
    assert_sound(app)
    assert "2,572 of 61,706 parameters stay frozen, at random weights." in said(app)


@pytest.mark.parametrize(
    "start", ["run:99", "run:1/best", f"file:x.pth@{'0' * 64}", "file:x.pth", "/etc/passwd"]
)
def test_what_an_address_names_is_shown_and_what_is_not_there_is_a_sentence(home: Path, start: str) -> None:
    app = open_page("train", model="lenet5", **{"set.start_from": start, "set.epochs": "3"})
    assert app.selectbox(key=START).value == start
    assert app.text_input(key="train-set-epochs").value == "3"
    if start != "run:1/best":
        assert app.warning
        assert "/home" not in said(app)


def test_older_runs_are_chosen_by_number(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning, "MAX_LISTED", 1)
    app = open_page("train", model="lenet5")
    app.text_input(key="train-start-number").set_value("Run 1").run()
    assert_sound(app)
    assert app.query_params["set.start_from"] == "run:1"
    app.text_input(key="train-start-number").set_value("many").run()
    assert_sound(app)
    assert "A run has a number, not" in said(app)
    assert app.query_params["set.start_from"] == "run:1"


def test_a_copy_of_a_fine_tuned_run_keeps_its_weights_and_can_do_without(runs: Database) -> None:
    run = enqueue(runs, Recipe(dataset="digits", epochs=1, start_from="run:1", freeze_until="conv1"))
    tracking.delete_run(runs, 1)
    app = open_page("train", parent=str(run.id))
    assert app.selectbox(key=START).options[-1] == "Run 1 · its weights when this was queued"
    assert not app.warning
    app.selectbox(key=START).select_index(0).run()
    assert_sound(app)
    assert app.selectbox(key=START).value == ""
    assert "recipe: run 1" in said(app)


def test_a_rate_is_sought_from_the_weights_that_it_begins_with(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Recipe] = []

    def noted(recipe: Recipe, *_: Any) -> RateTest:
        begun.append(recipe)
        return RateTest((1e-4, 1e-3), (2.3, 2.0), (2.3, 2.1), None, 1.0)

    monkeypatch.setattr("cnnviz.training.rate_finder.find_rate", noted)
    app = open_page("train", model="lenet5", **{"set.start_from": "run:1", "dataset": "digits"})
    app.button(key="train-find-rate").click().run()
    app.session_state[KEY].wait(60)
    app.run()
    assert_sound(app)
    assert begun[0].start_from.startswith("run:1@")


def test_an_uploaded_file_is_begun_with(home: Path) -> None:
    model = models.build("lenet5", 4)
    content = io.BytesIO()
    torch.save({f"net.{name}": value for name, value in model.state_dict().items()}, content)
    app = open_page("train", model="lenet5")
    given = ("mine.pth", content.getvalue(), "application/octet-stream")
    app.file_uploader(key="train-start-file-0").set_value(given).run()
    assert_sound(app)
    assert "The prefix 'net.' was taken off every name." in said(app)
    start = app.query_params["set.start_from"]
    assert start.startswith("file:mine.pth@")
    assert "mine.pth · uploaded" in app.selectbox(key=START).options
    assert (home / "weights" / f"{start.partition('@')[2]}.safetensors").is_file()
    given = ("bad.pth", b"\x80\x04K\x01.", "application/octet-stream")
    app.file_uploader(key="train-start-file-1").set_value(given).run()
    assert_sound(app)
    assert "'bad.pth' is a Python pickle" in said(app)
    assert app.query_params["set.start_from"] == start


def test_torchvisions_weights_say_what_is_downloaded() -> None:
    app = open_page("train", model="torchvision/resnet18", **{"set.start_from": "torchvision"})
    assert app.selectbox(key=START).options == [RANDOM, "torchvision's weights (ImageNet)"]
    assert "about 42.6 MiB are downloaded first" in said(app)
    assert "layer2 · the whole block" in app.selectbox(key=FREEZE).options
    app = open_page("train", model="lenet5", **{"set.start_from": "torchvision"})
    assert "torchvision has no weights for lenet5" in said(app)
    assert app.selectbox(key=START).value == "torchvision"


def test_without_a_network_torchvisions_weights_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("Temporary failure in name resolution")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    recipe = Recipe(
        model="torchvision/squeezenet1_1", dataset="shapes", limit=20, epochs=1, device="cpu", size=64,
        start_from="torchvision",
    )  # fmt: skip
    with tracking.connect() as database:
        run = enqueue(database, recipe)
        lease = tracking.claim(database, "cpu", only=run.id)
        assert lease is not None
        assert work(database, lease, lambda _: None, lambda: False) is Status.FAILED
        error = tracking.get_run(database, run.id).error or ""
    assert error.startswith("torchvision's weights for torchvision/squeezenet1_1 could not be downloaded: ")
    app = open_page("train", run=str(run.id))
    assert "could not be downloaded" in said(app)
    assert "Traceback" not in said(app)


@pytest.mark.parametrize(
    ("frozen", "total", "sentence"),
    [
        (0, 61_706, "All 61,706 parameters are trained."),
        (57_012_034, 58_292_074, "57.0 of 58.3 million parameters stay frozen."),
        (9_408, 11_689_512, "9,408 of 11.7 million parameters stay frozen."),
    ],
)
def test_what_stays_frozen_is_one_sentence(frozen: int, total: int, sentence: str) -> None:
    assert frozen_text(frozen, total) == sentence
