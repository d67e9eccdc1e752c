"""The page of data without a browser: each state it can be in, and what it writes into the address."""

import io
import json
import shutil
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qs

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from cnnviz import datasets
from cnnviz.datasets import DataError, Progress, Step, cache, library, summary, user_data
from cnnviz.datasets.cache import About
from cnnviz.datasets.summary import Summary
from cnnviz.ui.pages.data import load
from tests.datasets.making import Files, classes, encoded, named, pixels, table, write
from tests.pages.runner import PAGES, assert_sound, open_page


def html(app: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in app.get("html"))


def said(app: AppTest) -> str:
    return "\n".join(warning.value for warning in app.warning).replace("\\", "")


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption).replace("\\", "")


def texts(app: AppTest) -> str:
    return "\n".join(text.value for text in app.markdown).replace("\\", "")


def steps(app: AppTest) -> str:
    return next(text.value for text in app.markdown if text.value.startswith("1. ")).replace("\\", "")


def drawn(app: AppTest, key: str) -> dict[str, Any]:
    """What a component of our own was handed."""
    components = [
        c.proto for c in app.get("bidi_component") if f"-{key}" in c.proto.id or c.proto.id.endswith(key)
    ]
    assert components, key
    return dict(json.loads(components[0].json)[0])


@pytest.fixture
def pets(tmp_path: Path) -> str:
    return datasets.save_user_dataset(write(tmp_path / "pets", classes(20))).name


@pytest.fixture
def photographs(tmp_path: Path) -> str:
    files = {
        f"{name}/{number}.png": encoded(pixels(10 * label + number, (32, 32)))
        for label, name in enumerate(("cat", "dog"))
        for number in range(5)
    }
    return datasets.save_user_dataset(write(tmp_path / "photographs", files)).name


def test_page_opens_on_pictures() -> None:
    app = open_page("data")
    assert not app.warning
    assert not app.error
    assert "1,797" in html(app)
    gallery = drawn(app, "gallery")
    assert [line["label"] for line in gallery["lines"]] == list("0123456789")
    assert all(len(line["cells"]) == 16 for line in gallery["lines"])
    bars = drawn(app, "class-bars")
    assert bars["parts"] == ["training", "validation", "test"]
    # What scikit-learn's own description gives for each digit.
    totals = [sum(row["counts"]) for row in bars["rows"]]
    assert totals == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert "10 % of the training part are held out" in captions(app)
    assert "3 black pixels around it" in steps(app)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (
            {"dataset": "digitz"},
            "There is no data set “digitz” (did you mean digits?); Digits is shown instead.",
        ),
        ({"dataset": "../secret"}, "There is no data set “../secret”"),
        ({"class": "eleven"}, "Digits has no class “eleven”; all are shown."),
        ({"page": "-1"}, "“page” cannot be “-1”, only a whole number"),
        ({"part": "both"}, "“part” cannot be “both”"),
        ({"recipe": "nonsense"}, "There is no recipe “nonsense”"),
        ({"set.flip": "sideways"}, "'flip' cannot be 'sideways', only none, random or alternating."),
        ({"set.nothing": "1"}, "A recipe has no field 'nothing'"),
        ({"model": "nonsense"}, "There is no model “nonsense”"),
    ],
)
def test_what_is_wrong_in_a_link_is_said_and_the_rest_is_shown(query: dict[str, str], sentence: str) -> None:
    app = open_page("data", **query)
    assert sentence in said(app)
    assert "1,797" in html(app)


