"""A network that is read as data on the pages: where it is shown, and how it is handed in."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from cnnviz.models import registry
from cnnviz.models.external import loopback
from cnnviz.models.user_code import registration
from cnnviz.watching import show
from tests.models.external import onnx_files
from tests.pages.runner import html, open_page, said


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path: Path = onnx_files.write(onnx_files.small(), tmp_path / "net.onnx")
    monkeypatch.setenv(registration.VARIABLE, str(path))
    return path


@pytest.mark.parametrize("page", ["architecture", "compare", "features", "predict", "train"])
def test_a_file_that_was_named_is_on_every_page(net: Path, page: str) -> None:
    app = open_page(page, model="file/net")
    assert "shown instead" not in said(app)
    assert "net" in html(app) + said(app) + " ".join(str(box.value) for box in app.selectbox)


@pytest.mark.parametrize("view", ["arithmetic", "filters", "excites", "input"])
def test_every_view_of_a_layer_shows_something_or_says_why_not(net: Path, view: str) -> None:
    app = open_page("features", model="file/net", layer="conv1", view=view)
    assert not app.exception
    assert "shown instead" not in said(app)


def test_attribution_says_that_there_are_no_gradients(net: Path) -> None:
    assert "Occlusion works without" in said(open_page("attribution", model="file/net"))
    assert "no gradients" not in said(open_page("attribution", model="file/net", method="occlusion"))


def test_train_says_that_it_is_not_trained(net: Path) -> None:
    assert "can be looked at but not trained" in said(open_page("train", model="file/net"))


def test_what_is_handed_in_is_opened_by_its_address_and_stands_in_no_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(registration.VARIABLE, "")
    spec = registry.add_upload(onnx_files.content(onnx_files.small()), "mine.onnx")
    app = open_page("architecture", model=spec.name)
    assert app.selectbox(key="what-name").value == spec.name
    assert "4·(1·3·3 + 1)" in html(app)
    assert "mine" not in str(open_page("architecture").selectbox(key="what-name").options)


def test_an_upload_on_feature_maps_is_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("features")
    data = onnx_files.content(onnx_files.small())
    app.file_uploader(key="weights-upload-0").set_value(("mine.onnx", data, "application/octet-stream")).run()
    app.button(key="weights-load").click().run()
    assert not app.exception
    assert str(app.query_params["weights"]).removeprefix("['").startswith("file:")
    assert "conv1" in str(app.selectbox(key="features-layer").options)


def test_a_network_whose_process_has_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_HOME", str(tmp_path))
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3))
    server, secret = show._serve(*show._describe(module, (1, 8, 8), "gone", None, None, None))
    loopback.accept(loopback.write_ticket(server.server_address[1], secret))
    assert "shown instead" not in said(open_page("features", model="shown/gone", layer="0"))
    server.shutdown()
    server.server_close()
    app = open_page("features", model="shown/gone", layer="0")
    assert "call cnnviz.show again. " in said(app)
    assert "is shown instead" in said(app)
    assert "another program of yours shows" in html(open_page("architecture", model="shown/gone"))