def test_a_path_in_a_link_is_not_opened(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", classes(10))
    app = open_page("data", dataset=str(root))
    assert "There is no data set" in said(app)
    assert datasets.prepared(root) is None


def test_one_class_can_be_paged_through_and_another_picture_chosen() -> None:
    app = open_page("data", **{"class": "3"})
    first = [cell["value"] for cell in drawn(app, "gallery")["lines"][0]["cells"]]
    assert len(first) == 96
    app.button(key="gallery-Page after").click().run()
    assert_sound(app)
    assert app.query_params["page"] == "1"
    second = [cell["value"] for cell in drawn(app, "gallery")["lines"][0]["cells"]]
    assert not set(first) & set(second)
    assert all(cell["title"].startswith("3, ") for cell in drawn(app, "gallery")["lines"][0]["cells"])
    app.button(key="gallery-shuffle").click().run()
    assert app.query_params["seed"] == "1"
    assert "page" not in app.query_params
    app.button(key="gallery-all").click().run()
    assert "class" not in app.query_params
    assert len(drawn(app, "gallery")["lines"]) == 10


def test_a_page_and_a_picture_beyond_the_last_are_the_last_and_the_first() -> None:
    app = open_page("data", **{"class": "3", "page": "99", "image": "999999999"})
    assert app.button(key="gallery-Page after").disabled
    assert not app.warning


def test_the_test_part_is_shown_as_well() -> None:
    app = open_page("data", part="test")
    assert drawn(app, "gallery")["alt"].startswith("Test images")


def test_settings_of_augmentation_go_to_the_address_and_to_training(photographs: str) -> None:
    app = open_page("data", dataset=photographs)
    before = drawn(app, "augmentation-drawn")["png"]
    app.slider(key="augmentation-cutout").set_value(12).run()
    assert_sound(app)
    assert app.query_params["recipe"] == "plain"
    assert (app.query_params["set.cutout"], app.query_params["set.flip"]) == ("12", "random")
    assert "A square of side 12 set to zero" in steps(app)
    assert drawn(app, "augmentation-drawn")["png"] != before
    train = next(link.proto for link in app.get("page_link") if link.proto.label == "Train with it")
    handed = parse_qs(train.query_string)
    assert (handed["dataset"], handed["set.cutout"], handed["recipe"]) == ([photographs], ["12"], ["plain"])
    app.select_slider(key="augmentation-crop_from").set_value(48).run()
    assert (app.query_params["set.crop_from"], app.query_params["set.pad_crop"]) == ("48", "0")
    assert "Enlarged from 32×32 to 48×48" in steps(app)
    app.slider(key="augmentation-pad_crop").set_value(3).run()
    assert app.query_params["set.crop_from"] == "none"
    assert not app.warning


def test_a_recipe_and_a_model_decide_what_is_done() -> None:
    app = open_page("data", recipe="article-alexnet-stl10", dataset="digits")
    assert "Gray copied into three channels." in steps(app)
    assert "Enlarged from 28×28 to 256×256" in steps(app)
    app.selectbox(key="data-model").select("lenet5").run()
    assert app.query_params["model"] == "lenet5"
    app.selectbox(key="data-recipe").select("plain").run()
    assert_sound(app)
    assert steps(app) == "1. Mean subtracted and divided by the standard deviation, channel by channel."
    assert app.query_params["dataset"] == "digits"


def test_a_crop_that_cannot_be_is_said() -> None:
    app = open_page("data", model="alexnet", **{"set.crop_from": "64"})
    assert "'crop_from' must be at least" in said(app)
    assert drawn(app, "averages")


def test_drawing_again_draws_others() -> None:
    app = open_page("data")
    before = drawn(app, "augmentation-drawn")["png"]
    app.button(key="augmentation-draw").click().run()
    assert app.query_params["draw"] == "1"
    assert drawn(app, "augmentation-drawn")["png"] != before


def test_what_is_not_here_is_offered_and_fails_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> NoReturn:
        raise DataError("train could not be downloaded (example: no answer); check the connection.")

    app = open_page("data", dataset="svhn")
    assert "SVHN is not on this machine yet" in "\n".join(text.value for text in app.markdown)
    assert "For non-commercial use only" in html(app)
    assert app.button(key="download").label == "Download 246 MB"
    monkeypatch.setattr(datasets, "load", unreachable)
    app.button(key="download").click().run()
    settled(app)
    assert "could not be downloaded" in app.error[0].value.replace("\\", "")
    assert not app.button(key="download").disabled


def packed(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def handed_in(name: str, content: bytes) -> AppTest:
    app = open_page("data")
    app.file_uploader[0].set_value((name, content, "application/octet-stream")).run()
    app.button(key="data-prepare").click().run()
    return settled(app)


def settled(app: AppTest) -> AppTest:
    """Wait for the visitor's jobs, then draw the page again."""
    for one in dict(app.session_state[load.KEY]).values():
        one.wait(60)
    app.run()
    assert_sound(app)
    return app


@dataclass
class Gate:
    """Where the making of a data set stops until it may go on; it reports as long as it waits."""

    opened: threading.Event
    reached: threading.Semaphore

    def make(self, *arguments: Any) -> About:
        progress: Progress = arguments[-1]
        progress(Step("reading", 1_000, 4_000))
        self.reached.release()
        while not self.opened.wait(0.01):
            progress(Step("reading", 1_000, 4_000))
        progress(Step("reading", 4_000, 4_000))
        return MAKE(*arguments)


MAKE = user_data.make


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """Own data are prepared no further than to here, until the test opens it."""
    made = Gate(threading.Event(), threading.Semaphore(0))
    monkeypatch.setattr(user_data, "make", made.make)
    monkeypatch.setattr(load, "PATIENCE", 0.0)
    yield made
    made.opened.set()


def begun(gate: Gate, name: str, content: bytes) -> AppTest:
    """A visitor who handed in a file and sees it being read."""
    app = open_page("data")
    app.file_uploader[0].set_value((name, content, "application/octet-stream")).run()
    app.button(key="data-prepare").click().run()
    assert gate.reached.acquire(timeout=60)
    app.run()
    assert_sound(app)
    return app


def progress_text(app: AppTest) -> str:
    return str(app.get("progress")[0].proto.text).replace("\\", "")


def test_a_zip_that_is_handed_in_is_kept_shown_and_removed_with_its_file() -> None:
    app = handed_in("My Pets.zip", packed(classes(10)))
    assert app.query_params["dataset"] == "mine/my-pets"
    assert not app.error
    assert [line["label"] for line in drawn(app, "gallery")["lines"]] == ["cat", "dog"]
    assert [path.name for path in library.uploads().iterdir()] == ["my-pets.zip"]
    app.button(key="data-remove").click().run()
    assert list(library.uploads().iterdir()) == []


def test_the_page_can_be_used_while_a_file_is_prepared_which_then_opens(gate: Gate) -> None:
    app = begun(gate, "pets.zip", packed(classes(10)))
    assert "**Preparing pets.zip.** The page can be used meanwhile." in texts(app)
    assert progress_text(app).startswith("Reading: 1,000 of 4,000 images")
    assert app.button(key="data-prepare").disabled
    app.button(key="gallery-shuffle").click().run()
    assert_sound(app)
    assert app.query_params["seed"] == "1"
    assert app.session_state[load.KEY]["upload"].running
    gate.opened.set()
    settled(app)
    assert app.query_params["dataset"] == "mine/pets"
    assert not app.get("progress")
    assert app.file_uploader[0].value is None


def test_who_chose_other_data_meanwhile_is_not_taken_away_from_them(gate: Gate) -> None:
    app = begun(gate, "pets.zip", packed(classes(10)))
    app.selectbox(key="data-name").select("shapes").run()
    gate.opened.set()
    settled(app)
    assert app.query_params["dataset"] == "shapes"
    assert app.success[0].value.replace("\\", "") == "pets.zip is prepared, as mine/pets."
    app.button(key="data-show").click().run()
    assert_sound(app)
    assert app.query_params["dataset"] == "mine/pets"
    assert not app.success


def test_a_cancelled_preparation_keeps_nothing_and_can_be_begun_again(gate: Gate) -> None:
    app = begun(gate, "pets.zip", packed(classes(10)))
    app.button(key="prepare-upload-cancel").click().run()
    settled(app)
    assert "pets.zip was canceled; nothing of it was kept." in app.info[0].value.replace("\\", "")
    assert list(library.uploads().glob("*")) == []
    assert library.user_datasets() == {}
    assert [path.name for path in cache.folder().glob("*.tmp")] == []
    gate.opened.set()
    app.button(key="data-prepare").click().run()
    settled(app)
    assert app.query_params["dataset"] == "mine/pets"
    assert not app.info


def test_two_visitors_files_of_one_name_are_two_data_sets(gate: Gate) -> None:
    one = begun(gate, "pets.zip", packed(classes(10)))
    other = begun(gate, "pets.zip", packed(classes(5, names=("cow", "hen"))))
    third = open_page("data")
    assert not third.get("progress")
    gate.opened.set()
    assert settled(one).query_params["dataset"] == "mine/pets"
    assert settled(other).query_params["dataset"] == "mine/pets-2"
    assert datasets.get("mine/pets").classes == ("cat", "dog")
    assert datasets.get("mine/pets-2").classes == ("cow", "hen")


def test_a_third_preparation_waits_for_its_turn_and_can_be_cancelled_there(gate: Gate) -> None:
    others = [begun(gate, f"pets{number}.zip", packed(classes(5))) for number in range(load.AT_ONCE)]
    app = open_page("data")
    app.file_uploader[0].set_value(("late.zip", packed(classes(5)), "application/zip")).run()
    app.button(key="data-prepare").click().run()
    assert_sound(app)
    assert progress_text(app) == "Waiting for other data sets that are being prepared …"
    app.button(key="prepare-upload-cancel").click().run()
    settled(app)
    assert "late.zip was canceled" in app.info[0].value.replace("\\", "")
    gate.opened.set()
    assert [settled(other).query_params["dataset"] for other in others] == ["mine/pets0", "mine/pets1"]


def test_a_failure_that_nobody_foresaw_is_a_sentence_and_the_file_stays_handed_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> NoReturn:
        raise RuntimeError("of its own")

    monkeypatch.setattr(user_data, "make", broken)
    app = handed_in("pets.zip", packed(classes(10)))
    failure = "It could not be prepared: RuntimeError: of its own."
    assert app.error[0].value.replace("\\", "") == failure
    assert not app.button(key="data-prepare").disabled
    assert list(library.uploads().glob("*")) == []
    app.button(key="prepare-upload-close").click().run()
    assert_sound(app)
    assert not app.error


def test_ones_own_data_whose_copy_is_gone_is_made_again_in_a_job(pets: str, gate: Gate) -> None:
    shutil.rmtree(datasets.load(pets).folder)
    app = open_page("data", dataset=pets)
    assert "The page can be used meanwhile." in texts(app)
    gate.opened.set()
    settled(app)
    assert "40" in html(app)
    assert not app.get("progress")
    assert dict(app.session_state[load.KEY]) == {}


def test_the_server_takes_files_as_large_as_the_pages_offer() -> None:
    config = tomllib.loads((PAGES.parent / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    offered = [field.proto.max_upload_size_mb for field in open_page("data").file_uploader]
    offered += [field.proto.max_upload_size_mb for field in open_page("predict").file_uploader]
    assert len(offered) >= 2
    assert max(offered) <= config["server"]["maxUploadSize"]


def test_a_parquet_file_that_is_handed_in_is_told_by_its_content(tmp_path: Path) -> None:
    pictures, labels = [encoded(pixels(n)) for n in range(10)], [n % 2 for n in range(10)]
    path = table(tmp_path / "t.parquet", pictures, labels, named("cat", "dog"))
    app = handed_in("data.zip", path.read_bytes())
    assert app.query_params["dataset"] == "mine/data"
    assert [path.name for path in library.uploads().iterdir()] == ["data.parquet"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"rubbish", "'pets.zip' is neither a zip nor a Parquet file; hand in one of these."),
        (b"PK\x03\x04 rubbish", "'pets.zip' is neither a folder of class folders, nor a zip"),
        (
            packed({**classes(5), "dog/x.png": b"no"}),
            "'pets.zip/dog/x.png' is not an image",
        ),
        (packed(classes(5, names=("cat",))), "has 1 class; from 2 to 100,000 are needed"),
        (packed({"../x.png": b"no"}), "'pets.zip' has a member that leads out of it"),
        (b"PAR1 rubbish", "'pets.zip' is not a Parquet file that can be read"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence_and_leaves_nothing(
    content: bytes, sentence: str
) -> None:
    app = handed_in("pets.zip", content)
    assert sentence in app.error[0].value.replace("\\", "")
    assert str(library.uploads()) not in app.error[0].value.replace("\\", "")
    assert list(library.uploads().glob("*")) == []
    assert library.user_datasets() == {}


def test_ones_own_data_is_listed_shown_and_removed(pets: str) -> None:
    app = open_page("data", dataset=pets)
    assert "pets · yours · 40" in app.selectbox(key="data-name").options
    assert "a stratified 0.2 of the images" in html(app)
    app.button(key="data-remove").click().run()
    assert_sound(app)
    assert pets not in datasets.specs()
    assert "mine/pets is taken out of the list" in said(app)
    assert app.query_params["dataset"] == "digits"


def test_ones_own_data_that_is_gone_is_said(pets: str) -> None:
    shutil.rmtree(library.user_datasets()[pets].path)
    shutil.rmtree(datasets.load(pets).folder)
    app = settled(open_page("data", dataset=pets))
    assert "which is gone, and so is the cached copy" in app.error[0].value.replace("\\", "")
    assert not app.button(key="data-remove").disabled


def test_a_damaged_entry_of_the_list_is_told_of() -> None:
    write(library.folder(), {"broken.json": b"{"})
    assert "'broken.json' is left out" in said(open_page("data"))


def test_what_streams_is_summarised_from_a_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(user_data, "MAX_DECODED", 100)
    monkeypatch.setattr(summary, "SAMPLE", 10)
    name = datasets.save_user_dataset(write(tmp_path / "many", classes(20))).name
    app = open_page("data", dataset=name)
    assert "Of a sample of 10 training images" in captions(app)
    assert "as it streams" in html(app)


def test_a_picture_that_turns_out_damaged_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(user_data, "MAX_DECODED", 100)
    files = {**classes(5), "dog/broken.png": encoded(pixels(7, (40, 40)))[:900]}
    name = datasets.save_user_dataset(write(tmp_path / "many", files), options={"size": 6}).name
    app = open_page("data", dataset=name)
    assert "dog/broken.png' is damaged" in app.error[0].value.replace("\\", "")


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise DataError("The disk is full; make room.")

    monkeypatch.setattr("cnnviz.datasets.registry.require_space", full)
    app = open_page("data")
    assert "The disk is full; make room." in app.error[0].value.replace("\\", "")


def test_statistics_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    open_page("data")

    def forbidden(*_: object) -> Summary:
        raise AssertionError("computed again")

    monkeypatch.setattr(summary, "computed", forbidden)
    assert "1,797" in html(open_page("data"))


def test_many_classes_are_paged_through(tmp_path: Path) -> None:
    names = tuple(f"kind {number:02d}" for number in range(23))
    name = datasets.save_user_dataset(write(tmp_path / "kinds", classes(4, names=names))).name
    app = open_page("data", dataset=name, page="2")
    assert [line["label"] for line in drawn(app, "gallery")["lines"]] == ["kind 20", "kind 21", "kind 22"]
    assert len(drawn(app, "class-bars")["rows"]) == 23


def test_a_validation_part_that_cannot_be_taken_is_said(tmp_path: Path) -> None:
    name = datasets.save_user_dataset(write(tmp_path / "few", classes(2))).name
    app = open_page("data", dataset=name, **{"set.validation": "0.01"})
    assert "nothing would be left on one side" in captions(app)
    assert drawn(app, "class-bars")["parts"] == ["training", "test"]


def test_what_is_wrong_with_the_images_is_said_before_training(tmp_path: Path) -> None:
    black = np.zeros((16, 16), dtype=np.uint8)
    files = {
        f"{part}/{name}/{n}.png": encoded(black)
        for part in ("train", "test")
        for name in "ab"
        for n in range(9)
    }
    name = datasets.save_user_dataset(write(tmp_path / "black", files)).name
    app = open_page("data", dataset=name)
    assert said(app) == (
        "All images are equal: black or of one shade, so there is nothing to tell classes apart by."
    )
    assert any("Look at the images on the Data page" in text.value for text in app.markdown)
    assert any("that were looked at are all the same" in text.value for text in app.markdown)
    sound = open_page("data")
    assert not sound.warning
    assert [fold.label for fold in sound.expander if "before training" in fold.label] == [
        "Looked at before training: 4 checks found nothing"
    ]
    assert any("Every class has training images" in text.value for text in sound.markdown)
